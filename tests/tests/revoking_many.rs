//! Certificates are revoked in bulk, as an operator types it: the sessions of all of them end, and of no others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use client::{Client, Identity};
use contract::Root;
use serde_json::Value;
use world::{World, muster};

/// What a command prints, JSON.
fn told(world: &World, arguments: &[&str]) -> Value {
    serde_json::from_str(&told_lines(world, arguments)).unwrap()
}

fn told_lines(world: &World, arguments: &[&str]) -> String {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    muster(
        world.folder(),
        &[&["--json", "--server", &server], arguments].concat(),
    )
}

/// Revokes because the key is in other hands.
fn revoked(world: &World, whose: [&str; 2]) -> Value {
    let reason = ["--reason", "keyCompromise", "--yes"];
    told(world, &[&["cert", "revoke"], &whose[..], &reason[..]].concat())
}

/// What becomes true while others write it down: the front door in its log, the services in the metrics.
async fn soon(mut holds: impl FnMut() -> bool, what: impl Fn() -> String) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{}", what());
}

/// Waits until the front door has ended so many sessions because of what somebody decided, by its log.
async fn until_sent_away(world: &World, sessions: usize) {
    let log = || world.server().log();
    soon(
        || log().matches("cause=\"not-authorized\"").count() == sessions,
        log,
    )
    .await;
}

async fn gets_in(world: &World, identity: &Identity) -> bool {
    let connected = Client::connect(&world.endpoint(), identity, Root::default(), "again").await;
    match connected {
        Ok((client, _inbox)) => {
            client.disconnect().await;
            true
        }
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_devices_of_a_batch_are_sent_away_together() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-1", "pump-2", "pump-3"]).await;
    let (lost, kept) = (
        world.claim(&admin, "lost", 2).await,
        world.claim(&admin, "kept", 1).await,
    );
    let [one, two, three] = [
        world.provision(&lost, "pump-1").await,
        world.provision(&lost, "pump-2").await,
        world.provision(&kept, "pump-3").await,
    ];
    let _devices = [world.connect(&one, "").await, world.connect(&two, "").await];
    let _other = world.connect(&three, "").await;
    let ends = told(&world, &["cert", "expiring", "--kind", "device"]);
    assert_eq!(ends["total"], 3, "{ends}");

    let answer = revoked(&world, ["--of-batch", "lost"]);
    assert_eq!(answer["revoked"], "3", "two devices and the claim: {answer}");
    assert_eq!(answer["sessions_closed"], 2, "{answer}");
    assert!(answer["receipt_missing"].is_null(), "{answer}");
    until_sent_away(&world, 2).await;
    assert!(!gets_in(&world, &one).await && !gets_in(&world, &two).await);
    assert!(gets_in(&world, &three).await);
    let ends = told(&world, &["cert", "expiring", "--kind", "device"]);
    assert_eq!(ends["total"], 1, "{ends}");

    let key = std::fs::read_to_string(world.folder().join("identities/pump-3/key.pem")).unwrap();
    let key = pki::PublicKey::of_private(&key).unwrap().fingerprint_sha256();
    let answer = revoked(&world, ["--key", &key]);
    assert_eq!(answer["sessions_closed"], 1, "{answer}");
    until_sent_away(&world, 3).await;
    for line in [
        "muster_certificate_days_to_end_bucket{kind=\"operators\",le=\"+Inf\"} 1",
        "muster_certificates_revoked_total{reason=\"keyCompromise\"} 4",
        "muster_time_to_kick_seconds_count 3",
        "muster_time_to_kick_seconds_bucket{le=\"5\"} 3",
        "muster_certificates_issued_total{kind=\"devices\"} 3",
    ] {
        let counted = || metrics(&world).contains(line);
        soon(counted, || format!("{line}: {}", metrics(&world))).await;
    }
    let waits = told_lines(&world, &["cert", "revocations"]);
    assert_eq!(waits, "", "all are over");
}

fn metrics(world: &World) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(world.server().http).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
