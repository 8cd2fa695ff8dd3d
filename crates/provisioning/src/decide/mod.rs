//! The decisions, one verb a file.

mod admission;
mod claim;
mod factory;
mod follow;
mod hook;
mod issue;
mod issuers;
mod kicked;
mod last_admin;
mod list;
mod manufacturer;
mod many;
mod pace;
mod planning;
mod purge;
mod record;
mod refused;
mod renew;
mod renewals;
mod revoke;
mod secret;
mod server;
mod sign;
mod signed;
mod taken;
mod touched;
mod used;

use std::sync::Arc;

use contract::{Code, Refusal, approval::Touched};
use service::{Caller, Entropy, FactChange, Fault, Outcome, View};

pub use self::{issuers::LOOK as ISSUERS_CHANGED, list::LOST as LISTS_LOST};
use crate::{Provisioning, Request, authorities::Authorities};

/// What every decision is given.
pub(crate) struct Situation<'a> {
    /// The service's records.
    pub(crate) view: &'a View<'a>,
    /// Its settings and its roots.
    pub(crate) service: &'a Provisioning,
    /// The authorities that are trusted now.
    pub(crate) authorities: Arc<Authorities>,
    /// The time.
    pub(crate) now_ms: i64,
    /// The installation's name.
    pub(crate) site: &'a str,
    /// Randomness.
    pub(crate) entropy: &'a mut dyn Entropy,
}

impl Situation<'_> {
    /// Bytes that nobody can guess, as hex.
    fn random_hex(&mut self) -> String {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        hex::encode(bytes)
    }
}

pub(crate) use self::{
    renewals::in_sight as renewal_in_sight, server::keys as server_keys, touched::for_each,
};

/// The devices that a request is about.
pub(crate) fn touched(view: &View<'_>, request: &Request) -> Result<Touched, Fault> {
    match request {
        Request::Revoke(m) => revoke::touched(view, m),
        Request::RevokeMany(m) => many::touched(view, m),
        Request::RenewMany(m) => renewals::touched(view, m),
        Request::AbortRenewal(m) => renewals::touched_by_abort(view, m),
        Request::PutSecret(m) => touched::touched_one(view, &m.device_id),
        Request::Admit(m) | Request::TurnAway(m) => touched::touched_one(view, &m.device_id),
        _ => Ok(Touched::default()),
    }
}

/// Decides a command.
pub(crate) fn command(s: &mut Situation<'_>, caller: &Caller, request: Request) -> Result<Outcome, Fault> {
    match request {
        Request::Sign(m) => {
            let decided = sign::decide(s, caller, &m);
            refused::told(s, caller, decided)
        }
        Request::Renew(m) => {
            let decided = renew::decide(s, caller, &m);
            let mut outcome = refused::told(s, caller, decided)?;
            renewals::heard(s, caller, &mut outcome)?;
            Ok(outcome)
        }
        Request::Record(m) => record::decide(s, &m),
        Request::TakeRevocations(m) => taken::decide(s, &m),
        Request::PutClaim(m) => claim::decide(s, &m),
        Request::PutSecret(m) => secret::decide(s, &m),
        Request::Admit(m) => admission::admit(s, caller, &m),
        Request::TurnAway(m) => admission::turn_away(s, caller, &m),
        Request::AnswerAdmission(m) => hook::answer(s, caller, &m),
        Request::PutManufacturer(m) => manufacturer::put(s, &m),
        Request::RemoveManufacturer(m) => manufacturer::remove(s, &m),
        Request::RefuseFactory(m) => manufacturer::refuse(s, &m),
        Request::Issue(m) => {
            let decided = issue::decide(s, &m);
            refused::told(s, caller, decided)
        }
        Request::RenewServer(m) => server::decide(s, &m),
        Request::Revoke(m) => revoke::decide(s, &caller.sight, &m),
        Request::RevokeMany(m) => many::decide(s, &m),
        Request::PublishLists(_) => list::publish(s),
        Request::RenewMany(m) => renewals::begin(s, caller, &m),
        Request::AbortRenewal(m) => renewals::abort(s, caller, &m),
        Request::Used(m) => used::decide(s, &m),
        Request::Kicked(m) => kicked::decide(s, &m),
        Request::Claims(_)
        | Request::Admissions(_)
        | Request::AdmissionQuestions(_)
        | Request::Manufacturers(_)
        | Request::Revocations(_)
        | Request::Renewals(_)
        | Request::Renewing(_)
        | Request::Show(_)
        | Request::List(_)
        | Request::Authorities(_) => Err(Refusal::new(Code::Internal, "this verb is a query").into()),
    }
}

/// Follows the registry.
pub(crate) fn fact(s: &mut Situation<'_>, fact: FactChange<'_>) -> Result<Outcome, Fault> {
    follow::decide(s, fact)
}

/// A wake-up, by the word before its first slash.
pub(crate) fn wake(s: &mut Situation<'_>, key: &str) -> Result<Outcome, Fault> {
    match key.split_once('/').unwrap_or((key, "")) {
        (used::RETIRE, serial) => used::retire(s, serial),
        (signed::UNUSED, serial) => signed::expire_unused(s, serial),
        (revoke::RECEIPT, revocation) => kicked::give_up(s, revocation),
        (many::NEXT, name) => many::next(s, name),
        (renewals::STEP, name) => renewals::step(s, name),
        (admission::FORGET, waiting) => admission::forget(s, waiting),
        (secret::FORGET, device) => secret::forget(s, device),
        (refused::REFUSED, party) => refused::tell_further(s, party),
        (purge::PURGE, _) => purge::decide(s),
        (server::LOOK, _) => server::look(s),
        (list::LIST_WAKE, _) => list::make(s),
        (list::LOST, _) => list::lost(s),
        (issuers::LOOK, _) => issuers::look(s),
        _ => Ok(Outcome::default()),
    }
}

/// An effect has come to its result.
pub(crate) fn effect(s: &mut Situation<'_>, id: &str, result: &[u8]) -> Result<Outcome, Fault> {
    match id.split_once('/').unwrap_or((id, "")) {
        (planning::SIGN, serial) => signed::decide(s, serial, result),
        (server::AHEAD, _) => server::key_ahead(s, result),
        (server::KEY, name) => server::key_made(s, name, result),
        (server::INSTALL, name) => server::installed(s, name, result),
        (list::MADE, _) => list::made(s, result),
        _ => Ok(Outcome::default()),
    }
}
