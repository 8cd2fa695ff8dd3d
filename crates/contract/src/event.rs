//! Events as CloudEvents 1.0 in structured JSON mode.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{id::ServiceName, v1::Event};

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
