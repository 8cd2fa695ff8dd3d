//! Events as CloudEvents 1.0 in structured JSON mode.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    id::{Kind, ServiceName},
    v1::Event,
};

/// Who writes the events of an installation: becomes `source` and part of `id`.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The installation's name.
    pub site: &'a str,
    /// The service.
    pub service: ServiceName,
}

/// The content type of a CloudEvent in structured JSON mode.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// A CloudEvent's attributes in the order in which they are written. The extension attributes follow
/// the CloudEvents naming rule: lower case letters and digits.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: String,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    sequence: String,
    subjectsequence: String,
    epoch: String,
    actor: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    traceparent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// Renders an event for integrators. `id` is `{epoch}-{sequence}`, unique for ever with `source`.
pub fn to_cloud_event(source: Source<'_>, event: &Event) -> Vec<u8> {
    let cloud_event = CloudEvent {
        specversion: "1.0",
        id: format!("{:016x}-{}", event.epoch, event.sequence),
        source: format!("/muster/{}/{}", source.site, source.service),
        r#type: format!(
            "muster.{}.{}.{}.v1",
            source.service,
            singular(&event.subject),
            event.name
        ),
        subject: &event.subject,
        time: rfc3339(event.time_ms),
        datacontenttype: "application/json",
        sequence: event.sequence.to_string(),
        subjectsequence: event.subject_sequence.to_string(),
        epoch: format!("{:016x}", event.epoch),
        actor: &event.actor,
        traceparent: &event.traceparent,
        data: serde_json::from_slice(&event.data).ok(),
    };
    serde_json::to_vec(&cloud_event).unwrap_or_default()
}

/// Subjects that bear a device's name.
const NAMED_BY_DEVICE: [&str; 5] = ["devices", "secrets", "admissions", "transfers", "retirements"];
/// Subjects whose events' data says which device they are about, if they are about one.
const ABOUT_DEVICES: [&str; 3] = ["alerts", "certificates", "clients"];

/// What an event's data may say of a device.
#[derive(Deserialize, Default)]
#[serde(default)]
struct About {
    device_id: String,
    kind: String,
    id: String,
}

/// The device that an event is about, for those who see the events of some devices only. `data` is asked for where the
/// subject does not say.
pub fn device_of(subject: &str, data: impl FnOnce() -> Option<Vec<u8>>) -> Option<String> {
    let (kind, id) = subject.split_once('/')?;
    if NAMED_BY_DEVICE.contains(&kind) {
        return Some(id.to_owned());
    }
    if !ABOUT_DEVICES.contains(&kind) {
        return None;
    }
    let about: About = serde_json::from_slice(&data()?).ok()?;
    let named = match about.kind == Kind::Device.word() {
        true => about.id,
        false => about.device_id,
    };
    Some(named).filter(|id| !id.is_empty())
}

/// The group that an event is about, and those that it lay within then, for those who see some groups only. Nothing: it
/// is about no group.
pub fn groups_of(subject: &str, data: impl FnOnce() -> Option<Vec<u8>>) -> Option<Vec<String>> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Place {
        within: Vec<String>,
    }
    let id = match subject.split_once('/')? {
        ("groups", id) => id,
        ("templates", id) => id.strip_prefix("group.")?,
        _ => return None,
    };
    let place: Option<Place> = data().and_then(|data| serde_json::from_slice(&data).ok());
    let mut groups = place.unwrap_or_default().within;
    groups.push(id.to_owned());
    Some(groups)
}

/// The data of an event as integrators get it.
pub fn data_of(cloud_event: &[u8]) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Told<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let told: Told<'_> = serde_json::from_slice(cloud_event).ok()?;
    Some(told.data.get().as_bytes().to_vec())
}

/// `devices/pump-7` → `device`.
fn singular(subject: &str) -> &str {
    let (kind, _) = subject.split_once('/').unwrap_or((subject, ""));
    if kind == "people" {
        "person"
    } else {
        kind.strip_suffix('s').unwrap_or(kind)
    }
}

