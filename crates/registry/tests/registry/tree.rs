//! Groups within groups: who asks for one, or was granted it, has what lies within it as well.

use std::collections::BTreeMap;

use contract::v1::*;

use crate::world::{ADA, Answered, World, data, register, registered};

const EVE: &str = "operators/eve";

fn put(w: &mut World, group: &str, parent: Option<&str>) -> Answered<Changed> {
    let request = PutGroup {
        group_id: group.into(),
        parent: parent.map(str::to_owned),
        ..Default::default()
    };
    w.ask(ADA, "put-group", &request)
}

fn join(w: &mut World, who: &str, group: &str, device: &str) -> Answered<MembersChanged> {
    let request = ChangeMembers {
        group_id: group.into(),
        device_ids: vec![device.into()],
        ..Default::default()
    };
    w.ask(who, "join-group", &request)
}

/// `berlin` holds `hall-1` and `hall-2`, the latter `line-7`; a device in each, `both` in two of them.
fn world() -> World {
    let mut w = World::new();
    for (group, parent) in [
        ("berlin", None),
        ("hall-1", Some("berlin")),
        ("hall-2", Some("berlin")),
    ] {
        put(&mut w, group, parent).unwrap();
    }
    put(&mut w, "line-7", Some("hall-2")).unwrap();
    put(&mut w, "rome", None).unwrap();
    for (device, groups) in [
        ("b", vec!["berlin"]),
        ("h1", vec!["hall-1"]),
        ("h2", vec!["hall-2"]),
        ("l7", vec!["line-7"]),
        ("both", vec!["hall-1", "line-7"]),
        ("r", vec!["rome"]),
    ] {
        let device = RegisterDevice {
            groups: groups.into_iter().map(str::to_owned).collect(),
            ..register(device)
        };
        w.ask::<Changed>(ADA, "register", &device).unwrap();
    }
    w
}

/// Until every group that moved has arrived.
fn arrive(w: &mut World) {
    assert!((0..100).any(|_| {
        w.wait(20);
        !groups(w, ADA).values().any(|group| group.moving)
    }));
}

fn groups(w: &mut World, who: &str) -> BTreeMap<String, Group> {
    let listed: GroupsListed = w.ask(who, "groups", &ListGroups::default()).unwrap();
    let named = |group: Group| (group.group_id.clone(), group);
    listed.groups.into_iter().map(named).collect()
}

fn found(w: &mut World, who: &str, request: ListDevices) -> Vec<String> {
    let (mut ids, mut page) = (Vec::new(), String::new());
    loop {
        let request = ListDevices {
            page_size: 2,
            page,
            ..request.clone()
        };
        let reply: DevicesListed = w.ask(who, "list", &request).unwrap();
        ids.extend(reply.devices.into_iter().map(|device| device.device_id));
        page = reply.next_page;
        if page.is_empty() {
            return ids;
        }
    }
}

fn fitting(w: &mut World, query: &str) -> Vec<String> {
    let request = ListDevices {
        r#where: query.into(),
        ..Default::default()
    };
    found(w, ADA, request)
}

/// The newest fact of each device.
fn known(w: &mut World) -> BTreeMap<String, Vec<String>> {
    let facts = w.facts::<DeviceFact>("device").into_iter();
    facts.map(|fact| (fact.device_id, fact.groups)).collect()
}

#[test]
fn who_asks_for_a_group_finds_what_lies_within_it() {
    let mut w = world();
    for (query, expected) in [
        ("group = berlin", vec!["b", "both", "h1", "h2", "l7"]),
        ("group = hall-2", vec!["both", "h2", "l7"]),
        ("group in (line-7, rome)", vec!["both", "l7", "r"]),
        ("group = berlin and not group = hall-1", vec!["b", "h2", "l7"]),
        ("not group = berlin", vec!["r"]),
        ("group = nowhere", vec![]),
        ("group = Berlin", vec![]),
    ] {
        assert_eq!(fitting(&mut w, query), expected, "{query}");
        assert_eq!(
            fitting(&mut w, &format!("not (not ({query}))")),
            expected,
            "{query}"
        );
    }
    let request = ListDevices {
        group: "hall-2".into(),
        ..Default::default()
    };
    assert_eq!(found(&mut w, ADA, request), ["both", "h2", "l7"]);
    assert_eq!(
        known(&mut w)["both"],
        ["berlin", "hall-1", "hall-2", "line-7"],
        "others are told of those above"
    );
    assert_eq!(
        w.device("both").groups,
        ["hall-1", "line-7"],
        "the record names those it was put into"
    );
}

