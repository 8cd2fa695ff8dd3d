//! Rows that a disk has damaged.

use std::sync::Arc;

use artifact::{KeyState, Keyring, TrustedKey};
use contract::v1::UpdateState;
use rollout::Rollout;
use service::store::Read;

use crate::damaged_rows::Rows;
use crate::world::{World, release_key};

const ADA: &str = "operators/ada";

#[test]
fn a_damaged_row_is_named_and_nothing_is_done_on_its_word() {
    let (mut world, artifact) = World::with_fleet(4);
    let second = world.firmware(2, "3.0.0");
    world
        .create("r1", &artifact, |create| create.waves = vec![50, 50])
        .unwrap();
    world.settle();
    world.report(0, "r1", UpdateState::Downloading).unwrap();
    world.succeed(1, "r1");
    world.settle();
    let create = format!(r#"{{"rollout_id":"r2","artifact_id":"{second}","device_ids":["d1","d3"]}}"#);
    let seal = format!(r#"{{"artifact_id":"{second}"}}"#);
    let recall = format!(r#"{{"artifact_id":"{second}","reason":"it leaks"}}"#);
    let block = format!(r#"{{"artifact_id":"{artifact}","length":512}}"#);
    let asked: &[(&str, &str, &str)] = &[
        (ADA, "artifacts", r#"{"page_size":1}"#),
        (ADA, "show", r#"{"rollout_id":"r1"}"#),
        (ADA, "list", "{}"),
        (ADA, "updates", r#"{"rollout_id":"r1","page_size":2}"#),
        ("devices/d0", "assignment", "{}"),
        ("devices/d2", "assignment", "{}"),
        ("devices/d0", "block", &block),
        (
            "devices/d0",
            "report",
            r#"{"rollout_id":"r1","state":"UPDATE_STATE_VERIFIED"}"#,
        ),
        (ADA, "pause", r#"{"rollout_id":"r1"}"#),
        (ADA, "resume", r#"{"rollout_id":"r1"}"#),
        (ADA, "seal-artifact", &seal),
        (ADA, "create", &create),
        (
            "devices/d0",
            "report",
            r#"{"rollout_id":"r1","state":"UPDATE_STATE_FAILED","detail":"full"}"#,
        ),
        (
            "devices/d1",
            "report",
            r#"{"rollout_id":"r2","state":"UPDATE_STATE_DOWNLOADING"}"#,
        ),
        (ADA, "abort", r#"{"rollout_id":"r1"}"#),
        (ADA, "abort", r#"{"rollout_id":"r2"}"#),
        (ADA, "recall", &recall),
    ];
    let trusted = TrustedKey {
        key: release_key().public_key(),
        state: KeyState::Active,
    };
    let rows = Rows {
        service: Arc::new(Rollout::new(Keyring::new([trusted], 1).unwrap())),
        site: "test",
        rows: world.store.scan(b"", None, usize::MAX).unwrap(),
        blobs: world.blobs.clone(),
        now_ms: world.now,
        asked,
    };
    assert!(rows.check(600) > 100);
}
