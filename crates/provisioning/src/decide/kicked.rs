//! `kicked`: the front door's receipt for the sessions of a revoked certificate, and the end of the wait.

use contract::v1::{Kicked, Revoked};
use service::{Fault, Outcome};

use super::{Situation, many, revoke::RECEIPT};
use crate::{
    DAY_MS, event, measure,
    state::{self, Record, Revocation},
};

pub(super) fn decide(s: &Situation<'_>, m: &Kicked) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    forget_revocation(s, &mut outcome, m)?;
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
    measure::kicked(
        &mut outcome,
        m.sessions,
        s.now_ms.saturating_sub(revocation.at_ms),
    );
    if revocation.open.is_empty() {
        outcome.no_wake(format!("{RECEIPT}/{}", m.revocation));
        outcome.delete(key);
        answer(s, &mut outcome, &m.revocation, &revocation)?;
    } else {
        outcome.put(key, &revocation);
    }
    Ok(outcome)
}

/// The certificate needs no further receipt: without this, each start of the front door would send one for
/// every certificate that was ever revoked.
fn forget_revocation(s: &Situation<'_>, outcome: &mut Outcome, m: &Kicked) -> Result<(), Fault> {
    let Some(record) = state::record(s.view, &m.serial)? else {
        return Ok(());
    };
    if !record.revocation.is_empty() && record.revocation == m.revocation {
        let settled = Record {
            revocation: String::new(),
            ..record
        };
        outcome.put(state::certificate_key(&m.serial), &settled);
        event::fact(outcome, &settled);
    }
    Ok(())
}

/// No receipt came in time. The front door is away: it closes them before it lets anybody in. Whoever waits
/// is answered; a receipt that comes within a day is still told as an event.
pub(super) fn give_up(s: &Situation<'_>, name: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let key = state::revocation_key(name);
    let Some(revocation) = s.view.load::<Revocation>(&key)? else {
        return Ok(outcome);
    };
    if revocation.late {
        outcome.delete(key);
        return Ok(outcome);
    }
    answer(s, &mut outcome, name, &revocation)?;
    let late = Revocation {
        asked: false,
        late: true,
        ..revocation
    };
    outcome.put(key, &late);
    outcome.wake_at(
        format!("{RECEIPT}/{name}"),
        s.now_ms.saturating_add_unsigned(DAY_MS),
    );
    Ok(outcome)
}

/// Answers whoever asked for the revocation, if anybody waits.
fn answer(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    name: &str,
    revocation: &Revocation,
) -> Result<(), Fault> {
    if !revocation.asked {
        return Ok(());
    }
    if !revocation.many.is_empty() {
        return many::settled(s, outcome, name, revocation);
    }
    let reply = Revoked {
        request_id: String::new(),
        serials: revocation.serials.clone(),
        sessions_closed: revocation.sessions,
        closed_after_ms: s.now_ms.saturating_sub(revocation.at_ms).max(0).unsigned_abs(),
        receipt_missing: !revocation.open.is_empty(),
    };
    outcome.complete(name, Ok(Box::new(reply)));
    Ok(())
}
