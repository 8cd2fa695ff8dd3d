//! Certificates: claims, signing, renewal, revocation, revocation list.
//!
//! ```text
//!              sign (effect)          first use            overlap over
//! planned ───────────────► issued ───────────────► active ──────────────► retired
//!    │                        │                       │                      │
//!    └────────────────────────┴──────── revoke ───────┴──────────────────────┴──► revoked
//! ```
//!
//! A certificate comes about in steps, each on disk before the next: the request is checked and becomes a
//! plan with a fresh serial; the plan is committed; an effect signs it, reads it back and compares it with
//! the plan; the result is committed; only then it is sent. After a crash at any point there is no
//! certificate that this service does not know.
//!
//! Invariants:
//! - Of a request only the public key is used, and only with proof of possession.
//! - A serial stands for one plan. `revoked` is terminal, and what is `retired` can only be revoked.
//! - What is revoked while it is being signed is never handed out.
//! - A key belongs to one party, and a revoked key to nobody.
//! - `revoke` is answered when the front door has closed the sessions, or has not said so in time.
//! - A certificate comes from the authority that its plan names, and is revoked in that one's list. Which ones there
//!   are may change between two decisions, never within one.
//! - The revocation lists' number only grows. What is revoked stays in it until one list was made after
//!   its end (RFC 5280, section 3.3).
//! - A certificate is forgotten, with its fact and its batch, when its end lies further back than the
//!   retention. A key that was revoked is remembered for ever.
//! - A fact names a revocation only until its receipt came.
//! - A device that the registry retires and a person that it disables have no certificate that counts.
//! - Of refused requests there is one event a minute for each party at most.
//! - A one-time secret opens a device once; wrong ones lock it for a while, and no answer says which it was.
//! - Whoever is asked about a key is asked with a time, and answers once; no answer is none.
//! - A key that an operator must admit has no certificate before, and no other key gets one in its place.
//! - Over a certificate that has ended only a device renews, only the newest that it has used, only for a while; and if the
//!   settings say so, only for a key that an operator has admitted.
//! - The server's certificate is renewed before its end, for a key of its own; what served before serves until the next
//!   one is in its place, and one that this service does not know is left alone.
//! - A factory certificate opens the device of its serial number, and no second one while the first lives.
//! - A mass renewal tells a device of one certificate and no other; each of its devices is counted in one state, and no
//!   step is lost by a restart.
//! - A claim opens a device only as long as no certificate of it is in use: one that was revoked, has ended
//!   or was never used does not stand in the way.
#![forbid(unsafe_code)]

mod authorities;
mod decide;
mod effects;
mod event;
mod founding;
mod measure;
mod policy;
mod profile;
mod query;
mod request;
mod server;
mod state;
mod survey;
mod told;

use contract::approval::Touched;
use contract::{Refusal, id::ServiceName, v1::Criticality, verb::Verb, wire::Reply};
use service::{
    Caller, Context, FactChange, Fault, Outcome, Parsed, QueryContext, Service, View,
    store::{Batch, Store},
};

use crate::decide::Situation;
pub use crate::{
    authorities::Issuers,
    decide::{ISSUERS_CHANGED, LISTS_LOST},
    effects::Effects,
    measure::{METRICS, TIME_TO_KICK},
    profile::DeviceProfile,
    request::Request,
    server::{NextKey, Server},
    state::KINDS,
    survey::{DAYS, Ends, Survey, survey},
};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What can be configured. Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a device's certificate lasts.
    pub device_lifetime_ms: u64,
    /// The same for devices of one criticality, where that differs.
    pub lifetimes_ms: Vec<(Criticality, u64)>,
    /// What holds of devices by their type and criticality, before all of that.
    pub profiles: Vec<DeviceProfile>,
    /// How long an operator's or integrator's certificate lasts when the request does not say.
    pub person_lifetime_ms: u64,
    /// How long a device's former certificate still works after the next one was first used.
    pub overlap_ms: u64,
    /// How long after its end a device's certificate still asks for the next one; 0: not at all.
    pub renew_after_ms: u64,
    /// Whether an operator must admit the key of such a device first.
    pub renew_after_admitted: bool,
    /// How long an issued certificate may stay unused.
    pub unused_ms: u64,
    /// How long the front door's receipt for a revocation is waited for.
    pub receipt_ms: u64,
    /// How long a revocation list counts. It is made anew at half of that.
    pub crl_lifetime_ms: u64,
    /// Revocations within this time come into one list.
    pub crl_delay_ms: u64,
    /// Certificates a minute under one batch, where the batch does not say.
    pub per_minute: u32,
    /// How long the server's certificate lasts.
    pub server_lifetime_ms: u64,
    /// How long before its end the server's certificate is renewed, half of its life at most; 0: only by hand.
    /// Where it is not said, a third of its life.
    pub server_renew_before_ms: Option<u64>,
    /// How long a certificate is remembered after its end.
    pub retention_ms: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            device_lifetime_ms: 90 * DAY_MS,
            lifetimes_ms: Vec::new(),
            profiles: Vec::new(),
            person_lifetime_ms: 365 * DAY_MS,
            overlap_ms: HOUR_MS,
            // A month in a drawer: as long as a device may be away before its certificate ends.
            renew_after_ms: 30 * DAY_MS,
            renew_after_admitted: false,
            // A device that was provisioned on a Friday is connected on a Monday.
            unused_ms: 7 * DAY_MS,
            receipt_ms: 5_000,
            crl_lifetime_ms: 7 * DAY_MS,
            crl_delay_ms: 500,
            // Fifty a second, and half a thousand at once: leaves the signer's other half to renewals.
            per_minute: 3_000,
            // As long as browsers and others take a server's certificate (CA/Browser Forum, since 2020).
            server_lifetime_ms: 398 * DAY_MS,
            server_renew_before_ms: None,
            // Whoever looks into an incident of the last quarter still finds its certificates.
            retention_ms: 90 * DAY_MS,
        }
    }
}

