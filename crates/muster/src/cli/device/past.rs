//! `muster device show --at`: a device as it was, from its present record and the registry's events since. What the
//! kept log does not tell is said to be unknown.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use client::{Client, Inbox};
use contract::{
    document::{self, Document},
    id::ServiceName,
    names,
    v1::{ConfigShown, Device, DeviceShown, ShowConfig, ShowDevice, Stage},
};
use host::clock::wall_ms;
use serde_json::{Map, Value, json};

use super::super::{
    Global,
    cert::day_ms,
    global, print,
    replay::{self, Told, page},
    words::{self, say},
};
use crate::exit::{Exit, Failure};

/// A value that a field got, and the one before, where the event tells it.
struct Change {
    at_ms: i64,
    field: String,
    from: Option<String>,
    to: String,
}

/// What the log tells of a device.
#[derive(Default)]
struct Log {
    /// Since when it is kept; 0: it is whole.
    begins_ms: i64,
    /// What the device was when it was registered, where that is in it.
    registered: Option<BTreeMap<String, String>>,
    changes: Vec<Change>,
    /// What it was set to, one change after the other.
    settings: Vec<Setting>,
    /// Which groups it joined and left since the time that is asked about.
    turns: Vec<Turn>,
}

/// A change of what the device was to be set to.
struct Setting {
    at_ms: i64,
    version: u64,
    patch: Document,
}

/// A device joined a group, or left it.
#[derive(Debug, PartialEq)]
enum Turn {
    Joined(String),
    Left(String),
}

/// Fields by name; `None` is what nobody can tell any more.
type Past = BTreeMap<String, Option<String>>;

/// A point in time that is over: so long ago, or a date.
pub(super) fn ago(text: &str) -> Result<i64, String> {
    let ago = |span: std::time::Duration| wall_ms().checked_sub(i64::try_from(span.as_millis()).ok()?);
    let at = humantime::parse_duration(text)
        .ok()
        .and_then(ago)
        .or_else(|| day_ms(text));
    let at =
        at.ok_or("give a time ago such as `12h`, or a date such as `2026-01-31` or `2026-01-31T12:00:00Z`")?;
    if at > wall_ms() {
        return Err("that is yet to come".into());
    }
    Ok(at)
}

pub(super) fn show(global: &Global, id: &str, at_ms: i64) -> Result<()> {
    let (now, log) = global.block_on(async {
        let (client, mut inbox) = global.connect().await?;
        let found = read(&client, &mut inbox, id, at_ms).await;
        client.disconnect().await;
        found
    })?;
    let past = past(&now, &log, at_ms)?;
    let when = contract::event::rfc3339(at_ms);
    if global.json {
        let unknown = past.iter().filter(|(_, value)| value.is_none());
        let unknown: Vec<_> = unknown.map(|(name, _)| name).collect();
        let known = past
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let fields: BTreeMap<_, _> = known.filter(|(_, value)| !value.is_empty()).collect();
        return print::json(&json!({ "device_id": id, "at": when, "fields": fields, "unknown": unknown }));
    }
    let value = |value: &Option<String>| match value {
        Some(text) => text.clone(),
        None => "unknown: it has changed since, and the kept log does not say what it was".into(),
    };
    let mut fields = vec![("id", id.to_owned()), ("at", when)];
    fields.extend(past.iter().map(|(name, found)| (name.as_str(), value(found))));
    print::fields(&fields)
}

/// A device as it is, and what it is to be set to.
struct Present {
    device: Device,
    settings: String,
}

async fn present(client: &Client, id: &str) -> Result<Present> {
    let ask = ShowDevice {
        device_id: id.to_owned(),
        ..ShowDevice::default()
    };
    let shown: DeviceShown = global::ask(client, ServiceName::Registry, "show", &ask).await?;
    let ask = ShowConfig {
        device_id: id.to_owned(),
        ..ShowConfig::default()
    };
    let set: ConfigShown = global::ask(client, ServiceName::Registry, "config-show", &ask).await?;
    Ok(Present {
        device: shown.device.unwrap_or_default(),
        settings: set.config.unwrap_or_default().desired,
    })
}

