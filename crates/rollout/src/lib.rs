//! Firmware: signed artifacts, and campaigns that bring them onto devices in waves.
//!
//! ```text
//! artifact  open-artifact ─► opened ─ put-block … ─ seal-artifact ─► complete ⇄ recalled
//!
//! rollout   RUNNING ⇄ PAUSED;  RUNNING | PAUSED ─► SUCCEEDED | FAILED | ABORTED
//!
//! update    WAITING ─► ASSIGNED ─► DOWNLOADING ─► VERIFIED ─► INSTALLING ─► SUCCEEDED | FAILED | ROLLED_BACK
//!              │           └───────────┴──────────────┴─────────────┴─────► REFUSED | TIMED_OUT
//!              └─────────── until INSTALLING ─────────────────────────────► CANCELED
//! ```
//!
//! Invariants:
//! - A manifest is believed only after [`artifact::Keyring::verify`] over the bytes that came, and again
//!   before each rollout: a key revoked since no longer counts.
//! - An artifact is complete only after its image had the size and digest of its manifest.
//! - No device is told of a release that was recalled.
//! - A device has at most one open update: `held/{device}` exists exactly while it has one. A rollout
//!   that meets a held device refuses it, naming the rollout that holds it.
//! - A device that says that it succeeded is believed once the registry, too, has heard that it runs the
//!   version. Until then its update is INSTALLING, and times out like any other.
//! - A final state stays: late reports are acknowledged and change nothing.
//! - In each wave devices = succeeded + failed + canceled + open.
//! - No decision touches more than a page of devices but `create`, which is bounded by its own limit.
#![forbid(unsafe_code)]

mod campaign;
mod decide;
mod event;
mod executor;
mod image;
mod manifest;
mod policy;
mod query;
mod request;
mod state;
mod told;

use artifact::Keyring;
use contract::approval::Touched;
use contract::{Refusal, ServiceName, Verb, wire::Reply};
use service::{Caller, Context, FactChange, Fault, Outcome, Parsed, QueryContext, Service, View};

pub use executor::SealExecutor;
pub use image::{Image, Images};
pub use request::Request;

/// The rollout service.
pub struct Rollout {
    keyring: Keyring,
}

impl Rollout {
    /// A service that trusts these release keys.
    pub fn new(keyring: Keyring) -> Rollout {
        Rollout { keyring }
    }
}

impl Service for Rollout {
    const NAME: ServiceName = ServiceName::Rollout;
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
        match request {
            Request::Create(m) => decide::touched(view, m),
            _ => Ok(Touched::default()),
        }
    }

    fn json(&self, verb: &'static Verb, payload: &[u8], content_type: &str) -> Result<String, Refusal> {
        Request::json(verb, payload, content_type)
    }

    fn decide(
        &self,
        view: &View<'_>,
        caller: &Caller,
        request: Request,
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Fault> {
        decide::decide(&self.keyring, view, caller, request, cx.now.wall_ms)
    }

    fn query(
        &self,
        view: &View<'_>,
        caller: &Caller,
        request: Request,
        cx: &QueryContext<'_>,
    ) -> Result<Box<dyn Reply>, Fault> {
        query::query(view, caller, request, cx.blobs)
    }

    fn told(&self, key: &[u8], record: &[u8]) -> Option<(String, serde_json::Value)> {
        told::told(key, record)
    }

    fn on_fact(&self, view: &View<'_>, fact: FactChange<'_>, cx: &mut Context<'_>) -> Result<Outcome, Fault> {
        decide::on_fact(view, fact, cx.now.wall_ms)
    }

    fn on_wake(&self, view: &View<'_>, key: &str, cx: &mut Context<'_>) -> Result<Outcome, Fault> {
        decide::on_wake(view, key, cx.now.wall_ms)
    }

    fn on_effect(
        &self,
        view: &View<'_>,
        id: &str,
        result: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Fault> {
        decide::on_effect(view, id, result, cx.now.wall_ms)
    }
}
