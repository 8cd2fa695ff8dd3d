//! kill -9 at random moments under load: nothing that was acknowledged is lost.
//!
//! Every client keeps a journal of what was acknowledged to it; after the last restart the journal is held
//! against what is there. `WORLD_KILLS` says how often the server is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use contract::{ServiceName, v1};
use rand::Rng;
use world::{Person, World};

/// Devices that report.
const DEVICES: usize = 8;
/// How often the server is killed when nobody says.
const KILLS: u64 = 12;
/// The same under the second engine, always.
const KILLS_OF_REDB: u64 = 4;

/// What was acknowledged to one device: the newest counter, and how many acknowledgements there were.
#[derive(Default)]
struct Journal {
    newest: AtomicU64,
    acknowledged: AtomicU64,
}

/// Reports a growing counter, again and again, and writes down what was acknowledged.
async fn report(device: Person, journal: Arc<Journal>, stop: Arc<AtomicBool>) {
    let mut counter = 0;
    while !stop.load(Ordering::Relaxed) {
        counter += 1;
        let attributes = [("counter".to_owned(), counter.to_string())].into();
        let report = v1::Report {
            attributes,
            ..v1::Report::default()
        };
        // Whatever is not accepted was not acknowledged: the client sends it again on the next connection.
        if device
            .client
            .ask::<v1::Changed>(ServiceName::Registry, "report", &report)
            .await
            .is_ok()
        {
            journal.newest.store(counter, Ordering::Relaxed);
            journal.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Registers devices one by one; those that were accepted are returned.
async fn register(admin: Arc<Person>, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut accepted = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let device_id = format!("extra-{n}");
        let request = v1::RegisterDevice {
            device_id: device_id.clone(),
            ..v1::RegisterDevice::default()
        };
        if admin
            .client
            .ask::<v1::Changed>(ServiceName::Registry, "register", &request)
            .await
            .is_ok()
        {
            accepted.push(device_id);
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost() {
    let kills = std::env::var_os("WORLD_KILLS")
        .and_then(|n| n.to_str()?.parse().ok())
        .unwrap_or(KILLS);
    nothing_is_lost(World::new().await, kills).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_under_redb() {
    let world = World::with(&[("MUSTER_STORE__ENGINE", "redb")]).await;
    nothing_is_lost(world, KILLS_OF_REDB).await;
}

async fn nothing_is_lost(mut world: World, kills: u64) {
    let admin = Arc::new(world.admin().await);
    let ids: Vec<String> = (0..DEVICES).map(|n| format!("pump-{n}")).collect();
    world
        .register(&admin, &ids.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut journals = BTreeMap::new();
    let mut reporters = Vec::new();
    for id in &ids {
        let device = world.device(&admin, id).await;
        let journal = Arc::new(Journal::default());
        journals.insert(id.clone(), journal.clone());
        reporters.push(tokio::spawn(report(device, journal, stop.clone())));
    }
    let registrar = tokio::spawn(register(admin.clone(), stop.clone()));

    for _ in 0..kills {
        let pause = rand::rng().random_range(20..400);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        world.kill();
        world.start().await;
    }
    // Everybody gets through once more, so that the journals end in acknowledgements.
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.store(true, Ordering::Relaxed);
    let registered = registrar.await.unwrap();
    for reporter in reporters {
        reporter.await.unwrap();
    }

    let mut lost = Vec::new();
    for (id, journal) in &journals {
        let device = world.shown(&admin, id).await;
        let there: u64 = device.attributes.get("counter").map_or(0, |n| n.parse().unwrap());
        let acknowledged = journal.newest.load(Ordering::Relaxed);
        if there < acknowledged {
            lost.push(format!("{id}: {acknowledged} was acknowledged, {there} is there"));
        }
    }
    for id in &registered {
        let request = v1::ShowDevice {
            device_id: id.clone(),
            ..v1::ShowDevice::default()
        };
        if admin
            .client
            .ask::<v1::DeviceShown>(ServiceName::Registry, "show", &request)
            .await
            .is_err()
        {
            lost.push(format!("{id} was registered and is not there"));
        }
    }
    let acknowledged: u64 = journals
        .values()
        .map(|j| j.acknowledged.load(Ordering::Relaxed))
        .sum();
    println!(
        "{kills} kills, {acknowledged} reports and {} registrations acknowledged, {} lost",
        registered.len(),
        lost.len()
    );
    assert!(
        acknowledged > kills && !registered.is_empty(),
        "the load was none"
    );
    assert_eq!(lost, Vec::<String>::new());
}
