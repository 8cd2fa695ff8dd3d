//! Clients that come, speak or take over faster than they may, beside a load that goes on: nobody else notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Shared with tests that use all of it.
#[allow(dead_code)]
#[path = "../strangers/wire.rs"]
mod wire;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::ClientConfig;
use serde_json::Value;
use tokio::task::JoinSet;
use wire::Wire;
use world::{Promptness, Scene, Tally, gets_in, muster, times};

const PING: [u8; 2] = [0xC0, 0];
const PONG: u8 = 0xD0;
/// How late a busy machine may be.
const SLACK: Duration = Duration::from_secs(20);

/// How often a limit was met, by the command that says so.
fn met(scene: &Scene, limit: &str) -> u64 {
    let server = format!("127.0.0.1:{}", scene.world.endpoint().port);
    let arguments = ["--server", &server, "--json", "broker", "limits", "--met"];
    let listed = muster(scene.world.folder(), &arguments);
    let limits = listed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of = limits
        .filter(|row| row["name"] == limit)
        .map(|row| row["met"].clone());
    of.map(|met| {
        met.as_str()
            .map_or_else(|| met.as_u64().unwrap(), |text| text.parse().unwrap())
    })
    .sum()
}

/// The probe's TLS.
fn probe(scene: &Scene) -> Arc<ClientConfig> {
    let folder = scene.world.folder().join("identities/probe");
    wire::tls(&scene.world.roots(), Some(&folder))
}

/// CONNECT with a keep-alive of so many seconds, below 256.
fn connect(client_id: &str, keep_alive_s: u8) -> Vec<u8> {
    let mut packet = wire::connect(client_id);
    // The fixed header has two bytes, the protocol's name six; the version, the flags and half of the time follow.
    packet[2 + 6 + 1 + 1 + 1] = keep_alive_s;
    packet
}

async fn enter(port: u16, tls: &Arc<ClientConfig>, hello: &[u8]) -> (Wire, u8) {
    let mut wire = Wire::open(port, tls.clone()).await.unwrap();
    wire.send(hello).await;
    let connack = wire.next().await.unwrap();
    assert_eq!(connack.first, 0x20, "{connack:?}");
    (wire, connack.body[1])
}

/// Whether it is still connected: it is answered once all that it has sent was read.
async fn answers(wire: &mut Wire) -> bool {
    wire.send(&PING).await;
    loop {
        match wire.next().await {
            Ok(packet) if packet.first == PONG => return true,
            Ok(packet) if packet.first & 0xF0 == 0x30 => {}
            Err(why) if why == "nothing in time" => {}
            _ => return false,
        }
    }
}

