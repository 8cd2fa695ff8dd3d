//! A refused request for a certificate is told to those who watch, too: somebody tries.

use contract::{
    id::{Kind, ServiceName},
    v1::DeviceFact,
};
use service::{Answer, Caller, Fault, Outcome};

use super::Situation;
use crate::event;

/// The subject under which the attempts of unknown devices are gathered: whoever holds a claim may think of
/// any id, and a subject lasts for ever.
const UNKNOWN: &str = "unknown";

/// The decision, with the event if it is a refusal.
pub(super) fn told(
    s: &Situation<'_>,
    caller: &Caller,
    decided: Result<Outcome, Fault>,
) -> Result<Outcome, Fault> {
    let refusal = match decided {
        Err(Fault::Refused(refusal)) => refusal,
        other => return other,
    };
    let subject = if is_made_up(s, caller)? {
        UNKNOWN
    } else {
        caller.principal.id.as_str()
    };
    let mut outcome = Outcome::default();
    event::refused(&mut outcome, subject, caller, &refusal);
    outcome.answer = Answer::Refused(refusal);
    Ok(outcome)
}

/// Everybody but a claim has a name that was vouched for.
fn is_made_up(s: &Situation<'_>, caller: &Caller) -> Result<bool, Fault> {
    let id = caller.principal.id.as_str();
    let is_claim = caller.principal.kind == Kind::Claim;
    Ok(is_claim
        && s.view
            .fact::<DeviceFact>(ServiceName::Registry, "device", id)?
            .is_none())
}