/// The last millisecond that RFC 3339 can write: its years have four digits.
const LATEST_MS: u64 = 253_402_300_799_999;

/// Milliseconds since 1970 as RFC 3339 in UTC; what is earlier or later than can be told is told as the first or
/// the last time that can be.
pub fn rfc3339(ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default().min(LATEST_MS));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_which_device_it_is_about() {
        for (subject, data, expected) in [
            ("devices/pump-7", "", Some("pump-7")),
            ("secrets/pump-7", "", Some("pump-7")),
            ("admissions/pump-7", "", Some("pump-7")),
            ("transfers/pump-7", "", Some("pump-7")),
            (
                "certificates/0a",
                r#"{"kind":"devices","id":"pump-7"}"#,
                Some("pump-7"),
            ),
            ("certificates/0a", r#"{"kind":"operators","id":"pump-7"}"#, None),
            (
                "clients/devices.pump-7",
                r#"{"kind":"devices","id":"pump-7"}"#,
                Some("pump-7"),
            ),
            (
                "alerts/hot.pump-7",
                r#"{"rule_id":"hot","device_id":"pump-7"}"#,
                Some("pump-7"),
            ),
            ("alerts/many", r#"{"rule_id":"many","device_id":""}"#, None),
            ("people/operators.ada", r#"{"device_id":"pump-7"}"#, None),
            ("groups/berlin", "", None),
            ("certificates/0a", "no JSON", None),
            ("nothing", "", None),
        ] {
            let found = device_of(subject, || Some(data.as_bytes().to_vec()));
            assert_eq!(found.as_deref(), expected, "{subject}");
            let event = Event {
                subject: subject.into(),
                data: data.into(),
                ..Event::default()
            };
            let source = Source {
                site: "hq",
                service: ServiceName::Provisioning,
            };
            let told = to_cloud_event(source, &event);
            assert_eq!(
                device_of(subject, || data_of(&told)).as_deref(),
                expected,
                "{subject}"
            );
        }
    }

    #[test]
    fn an_event_says_which_groups_it_is_about() {
        for (subject, data, expected) in [
            (
                "groups/line-7",
                r#"{"within":["hall-3","berlin"]}"#,
                Some("hall-3 berlin line-7"),
            ),
            ("groups/line-7", "no JSON", Some("line-7")),
            (
                "templates/group.line-7",
                r#"{"within":["berlin"]}"#,
                Some("berlin line-7"),
            ),
            ("templates/type.pump", r#"{"within":["berlin"]}"#, None),
            ("jobs/groups/x", "{}", None),
            ("groups", "{}", None),
        ] {
            let found = groups_of(subject, || Some(data.as_bytes().to_vec()));
            assert_eq!(
                found.map(|groups| groups.join(" ")).as_deref(),
                expected,
                "{subject}"
            );
        }
    }

    #[test]
    fn every_time_can_be_told() {
        for (ms, expected) in [
            (i64::MIN, "1970-01-01T00:00:00.000Z"),
            (0, "1970-01-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "9999-12-31T23:59:59.999Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ms), expected);
        }
    }

    #[test]
    fn a_cloud_event_has_its_golden_form() {
        let event = Event {
            sequence: 41,
            subject_sequence: 3,
            time_ms: 1_700_000_000_123,
            subject: "devices/pump-7".into(),
            name: "registered".into(),
            data: br#"{"model":"p"}"#.to_vec(),
            epoch: 0xabc,
            actor: "operators/ada".into(),
            ..Event::default()
        };
        let source = Source {
            site: "hq",
            service: ServiceName::Registry,
        };
        let expected = include_str!("../testdata/cloud_event.json");
        assert_eq!(
            String::from_utf8(to_cloud_event(source, &event)).unwrap(),
            expected.trim_end()
        );
    }
}
