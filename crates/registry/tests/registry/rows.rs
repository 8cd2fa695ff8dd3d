//! Rows that a disk has damaged.

use std::sync::Arc;

use contract::v1;
use registry::{Registry, Settings};
use service::store::Read;

use crate::damaged_rows::Rows;
use crate::world::{ADA, WAIT_MS, World, register};

const ASKED: &[(&str, &str, &str)] = &[
    (ADA, "show", r#"{"device_id":"pump-7"}"#),
    (ADA, "list", r#"{"page_size":3,"group":"line"}"#),
    (ADA, "list", "{}"),
    (ADA, "groups", "{}"),
    (ADA, "checkpoints", "{}"),
    (
        ADA,
        "put-checkpoint",
        r#"{"checkpoint_id":"nightly","positions":[{"service":"registry","epoch":"00000000000000aa","sequence":"9"}]}"#,
    ),
    (ADA, "people", "{}"),
    (
        "devices/pump-7",
        "report",
        r#"{"model":"P-1","attributes":{"a":"b"}}"#,
    ),
    ("devices/pump-7", "standing", "{}"),
    (ADA, "change", r#"{"device_id":"pump-7","name":"north"}"#),
    (
        ADA,
        "move",
        r#"{"device_id":"pump-7","stage":"STAGE_MAINTENANCE"}"#,
    ),
    (ADA, "quarantine", r#"{"device_id":"pump-8","reason":"odd"}"#),
    (ADA, "release", r#"{"device_id":"pump-8"}"#),
    (ADA, "put-group", r#"{"group_id":"line","description":"seven"}"#),
    (
        ADA,
        "join-group",
        r#"{"group_id":"line","device_ids":["pump-7","pump-9"]}"#,
    ),
    (
        ADA,
        "leave-group",
        r#"{"group_id":"line","device_ids":["pump-8"]}"#,
    ),
    (
        ADA,
        "put-person",
        r#"{"kind":"operators","id":"bob","role":"ROLE_VIEWER","disabled":true}"#,
    ),
    (ADA, "register", r#"{"device_id":"PUMP-7"}"#),
    (ADA, "retire", r#"{"device_id":"pump-7"}"#),
    ("devices/pump-7", "erased", r#"{"erased":["identity.pem"]}"#),
    (ADA, "retire", r#"{"device_id":"pump-8","wait_ms":"1000"}"#),
    (ADA, "remove-group", r#"{"group_id":"line"}"#),
];

#[test]
fn a_damaged_row_is_named_and_nothing_is_done_on_its_word() {
    let mut world = World::new();
    world.activate("pump-7");
    world.activate("pump-8");
    world
        .ask::<v1::Changed>(ADA, "register", &register("pump-9"))
        .unwrap();
    let group = v1::PutGroup {
        group_id: "line".into(),
        ..Default::default()
    };
    world.ask::<v1::Changed>(ADA, "put-group", &group).unwrap();
    let members = v1::ChangeMembers {
        group_id: "line".into(),
        device_ids: vec!["pump-7".into(), "pump-8".into()],
        ..Default::default()
    };
    world.ask_raw(
        "members",
        ADA,
        "join-group",
        contract::wire::encode(&members, contract::Encoding::Protobuf).to_vec(),
    );
    for id in ["ada", "bob"] {
        let mut person = v1::PutPerson {
            kind: "operators".into(),
            id: id.into(),
            ..Default::default()
        };
        person.set_role(v1::Role::Admin);
        world.ask_raw(
            id,
            ADA,
            "put-person",
            contract::wire::encode(&person, contract::Encoding::Protobuf).to_vec(),
        );
    }
    let checkpoint =
        r#"{"checkpoint_id":"nightly","positions":[{"service":"registry","epoch":"00000000000000aa"}]}"#;
    world.ask_raw("nightly", ADA, "put-checkpoint", checkpoint.into());
    let rows = Rows {
        service: Arc::new(Registry::new(Settings {
            retire_wait_ms: WAIT_MS,
            ..Settings::default()
        })),
        site: "test",
        rows: world.store.scan(b"", None, usize::MAX).unwrap(),
        blobs: Arc::default(),
        now_ms: world.now_ms,
        asked: ASKED,
    };
    assert!(rows.check(600) > 100);
}
