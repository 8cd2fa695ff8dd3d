//! Manual admission: a key waits until an operator has compared its fingerprint and decided.
//!
//! ```text
//!  sign ──► waiting ── admit ──► admitted ── sign ──► a certificate, and all of the device is forgotten
//!              └──── turn-away ──► turned away
//! ```

use contract::{
    Code, Refusal,
    v1::{AdmissionStatus, Claim, DecideAdmission, WaitingDevice},
};
use pki::Csr;
use service::{Caller, Fault, Outcome};

use super::Situation;
use crate::{event, policy, state};

/// The word before the device and the key in the wake-up that forgets one who waited.
pub(super) const FORGET: &str = "admission";
/// Keys of one device that are remembered: whoever holds the batch must not fill the operator's list.
const KEYS_MAX: usize = 4;
/// How long one who waits, or was decided about, is remembered: an operator's week and a half.
const REMEMBERED_MS: i64 = 10 * crate::DAY_MS as i64;
/// When a waiting device asks again.
const ASK_AGAIN_MS: u64 = 30_000;

/// Whether this key may have a certificate now.
pub(super) fn pass(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    claim: &Claim,
    device: &str,
    csr: &Csr,
) -> Result<Result<(), Refusal>, Fault> {
    let fingerprint = csr.key_fingerprint_sha256();
    let known: Option<WaitingDevice> = s.view.load(state::admission_key(device, &fingerprint))?;
    let status = known.as_ref().map(WaitingDevice::status);
    Ok(match status {
        Some(AdmissionStatus::Admitted) => {
            forget_all(s, outcome, device)?;
            Ok(())
        }
        Some(AdmissionStatus::TurnedAway) => {
            Err(Refusal::new(Code::Denied, "an operator turned this key away"))
        }
        Some(_) => Err(still_waiting()),
        None => Err(begin_to_wait(s, outcome, claim, device, fingerprint)?),
    })
}

fn still_waiting() -> Refusal {
    let message =
        "an operator must admit this key first (`muster cert admissions`); ask again with the same one";
    Refusal::new(Code::Precondition, message).retry_after_ms(ASK_AGAIN_MS)
}

fn begin_to_wait(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    claim: &Claim,
    device: &str,
    fingerprint: String,
) -> Result<Refusal, Fault> {
    if s.view
        .scan(state::admissions_of(device).as_bytes(), None, KEYS_MAX)?
        .len()
        == KEYS_MAX
    {
        let message = "too many keys of this device wait for an operator; turn some away first";
        return Ok(Refusal::new(Code::Limit, message));
    }
    let waiting = WaitingDevice {
        device_id: device.to_owned(),
        batch: claim.batch.clone(),
        fingerprint,
        status: AdmissionStatus::Waiting.into(),
        asked_at_ms: s.now_ms,
        decided_by: String::new(),
        expires_ms: s.now_ms.saturating_add(REMEMBERED_MS),
    };
    event::admission(outcome, "asked", &waiting);
    write(outcome, &waiting);
    Ok(still_waiting())
}

fn write(outcome: &mut Outcome, waiting: &WaitingDevice) {
    let (device, key) = (&waiting.device_id, &waiting.fingerprint);
    outcome.put(state::admission_key(device, key), waiting);
    outcome.wake_at(format!("{FORGET}/{device}/{key}"), waiting.expires_ms);
}

/// `admit`.
pub(super) fn admit(s: &Situation<'_>, caller: &Caller, m: &DecideAdmission) -> Result<Outcome, Fault> {
    decide(s, caller, m, AdmissionStatus::Admitted, "admitted")
}

/// `turn-away`.
pub(super) fn turn_away(s: &Situation<'_>, caller: &Caller, m: &DecideAdmission) -> Result<Outcome, Fault> {
    decide(s, caller, m, AdmissionStatus::TurnedAway, "turned-away")
}

fn decide(
    s: &Situation<'_>,
    caller: &Caller,
    m: &DecideAdmission,
    status: AdmissionStatus,
    event: &'static str,
) -> Result<Outcome, Fault> {
    let device = policy::id("device_id", &m.device_id)?;
    let fingerprint = contract::login::sha256("fingerprint", &m.fingerprint)?;
    let key = state::admission_key(device.as_str(), &fingerprint);
    let known: Option<WaitingDevice> = s.view.load(key)?;
    let known = known.ok_or_else(|| {
        let message = "no key with this fingerprint waits for this device; it may have its certificate, or has \
                       not asked";
        Refusal::new(Code::NotFound, message).at("fingerprint")
    })?;
    let mut outcome = Outcome::default();
    if known.status() == status {
        return Ok(outcome);
    }
    let decided = WaitingDevice {
        status: status.into(),
        decided_by: caller.principal.to_string(),
        expires_ms: s.now_ms.saturating_add(REMEMBERED_MS),
        ..known
    };
    event::admission(&mut outcome, event, &decided);
    write(&mut outcome, &decided);
    Ok(outcome)
}

/// The device has its certificate: none of its keys waits any more.
fn forget_all(s: &Situation<'_>, outcome: &mut Outcome, device: &str) -> Result<(), Fault> {
    for (key, _) in s
        .view
        .scan(state::admissions_of(device).as_bytes(), None, KEYS_MAX)?
    {
        outcome.changes.delete(key);
    }
    Ok(())
}

/// Its time is over.
pub(super) fn forget(s: &Situation<'_>, waiting: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let Some((device, fingerprint)) = waiting.split_once('/') else {
        return Ok(outcome);
    };
    let key = state::admission_key(device, fingerprint);
    let known: Option<WaitingDevice> = s.view.load(&key)?;
    if known.is_some_and(|known| known.expires_ms <= s.now_ms) {
        outcome.delete(key);
    }
    Ok(outcome)
}
