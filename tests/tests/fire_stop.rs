//! SIGTERM under load ends the server in time and with success; SIGSTOP and SIGCONT lose nothing.
//! `FIRE_STOPS` says how often it is ended, `FIRE_FROZEN_SECONDS` for how long it is stopped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use client::{Client, Endpoint, Identity};
use contract::{Root, ServiceName, v1};
use world::{Promptness, Scene, Tally, World, signal, times};

/// The front door's time to let everybody go (3 s), and as much again for the services on a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(6);
/// A frozen server or client comes back within its keep-alive, 30 s and 60 s here.
const FROZEN_SECONDS: u64 = 20;
/// What the child of the last test finds its errand by.
const ERRAND: &str = "FIRE_ERRAND";

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_in_time_under_load_and_nothing_is_lost() {
    let mut scene = Scene::set(&[]).await;
    let mut tally = Tally::of("SIGTERM under load");
    for _ in 0..times("FIRE_STOPS", 3) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let asked = Instant::now();
        assert_eq!(scene.world.stop(), Some(0));
        let took = asked.elapsed();
        println!("it ended after {took:?}");
        assert!(took < ENDS_WITHIN, "{took:?}");
        scene.world.start().await;
        tally.recovered(scene.recovered(asked).await);
    }
    scene.end(tally).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_goes_on() {
    let scene = Scene::set(&[]).await;
    let mut tally = Tally::of("SIGSTOP of the server, 20 s");
    let pid = scene.world.server().pid();
    tokio::time::sleep(Duration::from_secs(1)).await;
    signal(pid, "STOP");
    tokio::time::sleep(Duration::from_secs(times("FIRE_FROZEN_SECONDS", FROZEN_SECONDS))).await;
    signal(pid, "CONT");
    tally.recovered(scene.recovered(Instant::now()).await);
    scene.end(tally).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stands_still_goes_on_and_nobody_else_notices() {
    let mut scene = Scene::set(&[]).await;
    scene.warm_up().await;
    let mut tally = Tally::of("SIGSTOP of a client, 20 s");
    let admin = scene.world.admin().await;
    scene.world.register(&admin, &["frozen"]).await;
    let claim = scene.world.claim(&admin, "frozen", 1).await;
    scene.world.provision(&claim, "frozen").await;
    let (mut child, acknowledged) = errand(&scene.world);
    until(&acknowledged, 10).await;
    signal(child.id(), "STOP");
    let (frozen, others_are) = (Instant::now(), Promptness::within(Duration::from_secs(2)));
    while frozen.elapsed() < Duration::from_secs(times("FIRE_FROZEN_SECONDS", FROZEN_SECONDS)) {
        let begun = Instant::now();
        others_are.took(scene.recovered(begun).await);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    signal(child.id(), "CONT");
    let resumed = Instant::now();
    until(&acknowledged, acknowledged.load(Ordering::Relaxed) + 10).await;
    tally.recovered(resumed.elapsed());
    child.kill().unwrap();
    child.wait().unwrap();
    let there = scene.world.shown(&admin, "frozen").await.attributes["counter"].parse::<u64>();
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    assert!(
        there.as_ref().is_ok_and(|there| *there >= acknowledged),
        "{there:?} of {acknowledged}"
    );
    admin.client.disconnect().await;
    scene.end(tally).await;
}

async fn until(counter: &AtomicU64, wanted: u64) {
    let begun = Instant::now();
    while counter.load(Ordering::Relaxed) < wanted {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the client does not go on"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A client in a process of its own, and the newest counter that was acknowledged to it.
fn errand(world: &World) -> (std::process::Child, Arc<AtomicU64>) {
    let folder = world.folder().join("identities/frozen");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "reports_until_it_is_killed",
            "--nocapture",
        ])
        .env(ERRAND, format!("{} {}", world.endpoint().port, folder.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let newest = Arc::new(AtomicU64::new(0));
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let heard = newest.clone();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(counter) = line.strip_prefix("acknowledged ") {
                heard.store(counter.parse().unwrap(), Ordering::Relaxed);
            }
        }
    });
    (child, newest)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the client that another test freezes"]
async fn reports_until_it_is_killed() {
    let Some(errand) = std::env::var_os(ERRAND).and_then(|errand| errand.into_string().ok()) else {
        return;
    };
    let (port, folder) = errand.split_once(' ').unwrap();
    let read = |name: &str| std::fs::read_to_string(Path::new(folder).join(name)).unwrap();
    let identity =
        Identity::from_pem(&read("certificate.pem"), &read("key.pem"), &read("roots.pem")).unwrap();
    let endpoint = Endpoint {
        host: "127.0.0.1".into(),
        port: port.parse().unwrap(),
    };
    let connected = Client::connect(&endpoint, &identity, Root::default(), "").await;
    let (client, _inbox) = connected.unwrap();
    for counter in 1u64.. {
        let report = v1::Report {
            attributes: [("counter".to_owned(), counter.to_string())].into(),
            ..v1::Report::default()
        };
        let answer = client
            .ask::<v1::Changed>(ServiceName::Registry, "report", &report)
            .await;
        answer.unwrap();
        println!("acknowledged {counter}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
