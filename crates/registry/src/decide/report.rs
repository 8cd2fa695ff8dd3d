//! `report`: what a device says of itself. The hot path: one record is read, and if anything is new,
//! one is written.

use contract::{
    id::Principal,
    v1::{Device, Report},
};
use serde_json::{Value, json};
use service::{Fault, Outcome};

use super::{
    Situation, changed,
    enter::{Why, enter, save},
};
use crate::{
    event::{self, Fields},
    lifecycle::{self, Cause},
    policy, state,
};

pub(super) fn decide(s: &Situation<'_>, caller: &Principal, m: Report) -> Result<Outcome, Fault> {
    check(&m)?;
    let mut device = state::device(s.view, "", caller.id.as_str())?;
    if !lifecycle::may_report(device.stage()) {
        return Err(lifecycle::refusal(&device, "it has nothing to report").into());
    }
    let before = event::fact_of(&device);
    let mut outcome = Outcome::default();
    let news = merge(&mut device, m);
    policy::attributes_in_all(&device.attributes)?;
    let first = device.reported_at_ms == 0;
    let transition = lifecycle::find(&device, Cause::Report, s.now_ms);
    if !news.is_empty() || first {
        device.version += 1;
        device.reported_at_ms = s.now_ms;
        event::reported(&mut outcome, &device, news);
    }
    if let Some(transition) = transition {
        let why = Why {
            reason: "the device reported",
            ..Why::default()
        };
        enter(s, &mut outcome, &mut device, transition, &why)?;
    }
    if !outcome.events.is_empty() {
        save(&mut outcome, Some(&before), &device);
    }
    outcome.answer(changed(&device.device_id, device.version));
    Ok(outcome)
}

fn check(m: &Report) -> Result<(), Fault> {
    policy::texts(&[
        ("model", &m.model),
        ("hardware_revision", &m.hardware_revision),
        ("firmware_version", &m.firmware_version),
    ])?;
    m.location.as_ref().map_or(Ok(()), policy::location)?;
    Ok(policy::attributes(&m.attributes)?)
}

/// Lays a report over the record. What comes back is what is new.
fn merge(device: &mut Device, m: Report) -> Fields {
    let mut news = Fields::new();
    for (name, field, value) in [
        ("model", &mut device.model, m.model),
        (
            "hardware_revision",
            &mut device.hardware_revision,
            m.hardware_revision,
        ),
        (
            "firmware_version",
            &mut device.firmware_version,
            m.firmware_version,
        ),
    ] {
        if !value.is_empty() && *field != value {
            news.insert(name.into(), json!(value));
            *field = value;
        }
    }
    if m.location.is_some() && device.location != m.location {
        news.insert(
            "location".into(),
            serde_json::to_value(&m.location).unwrap_or_default(),
        );
        device.location = m.location;
    }
    let mut attributes = Fields::new();
    for (key, value) in m.attributes {
        if value.is_empty() {
            if device.attributes.remove(&key).is_some() {
                attributes.insert(key, Value::Null);
            }
        } else if device.attributes.get(&key) != Some(&value) {
            attributes.insert(key.clone(), json!(value));
            device.attributes.insert(key, value);
        }
    }
    if !attributes.is_empty() {
        news.insert("attributes".into(), Value::Object(attributes));
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn absent_stays_empty_removes_and_the_same_is_no_news() {
        let mut device = Device {
            model: "p1".into(),
            firmware_version: "1.0.0".into(),
            attributes: attributes(&[("os", "linux"), ("rack", "7")]),
            ..Device::default()
        };
        let report = Report {
            firmware_version: "1.1.0".into(),
            attributes: attributes(&[("os", "linux"), ("rack", ""), ("none", ""), ("new", "x")]),
            ..Report::default()
        };
        let news = merge(&mut device, report.clone());
        let expected = json!({ "firmware_version": "1.1.0", "attributes": { "rack": null, "new": "x" } });
        assert_eq!(Value::Object(news), expected);
        assert_eq!(device.model, "p1");
        assert_eq!(device.attributes, attributes(&[("new", "x"), ("os", "linux")]));
        assert!(merge(&mut device, report).is_empty());
    }
}