async fn read(client: &Client, inbox: &mut Inbox, id: &str, at_ms: i64) -> Result<(Present, Log)> {
    // What comes in between is told by an event that is undone.
    let now = present(client, id).await?;
    let (mut log, mut after, mut epoch) = (Log::default(), 0, String::new());
    loop {
        let (marker, told) = page(
            client,
            inbox,
            ServiceName::Registry,
            (after, 0),
            &format!("devices/{id}/+"),
        )
        .await?;
        ensure!(
            epoch.is_empty() || epoch == marker.epoch,
            "the registry's history has changed meanwhile; ask again"
        );
        if epoch.is_empty() && marker.first > 1 {
            log.begins_ms = begin(client, inbox, marker.first).await?;
        }
        told.iter().for_each(|event| log.take(event));
        (after, epoch) = (marker.last, marker.epoch);
        if marker.complete {
            break;
        }
    }
    // Members are told of by the groups' own events; those before are not looked at.
    let groups = (ServiceName::Registry, "groups/+/changed");
    let told = replay::since(client, inbox, groups, at_ms + 1).await?;
    log.turns = told.iter().filter_map(|event| turn(event, id)).collect();
    Ok((now, log))
}

fn turn(event: &Told, id: &str) -> Option<Turn> {
    let group = event.data.get("group_id")?.as_str()?.to_owned();
    let names = |which: &str| {
        let ids = event.data.get(which).and_then(Value::as_array);
        ids.is_some_and(|ids| ids.iter().any(|one| one == id))
    };
    if names("joined") {
        Some(Turn::Joined(group))
    } else {
        names("left").then_some(Turn::Left(group))
    }
}

/// When the oldest event that is kept happened. Whoever may not see it hears of nothing before now.
async fn begin(client: &Client, inbox: &mut Inbox, first: u64) -> Result<i64> {
    let (_, told) = page(client, inbox, ServiceName::Registry, (first - 1, 1), "").await?;
    let time = told.first().and_then(|event| day_ms(&event.time));
    Ok(time.unwrap_or_else(wall_ms))
}

impl Log {
    fn take(&mut self, event: &Told) {
        let at_ms = day_ms(&event.time).unwrap_or_default();
        match event.name() {
            "registered" => {
                let device = serde_json::from_value(Value::Object(event.data.clone()));
                self.registered = device.ok().map(|device: Device| flat(&device));
            }
            "moved" => self.between(at_ms, "stage", &event.data),
            "restricted" => self.between(at_ms, "restriction", &event.data),
            "reported" => self.reported(at_ms, &event.data),
            "configured" => self.configured(at_ms, &event.data),
            _ => {
                let changed = event.data.get("changed").and_then(Value::as_object);
                for (field, change) in changed.into_iter().flatten() {
                    if let Some(change) = change.as_object() {
                        self.between(at_ms, field, change);
                    }
                }
            }
        }
    }

    fn between(&mut self, at_ms: i64, field: &str, change: &Map<String, Value>) {
        self.changes.push(Change {
            at_ms,
            field: field.to_owned(),
            from: change.get("from").map(text),
            to: change.get("to").map(text).unwrap_or_default(),
        });
    }

    fn configured(&mut self, at_ms: i64, data: &Map<String, Value>) {
        let version = data.get("version").and_then(Value::as_str);
        let version = version.and_then(|version| version.parse().ok());
        let patch = data.get("patch").and_then(Value::as_object).cloned();
        if let Some((version, patch)) = version.zip(patch) {
            self.settings.push(Setting {
                at_ms,
                version,
                patch,
            });
        }
    }

    fn reported(&mut self, at_ms: i64, data: &Map<String, Value>) {
        let mut put = |field: String, value: &Value| {
            let change = Change {
                at_ms,
                field,
                from: None,
                to: text(value),
            };
            self.changes.push(change);
        };
        let reported = data.get("reported").and_then(Value::as_object);
        for (name, value) in reported.into_iter().flatten() {
            match (name.as_str(), value) {
                ("attributes", Value::Object(values)) => {
                    values
                        .iter()
                        .for_each(|(key, value)| put(format!("attributes.{key}"), value));
                }
                ("components", Value::Object(values)) => {
                    values
                        .iter()
                        .for_each(|(key, value)| put(format!("component.{key}"), value));
                }
                ("firmware_version", value) => put("firmware".into(), value),
                ("location", _) => {}
                (name, value) => put(name.into(), value),
            }
        }
    }
}

