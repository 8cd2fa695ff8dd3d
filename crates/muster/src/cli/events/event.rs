//! An event as it arrives, and as people read it.

use contract::{id::ServiceName, names};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::{print, words};

/// What of a CloudEvent is looked at.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct CloudEvent {
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    time: String,
    #[serde(deserialize_with = "number")]
    pub(super) sequence: u64,
    pub(super) epoch: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    data: Map<String, Value>,
}

/// Numbers travel as text.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}

impl CloudEvent {
    pub(super) fn read(payload: &[u8]) -> Result<CloudEvent, serde_json::Error> {
        serde_json::from_slice(payload)
    }

    /// What filters match: `devices/pump-7/moved`.
    pub(super) fn topic(&self) -> String {
        format!("{}/{}", self.subject, self.name())
    }

    fn name(&self) -> &str {
        // `muster.registry.device.moved.v1`
        self.kind.rsplit('.').nth(1).unwrap_or_default()
    }

    /// The event in one line.
    pub(super) fn line(&self, service: ServiceName) -> String {
        let name = self.name();
        let time = self.time.replace('T', " ");
        let (_, id) = self.subject.split_once('/').unwrap_or_default();
        let data = self.data.iter().filter(|(_, value)| value.as_str() != Some(id));
        let data = data.filter_map(|(key, value)| word(key, value));
        let parts = [
            format!(
                "{time} {:<12} {:>6} {} {name}",
                service.word(),
                self.sequence,
                self.subject
            ),
            if self.actor.is_empty() {
                String::new()
            } else {
                format!("by {}", self.actor)
            },
            data.collect::<Vec<_>>().join(" "),
        ];
        print::clean(
            &parts
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("  "),
        )
    }
}

/// `stage=active`, `not_after=2027-11-25 08:36:31Z`; nothing for what says nothing.
fn word(key: &str, value: &Value) -> Option<String> {
    match (key.strip_suffix("_ms"), milliseconds(value)) {
        (Some(key), Some(ms)) if ms >= print::YEAR_2000_MS => Some(format!("{key}={}", print::time(ms))),
        (Some(_), Some(0)) => None,
        _ => Some(format!("{key}={}", text(value)?)),
    }
}

/// Numbers of 64 bits travel as text.
fn milliseconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A value in short; nothing for what says nothing.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) if words::is_name(text) => Some(names::typed(text)),
        Value::String(text) if text.contains([' ', '=']) => Some(value.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(values) if values.is_empty() => None,
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let payload = br#"{"specversion":"1.0","id":"0abc-41","source":"/muster/hq/registry",
            "type":"muster.registry.device.moved.v1","subject":"devices/pump-7","time":"2023-11-14T22:13:20.123Z",
            "sequence":"41","subjectsequence":"3","epoch":"0000000000000abc","actor":"operators/ada",
            "data":{"device_id":"pump-7","to":"STAGE_ACTIVE","reason":"new\nbearing","erased":[],"cause":"",
            "deadline_ms":"1700000000000","wait_ms":"0","took_ms":12}}"#;
        let event = CloudEvent::read(payload).unwrap();
        assert_eq!((event.sequence, event.epoch.as_str()), (41, "0000000000000abc"));
        let expected = "2023-11-14 22:13:20.123Z registry         41 devices/pump-7 moved  by operators/ada  \
                        deadline=2023-11-14 22:13:20Z reason=new\u{fffd}bearing to=active took_ms=12";
        assert_eq!(event.line(ServiceName::Registry), expected);
        assert_eq!(event.topic(), "devices/pump-7/moved");
        assert!(CloudEvent::read(b"{}").is_err());
    }
}
