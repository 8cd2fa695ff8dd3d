//! Who the devices are: identity, lifecycle, groups, and the people and programs that command them.
//!
//! ```text
//!            move            certificate           first report            move
//! planned ─────────► registered ─────────► provisioned ─────────► active ◄──────► maintenance
//!    │                   │                      │                    │                │
//!    │ retire            │ retire               └───── retire ───────┴──── retire ────┘
//!    ▼                   ▼                                           ▼
//! retired ◄──────────────┘◄──────── receipt or deadline ──────── retiring
//!    └──── readmit ────► registered
//! ```
//!
//! Beside the stage, from `registered` on, a device carries a restriction: none, suspended or
//! quarantined. Both machines are tables: `lifecycle.rs` and `restriction.rs`.
//!
//! The stage says how far a device's life has come, not whether it can connect. A certificate that is
//! revoked, or ends, takes no device back to `registered`: it is often the beginning of a repair, and a
//! device that would leave `active` for an hour would lose its place in rollouts, and be retired without
//! being told to erase its keys. That it has no certificate is provisioning's truth, and the front door
//! acts on it; its next certificate puts it to work where it was. Who wants it out of service suspends it
//! or retires it.
//!
//! Invariants:
//! - Ids that differ in case only are one id: records are keyed by the folded id, so there are no twins.
//! - `retired` is left by `readmit` only. Its record stays as a tombstone that refuses the same id, and is in no group.
//! - A device's version grows by one with each event about it; so does a person's, and a group's as long
//!   as it exists.
//! - A device's `groups`, the membership index and each group's number of members agree. Once a dynamic
//!   group has settled, its members are the devices that fit its query, retired ones left out; where that says `now`,
//!   those that fitted at the last wake-up that was due.
//! - What other services know of a device stands beside its record (`live.rs`): the record and its version stay as they
//!   are when that changes, or when time alone moves it from group to group.
//! - Groups lie within one another without a circle. A device's record names the groups that it was put into; what
//!   others are told of it names those above as well.
//! - The keys of `index.rs` are those that follow from the records. No two living devices share a serial
//!   number, a hardware address or a key's fingerprint.
//! - A retired device has a record of its end, which is signed when none of its certificates counts any more; what is
//!   signed is not changed.
//! - A device has one open offer to another owner at most. Its secret is known by its digest, and that goes with its end.
//! - A checkpoint moves forward within one history of a service's events, unless its owner says otherwise.
//! - Each transition and restriction leaves its evidence, which is not changed afterwards.
//! - While anybody is an enabled admin, somebody stays one.
//! - A report that says nothing new writes nothing.
#![forbid(unsafe_code)]

mod acceptance;
mod cell;
mod checkpoint;
mod choice;
mod command;
mod config;
mod decide;
pub mod declared;
mod event;
mod field;
mod index;
mod language;
mod lifecycle;
mod live;
mod maintenance;
mod policy;
mod query;
mod request;
mod restriction;
mod retirement;
mod roster;
mod rules;
mod schema;
mod state;
mod told;
mod transfer;
mod tree;

use contract::{
    Code, Refusal,
    approval::Touched,
    id::{Principal, ServiceName},
    login,
    verb::Verb,
    wire::Reply,
};
use service::{Caller, Context, FactChange, Fault, Outcome, Parsed, QueryContext, Service, View};

use crate::{decide::Situation, rules::RulesCache, schema::SchemaCache};
pub use crate::{field::written, query::together, request::Request, retirement::SIGN, state::KINDS};

/// What can be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a retiring device's receipt is waited for when the operator does not say.
    pub retire_wait_ms: u64,
    /// The longest that a token may open.
    pub token_lifetime_ms: u64,
}

impl Default for Settings {
    /// Seven days: a device that is seen once a week still erases itself. Tokens for as long as any may open.
    fn default() -> Settings {
        Settings {
            retire_wait_ms: 7 * 24 * 3_600_000,
            token_lifetime_ms: login::TOKEN_LIFETIME_MAX_MS.unsigned_abs(),
        }
    }
}

/// The registry.
#[derive(Debug, Default)]
pub struct Registry {
    settings: Settings,
    rules: RulesCache,
    schemas: SchemaCache,
}

impl Registry {
    /// A registry with these settings.
    pub fn new(settings: Settings) -> Registry {
        Registry {
            settings,
            ..Registry::default()
        }
    }

    /// The registry's own decisions are its own doing.
    fn own<'a>(&'a self, view: &'a View<'a>, now_ms: i64) -> Result<Situation<'a>, Fault> {
        self.situation(view, Principal::from(Self::NAME).to_string(), now_ms)
    }

    fn situation<'a>(
        &'a self,
        view: &'a View<'a>,
        actor: String,
        now_ms: i64,
    ) -> Result<Situation<'a>, Fault> {
        let rules = self.rules.read(view)?;
        Ok(Situation {
            view,
            actor,
            now_ms,
            rules,
            schemas: &self.schemas,
        })
    }
}

impl Service for Registry {
    const NAME: ServiceName = ServiceName::Registry;
    type Request = Request;

    fn follows(&self) -> &'static [ServiceName] {
        &[ServiceName::Provisioning, ServiceName::Monitoring]
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
        request::devices(request)
    }

    fn is_trial(&self, request: &Request) -> bool {
        request::is_trial(request)
    }

    fn touched(&self, view: &View<'_>, request: &Request) -> Result<Touched, Fault> {
        request::touched(view, request)
    }

    fn decide(
        &self,
        view: &View<'_>,
        caller: &Caller,
        request: Request,
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Fault> {
        let situation = self.situation(view, caller.principal.to_string(), cx.now.wall_ms)?;
        decide::decide(&situation, &self.settings, caller, request)
    }

    fn query(
        &self,
        view: &View<'_>,
        caller: &Caller,
        request: Request,
        cx: &QueryContext<'_>,
    ) -> Result<Box<dyn Reply>, Fault> {
        query::answer(view, caller, cx.now.wall_ms, request)
    }

    fn told(&self, key: &[u8], record: &[u8]) -> Option<(String, serde_json::Value)> {
        told::told(key, record)
    }

    fn tells(&self, key: &[u8]) -> bool {
        told::tells(key)
    }

    fn on_fact(&self, view: &View<'_>, fact: FactChange<'_>, cx: &mut Context<'_>) -> Result<Outcome, Fault> {
        decide::fact(&self.own(view, cx.now.wall_ms)?, fact)
    }

    fn on_wake(&self, view: &View<'_>, key: &str, cx: &mut Context<'_>) -> Result<Outcome, Fault> {
        decide::wake(&self.own(view, cx.now.wall_ms)?, key)
    }

    fn on_answer(
        &self,
        view: &View<'_>,
        tag: &str,
        answer: Result<&[u8], Code>,
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Fault> {
        retirement::answered(view, tag, answer, (cx.now.wall_ms, cx.site))
    }

    fn on_effect(
        &self,
        view: &View<'_>,
        id: &str,
        result: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Fault> {
        retirement::signed(view, id, result, cx.now.wall_ms)
    }
}
