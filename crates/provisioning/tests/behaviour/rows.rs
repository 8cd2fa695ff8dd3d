//! Rows that a disk has damaged.

use std::sync::Arc;

use contract::v1::{self, Stage};
use provisioning::{Issuers, Provisioning, Settings};
use service::store::Read;

use crate::damaged_rows::Rows;
use crate::world::{ADA, World, key_and_csr};

#[test]
fn a_damaged_row_is_named_and_nothing_is_done_on_its_word() {
    let mut world = World::new();
    world.tell_device("pump-8", Stage::Registered);
    world.claim("lot", 5);
    let first = world.sign("pump-7", "lot").unwrap().serial;
    let second = world.sign("pump-8", "lot").unwrap().serial;
    let third = world.issue("operators", "bob").serial;
    world.used(&first);
    let revoke = v1::Revoke {
        serial: third.clone(),
        reason: "key-compromise".into(),
        ..Default::default()
    };
    world.ask_over::<v1::Revoked>(ADA, "", "", "revoke", &revoke);
    world.wait(600);
    let quoted = |csr: &str| serde_json::to_string(csr).unwrap();
    let (sign, issue) = (quoted(&key_and_csr("pump-9").1), quoted(&key_and_csr("bob").1));
    let sign = format!(r#"{{"csr":{sign}}}"#);
    let issue = format!(r#"{{"kind":"operators","id":"bob","csr":{issue}}}"#);
    let of = |serial: &str| format!(r#"{{"serial":"{serial}"}}"#);
    let (show, used) = (of(&first), of(&second));
    let kicked = format!(r#"{{"serial":"{third}","sessions":1}}"#);
    let asked: &[(&str, &str, &str)] = &[
        (ADA, "show", &show),
        (ADA, "list", r#"{"page_size":2}"#),
        (ADA, "list", r#"{"kind":"devices","id":"pump-7"}"#),
        (ADA, "claims", "{}"),
        (ADA, "authorities", "{}"),
        ("claims/pump-9", "sign", &sign),
        ("claims/pump-7", "sign", &sign),
        ("services/front-door", "used", &used),
        ("services/front-door", "kicked", &kicked),
        (ADA, "issue", &issue),
        (ADA, "revoke", &show),
        (
            ADA,
            "revoke",
            r#"{"kind":"devices","id":"pump-8","reason":"superseded"}"#,
        ),
    ];
    let issuers = Issuers::new(world.authority.clone(), Vec::new());
    let service = Provisioning::new(Settings::default(), world.root_pem.clone(), issuers);
    let rows = Rows {
        service: Arc::new(service),
        site: "hq",
        rows: world.store.scan(b"", None, usize::MAX).unwrap(),
        blobs: world.blobs.clone(),
        now_ms: world.now_ms,
        asked,
    };
    assert!(rows.check(600) > 100);
}