/// A value of an event as people write it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if words::is_name(text) => names::typed(text),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text_of_one).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn text_of_one(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The fields that events of the device tell of. Its groups are told by the groups' own.
fn flat(device: &Device) -> BTreeMap<String, String> {
    let mut fields = registry::written(device);
    let attributes = device.attributes.iter();
    fields.extend(attributes.map(|(key, value)| (format!("attributes.{key}"), value.clone())));
    let components = device.components.iter();
    fields.extend(components.map(|one| (format!("component.{}", one.name), one.version.clone())));
    let system = device.system.iter();
    fields.extend(system.map(|(key, value)| (format!("system.{key}"), value.clone())));
    fields.extend([
        ("stage".to_owned(), say(device.stage())),
        ("restriction".to_owned(), say(device.restriction())),
        ("firmware".to_owned(), device.firmware_version.clone()),
    ]);
    fields
}

fn past(now: &Present, log: &Log, at_ms: i64) -> Result<Past, Failure> {
    let device = &now.device;
    let refuse = |message: String| Err(Failure::new(Exit::NotFound, message));
    let id = &device.device_id;
    if at_ms < device.registered_at_ms {
        let since = print::time(device.registered_at_ms);
        return refuse(format!("{id} was not known then: it is registered since {since}"));
    }
    if at_ms < log.begins_ms {
        let since = print::time(log.begins_ms);
        return refuse(format!(
            "what {id} was then is no longer kept: the log begins at {since}"
        ));
    }
    let present = flat(device);
    let told = log.changes.iter().map(|change| &change.field);
    let names: BTreeSet<_> = present.keys().chain(told).collect();
    let untold = ["groups", "retire_deadline_ms"];
    let names = names.into_iter().filter(|name| !untold.contains(&name.as_str()));
    let mut past: Past = names
        .map(|name| (name.clone(), was(name, &present, log, at_ms)))
        .collect();
    let is_gone = past
        .get("stage")
        .is_some_and(|stage| stage.as_deref() == Some("retired"));
    let settings = match is_gone {
        // Its configuration ends with it.
        true => Some(String::new()),
        false => settings(now, log, at_ms),
    };
    past.insert("settings".into(), settings);
    past.insert("groups".into(), Some(groups(device, log)));
    Ok(past)
}

/// The groups that it was in: what it joined and left since is undone, the last first.
fn groups(device: &Device, log: &Log) -> String {
    let mut groups: BTreeSet<&str> = device.groups.iter().map(String::as_str).collect();
    for turn in log.turns.iter().rev() {
        match turn {
            Turn::Joined(group) => drop(groups.remove(group.as_str())),
            Turn::Left(group) => drop(groups.insert(group)),
        }
    }
    groups.into_iter().collect::<Vec<_>>().join(" ")
}

/// What it was to be set to: the present where nothing changed since, else all changes until then, if each is kept.
fn settings(now: &Present, log: &Log, at_ms: i64) -> Option<String> {
    if log.settings.iter().all(|change| change.at_ms <= at_ms) && !is_retired(&now.device) {
        return Some(shown(&document::from_text(&now.settings)));
    }
    let first = log.settings.iter().map(|change| change.version).min();
    if first.is_some_and(|version| version > 1) {
        return None;
    }
    let (mut whole, mut last) = (Document::new(), 0);
    for change in log.settings.iter().filter(|change| change.at_ms <= at_ms) {
        // A device that was readmitted begins anew.
        if change.version < last {
            whole.clear();
        }
        last = change.version;
        document::merge(&mut whole, &change.patch);
    }
    Some(shown(&whole))
}

fn is_retired(device: &Device) -> bool {
    device.stage() == Stage::Retired
}