/// The provisioning service.
#[derive(Debug, Clone)]
pub struct Provisioning {
    settings: Settings,
    issuers: Issuers,
}

/// Whether a state may be started on at this time: a clock that stands behind its last certificate ran backwards.
pub fn demand_clock(store: &dyn Store, now_ms: i64) -> Result<(), String> {
    let nothing = Batch::default();
    let view = View::new(store, &nothing);
    let latest: Option<state::Clock> = view.load(state::CLOCK).map_err(|error| error.to_string())?;
    let latest_ms = latest.unwrap_or_default().latest_ms;
    policy::clock(latest_ms, now_ms).map_err(|refusal| refusal.message)
}

impl Provisioning {
    /// A service that issues under these, whose holders trust `roots_pem`.
    pub fn new(settings: Settings, roots_pem: String, issuers: Issuers) -> Provisioning {
        issuers.trust(roots_pem);
        Provisioning { settings, issuers }
    }

    fn situation<'a>(&'a self, view: &'a View<'a>, cx: &'a mut Context<'_>) -> Situation<'a> {
        Situation {
            view,
            service: self,
            authorities: self.issuers.held().known.clone(),
            now_ms: cx.now.wall_ms,
            site: cx.site,
            entropy: cx.entropy,
        }
    }
}

impl Service for Provisioning {
    const NAME: ServiceName = ServiceName::Provisioning;
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

    fn touched(&self, view: &View<'_>, request: &Request) -> Result<Touched, Fault> {
        decide::touched(view, request)
    }

    fn json(&self, verb: &'static Verb, payload: &[u8], content_type: &str) -> Result<String, Refusal> {
        Request::json(verb, payload, content_type)
    }

    fn devices<'a>(&self, request: &'a Request) -> Vec<&'a str> {
        match request {
            Request::PutSecret(m) => vec![&m.device_id],
            Request::Admit(m) | Request::TurnAway(m) => vec![&m.device_id],
            Request::AnswerAdmission(m) => vec![&m.device_id],
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
        decide::command(&mut self.situation(view, cx), caller, request)
    }

    fn query(
        &self,
        view: &View<'_>,
        caller: &Caller,
        request: Request,
        cx: &QueryContext<'_>,
    ) -> Result<Box<dyn Reply>, Fault> {
        query::answer(self, view, caller, request, cx)
    }

    fn told(&self, key: &[u8], record: &[u8]) -> Option<(String, serde_json::Value)> {
        told::told(key, record)
    }

    fn on_fact(&self, view: &View<'_>, fact: FactChange<'_>, cx: &mut Context<'_>) -> Result<Outcome, Fault> {
        decide::fact(&mut self.situation(view, cx), fact)
    }

    fn on_wake(&self, view: &View<'_>, key: &str, cx: &mut Context<'_>) -> Result<Outcome, Fault> {
        decide::wake(&mut self.situation(view, cx), key)
    }

    fn on_effect(
        &self,
        view: &View<'_>,
        id: &str,
        result: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Fault> {
        decide::effect(&mut self.situation(view, cx), id, result)
    }
}
