//! Groups whose members follow from a query.

use contract::v1::{
    ChangeMembers, Changed, DeviceFact, Done, Group, GroupsListed, ListGroups, MembersChanged, PutGroup,
    RegisterDevice, RemoveGroup, RetireDevice,
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

/// Until the fleet has been walked.
fn settle(w: &mut World) {
    let settled = (0..20).any(|_| {
        w.wait(0);
        !group(w).settling
    });
    assert!(settled, "it does not settle");
}

#[test]
fn members_follow_from_the_query_at_once_and_ever_after() {
    let mut w = World::new();
    for n in 0..450 {
        register(&mut w, n, if n % 3 == 0 { "berlin" } else { "bonn" });
    }
    put(&mut w, Some("site = berlin")).unwrap();
    assert!(group(&mut w).settling);
    // What changes while the fleet is walked is judged when it changes.
    w.ask::<Changed>(ADA, "change", &change("d-0449", &[("site", "berlin")]))
        .unwrap();
    w.ask::<Changed>(ADA, "change", &change("d-0003", &[("site", "bonn")]))
        .unwrap();
    settle(&mut w);
    assert_eq!(group(&mut w).members, 150);
    w.frames.clear();
    w.ask::<Changed>(ADA, "change", &change("d-0000", &[("site", "bonn")]))
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
        (Some("d-0000"), Some("149"))
    );
    register(&mut w, 900, "berlin");
    assert_eq!(w.device("d-0900").groups, ["berlin"]);
    let retire = RetireDevice {
        device_id: "d-0900".into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "retire", &retire).unwrap();
    assert_eq!((w.device("d-0900").groups.len(), group(&mut w).members), (0, 149));
    put(&mut w, Some("site = bonn")).unwrap();
    w.restart();
    settle(&mut w);
    assert_eq!(group(&mut w).members, 301);
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
    for bad in ["site =", "group = x", "reported < now", "@saved"] {
        assert_eq!(put(&mut w, Some(bad)).unwrap_err().code, "invalid", "{bad}");
    }
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