#[test]
fn a_group_that_moves_takes_its_devices_along_for_everybody() {
    let mut w = world();
    for n in 0..250 {
        let device = RegisterDevice {
            groups: vec!["line-7".into()],
            ..registered(&format!("m-{n:03}"), &[])
        };
        w.ask::<Changed>(ADA, "register", &device).unwrap();
    }
    w.frames.clear();
    put(&mut w, "hall-2", Some("rome")).unwrap();
    assert!(groups(&mut w, ADA)["hall-2"].moving);
    assert_eq!(
        fitting(&mut w, "group = rome").len(),
        254,
        "the registry knows it at once"
    );
    w.wait(20);
    w.restart();
    let early = w.frames.clone();
    arrive(&mut w);
    let mut frames = early;
    frames.append(&mut w.frames);
    w.frames = frames.clone();
    let facts = known(&mut w);
    assert_eq!(facts.len(), 253, "those of hall-2 and line-7");
    assert!(facts.values().all(|groups| groups.contains(&"rome".to_owned())));
    assert_eq!(facts["both"], ["berlin", "hall-1", "hall-2", "line-7", "rome"]);
    assert_eq!(facts["l7"], ["hall-2", "line-7", "rome"]);
    w.frames = frames;
    // What was not taken before the restart is told again.
    let mut events = w.events();
    events.sort_by_key(|event| event.sequence);
    events.dedup_by_key(|event| event.sequence);
    let told: Vec<_> = events
        .iter()
        .filter(|e| e.subject == "groups/hall-2")
        .map(data)
        .collect();
    assert_eq!(
        (&told[0]["change"], &told[0]["parent"]),
        (&"moved".into(), &"rome".into())
    );
    assert_eq!(told[1]["change"], "arrived");
    put(&mut w, "hall-2", Some("")).unwrap();
    arrive(&mut w);
    assert_eq!(known(&mut w)["l7"], ["hall-2", "line-7"]);
    assert_eq!(fitting(&mut w, "group = rome"), ["r"]);
}

#[test]
fn no_circle_and_no_tree_without_end() {
    let mut w = world();
    for (group, parent, code) in [
        ("berlin", "line-7", "invalid"),
        ("berlin", "berlin", "invalid"),
        ("hall-1", "nowhere", "not-found"),
        ("hall-1", "ROME", "not-found"),
    ] {
        let refused = put(&mut w, group, Some(parent)).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_str()),
            (code, "parent"),
            "{group} {parent}"
        );
    }
    for n in 1..8 {
        let parent = (n > 1).then(|| format!("deep-{}", n - 1));
        put(&mut w, &format!("deep-{n}"), parent.as_deref()).unwrap();
    }
    put(&mut w, "deep-8", Some("deep-7")).unwrap();
    assert_eq!(put(&mut w, "deep-9", Some("deep-8")).unwrap_err().code, "limit");
    assert_eq!(
        put(&mut w, "hall-2", Some("deep-7")).unwrap_err().code,
        "limit",
        "it has one within it"
    );
    for n in 0..254 {
        put(&mut w, &format!("wide-{n}"), Some("rome")).unwrap();
    }
    put(&mut w, "wide-last", Some("wide-7")).unwrap();
    assert_eq!(
        put(&mut w, "wide-more", Some("wide-9")).unwrap_err().code,
        "limit"
    );
    put(&mut w, "wide-last", Some("wide-9")).unwrap();
    let remove = |group: &str| RemoveGroup {
        group_id: group.into(),
        ..Default::default()
    };
    let refused = w.ask::<Done>(ADA, "remove-group", &remove("wide-9")).unwrap_err();
    assert_eq!(refused.code, "precondition");
    w.ask::<Done>(ADA, "remove-group", &remove("wide-last")).unwrap();
    w.ask::<Done>(ADA, "remove-group", &remove("wide-9")).unwrap();
    arrive(&mut w);
    assert_eq!(w.records("b").len(), 0, "no walk is left");
    assert_eq!(w.records("frome").len(), 253);
}

