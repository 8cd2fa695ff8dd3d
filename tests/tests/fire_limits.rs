//! What the machine refuses: file descriptors, a second process on the folder, a folder that cannot be written, a
//! clock that jumps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use contract::{ServiceName, v1};
use tokio::net::TcpStream;
use world::{Person, Process, Scene, Tally, World, gets_in};

/// Connections that take what descriptors there are.
const GREEDY: usize = 80;
/// Where Debian's package puts it.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

fn limit_descriptors(pid: u32, limit: usize) {
    let limited = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--nofile={limit}:")])
        .status();
    assert!(limited.is_ok_and(|status| status.success()), "prlimit");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_it_goes_on_and_lets_devices_in_when_there_are_some() {
    let scene = Scene::set(&[]).await;
    let mut tally = Tally::of("no file descriptors");
    let pid = scene.world.server().pid();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    for _ in 0..3 {
        limit_descriptors(pid, open + 4);
        let mut greedy = Vec::new();
        for _ in 0..GREEDY {
            greedy.push(
                TcpStream::connect(("127.0.0.1", scene.world.endpoint().port))
                    .await
                    .unwrap(),
            );
        }
        // Whoever is connected is served.
        scene.recovered(Instant::now()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.recovered(Instant::now()).await;
        drop(greedy);
        limit_descriptors(pid, 1024);
        let room = Instant::now();
        gets_in(&scene.world.endpoint(), &scene.crew.probe).await;
        tally.recovered(room.elapsed());
    }
    scene.end(tally).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_folder_is_refused_and_the_first_does_not_notice() {
    let scene = Scene::set(&[]).await;
    let mut tally = Tally::of("a second process on the folder");
    for arguments in [&["up"][..], &["serve", "front-door", "registry"]] {
        let begun = Instant::now();
        let mut second = Process::spawn(Process::command(scene.world.folder(), arguments, &[]));
        let ended = second.ended(Duration::from_secs(20)).expect("it ends");
        assert_eq!(ended.code(), Some(1));
        let log = second.ready(Duration::from_secs(20)).unwrap_err();
        assert!(log.contains("is in use by another process"), "{log}");
        println!("{arguments:?} is refused after {:?}", begun.elapsed());
        tally.recovered(scene.recovered(Instant::now()).await);
    }
    scene.end(tally).await;
}

/// A folder mounted read-only, as long as this lives.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn mount(folder: &Path) -> Option<ReadOnly> {
        let mount = |options: &str| {
            let mut command = Command::new("mount");
            command.args(["-o", options]).args([folder, folder]);
            command.output().is_ok_and(|output| output.status.success())
        };
        if !mount("bind") {
            return None;
        }
        let mounted = ReadOnly(folder.to_owned());
        mount("remount,bind,ro").then_some(mounted)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
    let mut world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    admin.client.disconnect().await;
    assert_eq!(world.stop(), Some(0));
    let Some(mounted) = ReadOnly::mount(&world.folder().join("state")) else {
        println!("this user may not mount; not tried");
        return;
    };
    let mut process = Process::spawn(Process::command(world.folder(), &["up"], &[]));
    let ended = process.ended(Duration::from_secs(20)).expect("it ends");
    let log = process.ready(Duration::from_secs(20)).unwrap_err();
    assert_eq!(ended.code(), Some(1), "{log}");
    assert!(log.contains(world.folder().to_str().unwrap()), "{log}");
    assert!(log.contains("ead-only"), "{log}");
    drop(mounted);
    world.start().await;
    let admin = world.admin().await;
    assert_eq!(world.shown(&admin, "pump-7").await.device_id, "pump-7");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_loses_nothing_and_takes_nobody_for_lost() {
    if !Path::new(FAKETIME).exists() {
        println!("there is no libfaketime (Debian: faketime); not tried");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    std::fs::write(&clock, "+0").unwrap();
    let settings = [
        ("LD_PRELOAD", FAKETIME),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("MUSTER_MONITORING__GRACE", "2s"),
    ];
    let scene = Scene::set(&settings).await;
    let mut tally = Tally::of("clock jumps by an hour, forth and back");
    let admin = scene.world.admin().await;
    let forward = ServiceName::KEEPERS.to_vec();
    // No certificate is issued until the clock has caught up with the last one.
    let back = vec![
        ServiceName::Registry,
        ServiceName::Rollout,
        ServiceName::Monitoring,
    ];
    for (offset, services) in [("+3600", &forward), ("+0", &back), ("+3600", &forward)] {
        // Renamed, so that it is never half written.
        let next = folder.path().join("next");
        std::fs::write(&next, offset).unwrap();
        std::fs::rename(&next, &clock).unwrap();
        tally.recovered(scene.load.recovered(services, Instant::now()).await);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(offline(&admin).await, Vec::<String>::new(), "after {offset}");
        gets_in(&scene.world.endpoint(), &scene.crew.probe).await;
    }
    admin.client.disconnect().await;
    scene.end(tally).await;
}

/// Devices that are taken for lost. The probe comes and goes.
async fn offline(admin: &Person) -> Vec<String> {
    let request = v1::ListStatus {
        connectivity: v1::Connectivity::Offline.into(),
        ..v1::ListStatus::default()
    };
    let listed: v1::StatusListed = admin.ask(ServiceName::Monitoring, "list", &request).await;
    let names = listed.devices.into_iter().map(|status| status.device_id);
    names.filter(|name| name != "probe").collect()
}
