//! `renew`: a device asks for its next certificate, over the one it has, or had until lately.

use contract::{
    id::{Kind, ServiceName},
    v1::{Claim, DeviceFact, Sign},
};
use service::{Answer, Caller, Fault, Outcome};

use super::{
    Situation, admission,
    planning::{self, Wanted},
};
use crate::{event, policy, profile, state};

pub(super) fn decide(s: &mut Situation<'_>, caller: &Caller, m: &Sign) -> Result<Outcome, Fault> {
    let device = caller.principal.id.as_str();
    let known: Option<DeviceFact> = s.view.fact(ServiceName::Registry, "device", device)?;
    policy::device(known.as_ref())?;
    let records = state::records_of(s.view, Kind::Device.word(), device, usize::MAX)?;
    let renew_after_ms = s.service.settings.renew_after_ms;
    let over = policy::renewable(&records, &caller.serial, s.now_ms, renew_after_ms)?;
    let message = "too many certificates of this device were never used; connect with the newest";
    policy::room(&records, s.now_ms, policy::LIVE_MAX, message)?;
    let csr = policy::csr(&m.csr, &planning::subject(s, Kind::Device, device)?)?;
    let terms = profile::terms(known.as_ref(), &s.service.settings);
    terms.demand_key(csr.key_kind())?;
    let mut outcome = Outcome::default();
    let is_late = !over.counts(s.now_ms);
    // It came in by no batch: any operator's word counts.
    if is_late
        && s.service.settings.renew_after_admitted
        && let Err(refusal) = admission::pass(s, &mut outcome, &Claim::default(), known.as_ref(), &csr)?
    {
        outcome.answer = Answer::Refused(refusal);
        return Ok(outcome);
    }
    let extras = terms.extras(&s.authorities.signing.id)?;
    let next = planning::plan(
        s,
        &mut outcome,
        &Wanted {
            kind: Kind::Device,
            id: device,
            lifetime_ms: terms.lifetime_ms,
            extras,
            batch: "",
            origin: &over.origin,
        },
        &csr,
    )?;
    if is_late {
        event::renewed_late(&mut outcome, &over.certificate(), &next.certificate(), s.now_ms);
    }
    Ok(outcome)
}