#[test]
fn a_grant_covers_what_lies_within_and_follows_the_tree() {
    let mut w = world();
    let grant = Grant {
        role: Role::Admin.into(),
        groups: vec!["hall-2".into()],
        ..Default::default()
    };
    let eve = PutPerson {
        id: "eve".into(),
        kind: "operators".into(),
        grants: vec![grant],
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-person", &eve).unwrap();
    let show = |w: &mut World, id: &str| {
        let request = ShowDevice {
            device_id: id.into(),
            ..Default::default()
        };
        w.ask::<DeviceShown>(EVE, "show", &request).is_ok()
    };
    assert_eq!(found(&mut w, EVE, ListDevices::default()), ["both", "h2", "l7"]);
    assert_eq!(
        groups(&mut w, EVE).into_keys().collect::<Vec<_>>(),
        ["hall-2", "line-7"]
    );
    assert!(show(&mut w, "l7") && !show(&mut w, "h1"));
    join(&mut w, EVE, "line-7", "h2").unwrap();
    assert_eq!(join(&mut w, EVE, "hall-1", "h2").unwrap_err().code, "denied");
    assert_eq!(put(&mut w, "line-7", Some("hall-1")).unwrap().id, "line-7");
    arrive(&mut w);
    assert_eq!(found(&mut w, EVE, ListDevices::default()), ["h2"]);
    assert!(!show(&mut w, "l7") && show(&mut w, "h2"));
    put(&mut w, "hall-1", Some("hall-2")).unwrap();
    arrive(&mut w);
    assert!(show(&mut w, "l7") && show(&mut w, "h1") && !show(&mut w, "b"));
}

#[test]
fn whoever_was_granted_a_group_orders_and_sets_in_those_within_it() {
    let mut w = world();
    let grant = Grant {
        role: Role::Admin.into(),
        groups: vec!["hall-2".into()],
        ..Default::default()
    };
    let eve = PutPerson {
        id: "eve".into(),
        kind: "operators".into(),
        grants: vec![grant],
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-person", &eve).unwrap();
    let template = |w: &mut World, group: &str| {
        let request = PutConfigTemplate {
            scope: ConfigScope::Group.into(),
            id: group.into(),
            mode: ConfigMode::Merge.into(),
            document: r#"{"rate":7}"#.into(),
            ..Default::default()
        };
        w.ask::<Changed>(EVE, "put-config-template", &request)
    };
    template(&mut w, "line-7").unwrap();
    assert_eq!(template(&mut w, "hall-1").unwrap_err().code, "denied");

    let job = |id: &str, group: &str| RunJob {
        job_id: id.into(),
        name: "restart".into(),
        group: group.into(),
        ..Default::default()
    };
    w.ask::<Changed>(EVE, "job-run", &job("j", "line-7")).unwrap();
    let refused = w.ask::<Changed>(EVE, "job-run", &job("k", "hall-1")).unwrap_err();
    assert_eq!(refused.code, "denied");
    arrive(&mut w);
    let rows = ListJobDevices {
        job_id: "j".into(),
        ..Default::default()
    };
    let rows: JobDevicesListed = w.ask(EVE, "job-devices", &rows).unwrap();
    let said: Vec<_> = rows
        .devices
        .iter()
        .map(|row| (row.device_id.as_str(), row.error.contains("may not order")))
        .collect();
    assert_eq!(
        said,
        [("both", false), ("l7", false)],
        "seen, and their turns were not refused"
    );
}

#[test]
fn templates_and_jobs_for_a_group_reach_what_lies_within_it_and_the_nearer_one_wins() {
    let mut w = world();
    let template = |w: &mut World, group: &str, document: &str| {
        let request = PutConfigTemplate {
            scope: ConfigScope::Group.into(),
            id: group.into(),
            mode: ConfigMode::Merge.into(),
            document: document.into(),
            ..Default::default()
        };
        w.ask::<Changed>(ADA, "put-config-template", &request).unwrap();
    };
    template(&mut w, "berlin", r#"{"zone":"berlin","rate":1}"#);
    template(&mut w, "line-7", r#"{"rate":7}"#);
    let set = |w: &mut World, id: &str| -> serde_json::Value {
        let request = ShowConfig {
            device_id: id.into(),
            ..Default::default()
        };
        let shown: ConfigShown = w.ask(ADA, "config-show", &request).unwrap();
        let desired = shown.config.unwrap().desired;
        serde_json::from_str(if desired.is_empty() { "{}" } else { &desired }).unwrap()
    };
    for _ in 0..5 {
        w.wait(50);
    }
    assert_eq!(
        set(&mut w, "l7"),
        serde_json::json!({ "zone": "berlin", "rate": 7 })
    );
    assert_eq!(
        set(&mut w, "h1"),
        serde_json::json!({ "zone": "berlin", "rate": 1 })
    );
    put(&mut w, "line-7", Some("rome")).unwrap();
    arrive(&mut w);
    assert_eq!(set(&mut w, "l7"), serde_json::json!({ "rate": 7 }));
    let device = RegisterDevice {
        groups: vec!["hall-1".into()],
        ..register("late")
    };
    w.ask::<Changed>(ADA, "register", &device).unwrap();
    w.wait(0);
    assert_eq!(
        set(&mut w, "late"),
        serde_json::json!({ "zone": "berlin", "rate": 1 })
    );

    let job = RunJob {
        job_id: "j".into(),
        name: "restart".into(),
        group: "berlin".into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "job-run", &job).unwrap();
    let rows = ListJobDevices {
        job_id: "j".into(),
        ..Default::default()
    };
    let rows: JobDevicesListed = w.ask(ADA, "job-devices", &rows).unwrap();
    let ids: Vec<_> = rows.devices.iter().map(|row| row.device_id.as_str()).collect();
    assert_eq!(ids, ["b", "both", "h1", "h2", "late"], "each once");
}

#[test]
fn a_groups_events_name_what_it_lies_within_then() {
    let mut w = world();
    let last = |w: &mut World| -> String {
        let events = w.events();
        let told = events
            .iter()
            .rfind(|event| event.subject.starts_with("groups/"))
            .unwrap();
        let within = data(told)["within"].as_array().cloned().unwrap();
        let names: Vec<_> = within.iter().map(|group| group.as_str().unwrap()).collect();
        names.join(" ")
    };
    join(&mut w, ADA, "line-7", "r").unwrap();
    assert_eq!(last(&mut w), "berlin hall-2");
    put(&mut w, "line-7", Some("rome")).unwrap();
    assert_eq!(last(&mut w), "berlin hall-2 rome", "the former place as well");
    join(&mut w, ADA, "line-7", "h1").unwrap();
    assert_eq!(last(&mut w), "rome");
    join(&mut w, ADA, "rome", "h1").unwrap();
    assert_eq!(last(&mut w), "");
}