fn shown(settings: &Document) -> String {
    match settings.is_empty() {
        true => String::new(),
        false => document::to_text(settings),
    }
}

/// What undoes the first change since; else what the last one before has left.
fn was(name: &str, present: &BTreeMap<String, String>, log: &Log, at_ms: i64) -> Option<String> {
    let of = |change: &&Change| change.field == name;
    let next = log.changes.iter().filter(of).find(|change| change.at_ms > at_ms);
    let Some(next) = next else {
        return Some(present.get(name).cloned().unwrap_or_default());
    };
    if next.from.is_some() {
        return next.from.clone();
    }
    let last = log
        .changes
        .iter()
        .filter(of)
        .rfind(|change| change.at_ms <= at_ms);
    match (last, &log.registered) {
        (Some(last), _) => Some(last.to.clone()),
        (None, Some(registered)) => Some(registered.get(name).cloned().unwrap_or_default()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use contract::v1::Restriction;

    use super::*;

    fn event(second: u32, name: &str, data: Value) -> Told {
        let told = json!({
            "type": format!("muster.registry.device.{name}.v1"),
            "time": format!("2026-01-01T00:00:{second:02}.000Z"),
            "data": data,
        });
        serde_json::from_value(told).unwrap()
    }

    fn ms(second: i64) -> i64 {
        day_ms("2026-01-01").unwrap() + second * 1_000
    }

    fn now() -> Present {
        Present {
            device: device(),
            settings: String::new(),
        }
    }

    fn device() -> Device {
        let mut device = Device {
            device_id: "pump-7".into(),
            owner: "south".into(),
            firmware_version: "2.0".into(),
            attributes: [("rack".to_owned(), "9".to_owned())].into(),
            registered_at_ms: ms(1),
            ..Device::default()
        };
        device.set_stage(Stage::Maintenance);
        device.set_restriction(Restriction::None);
        device
    }

    fn events() -> Vec<Told> {
        vec![
            event(
                1,
                "registered",
                json!({ "device_id": "pump-7", "owner": "north", "stage": "STAGE_REGISTERED" }),
            ),
            event(
                2,
                "moved",
                json!({ "from": "STAGE_REGISTERED", "to": "STAGE_ACTIVE" }),
            ),
            event(
                3,
                "reported",
                json!({ "reported": { "firmware_version": "1.0", "attributes": { "rack": "7" } } }),
            ),
            event(
                5,
                "changed",
                json!({ "changed": { "owner": { "from": "north", "to": "south" } } }),
            ),
            event(
                6,
                "reported",
                json!({ "reported": { "firmware_version": "2.0", "attributes": { "rack": "9" } } }),
            ),
            event(
                7,
                "restricted",
                json!({ "from": "RESTRICTION_NONE", "to": "RESTRICTION_SUSPENDED" }),
            ),
            event(
                8,
                "restricted",
                json!({ "from": "RESTRICTION_SUSPENDED", "to": "RESTRICTION_NONE" }),
            ),
            event(
                9,
                "moved",
                json!({ "from": "STAGE_ACTIVE", "to": "STAGE_MAINTENANCE" }),
            ),
        ]
    }

    fn log(events: &[Told]) -> Log {
        let mut log = Log::default();
        events.iter().for_each(|event| log.take(event));
        log
    }

    fn four(past: &Past) -> [Option<&str>; 4] {
        ["stage", "owner", "firmware", "restriction"].map(|name| past[name].as_deref())
    }

    #[test]
    fn it_is_what_it_was_at_each_moment() {
        let log = log(&events());
        for (second, expected) in [
            (1, ["registered", "north", "", "none"]),
            (2, ["active", "north", "", "none"]),
            (4, ["active", "north", "1.0", "none"]),
            (5, ["active", "south", "1.0", "none"]),
            (7, ["active", "south", "2.0", "suspended"]),
            (8, ["active", "south", "2.0", "none"]),
            (59, ["maintenance", "south", "2.0", "none"]),
        ] {
            let past = past(&now(), &log, ms(second)).unwrap();
            assert_eq!(four(&past), expected.map(Some), "{second}");
        }
        let past = past(&now(), &log, ms(4)).unwrap();
        assert_eq!(past["attributes.rack"].as_deref(), Some("7"));
    }

    #[test]
    fn what_is_older_than_the_kept_log_is_said_and_not_guessed() {
        let mut cut = log(&events()[3..]);
        cut.begins_ms = ms(4);
        let past_at = |second| past(&now(), &cut, ms(second));
        let refused = past_at(3).unwrap_err().to_string();
        assert!(
            refused.contains("the log begins at 2026-01-01 00:00:04Z"),
            "{refused}"
        );
        // Who owned it is told by what changed that; what it had reported, by nothing that is kept.
        let found = past_at(4).unwrap();
        assert_eq!(four(&found), [Some("active"), Some("north"), None, Some("none")]);
        assert_eq!(found["attributes.rack"], None);
        assert_eq!(four(&past_at(6).unwrap())[2], Some("2.0"));
    }

    #[test]
    fn before_it_was_registered_there_was_nothing() {
        let refused = past(&now(), &log(&events()), ms(0)).unwrap_err();
        assert_eq!(refused.exit, Exit::NotFound);
        assert!(refused.to_string().contains("was not known then"));
    }

    #[test]
    fn its_settings_and_groups_are_those_of_the_moment() {
        let set = |second, version: u32, patch: Value| {
            let version = version.to_string();
            event(
                second,
                "configured",
                json!({ "version": version, "patch": patch }),
            )
        };
        let all = [
            set(2, 1, json!({ "rate": 1, "net": { "mtu": 9 } })),
            set(4, 2, json!({ "net": null })),
            set(6, 3, json!({ "rate": 2 })),
        ];
        let present = Present {
            settings: r#"{"rate":2}"#.into(),
            ..now()
        };
        let at = |log: &Log, second| past(&present, log, ms(second)).unwrap()["settings"].clone();
        let whole = log(&all);
        for (second, expected) in [
            (1, ""),
            (2, r#"{"net":{"mtu":9},"rate":1}"#),
            (5, r#"{"rate":1}"#),
            (6, r#"{"rate":2}"#),
        ] {
            assert_eq!(at(&whole, second).as_deref(), Some(expected), "{second}");
        }
        // The first change is not kept any more.
        let cut = log(&all[1..]);
        assert_eq!(
            (at(&cut, 5), at(&cut, 6).as_deref()),
            (None, Some(r#"{"rate":2}"#))
        );
        // What a retired device was set to is told by its events alone.
        let mut gone = now();
        gone.device.set_stage(Stage::Retired);
        let mut retired = log(&all);
        retired.take(&event(
            8,
            "moved",
            json!({ "from": "STAGE_ACTIVE", "to": "STAGE_RETIRED" }),
        ));
        let at = |second| past(&gone, &retired, ms(second)).unwrap()["settings"].clone();
        assert_eq!(
            (at(7).as_deref(), at(9).as_deref()),
            (Some(r#"{"rate":2}"#), Some(""))
        );

        let members = |id: &str, joined: &[&str], left: &[&str]| {
            event(
                9,
                "changed",
                json!({ "group_id": id, "joined": joined, "left": left }),
            )
        };
        let told = [
            members("a", &["pump-7"], &[]),
            members("b", &["pump-8"], &["pump-9", "pump-7"]),
            members("c", &["pump-8"], &[]),
            members("a", &[], &["pump-7"]),
        ];
        let mut present = now();
        present.device.groups = vec!["c".into()];
        let turns = told.iter().filter_map(|event| turn(event, "pump-7")).collect();
        let log = Log {
            turns,
            ..Log::default()
        };
        let past = past(&present, &log, ms(1)).unwrap();
        assert_eq!(past["groups"].as_deref(), Some("b c"));
    }

    #[test]
    fn times_are_over() {
        assert!(ago("1h").unwrap() < wall_ms());
        assert_eq!(ago("2026-01-01").unwrap(), ms(0));
        assert!(ago("2999-01-01").is_err() && ago("soon").is_err());
    }
}
