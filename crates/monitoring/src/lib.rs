//! Presence, heartbeats, rules and alerts.
//!
//! ```text
//! device    NEVER ─► ONLINE ⇄ GRACE ─► OFFLINE ─► ONLINE
//!
//! alert     a rule's threshold crossed points_to_raise times in a row ─► open
//!           back for points_to_clear times in a row, the rule removed or the device retired ─► cleared
//! ```
//!
//! Who is connected is known from the front door alone: each session's beginning and end, and snapshots of
//! everybody. A device that goes is in GRACE first, so that a short break, a takeover or a restart of the
//! broker alarms nobody.
//!
//! Invariants:
//! - A device the registry knows has a status, until it is retired; nobody else has one.
//! - Why somebody was not let in stands here alone: in a device's status, or in one of a bounded number of records.
//! - There is one open alert at most for a device and a rule; `offline` is a rule that is built in.
//! - The end of an old session never ends a new one; what an older boot of the front door said is ignored.
//!   (A boot's number is greater than that of any boot before it.)
//! - The summary's counters equal a count of the records.
//! - No decision touches more than a page of devices.
#![forbid(unsafe_code)]

mod alerting;
mod audit;
mod connectivity;
mod decide;
mod decision;
mod event;
mod policy;
mod query;
mod refusals;
mod request;
mod sessions;
mod state;

use contract::{Refusal, ServiceName, Verb, wire::Reply};
use service::{Caller, Context, FactChange, Fault, Outcome, Parsed, QueryContext, Service, View};

pub use request::{Request, rule};

/// What an installation may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a device may be away before it counts as offline, milliseconds.
    pub grace_ms: u64,
}

impl Default for Settings {
    /// Half a minute: a reboot or a change of network, and still before most people notice.
    fn default() -> Settings {
        Settings { grace_ms: 30_000 }
    }
}

/// The monitoring service.
pub struct Monitoring {
    settings: Settings,
}

impl Monitoring {
    /// A service with these settings.
    pub fn new(settings: Settings) -> Monitoring {
        Monitoring { settings }
    }
}

impl Service for Monitoring {
    const NAME: ServiceName = ServiceName::Monitoring;
    type Request = Request;

    fn follows(&self) -> &'static [ServiceName] {
        &[ServiceName::Registry]
    }

    fn parse(
        &self,
        verb: &'static Verb,
        payload: &[u8],
        content_type: &str,
    ) -> Result<Parsed<Request>, Refusal> {
        Request::parse(verb, payload, content_type)
    }

    fn json(&self, verb: &'static Verb, payload: &[u8], content_type: &str) -> Result<String, Refusal> {
        Request::json(verb, payload, content_type)
    }

    fn devices<'a>(&self, request: &'a Request) -> Vec<&'a str> {
        match request {
            Request::Show(m) => vec![&m.device_id],
            // Whoever hopes to become a device is judged by which.
            Request::Refused(m) if ["devices", "claims"].contains(&m.kind.as_str()) => vec![&m.id],
            _ => Vec::new(),
        }
    }

    fn decide(
        &self,
        view: &View<'_>,
        caller: &Caller,
        request: Request,
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Fault> {
        decide::decide(self.settings, view, caller, request, cx.now.wall_ms)
    }

    fn query(
        &self,
        view: &View<'_>,
        caller: &Caller,
        request: Request,
        _cx: &QueryContext<'_>,
    ) -> Result<Box<dyn Reply>, Fault> {
        query::query(view, &caller.sight, request)
    }

    fn told(&self, key: &[u8], record: &[u8]) -> Option<(String, serde_json::Value)> {
        audit::told(key, record)
    }

    fn on_fact(&self, view: &View<'_>, fact: FactChange<'_>, cx: &mut Context<'_>) -> Result<Outcome, Fault> {
        decide::on_fact(self.settings, view, fact, cx.now.wall_ms)
    }

    fn on_wake(&self, view: &View<'_>, key: &str, cx: &mut Context<'_>) -> Result<Outcome, Fault> {
        decide::on_wake(self.settings, view, key, cx.now.wall_ms)
    }
}
