//! kill -9 of server and device while a device is being set: no change is lost, and none counts twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use contract::{ServiceName, v1};
use world::{Person, World, kill_in_turn};

/// How often both are killed.
const ROUNDS: u64 = 6;

/// Counts up, each number until it is accepted; the last one.
async fn set(admin: Arc<Person>, stop: Arc<AtomicBool>) -> u64 {
    let mut counter = 0;
    while !stop.load(Ordering::Relaxed) {
        counter += 1;
        let request = v1::SetConfig {
            device_id: "pump-7".into(),
            mode: v1::ConfigMode::Merge.into(),
            document: format!("{{\"counter\":{counter}}}"),
            ..v1::SetConfig::default()
        };
        while admin
            .client
            .ask::<v1::Changed>(ServiceName::Registry, "config-set", &request)
            .await
            .is_err()
        {}
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    counter
}

async fn shown(admin: &Person) -> v1::DeviceConfig {
    let request = v1::ShowConfig {
        device_id: "pump-7".into(),
        ..v1::ShowConfig::default()
    };
    let shown: v1::ConfigShown = admin.ask(ServiceName::Registry, "config-show", &request).await;
    shown.config.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_server_and_device_loses_and_doubles_no_change() {
    let mut world = World::new().await;
    let admin = Arc::new(world.admin().await);
    world.register(&admin, &["pump-7"]).await;
    let claim = world.claim(&admin, "line", 1).await;
    let stop = Arc::new(AtomicBool::new(false));
    let setter = tokio::spawn(set(admin.clone(), stop.clone()));
    let (_, device) = kill_in_turn(&mut world, "pump-7", &claim, ROUNDS).await;
    stop.store(true, Ordering::Relaxed);
    let counter = setter.await.unwrap();
    for _ in 0..600 {
        if !shown(&admin).await.drift {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let config = shown(&admin).await;
    let document = format!("{{\"counter\":{counter}}}");
    assert!(!config.drift, "{config:?}\n{}", device.log());
    assert_eq!((config.version, config.reported_version), (counter, counter));
    assert_eq!((&config.desired, &config.reported), (&document, &document));
    let settings = world.folder().join("agents/pump-7/settings.json");
    assert_eq!(std::fs::read_to_string(settings).unwrap(), document);
    println!("{counter} changes, {ROUNDS} kills of each");
}
