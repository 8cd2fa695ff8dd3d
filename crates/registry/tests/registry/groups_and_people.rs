//! Groups and their members; people and their grants.

use crate::world::{ADA, Answered, World, register};
use contract::v1::{
    ChangeMembers, Changed, Done, Group, GroupsListed, ListGroups, ListPeople, MembersChanged, PeopleListed,
    PrincipalFact, PutGroup, PutPerson, RegisterDevice, RemoveGroup, RetireDevice, Role,
};

fn put_group(w: &mut World, id: &str) {
    w.ask::<Changed>(
        ADA,
        "put-group",
        &PutGroup {
            group_id: id.into(),
            ..Default::default()
        },
    )
    .unwrap();
}

fn members(w: &mut World, verb: &str, group: &str, ids: &[&str]) -> Answered<MembersChanged> {
    let device_ids = ids.iter().map(|id| (*id).to_owned()).collect();
    w.ask(
        ADA,
        verb,
        &ChangeMembers {
            group_id: group.into(),
            device_ids,
            ..Default::default()
        },
    )
}

fn groups(w: &mut World) -> Vec<Group> {
    w.ask::<GroupsListed>(ADA, "groups", &ListGroups::default())
        .unwrap()
        .groups
}

fn person(id: &str, kind: &str, role: Role) -> PutPerson {
    PutPerson {
        id: id.into(),
        kind: kind.into(),
        role: role.into(),
        ..Default::default()
    }
}

#[test]
fn members_join_and_leave_whole_requests_at_a_time() {
    let mut w = World::new();
    put_group(&mut w, "line-7");
    for id in ["a", "b"] {
        w.ask::<Changed>(ADA, "register", &register(id)).unwrap();
    }
    let missing = members(&mut w, "join-group", "line-7", &["a", "none"]).unwrap_err();
    assert_eq!(
        (missing.code.as_str(), missing.field.as_str()),
        ("not-found", "device_ids")
    );
    assert!(w.device("a").groups.is_empty());
    let joined = members(&mut w, "join-group", "line-7", &["a", "b", "a"]).unwrap();
    assert_eq!((joined.changed, joined.version), (2, 2));
    let again = members(&mut w, "join-group", "line-7", &["b"]).unwrap();
    assert_eq!((again.changed, again.version), (0, 2));
    assert_eq!(w.device("a").groups, ["line-7"]);
    assert_eq!(groups(&mut w)[0].members, 2);
    let full = w.ask::<Done>(
        ADA,
        "remove-group",
        &RemoveGroup {
            group_id: "line-7".into(),
            ..Default::default()
        },
    );
    assert_eq!(full.unwrap_err().code, "precondition");
    let stale = RemoveGroup {
        group_id: "line-7".into(),
        expected_version: 1,
        ..Default::default()
    };
    let stale = w.ask::<Done>(ADA, "remove-group", &stale).unwrap_err();
    assert_eq!((stale.code.as_str(), stale.present_version), ("conflict", 2));
    assert_eq!(
        members(&mut w, "leave-group", "line-7", &["a", "b"])
            .unwrap()
            .changed,
        2
    );
    w.ask::<Done>(
        ADA,
        "remove-group",
        &RemoveGroup {
            group_id: "line-7".into(),
            ..Default::default()
        },
    )
    .unwrap();
    assert!(groups(&mut w).is_empty());
    assert_eq!(
        members(&mut w, "join-group", "line-7", &["a"]).unwrap_err().field,
        "group_id"
    );
    assert_eq!(
        members(&mut w, "join-group", "line-7", &[]).unwrap_err().field,
        "device_ids"
    );
}

#[test]
fn a_retired_device_is_in_no_group() {
    let mut w = World::new();
    put_group(&mut w, "g");
    put_group(&mut w, "h");
    let device = RegisterDevice {
        groups: vec!["h".into(), "g".into()],
        ..register("a")
    };
    w.ask::<Changed>(ADA, "register", &device).unwrap();
    assert_eq!(w.device("a").groups, ["g", "h"]);
    w.ask::<Changed>(
        ADA,
        "retire",
        &RetireDevice {
            device_id: "a".into(),
            ..Default::default()
        },
    )
    .unwrap();
    assert!(w.device("a").groups.is_empty() && w.records("m").is_empty());
    assert!(groups(&mut w).iter().all(|group| group.members == 0));
    assert_eq!(
        members(&mut w, "join-group", "g", &["a"]).unwrap_err().code,
        "not-allowed"
    );
}

