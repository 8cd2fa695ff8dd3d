//! `register`: a device is known from now on.

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    Code, Id, Refusal,
    document::{self, Document},
    names::said,
    v1::{Criticality, Device, Evidence, RegisterDevice, Restriction, Stage},
};
use service::{Fault, Outcome, View};

use super::{Situation, act::Act, change::together, changed, check};
use crate::{
    choice::{self, Choice},
    config, event,
    field::{self, Field},
    policy, state,
};

pub(super) fn decide(s: &Situation<'_>, m: RegisterDevice) -> Result<Outcome, Fault> {
    let mut act = Act::new(s);
    match examine(&mut act, m)? {
        Examined::New(recruit) => {
            let device = enlist(&mut act, *recruit)?;
            Ok(act.answer(changed(&device.device_id, device.version)))
        }
        Examined::Known(refusal) | Examined::Another(refusal) => Err(refusal.into()),
    }
}

/// What a row comes to.
pub(super) enum Examined {
    /// It may be registered.
    New(Box<Recruit>),
    /// It is registered, and the row says nothing else; the refusal for who does not expect that.
    Known(Refusal),
    /// The id is taken by something else.
    Another(Refusal),
}

/// A device that may be registered, and the groups it joins.
pub(super) struct Recruit {
    device: Device,
    groups: BTreeSet<Id>,
    settings: Document,
}

/// Checks a row; changes nothing but what the roster has looked up.
pub(super) fn examine(act: &mut Act<'_>, m: RegisterDevice) -> Result<Examined, Fault> {
    let id = policy::id("device_id", &m.device_id)?;
    let criticality = choice::optional::<Criticality>("criticality", m.criticality)?;
    let groups = policy::groups(&m.groups)?;
    let settings = config::read_settings(&m.settings)?;
    let stage = if m.planned {
        Stage::Planned
    } else {
        Stage::Registered
    };
    let fields = fields(m, criticality)?;
    let mut device = blank(act.s, id.as_str(), stage);
    field::write(&mut device, &fields)?;
    if let Some(present) = state::device_or_twin(&act.view(), id.as_str())? {
        let refusal = taken(&present, &id);
        let other = difference(&present, &device, &fields, &groups);
        let other = match other {
            None if is_set_otherwise(&act.view(), &present, settings.as_ref())? => {
                Some("settings".to_owned())
            }
            other => other,
        };
        return Ok(match other {
            _ if present.device_id != id.as_str() || present.stage() == Stage::Retired => {
                Examined::Another(refusal)
            }
            None => Examined::Known(refusal),
            Some(name) => {
                let message = format!("{}, with another `{name}`; use `change`", refusal.message);
                Examined::Another(Refusal { message, ..refusal })
            }
        });
    }
    for group in &groups {
        act.roster.find(act.s.view, "groups", group.as_str())?;
        act.roster.may_be_chosen(group.as_str())?;
    }
    check::written(act.s, &act.view(), None, &device)?;
    let settings = settings.unwrap_or_default();
    config::fits(act.s.view, &with(&device, &groups), &settings)?;
    Ok(Examined::New(Box::new(Recruit {
        device,
        groups,
        settings,
    })))
}

/// The device in these groups.
fn with(device: &Device, groups: &BTreeSet<Id>) -> Device {
    Device {
        groups: groups.iter().map(Id::to_string).collect(),
        ..device.clone()
    }
}

/// Whether something else is set for the device alone than the row says.
fn is_set_otherwise(view: &View<'_>, present: &Device, settings: Option<&Document>) -> Result<bool, Fault> {
    let Some(settings) = settings else {
        return Ok(false);
    };
    let own = config::own(view, &present.device_id)?.map(|own| document::from_text(&own.document));
    Ok(own.unwrap_or_default() != *settings)
}

