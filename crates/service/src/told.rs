//! What the audit log may say of requests and records.

use std::collections::BTreeSet;

use contract::verb::{Audit, Verb};
use prost::Message;
use serde::Serialize;
use serde_json::Value;

/// What requests call the things that they are about, and what events call them. The first ones that a
/// request has count.
const NAMES: [(&str, &str); 16] = [
    ("device_id", "devices"),
    ("device_ids", "devices"),
    ("group_id", "groups"),
    ("type_id", "types"),
    ("supplier_id", "suppliers"),
    ("order_id", "orders"),
    ("query_id", "queries"),
    ("checkpoint_id", "checkpoints"),
    ("rollout_id", "rollouts"),
    ("artifact_id", "artifacts"),
    ("rule_id", "rules"),
    ("command_id", "commands"),
    ("renewal_id", "renewals"),
    ("batch", "claims"),
    ("serial", "certificates"),
    ("issuer", "authorities"),
];
/// Lists of things, each with a name as above.
const LISTS: [&str; 4] = ["devices", "arrivals", "records", "rule"];

/// What a request is about, as events name it; nothing for verbs that the audit log does not tell of.
pub fn subjects<M: Serialize>(verb: &Verb, message: &M) -> Vec<String> {
    if verb.audit == Audit::Unrecorded {
        return Vec::new();
    }
    let request = serde_json::to_value(message).unwrap_or_default();
    let mut subjects = named(&request);
    for list in LISTS {
        match request.get(list) {
            Some(Value::Array(items)) => subjects.extend(items.iter().flat_map(named)),
            Some(one) => subjects.extend(named(one)),
            None => {}
        }
    }
    let mut known = BTreeSet::new();
    subjects.retain(|subject| known.insert(subject.clone()));
    subjects
}

fn named(thing: &Value) -> Vec<String> {
    let text = |name: &str| thing.get(name).and_then(Value::as_str);
    let mut subjects = Vec::new();
    for (name, kind) in NAMES {
        match thing.get(name) {
            Some(Value::String(id)) if !id.is_empty() => subjects.push(format!("{kind}/{id}")),
            Some(Value::Array(ids)) => {
                subjects.extend(
                    ids.iter()
                        .filter_map(Value::as_str)
                        .map(|id| format!("{kind}/{id}")),
                );
            }
            _ => {}
        }
    }
    // People, devices and claims by kind.
    if let (Some(kind), Some(id)) = (text("kind"), text("id")) {
        subjects.push(format!("{kind}/{id}"));
    }
    subjects
}

/// A record as the audit log tells of it: its name and its fields.
pub fn told<M: Message + Default + Serialize>(
    kind: &str,
    id: impl Fn(&M) -> &str,
    record: &[u8],
) -> Option<(String, Value)> {
    let record = M::decode(record).ok()?;
    let name = format!("{kind}/{}", id(&record));
    Some((name, serde_json::to_value(&record).ok()?))
}

#[cfg(test)]
mod tests {
    use contract::{
        ServiceName,
        v1::{
            ChangeMembers, MaintainMany, PutPerson, RecordMaintenance, RegisterDevice, RegisterDevices,
            Report,
        },
    };

    use super::*;

    fn verb(name: &str) -> &'static Verb {
        Verb::find(ServiceName::Registry, name).unwrap()
    }

    #[test]
    fn requests_are_about_what_they_name() {
        let members = ChangeMembers {
            group_id: "line".into(),
            device_ids: vec!["a".into(), "b".into()],
            ..ChangeMembers::default()
        };
        let expected = ["devices/a", "devices/b", "groups/line"];
        assert_eq!(subjects(verb("join-group"), &members), expected);
        let person = PutPerson {
            id: "ada".into(),
            kind: "operators".into(),
            ..PutPerson::default()
        };
        assert_eq!(subjects(verb("put-person"), &person), ["operators/ada"]);
        let device = |id: &str| RegisterDevice {
            device_id: id.into(),
            ..RegisterDevice::default()
        };
        let many = RegisterDevices {
            devices: vec![device("a"), device("b")],
            ..RegisterDevices::default()
        };
        assert_eq!(subjects(verb("register-many"), &many), ["devices/a", "devices/b"]);
        let work = |id: &str| RecordMaintenance {
            device_id: id.into(),
            ..RecordMaintenance::default()
        };
        let many = MaintainMany {
            records: ["a", "a", "b"].map(work).to_vec(),
            ..MaintainMany::default()
        };
        assert_eq!(subjects(verb("maintain-many"), &many), ["devices/a", "devices/b"]);
    }

    #[test]
    fn what_devices_say_all_the_time_is_not_looked_at() {
        assert!(subjects(verb("report"), &Report::default()).is_empty());
    }
}
