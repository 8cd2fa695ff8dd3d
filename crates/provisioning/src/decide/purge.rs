//! What ended long ago is forgotten: certificates, their facts, and batches whose claim has ended.
//!
//! The revocation list has its own rule (`list.rs`) and its own entries: a certificate that is forgotten
//! here has left it long before, unless no list could be made since, and then it stays in it.

use contract::{Kind, v1::Certificate};
use service::{Fault, Outcome};

use super::{Situation, signed};
use crate::{
    DAY_MS, event,
    state::{self, KeyUse, Purge},
};

/// The wake-up that looks for them, once a day.
pub(super) const PURGE: &str = "purge";
/// Certificates in one decision; the rest follows by a wake-up at once.
const PAGE: usize = 500;
/// A look that comes later than this was slept through, or the clock was set: nothing is forgotten before
/// the next, so that whoever set it wrong has a day to notice. What is forgotten does not come back.
const OVERSLEPT_MS: i64 = 2 * DAY_MS as i64;

/// Begins to look, with the first certificate there is.
pub(super) fn begin(s: &Situation<'_>, outcome: &mut Outcome) -> Result<(), Fault> {
    if s.view.load::<Purge>(state::PURGE)?.is_none() {
        look_again(s, outcome, s.now_ms.saturating_add_unsigned(DAY_MS));
    }
    Ok(())
}

/// Forgets a page of certificates that ended before the retention.
pub(super) fn decide(s: &Situation<'_>) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let tomorrow = s.now_ms.saturating_add_unsigned(DAY_MS);
    let last: Purge = s.view.load(state::PURGE)?.unwrap_or_default();
    if s.now_ms.saturating_sub(last.looked_at_ms) > OVERSLEPT_MS {
        look_again(s, &mut outcome, tomorrow);
        return Ok(outcome);
    }
    let settings = &s.service.settings;
    // What may still be renewed is not forgotten.
    let kept_ms = settings.retention_ms.max(settings.renew_after_ms);
    let until_ms = s.now_ms.saturating_sub_unsigned(kept_ms);
    let end = format!("{}{}", state::ENDS, state::end_digits(until_ms));
    let mut keys = s.view.scan(state::ENDS.as_bytes(), None, PAGE)?;
    keys.retain(|(key, _)| key.as_slice() < end.as_bytes());
    let is_full = keys.len() == PAGE;
    for (key, _) in keys {
        forget(s, &mut outcome, &state::serial_at_end(&key))?;
        outcome.delete(key);
    }
    look_again(s, &mut outcome, if is_full { s.now_ms } else { tomorrow });
    Ok(outcome)
}

fn look_again(s: &Situation<'_>, outcome: &mut Outcome, at_ms: i64) {
    let looked_at_ms = s.now_ms;
    outcome.put(state::PURGE, &Purge { looked_at_ms });
    outcome.wake_at(PURGE, at_ms);
}

fn forget(s: &Situation<'_>, outcome: &mut Outcome, serial: &str) -> Result<(), Fault> {
    let Some(record) = state::record(s.view, serial)? else {
        return Ok(());
    };
    let certificate = record.certificate();
    event::forgotten(outcome, &certificate);
    let Certificate { kind, id, .. } = certificate;
    outcome.delete(state::certificate_key(serial));
    outcome.delete(state::owner_key(&kind, &id, serial));
    event::no_fact(outcome, "certificate", serial);
    let view = s.view.over(&outcome.changes);
    // A key that was revoked stays nobody's, for as long as this service lives.
    let key = state::key_key(&record.key);
    let is_burnt = view.load::<KeyUse>(&key)?.is_some_and(|key| key.revoked);
    let keeps_key = is_burnt || signed::is_shared(&view, &record)?;
    let batch = state::batch(&view, &id)?.filter(|claim| claim.serial == serial);
    if !keeps_key {
        outcome.delete(key);
    }
    if kind == Kind::Claim.word() && batch.is_some() {
        outcome.delete(state::batch_key(&id));
        outcome.delete(state::pace_key(&id));
        event::no_fact(outcome, "claim", &id);
    }
    Ok(())
}
