//! What other services know of devices: connectivity, alerts and certificates, in queries and in dynamic groups.

use contract::{
    ServiceName,
    v1::{
        CertificateStatus, Changed, Connectivity, Device, DeviceFact, DevicesListed, Fact, Group,
        GroupsListed, ListDevices, ListGroups, OpenAlert, PutGroup, RegisterDevices, RegisteredDevices,
        Severity, StatusFact,
    },
};
use prost::Message;

use crate::world::{ADA, World, change, data, register, registered};

const DAY_MS: i64 = 24 * 3_600_000;

/// A thousand pumps, a few of which are away, alarmed or short of time.
fn fleet() -> World {
    let mut w = World::new();
    for part in 0..2 {
        let row = |n: usize| registered(&format!("d-{:04}", part * 500 + n), &[("site", "s1")]);
        let request = RegisterDevices {
            devices: (0..500).map(row).collect(),
            ..Default::default()
        };
        let done: RegisteredDevices = w.ask(ADA, "register-many", &request).unwrap();
        assert_eq!(done.registered, 500);
    }
    for n in 0..1_000 {
        let id = format!("d-{n:04}");
        let alerts: &[&str] = if n % 300 == 7 { &["hot", "offline"] } else { &[] };
        match n % 250 {
            3 => w.status(&id, Connectivity::Offline, (n + 1) * DAY_MS / 100, alerts),
            _ => w.status(&id, Connectivity::Online, 0, alerts),
        }
        let ends = if n % 333 == 5 { 10 + n } else { 400 };
        w.certified(
            "devices",
            &id,
            &format!("{n:04x}"),
            CertificateStatus::Active,
            ends * DAY_MS,
        );
    }
    w
}

fn listed(w: &mut World, query: &str, size: u32) -> Vec<String> {
    let (mut ids, mut page) = (Vec::new(), String::new());
    loop {
        let request = ListDevices {
            r#where: query.into(),
            page_size: size,
            page,
            ..Default::default()
        };
        let reply: DevicesListed = w.ask(ADA, "list", &request).unwrap();
        ids.extend(reply.devices.into_iter().map(|device| device.device_id));
        page = reply.next_page;
        if page.is_empty() {
            return ids;
        }
    }
}

fn put(w: &mut World, group: &str, query: &str) {
    let request = PutGroup {
        group_id: group.into(),
        query: Some(query.into()),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "put-group", &request).unwrap();
    assert!((0..20).any(|_| {
        w.wait(0);
        !self::group(w, group).settling
    }));
}

fn group(w: &mut World, id: &str) -> Group {
    let listed: GroupsListed = w.ask(ADA, "groups", &ListGroups::default()).unwrap();
    listed
        .groups
        .into_iter()
        .find(|group| group.group_id == id)
        .unwrap()
}

#[test]
fn a_query_about_what_others_know_costs_what_it_returns() {
    let mut w = fleet();
    for (query, found) in [
        ("connectivity = offline", 4),
        ("connectivity != online", 4),
        ("has last_seen", 4),
        ("last_seen < 1970-01-01", 0),
        ("has alert", 4),
        ("alert = hot", 4),
        ("alert_severity >= high and open_alerts = 2", 4),
        ("alert_severity > high", 0),
        ("certificate_until < 1970-12-31", 2),
        ("certificate_until between 1970-01-02 and 1971-01-20", 2),
        ("certificate_until >= 1971-02-05", 998),
        ("not has certificate_until", 0),
        ("connectivity = offline or alert = hot", 8),
        (
            "site = s1 and connectivity = offline and certificate_until > now",
            4,
        ),
    ] {
        // What is negated twice has no index.
        let slowly = listed(&mut w, &format!("not (not ({query}))"), 500);
        assert_eq!(slowly.len(), found, "{query}");
        for size in [3, 500] {
            w.reads = 0;
            assert_eq!(listed(&mut w, query, size), slowly, "{query} by {size}");
            let cheap = found < 10 && !query.starts_with("not");
            assert!(!cheap || w.reads < 800, "{query} by {size} reads {}", w.reads);
        }
    }
    let shown: Device = w.device("d-0007");
    let live = shown.live.unwrap();
    assert_eq!(live.connectivity(), Connectivity::Online);
    assert_eq!(
        (live.alerts.len(), live.certificates.len(), shown.version),
        (2, 1, 2)
    );
}

