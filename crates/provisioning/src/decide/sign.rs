//! `sign`: a claim, or a factory certificate, asks for a device's first certificate.

use contract::{
    Code, Refusal,
    id::{Kind, ServiceName},
    v1::{Admission, CertificateStatus, Claim, DeviceFact, Sign},
};
use service::{Answer, Caller, Fault, Outcome};

use super::{
    Situation, admission, factory, pace,
    planning::{self, Wanted},
    secret,
};
use crate::{event, policy, profile, state};

pub(super) fn decide(s: &mut Situation<'_>, caller: &Caller, m: &Sign) -> Result<Outcome, Fault> {
    if let Some(shown) = &caller.factory {
        return factory::sign(s, caller, shown, m);
    }
    let device = caller.principal.id.as_str();
    let batch = caller
        .batch
        .as_ref()
        .map(contract::Id::as_str)
        .unwrap_or_default();
    let claim = state::batch(s.view, batch)?;
    let known: Option<DeviceFact> = s.view.fact(ServiceName::Registry, "device", device)?;
    let claim = policy::batch(claim.as_ref(), device, known.as_ref(), s.now_ms)?.clone();
    let mut outcome = Outcome::default();
    if claim.admission() == Admission::Secret
        && let Err(refusal) = secret::spend(s, &mut outcome, device, &m.secret)?
    {
        outcome.answer = Answer::Refused(refusal);
        return Ok(outcome);
    }
    let csr = policy::csr(&m.csr, &planning::subject(s, Kind::Device, device)?)?;
    policy::announced(&claim, known.as_ref(), &csr.key_fingerprint_sha256())?;
    policy::new_device(known.as_ref())?;
    nobody_uses_it(s, device)?;
    let terms = profile::terms(known.as_ref(), &s.service.settings);
    terms.demand_key(csr.key_kind())?;
    policy::expected_key(known.as_ref(), &csr.key_fingerprint_sha256())?;
    if matches!(claim.admission(), Admission::Manual | Admission::Hook)
        && let Err(refusal) = admission::pass(s, &mut outcome, &claim, known.as_ref(), &csr)?
    {
        outcome.answer = Answer::Refused(refusal);
        return Ok(outcome);
    }
    if let Some(early) = pace::step(s, &mut outcome, &claim)? {
        return Ok(early);
    }
    let wanted = Wanted {
        kind: Kind::Device,
        id: device,
        lifetime_ms: terms.lifetime_ms,
        extras: terms.extras(&s.authorities.signing.id)?,
        batch,
        origin: batch,
    };
    planning::plan(s, &mut outcome, &wanted, &csr)?;
    let claim = Claim {
        used: claim.used + 1,
        version: claim.version.saturating_add(1),
        ..claim
    };
    if claim.used == claim.uses {
        event::claim_used_up(&mut outcome, &claim);
    }
    outcome.put(state::batch_key(batch), &claim);
    Ok(outcome)
}

/// Whoever holds a batch may not put himself in the place of a device that works. One that was issued and
/// never used does not count: its device may have lost power before it kept it.
pub(super) fn nobody_uses_it(s: &Situation<'_>, device: &str) -> Result<(), Fault> {
    let records = state::records_of(s.view, Kind::Device.word(), device, usize::MAX)?;
    let now = s.now_ms;
    let works =
        |r: &&state::Record| r.status() == CertificateStatus::Active && r.certificate().not_after_ms > now;
    if records.iter().any(|r| works(&r)) {
        let message = "this device has a certificate in use; it renews, or an operator revokes it first";
        return Err(Refusal::new(Code::Precondition, message).into());
    }
    let message = "this device has asked too often without using what it got; revoke its certificates";
    policy::room(&records, now, policy::LIVE_MAX, message)?;
    Ok(())
}
