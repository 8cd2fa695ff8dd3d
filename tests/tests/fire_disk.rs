//! A disk that is slow, turns read-only, or fails writes or syncs: requests wait, nothing that was acknowledged is
//! lost, and all goes on by itself when the disk is well again. `FIRE_DISK_SECONDS` says how long each trouble lasts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use contract::ServiceName;
use world::{
    Scene, Tally,
    disk::{SickDisk, Trouble},
    times,
};

/// Plays one trouble after the other; between two, all must have recovered.
async fn suffer(name: &str, troubles: &[Trouble], during: impl AsyncFn(&Scene, Instant)) {
    suffer_on("sled", name, troubles, during).await;
}

/// The same with the databases kept by an engine.
async fn suffer_on(engine: &str, name: &str, troubles: &[Trouble], during: impl AsyncFn(&Scene, Instant)) {
    let folder = tempfile::tempdir().unwrap();
    let rig = tempfile::tempdir().unwrap();
    let Some(disk) = SickDisk::around(&folder.path().join("state"), rig.path()) else {
        println!("there is no C compiler; not tried");
        return;
    };
    let engine = [("MUSTER_STORE__ENGINE", engine)];
    let settings: Vec<_> = disk.settings().into_iter().chain(engine).collect();
    let scene = Scene::on(folder, &settings).await;
    let mut tally = Tally::of(name);
    let lasts = Duration::from_secs(times("FIRE_DISK_SECONDS", 4) as u64);
    for trouble in troubles {
        disk.fall_ill(*trouble);
        let begun = Instant::now();
        during(&scene, begun).await;
        tokio::time::sleep(lasts.saturating_sub(begun.elapsed())).await;
        disk.recover();
        tally.recovered(scene.recovered(Instant::now()).await);
    }
    scene.end(tally).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_makes_all_slow_and_stops_nothing() {
    let troubles = [Trouble::Slow(50), Trouble::Slow(300)];
    suffer(
        "a slow disk: a sync takes 50, then 300 ms longer",
        &troubles,
        async |scene, begun| {
            let all = scene.load.recovered(&ServiceName::KEEPERS, begun).await;
            println!("all four have acknowledged on it after {all:?}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_writes_loses_nothing_that_was_acknowledged() {
    let troubles = [Trouble::ReadOnly, Trouble::Writes, Trouble::ReadOnly];
    suffer(
        "writes fail: read-only, then I/O errors",
        &troubles,
        async |_, _| (),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_syncs_loses_nothing_that_was_acknowledged() {
    let troubles = [Trouble::Syncs, Trouble::Syncs];
    suffer("syncs fail with I/O errors", &troubles, nothing_is_acknowledged).await;
}

async fn nothing_is_acknowledged(scene: &Scene, _begun: Instant) {
    // What had been synced before may still be told, which ends.
    let (begun, mut told) = (Instant::now(), u64::MAX);
    while told != scene.load.acknowledged() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it goes on: {told}");
        told = scene.load.acknowledged();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let before = scene.load.acknowledged();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = scene.load.acknowledged();
    assert_eq!(before, after, "what no sync has brought to disk was acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_syncs_fail_under_redb() {
    let writes = [Trouble::ReadOnly, Trouble::Writes];
    suffer_on("redb", "writes fail under redb", &writes, async |_, _| ()).await;
    let syncs = [Trouble::Syncs];
    suffer_on("redb", "syncs fail under redb", &syncs, nothing_is_acknowledged).await;
}
