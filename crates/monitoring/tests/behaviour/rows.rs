//! Rows that a disk has damaged.

use std::sync::Arc;

use contract::v1::Done;
use monitoring::{Monitoring, Settings};
use service::store::Read;

use crate::damaged_rows::Rows;
use crate::world::{GRACE, World};

const ADA: &str = "operators/ada";
const DOOR: &str = "services/front-door";

const ASKED: &[(&str, &str, &str)] = &[
    (ADA, "show", r#"{"device_id":"d0"}"#),
    (ADA, "list", r#"{"page_size":2}"#),
    (ADA, "summary", "{}"),
    (ADA, "rules", "{}"),
    (ADA, "alerts", r#"{"include_cleared":true}"#),
    (ADA, "alerts", r#"{"device_id":"d1"}"#),
    ("devices/d0", "heartbeat", r#"{"metrics":{"temperature":99.5}}"#),
    ("devices/d1", "heartbeat", r#"{"metrics":{"temperature":1.5}}"#),
    (
        DOOR,
        "presence",
        r#"{"kind":"devices","id":"d2","connected":true,"boot":"1","session":"9","sessions":1}"#,
    ),
    (
        DOOR,
        "presence",
        r#"{"kind":"devices","id":"d0","boot":"1","session":"1","cause":"keep-alive"}"#,
    ),
    (
        DOOR,
        "security",
        r#"{"kind":"devices","id":"d1","what":"publish-denied","count":50}"#,
    ),
    (
        DOOR,
        "security",
        r#"{"kind":"operators","id":"ada","what":"connect-denied","time_ms":"5"}"#,
    ),
    (
        ADA,
        "put-rule",
        r#"{"rule":{"rule_id":"hot","metric":"temperature","comparison":"COMPARISON_BELOW","threshold":3}}"#,
    ),
    (
        DOOR,
        "presence-snapshot",
        r#"{"boot":"1","snapshot":"3","complete":true}"#,
    ),
    (
        DOOR,
        "presence-snapshot",
        r#"{"boot":"2","snapshot":"1","complete":true}"#,
    ),
    (ADA, "remove-rule", r#"{"rule_id":"hot"}"#),
];

#[test]
fn a_damaged_row_is_named_and_nothing_is_done_on_its_word() {
    let mut world = World::new(3);
    world.rule("hot", |_| {}).unwrap();
    world.rule("warm", |rule| rule.threshold = 50.0).unwrap();
    for n in 0..3 {
        world.connect(n, n as u64 + 1);
    }
    for _ in 0..4 {
        for (n, degrees) in [(0, 90.0), (1, 70.0), (2, 20.0)] {
            let _: Done = world.heartbeat(n, &[("temperature", degrees)]).unwrap();
        }
    }
    world.violate(1, 3);
    world.disconnect(2, 3);
    world.later(GRACE + 1);
    let rows = Rows {
        service: Arc::new(Monitoring::new(Settings {
            grace_ms: GRACE as u64,
        })),
        site: "test",
        rows: world.store.scan(b"", None, usize::MAX).unwrap(),
        blobs: Arc::default(),
        now_ms: world.now,
        asked: ASKED,
    };
    assert!(rows.check(600) > 100);
}