#[test]
fn groups_have_no_twins_and_versions() {
    let mut w = World::new();
    put_group(&mut w, "Line");
    let twin = PutGroup {
        group_id: "line".into(),
        ..Default::default()
    };
    assert_eq!(
        w.ask::<Changed>(ADA, "put-group", &twin).unwrap_err().code,
        "exists"
    );
    let stale = PutGroup {
        group_id: "Line".into(),
        expected_version: 7,
        ..Default::default()
    };
    assert_eq!(
        w.ask::<Changed>(ADA, "put-group", &stale)
            .unwrap_err()
            .present_version,
        1
    );
    let described = PutGroup {
        group_id: "Line".into(),
        description: Some("new".into()),
        ..Default::default()
    };
    assert_eq!(w.ask::<Changed>(ADA, "put-group", &described).unwrap().version, 2);
    assert_eq!(w.ask::<Changed>(ADA, "put-group", &described).unwrap().version, 2);
}

#[test]
fn a_device_joins_no_more_than_the_limit() {
    let mut w = World::new();
    for n in 0..33 {
        put_group(&mut w, &format!("g{n}"));
    }
    let groups = (0..32).map(|n| format!("g{n}")).collect();
    w.ask::<Changed>(
        ADA,
        "register",
        &RegisterDevice {
            groups,
            ..register("a")
        },
    )
    .unwrap();
    assert_eq!(
        members(&mut w, "join-group", "g32", &["a"]).unwrap_err().code,
        "limit"
    );
}

#[test]
fn the_bootstrap_makes_the_first_admin_and_one_stays() {
    let mut w = World::new();
    w.bootstrap("put-person", &person("ada", "operators", Role::Admin));
    let facts: Vec<PrincipalFact> = w.facts("principal");
    assert_eq!((facts[0].id.as_str(), facts[0].role()), ("ada", Role::Admin));
    w.ask::<Changed>(ADA, "put-person", &person("bob", "operators", Role::Operator))
        .unwrap();
    let disabled = PutPerson {
        disabled: true,
        ..person("ada", "operators", Role::Admin)
    };
    for last in [disabled.clone(), person("ada", "operators", Role::Viewer)] {
        assert_eq!(
            w.ask::<Changed>(ADA, "put-person", &last).unwrap_err().code,
            "precondition"
        );
    }
    w.ask::<Changed>(ADA, "put-person", &person("bob", "operators", Role::Admin))
        .unwrap();
    assert_eq!(w.ask::<Changed>(ADA, "put-person", &disabled).unwrap().version, 2);
    let demoted = person("bob", "operators", Role::Viewer);
    assert_eq!(
        w.ask::<Changed>("operators/bob", "put-person", &demoted)
            .unwrap_err()
            .code,
        "precondition"
    );
}

#[test]
fn people_are_checked_by_field() {
    let mut w = World::new();
    let filters = |filters: &[&str]| PutPerson {
        event_filters: filters.iter().map(|f| (*f).to_owned()).collect(),
        ..person("hook", "integrators", Role::Unspecified)
    };
    let cases = [
        (person("a b", "operators", Role::Viewer), "id"),
        (person("a", "devices", Role::Viewer), "kind"),
        (person("a", "operators", Role::Unspecified), "role"),
        (
            PutPerson {
                role: 9,
                ..person("a", "operators", Role::Viewer)
            },
            "role",
        ),
        (person("a", "integrators", Role::Viewer), "role"),
        (filters(&["registry/#/x"]), "event_filters"),
        (filters(&["a"; 33]), "event_filters"),
    ];
    for (request, field) in cases {
        assert_eq!(
            w.ask::<Changed>(ADA, "put-person", &request).unwrap_err().field,
            field
        );
    }
    w.frames.clear();
    w.ask::<Changed>(ADA, "put-person", &filters(&["registry/#", "registry/#"]))
        .unwrap();
    assert_eq!(
        w.facts::<PrincipalFact>("principal")[0].event_filters,
        ["registry/#"]
    );
    assert_eq!(
        w.ask::<Changed>(ADA, "put-person", &filters(&["registry/#"]))
            .unwrap()
            .version,
        1
    );
    let twin = PutPerson {
        id: "HOOK".into(),
        ..filters(&[])
    };
    assert_eq!(
        w.ask::<Changed>(ADA, "put-person", &twin).unwrap_err().code,
        "exists"
    );
    w.ask::<Changed>(ADA, "put-person", &person("hook", "operators", Role::Viewer))
        .unwrap();
    let people = w
        .ask::<PeopleListed>(ADA, "people", &ListPeople::default())
        .unwrap()
        .people;
    assert_eq!(
        people.iter().map(|p| p.kind.as_str()).collect::<Vec<_>>(),
        ["integrators", "operators"]
    );
}
