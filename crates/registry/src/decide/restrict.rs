//! `suspend`, `quarantine`, `release`: the restriction beside the stage.

use contract::{
    id::Principal,
    v1::{Evidence, RestrictDevice, Restriction},
};
use service::{Fault, Outcome};

use super::{Situation, act::Act, changed};
use crate::{
    choice::Choice,
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
    let (before, from) = (device.clone(), device.restriction());
    device.set_restriction(to);
    device.version = device.version.saturating_add(1);
    device.restriction_reason = if to == Restriction::None {
        String::new()
    } else {
        m.reason.clone()
    };
    device.changed_by.clone_from(&s.actor);
    device.change_reason.clone_from(&m.reason);
    let mut act = Act::new(s);
    act.save(Some(&before), &mut device)?;
    event::restricted(&mut act.outcome, &device, from, &m.reason);
    let evidence = Evidence {
        what: "restricted".into(),
        from: from.name().into(),
        to: to.name().into(),
        cause: measure.verb().into(),
        reason: m.reason,
        ..Evidence::default()
    };
    act.evidence(&device, evidence);
    Ok(act.answer(changed(&device.device_id, device.version)))
}
