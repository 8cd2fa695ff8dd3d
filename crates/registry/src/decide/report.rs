//! `report`: what a device says of itself. The hot path: one record is read, and if anything is new,
//! one is written.

use contract::{
    id::Principal,
    v1::{Component, Device, Report},
};
use serde_json::{Value, json};
use service::{Fault, Outcome};

use super::{Situation, act::Act, active, changed, check};
use crate::{
    event::{self, Fields},
    lifecycle, policy, state,
};

pub(super) fn decide(s: &Situation<'_>, caller: &Principal, m: Report) -> Result<Outcome, Fault> {
    examine(&m)?;
    let mut device = state::device(s.view, "", caller.id.as_str())?;
    if !lifecycle::may_report(device.stage()) {
        return Err(lifecycle::refusal(&device, "it has nothing to report").into());
    }
    let before = device.clone();
    let mut act = Act::new(s);
    let news = merge(&mut device, m);
    policy::attributes_in_all(&device.attributes)?;
    policy::components(&device.components)?;
    if !news.is_empty() || device.reported_at_ms == 0 {
        check::reported(s, &device)?;
        device.version = device.version.saturating_add(1);
        device.reported_at_ms = s.now_ms;
        event::reported(&mut act.outcome, &device, news);
    }
    active::by_report(&mut act, &mut device)?;
    if !act.outcome.events.is_empty() {
        act.save(Some(&before), &mut device)?;
    }
    Ok(act.answer(changed(&device.device_id, device.version)))
}

fn examine(m: &Report) -> Result<(), Fault> {
    policy::texts(&[
        ("model", &m.model),
        ("hardware_revision", &m.hardware_revision),
        ("firmware_version", &m.firmware_version),
    ])?;
    m.location.as_ref().map_or(Ok(()), policy::location)?;
    policy::components(&m.components)?;
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
    let components = merge_components(&mut device.components, m.components);
    if !components.is_empty() {
        news.insert("components".into(), Value::Object(components));
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

/// By name, in the order of their names. What comes back is what is new, with null for what is gone.
fn merge_components(present: &mut Vec<Component>, told: Vec<Component>) -> Fields {
    let mut news = Fields::new();
    for component in told {
        let place = present.binary_search_by(|held| held.name.cmp(&component.name));
        match place {
            Ok(at) if component.version.is_empty() => {
                news.insert(present.remove(at).name, Value::Null);
            }
            Ok(at) if present[at] == component => {}
            Err(_) if component.version.is_empty() => {}
            found => {
                news.insert(component.name.clone(), json!(component.version));
                match found {
                    Ok(at) => present[at] = component,
                    Err(at) => present.insert(at, component),
                }
            }
        }
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

    #[test]
    fn components_are_merged_by_name() {
        let list = |pairs: &[(&str, &str)]| -> Vec<Component> {
            let component = |(name, version): &(&str, &str)| Component {
                name: (*name).into(),
                version: (*version).into(),
            };
            pairs.iter().map(component).collect()
        };
        let mut present = list(&[("boot", "1"), ("modem", "2")]);
        let told = list(&[("modem", "3"), ("app", "1"), ("boot", ""), ("none", "")]);
        let news = merge_components(&mut present, told.clone());
        assert_eq!(
            Value::Object(news),
            json!({ "modem": "3", "app": "1", "boot": null })
        );
        assert_eq!(present, list(&[("app", "1"), ("modem", "3")]));
        assert!(merge_components(&mut present, told).is_empty());
    }
}
