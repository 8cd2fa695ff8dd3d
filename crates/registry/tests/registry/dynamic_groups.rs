//! Groups whose members follow from a query.

use contract::v1::{
    ChangeMembers, Changed, Connectivity, DeviceFact, Done, Group, GroupsListed, ListGroups, MembersChanged,
    PutGroup, RegisterDevice, RemoveGroup, RetireDevice,
};

use crate::world::{ADA, Answered, World, change, data, registered};

fn put(w: &mut World, query: Option<&str>) -> Answered<Changed> {
    let request = PutGroup {
        group_id: "berlin".into(),
        query: query.map(str::to_owned),
        ..Default::default()
    };
    w.ask(ADA, "put-group", &request)
}

fn group(w: &mut World) -> Group {
    let listed: GroupsListed = w.ask(ADA, "groups", &ListGroups::default()).unwrap();
    listed.groups[0].clone()
}

fn register(w: &mut World, n: usize, site: &str) {
    let device = registered(&format!("d-{n:04}"), &[("site", site)]);
    w.ask::<Changed>(ADA, "register", &device).unwrap();
}

/// Until its members have been found; in how many steps.
fn settle(w: &mut World) -> usize {
    let settled = (1..20).find(|_| {
        w.wait(0);
        !group(w).settling
    });
    settled.unwrap()
}

#[test]
fn members_follow_from_the_query_at_once_and_ever_after() {
    let mut w = World::new();
    for n in 0..450 {
        register(&mut w, n, if n % 3 == 0 { "bonn" } else { "berlin" });
    }
    put(&mut w, Some("site = berlin")).unwrap();
    assert!(group(&mut w).settling);
    // What changes while they are walked is judged when it changes.
    w.ask::<Changed>(ADA, "change", &change("d-0447", &[("site", "berlin")]))
        .unwrap();
    w.ask::<Changed>(ADA, "change", &change("d-0004", &[("site", "bonn")]))
        .unwrap();
    settle(&mut w);
    assert_eq!(group(&mut w).members, 300);
    w.frames.clear();
    w.ask::<Changed>(ADA, "change", &change("d-0001", &[("site", "bonn")]))
        .unwrap();
    let frames = std::mem::take(&mut w.frames);
    w.frames.clone_from(&frames);
    assert_eq!(w.facts::<DeviceFact>("device")[0].groups, Vec::<String>::new());
    w.frames = frames;
    let told: Vec<_> = w
        .events()
        .iter()
        .filter(|e| e.subject == "groups/berlin")
        .map(data)
        .collect();
    assert_eq!(
        (told[0]["left"][0].as_str(), told[0]["members"].as_str()),
        (Some("d-0001"), Some("299"))
    );
    register(&mut w, 900, "berlin");
    assert_eq!(w.device("d-0900").groups, ["berlin"]);
    let retire = RetireDevice {
        device_id: "d-0900".into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "retire", &retire).unwrap();
    assert_eq!((w.device("d-0900").groups.len(), group(&mut w).members), (0, 299));
    put(&mut w, Some("site = bonn")).unwrap();
    w.restart();
    settle(&mut w);
    assert_eq!(group(&mut w).members, 151);
}

#[test]
fn a_group_that_an_index_finds_costs_what_it_has_and_what_it_had() {
    let mut w = World::new();
    for n in 0..900 {
        register(&mut w, n, if n % 90 == 0 { "berlin" } else { "bonn" });
    }
    let mut settled = |query: &str| {
        put(&mut w, Some(query)).unwrap();
        let steps = settle(&mut w);
        (group(&mut w).members, steps)
    };
    // A look at all of them takes three steps, of two pages each.
    assert_eq!(settled("has id and criticality < high and name != x"), (0, 3));
    assert_eq!(settled("site = berlin"), (10, 1));
    // Those who leave are found as well, by whatever query they came.
    assert_eq!(settled("site = bern or id like 'd-000*'"), (10, 1));
    assert_eq!(settled("site = bonn"), (890, 3));
    assert_eq!(settled("site = berlin"), (10, 3));
    assert_eq!(settled(""), (0, 1));
}

#[test]
fn nobody_chooses_the_members_of_a_dynamic_group() {
    let mut w = World::new();
    put(&mut w, Some("site = berlin")).unwrap();
    register(&mut w, 0, "bonn");
    for verb in ["join-group", "leave-group"] {
        let request = ChangeMembers {
            group_id: "berlin".into(),
            device_ids: vec!["d-0000".into()],
            ..Default::default()
        };
        assert_eq!(
            w.ask::<MembersChanged>(ADA, verb, &request).unwrap_err().code,
            "not-allowed"
        );
    }
    let device = RegisterDevice {
        groups: vec!["berlin".into()],
        ..registered("x", &[])
    };
    assert_eq!(
        w.ask::<Changed>(ADA, "register", &device).unwrap_err().field,
        "groups"
    );
    for bad in ["site =", "group = x", "reported < now-soon", "@saved"] {
        assert_eq!(put(&mut w, Some(bad)).unwrap_err().code, "invalid", "{bad}");
    }
}