#[test]
fn a_fleet_that_comes_and_goes_leaves_the_devices_records_alone() {
    let mut w = fleet();
    put(&mut w, "away", "connectivity = offline");
    put(&mut w, "alarmed", "has alert and site = s1");
    assert_eq!(
        (group(&mut w, "away").members, group(&mut w, "alarmed").members),
        (4, 4)
    );
    let records = w.records("d");
    w.frames.clear();
    for n in 0..1_000 {
        let last_seen = w.now_ms;
        w.status(&format!("d-{n:04}"), Connectivity::Offline, last_seen, &[]);
    }
    assert_eq!(w.records("d"), records, "no record is written");
    assert_eq!(group(&mut w, "away").members, 1_000);
    assert_eq!(group(&mut w, "alarmed").members, 0);
    let frames = w.frames.clone();
    assert_eq!(
        w.facts::<DeviceFact>("device").len(),
        996,
        "four were away already"
    );
    w.frames = frames;
    let joined = w.events().iter().filter(|e| e.subject == "groups/away").count();
    assert_eq!(joined, 996);
    assert_eq!(w.device("d-0007").groups, ["away"]);
    assert_eq!(listed(&mut w, "group = away", 500).len(), 1_000);

    // An operator's change takes nothing from what others know, and a group of that kind keeps its member.
    w.ask::<Changed>(ADA, "change", &change("d-0007", &[("site", "s2")]))
        .unwrap();
    assert_eq!(w.device("d-0007").groups, ["away"]);
    w.restart();
    w.status("d-0007", Connectivity::Online, 0, &["hot"]);
    let events = w.events();
    let told: Vec<_> = events
        .iter()
        .filter(|e| e.subject.starts_with("groups/"))
        .collect();
    assert_eq!(told.len(), 1, "it is at another site");
    assert_eq!(
        (told[0].subject.as_str(), &data(told[0])["left"][0]),
        ("groups/away", &"d-0007".into())
    );
    assert!(w.device("d-0007").groups.is_empty());
}

#[test]
fn a_group_that_gets_another_kind_of_query_keeps_its_members_right() {
    let mut w = World::new();
    for id in ["a", "b"] {
        w.ask::<Changed>(ADA, "register", &registered(id, &[("site", "s1")]))
            .unwrap();
        w.status(id, Connectivity::Online, 0, &[]);
    }
    put(&mut w, "g", "site = s1");
    put(&mut w, "g", "connectivity = online");
    assert_eq!(group(&mut w, "g").members, 2);
    w.status("a", Connectivity::Offline, 5, &[]);
    assert_eq!((group(&mut w, "g").members, w.device("a").groups.len()), (1, 0));
    w.status("a", Connectivity::Online, 0, &[]);
    put(&mut w, "g", "site = s1");
    w.status("a", Connectivity::Offline, 6, &[]);
    assert_eq!(w.device("a").groups, ["g"]);
    w.ask::<Changed>(ADA, "change", &change("a", &[("site", "s2")]))
        .unwrap();
    assert_eq!((group(&mut w, "g").members, w.device("a").groups.len()), (1, 0));
}

#[test]
fn certificates_come_and_go_and_the_last_one_counts() {
    let mut w = World::new();
    w.activate("pump-7");
    let version = w.device("pump-7").version;
    w.certified("devices", "pump-7", "0b", CertificateStatus::Issued, 100 * DAY_MS);
    w.certified("devices", "pump-7", "0c", CertificateStatus::Active, 50 * DAY_MS);
    w.certified(
        "operators",
        "pump-7",
        "0d",
        CertificateStatus::Active,
        900 * DAY_MS,
    );
    assert_eq!(listed(&mut w, "certificate_until = 1970-04-11", 5), ["pump-7"]);
    w.certified(
        "devices",
        "pump-7",
        "0b",
        CertificateStatus::Revoked,
        100 * DAY_MS,
    );
    assert_eq!(listed(&mut w, "certificate_until = 1970-02-20", 5), ["pump-7"]);
    w.fact(ServiceName::Provisioning, "certificate", "0c", None);
    w.certified("devices", "pump-7", "0a", CertificateStatus::Retired, 0);
    let device = w.device("pump-7");
    assert_eq!((device.live, device.version), (None, version));
    assert_eq!(w.records("xcertificate_until").len(), 0);
}

#[test]
fn what_was_missed_is_made_up_for() {
    let mut w = World::new();
    for id in ["a", "b", "c"] {
        w.ask::<Changed>(ADA, "register", &register(id)).unwrap();
        w.status(id, Connectivity::Offline, 7, &["hot"]);
    }
    put(&mut w, "away", "connectivity = offline");
    let fact = |id: &str, connectivity: Connectivity| Fact {
        epoch: 3,
        entity: "status".into(),
        id: id.into(),
        value: StatusFact {
            device_id: id.into(),
            connectivity: connectivity.into(),
            alerts: vec![OpenAlert {
                rule_id: "cold".into(),
                severity: Severity::Low.into(),
            }],
            ..Default::default()
        }
        .encode_to_vec(),
        ..Default::default()
    };
    // Monitoring's history is another: its whole copy does not name `b`, and names `new`, who comes later.
    let facts = vec![
        fact("a", Connectivity::Online),
        fact("c", Connectivity::Offline),
        fact("new", Connectivity::Offline),
    ];
    w.restart_with(ServiceName::Monitoring, facts);
    assert_eq!(listed(&mut w, "group = away", 5), ["c"]);
    assert_eq!(listed(&mut w, "alert = cold", 5), ["a", "c"]);
    assert_eq!(listed(&mut w, "alert = hot", 5), Vec::<String>::new());
    assert_eq!(w.device("b").live, None);
    w.ask::<Changed>(ADA, "register", &register("new")).unwrap();
    w.ask::<Changed>(ADA, "register", &register("other")).unwrap();
    assert_eq!(listed(&mut w, "group = away and alert = cold", 5), ["c", "new"]);
}
