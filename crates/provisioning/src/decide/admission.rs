//! Manual admission: a key waits until an operator has compared its fingerprint and decided.
//!
//! The same for whoever a batch names ([`hook`]), with a deadline.
//!
//! ```text
//!  sign ──► waiting ── admit ──► admitted ── sign ──► a certificate, and all of the device is forgotten
//!              └──── turn-away ──► turned away
//! ```

use contract::{
    Code, Refusal,
    v1::{AdmissionStatus, Claim, DecideAdmission, DeviceFact, WaitingDevice},
};
use pki::Csr;
use service::{Caller, Fault, Outcome};

use super::{Situation, hook};
use crate::{event, policy, state};

/// The word before the device and the key in the wake-up that forgets one who waited.
pub(super) const FORGET: &str = "admission";
/// Keys of one device that are remembered: whoever holds the batch must not fill the operator's list.
const KEYS_MAX: usize = 4;
/// How long one who waits, or was decided about, is remembered: an operator's week and a half.
pub(super) const REMEMBERED_MS: i64 = 10 * crate::DAY_MS as i64;
/// When a waiting device asks again.
pub(super) const ASK_AGAIN_MS: u64 = 30_000;

/// Whether this key may have a certificate now.
pub(super) fn pass(
    s: &mut Situation<'_>,
    outcome: &mut Outcome,
    claim: &Claim,
    device: Option<&DeviceFact>,
    csr: &Csr,
) -> Result<Result<(), Refusal>, Fault> {
    let fact = device.cloned().unwrap_or_default();
    let (device, fingerprint) = (fact.device_id.as_str(), csr.key_fingerprint_sha256());
    let known: Option<WaitingDevice> = s.view.load(state::admission_key(device, &fingerprint))?;
    // Whose word counts is the batch's to say: another's does not open it.
    let known = known.filter(|known| known.approver == claim.approver && !hook::is_over(s, known));
    let status = known.as_ref().map(WaitingDevice::status);
    Ok(match status {
        Some(AdmissionStatus::Admitted) => {
            forget_all(s, outcome, device)?;
            Ok(())
        }
        Some(AdmissionStatus::TurnedAway) => Err(Refusal::new(Code::Denied, "this key was turned away")),
        Some(_) => Err(match known.filter(|known| !known.approver.is_empty()) {
            Some(asked) => hook::still_waiting(s, outcome, asked)?,
            None => still_waiting(),
        }),
        None => Err(begin_to_wait(s, outcome, claim, fact, fingerprint)?),
    })
}

fn still_waiting() -> Refusal {
    let message =
        "an operator must admit this key first (`muster cert admissions`); ask again with the same one";
    Refusal::new(Code::Precondition, message).retry_after_ms(ASK_AGAIN_MS)
}

fn begin_to_wait(
    s: &mut Situation<'_>,
    outcome: &mut Outcome,
    claim: &Claim,
    fact: DeviceFact,
    fingerprint: String,
) -> Result<Refusal, Fault> {
    let device = fact.device_id.as_str();
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
        serial_number: fact.serial_number,
        device_type: fact.device_type,
        model: fact.model,
        site: fact.site,
        ..WaitingDevice::default()
    };
    if !claim.approver.is_empty() {
        return hook::begin(s, outcome, claim, waiting);
    }
    event::admission(outcome, "asked", &waiting);
    write(outcome, &waiting);
    Ok(still_waiting())
}

pub(super) fn write(outcome: &mut Outcome, waiting: &WaitingDevice) {
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
    if !known.approver.is_empty() {
        let message = format!("{} answers for this one, and nobody else", known.approver);
        return Err(Refusal::new(Code::NotAllowed, message).into());
    }
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
    if let Some(known) = known.filter(|known| known.expires_ms <= s.now_ms) {
        if hook::is_over(s, &known) {
            event::admission(&mut outcome, "expired", &known);
        }
        outcome.delete(key);
    }
    Ok(outcome)
}