/// Who joined and who left since the last look.
fn moves(w: &mut World) -> Vec<(Vec<String>, Vec<String>)> {
    let ids = |value: &serde_json::Value| -> Vec<String> {
        let ids = value.as_array().unwrap().iter();
        ids.map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    let events = w.events();
    w.frames.clear();
    let told = events.iter().filter(|e| e.subject == "groups/berlin").map(data);
    told.filter(|data| data["change"] == "members")
        .map(|data| (ids(&data["joined"]), ids(&data["left"])))
        .collect()
}

fn texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn time_alone_moves_devices_at_the_moment_and_nobody_else_is_looked_at() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let mut w = World::new();
    w.now_ms = 1_769_904_000_000; // 2026-02-01
    for n in 0..196 {
        let until = format!("2026-{:02}-{:02}", 5 + n / 28, 1 + n % 28);
        let device = registered(&format!("d-{n:04}"), &[("warranty_until", &until)]);
        w.ask::<Changed>(ADA, "register", &device).unwrap();
    }
    w.ask::<Changed>(ADA, "register", &registered("no-date", &[]))
        .unwrap();
    put(&mut w, Some("warranty_until < now + 90d and not site = rome")).unwrap();
    settle(&mut w);
    // 90 days on it is 2 May.
    assert_eq!(group(&mut w).members, 1);
    w.wait(1);
    let version = w.device("d-0002").version;
    w.frames.clear();
    w.wait(DAY_MS - 1);
    assert!(moves(&mut w).is_empty(), "not before its moment");
    w.wait(1);
    assert_eq!(moves(&mut w), [(texts(&["d-0002"]), vec![])]);
    assert_eq!(w.device("d-0002").groups, ["berlin"]);
    assert_eq!(w.device("d-0002").version, version, "nothing happened to it");
    // What is changed moves with the change, and its moment with it.
    let change_of = |until: &str| change("d-0003", &[("warranty_until", until)]);
    w.ask::<Changed>(ADA, "change", &change_of("2026-01-01")).unwrap();
    w.ask::<Changed>(ADA, "change", &change_of("2026-05-06")).unwrap();
    assert_eq!(
        moves(&mut w),
        [(texts(&["d-0003"]), vec![]), (vec![], texts(&["d-0003"]))]
    );
    w.restart();
    w.wait(DAY_MS);
    assert!(moves(&mut w).is_empty(), "its former moment is gone");
    w.wait(3 * DAY_MS);
    let moved = moves(&mut w).into_iter();
    let mut joined: Vec<String> = moved.flat_map(|(joined, _)| joined).collect();
    joined.sort();
    assert_eq!(joined, ["d-0003", "d-0004", "d-0005", "d-0006"]);
    // A service that slept makes up for it.
    w.wait(400 * DAY_MS);
    assert_eq!(group(&mut w).members, 196);
    // Without `now` again: who fits is found anew, and what was set passes in vain.
    put(&mut w, Some("warranty_until < 2026-06-01")).unwrap();
    settle(&mut w);
    let fitting = group(&mut w).members;
    w.wait(1_000 * DAY_MS);
    assert_eq!((group(&mut w).members, fitting), (fitting, 28));
}

#[test]
fn who_is_away_for_long_joins_and_leaves_when_it_is_back() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let mut w = World::new();
    w.now_ms = 1_769_904_000_000;
    register(&mut w, 1, "berlin");
    register(&mut w, 2, "berlin");
    put(&mut w, Some("last_seen < now - 30d")).unwrap();
    settle(&mut w);
    let gone = w.now_ms;
    w.status("d-0001", Connectivity::Offline, gone, &[]);
    w.status("d-0002", Connectivity::Offline, gone - 29 * DAY_MS, &[]);
    w.frames.clear();
    w.wait(DAY_MS + 1);
    assert_eq!(moves(&mut w), [(texts(&["d-0002"]), vec![])]);
    w.status("d-0001", Connectivity::Online, 0, &[]);
    w.status("d-0002", Connectivity::Online, 0, &[]);
    assert_eq!(moves(&mut w), [(vec![], texts(&["d-0002"]))]);
    w.wait(60 * DAY_MS);
    assert_eq!((moves(&mut w).len(), group(&mut w).members), (0, 0));
    w.status("d-0001", Connectivity::Offline, w.now_ms - 40 * DAY_MS, &[]);
    assert_eq!(w.device("d-0001").groups, ["berlin"]);
    let retire = RetireDevice {
        device_id: "d-0001".into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "retire", &retire).unwrap();
    w.wait(60 * DAY_MS);
    assert_eq!((w.device("d-0001").groups.len(), group(&mut w).members), (0, 0));
}

#[test]
fn a_group_without_its_query_is_empty_and_may_go() {
    let mut w = World::new();
    register(&mut w, 0, "berlin");
    put(&mut w, Some("site = berlin")).unwrap();
    settle(&mut w);
    let remove = RemoveGroup {
        group_id: "berlin".into(),
        ..Default::default()
    };
    assert_eq!(
        w.ask::<Done>(ADA, "remove-group", &remove).unwrap_err().code,
        "precondition"
    );
    put(&mut w, Some("")).unwrap();
    settle(&mut w);
    assert_eq!((group(&mut w).members, w.device("d-0000").groups.len()), (0, 0));
    w.ask::<Done>(ADA, "remove-group", &remove).unwrap();
    register(&mut w, 1, "berlin");
    assert!(w.device("d-0001").groups.is_empty());
}

#[test]
fn a_group_of_chosen_members_gets_no_query() {
    let mut w = World::new();
    put(&mut w, None).unwrap();
    let device = RegisterDevice {
        groups: vec!["berlin".into()],
        ..registered("a", &[])
    };
    w.ask::<Changed>(ADA, "register", &device).unwrap();
    assert_eq!(put(&mut w, Some("site = x")).unwrap_err().field, "query");
}
