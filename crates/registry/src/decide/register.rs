//! `register`: a device is known from now on.

use std::collections::BTreeSet;

use contract::{
    Code, Id, Refusal,
    v1::{Criticality, Device, RegisterDevice, Restriction, Stage},
};
use service::{Fault, Outcome, View};

use super::{Situation, changed, enter::save};
use crate::{choice, event, policy, roster::Roster, state};

pub(super) fn decide(s: &Situation<'_>, m: RegisterDevice) -> Result<Outcome, Fault> {
    let (mut outcome, mut roster) = (Outcome::default(), Roster::default());
    let recruit = examine(s, s.view, &mut roster, m)?;
    let device = enlist(&mut outcome, &mut roster, recruit)?;
    roster.settle(&mut outcome);
    outcome.answer(changed(&device.device_id, device.version));
    Ok(outcome)
}

/// A device that may be registered, and the groups it joins.
pub(super) struct Recruit {
    device: Device,
    groups: BTreeSet<Id>,
}

/// Checks a row; changes nothing but what the roster has looked up.
pub(super) fn examine(
    s: &Situation<'_>,
    view: &View<'_>,
    roster: &mut Roster,
    m: RegisterDevice,
) -> Result<Recruit, Fault> {
    let id = policy::id("device_id", &m.device_id)?;
    policy::texts(&[
        ("name", &m.name),
        ("serial_number", &m.serial_number),
        ("model", &m.model),
        ("owner", &m.owner),
        ("site", &m.site),
        ("hardware_revision", &m.hardware_revision),
    ])?;
    let criticality = choice::optional("criticality", m.criticality)?.unwrap_or(Criticality::Medium);
    let groups = policy::groups(&m.groups)?;
    if let Some(present) = state::device_or_twin(view, id.as_str())? {
        return Err(taken(&present, &id).into());
    }
    for group in &groups {
        roster.find(view, "groups", group.as_str())?;
    }
    let stage = if m.planned {
        Stage::Planned
    } else {
        Stage::Registered
    };
    let device = Device {
        device_id: id.as_str().to_owned(),
        version: 1,
        stage: stage.into(),
        restriction: Restriction::None.into(),
        name: m.name,
        serial_number: m.serial_number,
        criticality: criticality.into(),
        owner: m.owner,
        site: m.site,
        model: m.model,
        hardware_revision: m.hardware_revision,
        registered_at_ms: s.now_ms,
        stage_since_ms: s.now_ms,
        changed_by: s.actor.clone(),
        ..Device::default()
    };
    Ok(Recruit { device, groups })
}

/// Writes the device and lets it join its groups.
pub(super) fn enlist(
    outcome: &mut Outcome,
    roster: &mut Roster,
    recruit: Recruit,
) -> Result<Device, Refusal> {
    let Recruit { mut device, groups } = recruit;
    for group in &groups {
        roster.join(outcome, &mut device, group.as_str())?;
    }
    save(outcome, None, &device);
    event::registered(outcome, &device);
    Ok(device)
}

fn taken(present: &Device, id: &Id) -> Refusal {
    let message = if present.device_id != id.as_str() {
        format!(
            "`{}` exists; ids that differ in case only are twins",
            present.device_id
        )
    } else if present.stage() == Stage::Retired {
        format!("`{id}` was retired, and a retired id is not used again; choose another")
    } else {
        format!("a device `{id}` exists already")
    };
    Refusal {
        present_version: present.version,
        ..Refusal::new(Code::Exists, message)
    }
    .at("device_id")
}
