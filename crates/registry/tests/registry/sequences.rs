//! Whatever is asked in whatever order: one reply each, no stage but by the table, no version left
//! out, no index astray, and a repeat changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use contract::v1::{
    Connectivity, Device, DeviceFact, DeviceLive, Event, Fact, Group, Person, Purpose, Role, Stage,
};
use proptest::prelude::*;
use prost::Message;

use crate::steps::{Step, step};
use crate::world::{World, data};

/// What a follower of events and facts alone knows.
#[derive(Default)]
struct Witness {
    versions: BTreeMap<String, u64>,
    stages: BTreeMap<String, Stage>,
    facts: BTreeMap<String, DeviceFact>,
    had_admin: bool,
}

impl Witness {
    fn watch(&mut self, w: &mut World) {
        for frame in &w.frames {
            if frame.purpose() == Purpose::Fact {
                let fact = Fact::decode(frame.payload.as_ref()).unwrap();
                if fact.entity == "device" {
                    self.facts
                        .insert(fact.id, DeviceFact::decode(fact.value.as_slice()).unwrap());
                }
            }
        }
        for event in w.events() {
            self.hear(&event);
        }
    }

    fn hear(&mut self, event: &Event) {
        let data = data(event);
        let version: u64 = data["version"].as_str().unwrap().parse().unwrap();
        let former = self.versions.insert(event.subject.clone(), version).unwrap_or(0);
        assert_eq!(version, former + 1, "{} {}", event.subject, event.name);
        let stage = |field: &str| Stage::from_str_name(data[field].as_str().unwrap()).unwrap();
        match event.name.as_str() {
            "registered" => assert_eq!(self.stages.insert(event.subject.clone(), stage("stage")), None),
            "moved" => {
                let from = self.stages.insert(event.subject.clone(), stage("to"));
                assert_eq!(from, Some(stage("from")));
                assert!(from != Some(Stage::Retired) || data["cause"] == "readmit");
            }
            _ if data["change"] == "removed" => assert!(self.versions.remove(&event.subject).is_some()),
            _ => {}
        }
    }

    /// The records are what the events and facts said.
    fn compare(&mut self, w: &World) {
        let devices = devices(w);
        assert_eq!(devices.len(), self.stages.len());
        let mut members = BTreeSet::new();
        for device in &devices {
            let subject = format!("devices/{}", device.device_id);
            assert_eq!(Some(&device.stage()), self.stages.get(&subject));
            assert_eq!(Some(&device.version), self.versions.get(&subject));
            let fact = &self.facts[&device.device_id];
            assert_eq!((fact.stage, fact.restriction), (device.stage, device.restriction));
            assert_eq!((&fact.groups, &fact.site), (&device.groups, &device.site));
            assert_eq!(fact.firmware_version, device.firmware_version);
            members.extend(
                device
                    .groups
                    .iter()
                    .map(|g| (g.to_lowercase(), device.device_id.to_lowercase())),
            );
        }
        let index: BTreeSet<_> = w.records("m").into_iter().map(|(key, _)| split(&key)).collect();
        assert_eq!(index, members);
        for group in records::<Group>(w, "g") {
            let id = group.group_id.to_lowercase();
            assert_eq!(
                group.members as usize,
                members.iter().filter(|(of, _)| *of == id).count()
            );
            assert_eq!(
                Some(&group.version),
                self.versions.get(&format!("groups/{}", group.group_id))
            );
        }
        let index: BTreeSet<_> = w.records("x").into_iter().map(|(key, _)| key).collect();
        assert_eq!(index, devices.iter().flat_map(found_by).collect());
        let unique: BTreeMap<_, _> = w.records("u").into_iter().collect();
        let living = devices
            .iter()
            .filter(|d| d.stage() != Stage::Retired && !d.serial_number.is_empty());
        let serials = living.map(|d| {
            (
                format!("serial_number\0{}", d.serial_number),
                d.device_id.clone().into_bytes(),
            )
        });
        assert_eq!(unique, serials.collect());
        let people: Vec<Person> = records(w, "p");
        let admin = people
            .iter()
            .any(|p| p.kind == "operators" && p.role() == Role::Admin && !p.disabled);
        assert!(admin || !self.had_admin);
        self.had_admin |= admin;
    }
}