/// Publishes so much at once, with a keep-alive of a second, shorter than a pause; how long until all of it was read.
async fn flood(scene: &Scene, publishes: usize, bytes: usize) -> Duration {
    let port = scene.world.endpoint().port;
    let (mut wire, code) = enter(port, &probe(scene), &connect("probe:flood", 1)).await;
    assert_eq!(code, 0);
    let topic = "muster/v1/devices/probe/up/monitoring/heartbeat";
    // White space around JSON is no part of it.
    let payload = format!("{{}}{}", " ".repeat(bytes - 2));
    let packets = wire::publish(0x30, topic, "", payload.as_bytes()).repeat(publishes);
    let begun = Instant::now();
    let flooding = tokio::spawn(async move {
        wire.send(&packets).await;
        assert!(answers(&mut wire).await, "it is sent away");
        begun.elapsed()
    });
    while !flooding.is_finished() {
        gets_in(&scene.world.endpoint(), &scene.crew.probe).await;
        scene.recovered(Instant::now()).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    flooding.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_floods_is_slowed_down_and_stays_connected() {
    let settings = [
        ("MUSTER_LIMITS__PUBLISHES_PER_SECOND", "200"),
        ("MUSTER_LIMITS__BYTES_PER_SECOND", "131072"),
    ];
    let scene = Scene::set(&settings).await;
    let mut tally =
        Tally::of("3,000 publishes at once, 200 a second allowed; 1.6 MB, 128 KiB a second allowed");
    for (limit, publishes, bytes, owed) in [
        ("publishes_per_second", 3_000, 2, Duration::from_millis(14_000)),
        // 200 packets of 8,051 bytes, less a second's worth.
        ("bytes_per_second", 200, 8_000, Duration::from_millis(11_200)),
    ] {
        let before = met(&scene, limit);
        let took = flood(&scene, publishes, bytes).await;
        println!("{limit}: all was read after {took:?}");
        // The last reading (64 KiB) is answered before it is paid for.
        let least = owed / 2;
        assert!(took > least && took < owed + SLACK, "{limit}: {took:?}");
        assert!(met(&scene, limit) > before);
        tally.recovered(scene.recovered(Instant::now()).await);
    }
    scene.end(tally).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_may_come_wait_for_their_handshake() {
    const CROWD: u32 = 120;
    let scene = Scene::set(&[("MUSTER_LIMITS__ACCEPTS_PER_SECOND", "20")]).await;
    let mut tally = Tally::of("120 connections at once, 20 a second allowed");
    let (port, tls) = (scene.world.endpoint().port, probe(&scene));
    // What was used for getting ready comes in again.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, begun) = (met(&scene, "accepts_per_second"), Instant::now());
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        crowd.spawn(Wire::open(port, tls.clone()));
    }
    // Whoever is in does not notice.
    let others_are = Promptness::within(Duration::from_secs(3));
    while !crowd.is_empty() {
        let shaken = tokio::time::timeout(Duration::from_millis(500), async {
            while let Some(one) = crowd.join_next().await {
                one.unwrap().expect("nobody is turned away");
            }
        });
        let _ = shaken.await;
        others_are.took(scene.recovered(Instant::now()).await);
    }
    let took = begun.elapsed();
    println!("the last of {CROWD} shook hands after {took:?}");
    assert!(
        took > Duration::from_millis(4_500) && took < Duration::from_secs(6) + SLACK,
        "{took:?}"
    );
    // One more asks, and may have waited too.
    let waited = met(&scene, "accepts_per_second") - before;
    assert!(waited >= 60, "{waited}");
    tally.recovered(scene.recovered(Instant::now()).await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.end(tally).await;
}

/// Connects again and again, as whoever is taken over does, as fast as it can; how often it was let in and how often
/// refused. The connection that it has at the end, if it has one.
async fn insist(port: u16, tls: Arc<ClientConfig>, end: Instant) -> (u32, u32, Option<Wire>) {
    let (mut in_all, mut refused, mut held) = (0, 0, None::<Wire>);
    while Instant::now() < end {
        if let Some(wire) = &mut held {
            let parted = tokio::time::timeout_at(end.into(), async { while wire.next().await.is_ok() {} });
            if parted.await.is_err() {
                break;
            }
            held = None;
        }
        match enter(port, &tls, &wire::connect("probe:twin")).await {
            (wire, 0) => {
                in_all += 1;
                held = Some(wire);
            }
            (_, 0x9F) => refused += 1,
            (_, other) => panic!("{other:#x}"),
        }
    }
    (in_all, refused, held)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_holders_of_one_key_do_not_end_each_other_s_sessions_for_ever() {
    let scene = Scene::set(&[]).await;
    let mut tally = Tally::of("two clients of one id, each as fast as it can, 15 s");
    let (port, tls) = (scene.world.endpoint().port, probe(&scene));
    let admin = wire::tls(
        &scene.world.roots(),
        Some(&scene.world.folder().join("people/admin")),
    );
    let filter = "muster/v1/events/monitoring/devices/probe/security";
    let mut watch = Wire::enter(port, admin, "admin:watch", filter).await;
    let begun = Instant::now();
    let end = begun + Duration::from_secs(15);
    let twins = [0, 1].map(|_| tokio::spawn(insist(port, tls.clone(), end)));
    let event = watch.message().await;
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["data"]["what"], "takeovers", "{event}");
    while Instant::now() < end {
        // Whoever has the same key and an id of its own is let in meanwhile.
        gets_in(&scene.world.endpoint(), &scene.crew.probe).await;
        tally.recovered(scene.recovered(Instant::now()).await);
    }
    let (mut let_in, mut refused, mut held) = (0, 0, Vec::new());
    for twin in twins {
        let (more_in, more_refused, wire) = twin.await.unwrap();
        (let_in, refused) = (let_in + more_in, refused + more_refused);
        held.extend(wire);
    }
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    println!("let in {let_in} times, refused {refused} times in {minutes:.2} min");
    // The first takes over nobody; twelve at once, and one each five seconds.
    assert!(f64::from(let_in) <= 1.0 + 12.0 + 12.0 * minutes + 1.0, "{let_in}");
    assert!(refused > 0 && met(&scene, "takeovers_per_minute") >= u64::from(refused));
    // One that was taken over at the very end may not have read that yet.
    let mut holders = 0;
    for wire in &mut held {
        holders += usize::from(answers(wire).await);
    }
    assert_eq!(holders, 1, "one of them has the session");
    scene.end(tally).await;
}

/// Connects, is let in, and hangs up without a word, again and again; how often.
async fn come_and_go(port: u16, tls: Arc<ClientConfig>, number: usize, end: Instant) -> u32 {
    let mut times = 0;
    while Instant::now() < end {
        // A device has three sessions at most: most are refused, which costs the server as much.
        let hello = wire::connect(&format!("probe:storm-{number}-{times}"));
        if let Ok(mut wire) = Wire::open(port, tls.clone()).await {
            wire.send(&hello).await;
            let _ = wire.next().await;
        }
        times += 1;
    }
    times
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_connections_that_come_and_go_leaves_nothing_behind() {
    let mut scene = Scene::set(&[]).await;
    scene.warm_up().await;
    let seconds = times("FIRE_STORM_SECONDS", 10);
    let mut tally = Tally::of(format!(
        "32 clients connect and hang up as fast as they can, {seconds} s"
    ));
    let (port, tls, pid) = (
        scene.world.endpoint().port,
        probe(&scene),
        scene.world.server().pid(),
    );
    let before = descriptors(pid);
    let (begun, end) = (Instant::now(), Instant::now() + Duration::from_secs(seconds));
    let storm: Vec<_> = (0..32)
        .map(|number| tokio::spawn(come_and_go(port, tls.clone(), number, end)))
        .collect();
    while Instant::now() < end {
        tally.recovered(scene.recovered(Instant::now()).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut all = 0;
    for one in storm {
        all += one.await.unwrap();
    }
    println!("{all} connections in {:?}", begun.elapsed());
    let settled = Instant::now();
    while descriptors(pid) > before + 8 && settled.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        descriptors(pid) <= before + 8,
        "{before} before, {} after",
        descriptors(pid)
    );
    scene.end(tally).await;
}
