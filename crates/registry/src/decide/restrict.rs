//! `suspend`, `quarantine`, `release`: the restriction beside the stage.

use contract::{
    id::Principal,
    v1::{RestrictDevice, Restriction},
};
use service::{Fault, Outcome};

use super::{Situation, changed, enter::save};
use crate::{
    event, policy,
    restriction::{self, Measure},
    state,
};

pub(super) fn decide(
    s: &Situation<'_>,
    caller: &Principal,
    m: RestrictDevice,
    measure: Measure,
) -> Result<Outcome, Fault> {
    policy::text("reason", &m.reason)?;
    let mut device = state::device(s.view, "device_id", &m.device_id)?;
    policy::version("device", m.expected_version, device.version)?;
    let to = restriction::take(&device, measure, caller)?;
    let (before, from) = (event::fact_of(&device), device.restriction());
    device.set_restriction(to);
    device.version += 1;
    device.restriction_reason = if to == Restriction::None {
        String::new()
    } else {
        m.reason.clone()
    };
    device.changed_by.clone_from(&s.actor);
    device.change_reason.clone_from(&m.reason);
    let mut outcome = Outcome::default();
    save(&mut outcome, Some(&before), &device);
    event::restricted(&mut outcome, &device, from, &m.reason);
    outcome.answer(changed(&device.device_id, device.version));
    Ok(outcome)
}
