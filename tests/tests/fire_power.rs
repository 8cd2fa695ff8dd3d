//! Power cuts under load: what the server wrote and did not sync is gone, and nothing that was acknowledged is.
//! `FIRE_CUTS` says how often.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use client::Client;
use contract::{Root, ServiceName, v1};
use rand::Rng;
use world::{
    Scene, Tally, World,
    power::{Loss, Power},
    times,
};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_with_the_power() {
    power_is_cut(&[], "power cut: unsynced writes undone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_with_the_power_under_redb() {
    power_is_cut(&[("MUSTER_STORE__ENGINE", "redb")], "power cut under redb").await;
}

async fn power_is_cut(settings: &[(&'static str, &str)], name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let rig = tempfile::tempdir().unwrap();
    let Some(power) = Power::around(&folder.path().join("state"), rig.path()) else {
        println!("there is no C compiler; not tried");
        return;
    };
    let settings: Vec<_> = power
        .settings()
        .into_iter()
        .chain(settings.iter().copied())
        .collect();
    let mut scene = Scene::on(folder, &settings).await;
    let mut tally = Tally::of(name);
    let mut undone = 0;
    for round in 0..times("FIRE_CUTS", 6) {
        let pause = rand::rng().random_range(20..800);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        scene.world.kill();
        let killed = Instant::now();
        undone += power.cut(if round % 2 == 0 {
            Loss::All
        } else {
            Loss::After(rand::random())
        });
        scene.world.start().await;
        tally.recovered(scene.recovered(killed).await);
    }
    println!("{undone} writes were undone");
    assert!(undone > 0, "the rig does nothing");
    scene.end(tally).await;
}

/// The test above can fail: on a disk whose syncs do nothing, acknowledged devices are lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_lies_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let rig = tempfile::tempdir().unwrap();
    let Some(power) = Power::around(&folder.path().join("state"), rig.path()) else {
        println!("there is no C compiler; not tried");
        return;
    };
    let lies = [("POWER_LIES", "1")];
    let settings: Vec<_> = power.settings().into_iter().chain(lies).collect();
    let mut world = World::on(folder, &settings).await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    world.kill();
    power.cut(Loss::All);
    // It may notice by itself.
    if world.try_start().is_err() {
        return;
    }
    // Without the registry's rows not even the admin is known.
    let admin = world.identity(&world.folder().join("people/admin"));
    let Ok((client, _inbox)) = Client::connect(&world.endpoint(), &admin, Root::default(), "").await else {
        return;
    };
    let request = v1::ShowDevice {
        device_id: "pump-7".into(),
        ..v1::ShowDevice::default()
    };
    let shown = client
        .ask::<v1::DeviceShown>(ServiceName::Registry, "show", &request)
        .await;
    assert!(shown.is_err(), "the rig loses nothing: {shown:?}");
}
