//! `change`: what operators write down about a device. `annotate`: what services do.

use std::collections::BTreeMap;

use contract::Refusal;
use contract::names::said;
use contract::v1::{Annotate, ChangeDevice, Criticality, Device, Stage};
use service::{Fault, Outcome};

use super::{Situation, act::Act, changed, check};
use crate::{choice, event, field, lifecycle, policy, state};

pub(super) fn decide(s: &Situation<'_>, m: ChangeDevice) -> Result<Outcome, Fault> {
    let criticality: Option<Criticality> = choice::optional("criticality", m.criticality)?;
    let criticality = criticality.map(|value| said(choice::Choice::name(value)));
    let typed = [
        ("name", m.name),
        ("owner", m.owner),
        ("site", m.site),
        ("criticality", criticality),
    ];
    let typed = typed.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let set = together(m.set, typed)?;
    let outcome = apply(s, &m.device_id, m.expected_version, |before, device| {
        field::write(device, &set)?;
        field::set_once(before, device)?;
        check::written(s, s.view, Some(before), device)
    })?;
    if m.dry_run {
        let present = state::device(s.view, "device_id", &m.device_id)?;
        return Ok(Outcome::reply(changed(&m.device_id, present.version)));
    }
    Ok(outcome)
}

pub(super) fn annotate(s: &Situation<'_>, m: Annotate) -> Result<Outcome, Fault> {
    apply(s, &m.device_id, 0, |_, device| {
        field::annotate(device, &m.system)?;
        check::size(device)
    })
}

/// Fields by name, those with a field of their own in the message among them.
pub(super) fn together<'a>(
    mut set: BTreeMap<String, String>,
    typed: impl Iterator<Item = (&'a str, String)>,
) -> Result<BTreeMap<String, String>, Refusal> {
    for (name, value) in typed {
        if set.insert(name.to_owned(), value).is_some() {
            return Err(Refusal::invalid(name, format!("`{name}` is given twice")));
        }
    }
    Ok(set)
}

fn apply(
    s: &Situation<'_>,
    id: &str,
    expected_version: u64,
    write: impl FnOnce(&Device, &mut Device) -> Result<(), Fault>,
) -> Result<Outcome, Fault> {
    let mut device = state::device(s.view, "device_id", id)?;
    policy::version("device", expected_version, device.version)?;
    if device.stage() == Stage::Retired {
        return Err(lifecycle::refusal(&device, "its record is kept as it was").into());
    }
    let before = device.clone();
    write(&before, &mut device)?;
    let fields = field::changes(&before, &device);
    let mut act = Act::new(s);
    if !fields.is_empty() {
        check::told(&fields)?;
        device.version = device.version.saturating_add(1);
        act.save(Some(&before), &mut device)?;
        event::changed(&mut act.outcome, &device, fields);
    }
    Ok(act.answer(changed(&device.device_id, device.version)))
}