/// All that is wrong with a row of its own and beside what is there, once it is known that something is.
pub(super) fn faults(act: &mut Act<'_>, m: RegisterDevice) -> Result<Vec<Refusal>, Fault> {
    let mut found = Found::default();
    found.take(policy::id("device_id", &m.device_id))?;
    let mut device = blank(act.s, &m.device_id, Stage::Registered);
    let criticality = choice::optional::<Criticality>("criticality", m.criticality);
    let criticality = found.take(criticality)?.flatten();
    for group in found.take(policy::groups(&m.groups))?.unwrap_or_default() {
        if found
            .take(act.roster.find(act.s.view, "groups", group.as_str()))?
            .is_some()
        {
            found.take(act.roster.may_be_chosen(group.as_str()))?;
        }
    }
    found.take(config::read_settings(&m.settings))?;
    for (name, text) in found.take(fields(m, criticality))?.unwrap_or_default() {
        found.take(field::write(&mut device, &BTreeMap::from([(name, text)])))?;
    }
    for checked in check::faults(act.s, &act.view(), &device) {
        found.take(checked)?;
    }
    Ok(found.0)
}

/// What was refused is kept, and the next thing looked at.
#[derive(Default)]
struct Found(Vec<Refusal>);

impl Found {
    fn take<T>(&mut self, result: Result<T, impl Into<Fault>>) -> Result<Option<T>, Fault> {
        match result.map_err(Into::into) {
            Ok(value) => Ok(Some(value)),
            Err(Fault::Refused(refusal)) => {
                self.0.push(refusal);
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }
}

fn blank(s: &Situation<'_>, id: &str, stage: Stage) -> Device {
    Device {
        device_id: id.to_owned(),
        version: 1,
        stage: stage.into(),
        restriction: Restriction::None.into(),
        criticality: Criticality::Medium.into(),
        registered_at_ms: s.now_ms,
        stage_since_ms: s.now_ms,
        changed_by: s.actor.clone(),
        ..Device::default()
    }
}

/// The row's fields by name, those with a field of their own in the message among them.
pub(crate) fn fields(
    m: RegisterDevice,
    criticality: Option<Criticality>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let typed = [
        ("name", m.name),
        ("serial_number", m.serial_number),
        ("model", m.model),
        ("owner", m.owner),
        ("site", m.site),
        ("hardware_revision", m.hardware_revision),
        (
            "criticality",
            criticality.map(|c| said(c.name())).unwrap_or_default(),
        ),
    ];
    let given = typed.into_iter().filter(|(_, value)| !value.is_empty());
    let mut fields = together(m.fields, given)?;
    fields.retain(|_, value| !value.is_empty());
    Ok(fields)
}

/// The first field that a row says otherwise than the record; what the row does not say does not count.
fn difference(
    present: &Device,
    row: &Device,
    fields: &BTreeMap<String, String>,
    groups: &BTreeSet<Id>,
) -> Option<String> {
    let differs =
        |name: &&String| Field::find(name).is_ok_and(|field| field.read(present) != field.read(row));
    if let Some(name) = fields.keys().find(differs) {
        return Some(name.clone());
    }
    let member = |group: &&Id| present.groups.iter().any(|held| held == group.as_str());
    (!groups.iter().all(|group| member(&group))).then(|| "groups".to_owned())
}

/// Writes the device and lets it join its groups.
pub(super) fn enlist(act: &mut Act<'_>, recruit: Recruit) -> Result<Device, Fault> {
    let Recruit {
        mut device,
        groups,
        settings,
    } = recruit;
    for group in &groups {
        act.roster.join(&mut act.outcome, &mut device, group.as_str())?;
    }
    act.save(None, &mut device)?;
    event::registered(&mut act.outcome, &device);
    config::begin(act.s, &mut act.outcome, &device, &settings)?;
    let evidence = Evidence {
        what: "registered".into(),
        to: device.stage().name().into(),
        cause: "register".into(),
        ..Evidence::default()
    };
    act.evidence(&device, evidence);
    Ok(device)
}

fn taken(present: &Device, id: &Id) -> Refusal {
    let message = if present.device_id != id.as_str() {
        format!(
            "`{}` exists; ids that differ in case only are twins",
            present.device_id
        )
    } else if present.stage() == Stage::Retired {
        format!("`{id}` was retired, and a retired id is not used again; choose another, or readmit it")
    } else {
        format!("a device `{id}` exists already")
    };
    Refusal {
        present_version: present.version,
        ..Refusal::new(Code::Exists, message)
    }
    .at("device_id")
}
