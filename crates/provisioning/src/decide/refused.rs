//! A refused request for a certificate is told to those who watch, too: somebody tries. Whoever tries in a
//! loop does not fill the event log: after the first, one event a minute counts the others.

use contract::{
    Refusal,
    id::{Kind, ServiceName},
    limits,
    v1::DeviceFact,
};
use service::{Answer, Caller, Fault, Outcome};

use super::Situation;
use crate::{
    event, measure,
    state::{self, Refusals},
};

/// The word before the party in the wake-up that tells of further refusals.
pub(super) const REFUSED: &str = "refused";
/// The time between two events about one party.
const TOLD_EVERY_MS: i64 = 60_000;
/// The subject under which the attempts of unknown devices are gathered: whoever holds a claim may think of
/// any id, and a subject lasts for ever.
const UNKNOWN: &str = "unknown";

/// The decision, with the event if it is a refusal.
pub(super) fn told(
    s: &Situation<'_>,
    caller: &Caller,
    decided: Result<Outcome, Fault>,
) -> Result<Outcome, Fault> {
    let mut outcome = match decided {
        Err(Fault::Refused(refusal)) => refusal_of(refusal),
        other => other?,
    };
    let Answer::Refused(refusal) = &outcome.answer else {
        return Ok(outcome);
    };
    let code = refusal.code;
    let subject = if is_made_up(s, caller)? {
        UNKNOWN
    } else {
        caller.principal.id.as_str()
    };
    let party = format!("{}/{subject}", caller.principal.kind.word());
    let key = state::refusals_key(&party);
    let mut refusals = described(caller, refusal);
    match s.view.load::<Refusals>(&key)? {
        Some(former) => refusals.count = former.count.saturating_add(1),
        None => {
            event::refused(&mut outcome, subject, &refusals);
            refusals = Refusals::default();
            outcome.wake_at(wake_key(&party), s.now_ms.saturating_add(TOLD_EVERY_MS));
        }
    }
    outcome.put(key, &refusals);
    measure::refused(&mut outcome, caller.principal.kind, code);
    Ok(outcome)
}

/// A refusal to which changes can be added.
pub(super) fn refusal_of(refusal: Refusal) -> Outcome {
    Outcome {
        answer: Answer::Refused(refusal),
        ..Outcome::default()
    }
}

/// A minute after the last event: what has come since is told, or the party is forgotten.
pub(super) fn tell_further(s: &Situation<'_>, party: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let key = state::refusals_key(party);
    let since: Refusals = s.view.load(&key)?.unwrap_or_default();
    let Some((_, subject)) = party.split_once('/').filter(|_| since.count > 0) else {
        outcome.delete(key);
        return Ok(outcome);
    };
    event::refused(&mut outcome, subject, &since);
    outcome.put(key, &Refusals::default());
    outcome.wake_at(wake_key(party), s.now_ms.saturating_add(TOLD_EVERY_MS));
    Ok(outcome)
}

fn wake_key(party: &str) -> String {
    format!("{REFUSED}/{party}")
}

/// One refusal. Its message may quote the request, and is cut.
fn described(caller: &Caller, refusal: &Refusal) -> Refusals {
    Refusals {
        count: 1,
        kind: caller.principal.kind.word().into(),
        id: caller.principal.id.to_string(),
        batch: way_in(caller),
        code: refusal.code.word().into(),
        message: refusal.message.chars().take(limits::TEXT_CHARS).collect(),
        why: refusal.behind.chars().take(limits::TEXT_CHARS).collect(),
    }
}

/// The batch, or the manufacturer.
fn way_in(caller: &Caller) -> String {
    let manufacturer = caller.factory.as_ref().map(|shown| shown.manufacturer.clone());
    let batch = || caller.batch.as_ref().map(ToString::to_string);
    manufacturer.or_else(batch).unwrap_or_default()
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
