//! What other services tell of devices.

use contract::{
    ServiceName,
    v1::{Device, DeviceLive, StatusFact},
};
use prost::Message;
use service::{FactChange, Fault, Outcome};

use super::{Situation, act::Act, certificate};
use crate::{live, state};

pub(super) fn decide(s: &Situation<'_>, fact: FactChange<'_>) -> Result<Outcome, Fault> {
    match (fact.owner, fact.entity) {
        (ServiceName::Provisioning, "certificate") => certificate::decide(s, fact),
        (ServiceName::Monitoring, "status") => {
            let told = fact.value.and_then(|value| StatusFact::decode(value).ok());
            let told = told.unwrap_or_default();
            news(s, fact.id, |live| live::hear_status(live, told), |_, _| Ok(false))
        }
        _ => Ok(Outcome::default()),
    }
}

/// Something is told of a device. `then` may change its own record, and says whether it did.
pub(super) fn news(
    s: &Situation<'_>,
    id: &str,
    heard: impl FnOnce(&mut DeviceLive),
    then: impl FnOnce(&mut Act<'_>, &mut Device) -> Result<bool, Fault>,
) -> Result<Outcome, Fault> {
    let mut act = Act::new(s);
    let known = state::device_or_twin(s.view, id)?;
    let mut device = match known {
        None => return unknown(s, id, heard),
        Some(twin) if twin.device_id != id => return Ok(Outcome::default()),
        Some(device) => device,
    };
    let before = device.clone();
    let mut live = device.live.take().unwrap_or_default();
    heard(&mut live);
    device.live = (live != DeviceLive::default()).then_some(live);
    if then(&mut act, &mut device)? {
        act.save(Some(&before), &mut device)?;
    } else if device.live != before.live {
        act.follow(&before, &mut device)?;
    }
    Ok(act.finish())
}

/// A device that is not registered yet; it finds there what was told of it.
fn unknown(s: &Situation<'_>, id: &str, heard: impl FnOnce(&mut DeviceLive)) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let mut live = s.view.load::<DeviceLive>(live::key(id))?.unwrap_or_default();
    heard(&mut live);
    if live == DeviceLive::default() {
        outcome.delete(live::key(id));
    } else {
        outcome.put(live::key(id), &live);
    }
    Ok(outcome)
}