/// The keys that a device is found by, worked out anew.
fn found_by(device: &Device) -> Vec<String> {
    let restriction = device.restriction();
    let restricted = restriction != contract::v1::Restriction::None;
    let tags = device
        .tags
        .iter()
        .map(|(key, value)| (format!("tags.{key}"), value.as_str()));
    let plain = [
        ("stage", device.stage().as_str_name()),
        (
            "restriction",
            if restricted { restriction.as_str_name() } else { "" },
        ),
        ("site", &device.site),
        ("firmware", &device.firmware_version),
    ];
    let plain = plain.into_iter().map(|(field, value)| (field.to_owned(), value));
    let live = device.live.iter().flat_map(|live| {
        let alerts = live.alerts.iter().flat_map(|alert| {
            let severity = ("alert_severity".to_owned(), alert.severity().as_str_name());
            [("alert".to_owned(), alert.rule_id.as_str()), severity]
        });
        let connectivity = match live.connectivity() {
            Connectivity::Unspecified => "",
            other => other.as_str_name(),
        };
        alerts.chain([("connectivity".to_owned(), connectivity)])
    });
    let plain = plain.chain(live);
    let all = plain.chain(tags).filter(|(_, value)| !value.is_empty());
    all.map(|(field, value)| format!("{field}\0{value}\0{}", device.device_id.to_lowercase()))
        .collect()
}

fn records<M: Message + Default>(w: &World, prefix: &str) -> Vec<M> {
    w.records(prefix)
        .into_iter()
        .map(|(_, bytes)| M::decode(bytes.as_slice()).unwrap())
        .collect()
}

/// The devices with what others know of them.
fn devices(w: &World) -> Vec<Device> {
    let mut live: BTreeMap<_, _> = w.records("i").into_iter().collect();
    let join = |(key, bytes): (String, Vec<u8>)| {
        let mut device = Device::decode(bytes.as_slice()).unwrap();
        assert_eq!(device.live, None, "it stands in a record of its own");
        device.live = live
            .remove(&key)
            .map(|bytes| DeviceLive::decode(bytes.as_slice()).unwrap());
        let beside = device.live.iter().flat_map(|live| live.groups.clone());
        let all: Vec<String> = device.groups.iter().cloned().chain(beside).collect();
        device.groups = all.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        assert_eq!(device.groups.len(), all.len(), "a group stands in one of the two");
        device
    };
    w.records("d").into_iter().map(join).collect()
}

fn split(key: &str) -> (String, String) {
    let (group, device) = key.split_once('\0').unwrap();
    (group.to_owned(), device.to_owned())
}

/// Until every dynamic group has settled.
fn rest(w: &mut World) {
    while records::<Group>(w, "g").iter().any(|group| group.settling) {
        w.wait(0);
    }
}

fn take(w: &mut World, n: usize, step: Step) {
    match step {
        Step::Wait(ms) => w.wait(ms),
        Step::Restart => w.restart(),
        Step::Certificate { id, status } => w.certificate("devices", id, status),
        Step::Status { id, online, alarmed } => {
            let connectivity = if online {
                Connectivity::Online
            } else {
                Connectivity::Offline
            };
            w.status(id, connectivity, 0, if alarmed { &["hot"] } else { &[] });
        }
        Step::Ask { who, verb, payload } => {
            rest(w);
            let before = w.records("");
            let id = format!("step-{n}");
            let first = w.ask_raw(&id, &who, verb, payload.clone());
            rest(w);
            let after = w.records("");
            if !first.rejected.is_empty() {
                assert_eq!(before, after, "a refused `{verb}` changes nothing");
            }
            let again = w.ask_raw(&id, &who, verb, payload);
            assert_eq!(w.records(""), after, "a repeated `{verb}` changes nothing");
            assert_eq!(
                (again.payload, again.rejected),
                (first.payload, first.rejected),
                "{verb}"
            );
        }
    }
}

/// By the meaning of the few queries of these steps.
fn dynamic_groups_have_who_fits(w: &World) {
    for group in records::<Group>(w, "g")
        .into_iter()
        .filter(|group| !group.query.is_empty())
    {
        for device in devices(w) {
            let live = device.live.clone().unwrap_or_default();
            let fits = match group.query.as_str() {
                "site = s1" => device.site == "s1",
                "has serial_number" => !device.serial_number.is_empty(),
                "connectivity = offline or alert = hot" => {
                    live.connectivity() == Connectivity::Offline || !live.alerts.is_empty()
                }
                "stage_since < now - 1500ms" => device.stage_since_ms < w.now_ms - 1_500,
                _ => {
                    device.tags.get("line").is_some_and(|line| line == "1") || device.firmware_version == "1"
                }
            };
            let fits = fits && device.stage() != Stage::Retired;
            assert_eq!(
                device.groups.contains(&group.group_id),
                fits,
                "{} {}",
                group.query,
                device.device_id
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_asked_the_registry_stays_whole(steps in prop::collection::vec(step(), 1..120)) {
        let mut w = World::new();
        let mut witness = Witness::default();
        for (n, step) in steps.into_iter().enumerate() {
            take(&mut w, n, step);
            witness.watch(&mut w);
            witness.compare(&w);
        }
        rest(&mut w);
        witness.watch(&mut w);
        witness.compare(&w);
        dynamic_groups_have_who_fits(&w);
    }
}
