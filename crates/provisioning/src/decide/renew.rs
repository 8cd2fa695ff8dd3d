//! `renew`: a device asks for its next certificate, over the one it has.

use contract::{
    Code, Refusal,
    id::{Kind, ServiceName},
    v1::{DeviceFact, Sign},
};
use service::{Caller, Fault, Outcome};

use super::{
    Situation,
    planning::{self, Wanted},
};
use crate::{policy, state};

pub(super) fn decide(s: &mut Situation<'_>, caller: &Caller, m: &Sign) -> Result<Outcome, Fault> {
    let device = caller.principal.id.as_str();
    let known: Option<DeviceFact> = s.view.fact(ServiceName::Registry, "device", device)?;
    policy::device(known.as_ref())?;
    let records = state::records_of(s.view, Kind::Device.word(), device, usize::MAX)?;
    if !records
        .iter()
        .any(|r| r.counts(s.now_ms) && r.certificate().serial == caller.serial)
    {
        let message = "renew over a certificate that counts; this one does not any more";
        return Err(Refusal::new(Code::Denied, message).into());
    }
    let message = "too many certificates of this device were never used; connect with the newest";
    policy::room(&records, s.now_ms, policy::LIVE_MAX, message)?;
    let csr = policy::csr(&m.csr, &planning::subject(s, Kind::Device, device)?)?;
    let mut outcome = Outcome::default();
    let lifetime_ms = s.service.settings.device_lifetime_ms;
    planning::plan(
        s,
        &mut outcome,
        &Wanted {
            kind: Kind::Device,
            id: device,
            lifetime_ms,
            batch: "",
        },
        &csr,
    )?;
    Ok(outcome)
}
