//! `kicked`: the front door's receipt for the sessions of a revoked certificate, and the end of the wait.

use contract::v1::{Kicked, Revoked};
use service::{Fault, Outcome};

use super::{Situation, revoke::RECEIPT};
use crate::{
    event,
    state::{self, Revocation},
};

pub(super) fn decide(s: &Situation<'_>, m: &Kicked) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let key = state::revocation_key(&m.revocation);
    let Some(mut revocation) = s.view.load::<Revocation>(&key)? else {
        return Ok(outcome);
    };
    let before = revocation.open.len();
    revocation.open.retain(|serial| *serial != m.serial);
    if revocation.open.len() == before {
        return Ok(outcome);
    }
    revocation.sessions = revocation.sessions.saturating_add(m.sessions);
    event::closed(&mut outcome, &m.serial, m.sessions, &revocation, s.now_ms);
    if revocation.open.is_empty() {
        outcome.no_wake(format!("{RECEIPT}/{}", m.revocation));
        finish(s, &mut outcome, &m.revocation, revocation);
    } else {
        outcome.put(key, &revocation);
    }
    Ok(outcome)
}

/// No receipt came in time. The front door is away: it closes them before it lets anybody in.
pub(super) fn give_up(s: &Situation<'_>, revocation: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    if let Some(record) = s.view.load::<Revocation>(state::revocation_key(revocation))? {
        finish(s, &mut outcome, revocation, record);
    }
    Ok(outcome)
}

fn finish(s: &Situation<'_>, outcome: &mut Outcome, name: &str, revocation: Revocation) {
    outcome.delete(state::revocation_key(name));
    if !revocation.asked {
        return;
    }
    let reply = Revoked {
        request_id: String::new(),
        serials: revocation.serials,
        sessions_closed: revocation.sessions,
        closed_after_ms: s.now_ms.saturating_sub(revocation.at_ms).max(0).unsigned_abs(),
        receipt_missing: !revocation.open.is_empty(),
    };
    outcome.complete(name, Ok(Box::new(reply)));
}
