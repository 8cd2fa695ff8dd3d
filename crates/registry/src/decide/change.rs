//! `change`: what operators write down about a device.

use contract::v1::{ChangeDevice, Criticality, Stage};
use serde_json::json;
use service::{Fault, Outcome};

use super::{Situation, changed, enter::save};
use crate::{
    choice::{self, Choice},
    event, lifecycle, policy, state,
};

pub(super) fn decide(s: &Situation<'_>, m: ChangeDevice) -> Result<Outcome, Fault> {
    let given = [("name", &m.name), ("owner", &m.owner), ("site", &m.site)];
    for (field, value) in given {
        policy::text(field, value.as_deref().unwrap_or_default())?;
    }
    let criticality: Option<Criticality> = choice::optional("criticality", m.criticality)?;
    let mut device = state::device(s.view, "device_id", &m.device_id)?;
    policy::version("device", m.expected_version, device.version)?;
    if device.stage() == Stage::Retired {
        return Err(lifecycle::refusal(&device, "its record is kept as it was").into());
    }
    let before = event::fact_of(&device);
    let mut fields = event::Fields::new();
    for (name, field, value) in [
        ("name", &mut device.name, m.name),
        ("owner", &mut device.owner, m.owner),
        ("site", &mut device.site, m.site),
    ] {
        if let Some(value) = value.filter(|value| value != field) {
            fields.insert(name.into(), json!({ "from": field, "to": value }));
            *field = value;
        }
    }
    if let Some(criticality) = criticality.filter(|c| *c != device.criticality()) {
        let names = json!({ "from": device.criticality().name(), "to": criticality.name() });
        fields.insert("criticality".into(), names);
        device.set_criticality(criticality);
    }
    let mut outcome = Outcome::default();
    if !fields.is_empty() {
        device.version += 1;
        save(&mut outcome, Some(&before), &device);
        event::changed(&mut outcome, &device, fields);
    }
    outcome.answer(changed(&device.device_id, device.version));
    Ok(outcome)
}
