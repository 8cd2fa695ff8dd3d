//! A disk without room: requests wait unacknowledged, nothing that was acknowledged is lost, the health check
//! says so, and all goes on by itself when there is room again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{path::Path, process::Command, time::Duration};

use contract::{ServiceName, v1};
use world::World;

/// A disk of its own, as long as this lives. `None`: this user may not mount one.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(megabytes: u32) -> Option<Disk> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m,mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then(|| Disk(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Takes all the room there is but for a little.
fn fill(disk: &Path) -> std::path::PathBuf {
    let filler = disk.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    let block = vec![7u8; 256 * 1024];
    while std::io::Write::write_all(&mut file, &block).is_ok() {}
    filler
}

fn healthy(world: &World) -> bool {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(world.server().http).unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.starts_with("HTTP/1.1 200")
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}, but not within a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_for_room_and_nothing_that_was_acknowledged_is_lost() {
    let Some(disk) = Disk::of(200) else {
        println!("this user may not mount a tmpfs; not tried");
        return;
    };
    let folder = tempfile::tempdir_in(disk.path()).unwrap();
    // More than the four stores' ballast together, which opening on a full disk sets free.
    let mut world = World::on(folder, &[("MUSTER_STATE__RESERVE_MIB", "32")]).await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let pump = world.device(&admin, "pump-7").await;
    let report = |model: &str| v1::Report {
        model: model.into(),
        ..v1::Report::default()
    };
    let _: v1::Changed = pump.ask(ServiceName::Registry, "report", &report("before")).await;

    let filler = fill(disk.path());
    // A store's look at its disk may be 200 ms old; until then what fits into the log's blocks is still taken.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let waiting = {
        let client = pump.client.clone().with_patience(Duration::from_secs(180));
        let report = report("during");
        tokio::spawn(async move {
            client
                .ask::<v1::Changed>(ServiceName::Registry, "report", &report)
                .await
        })
    };
    until("the health check says so", || !healthy(&world)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!waiting.is_finished(), "nobody is answered: {:?}", waiting.await);
    assert!(!healthy(&world), "it stays so");

    std::fs::remove_file(&filler).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .expect("it goes on by itself");
    answer.unwrap().expect("the same request is accepted");
    until("it is well again", || healthy(&world)).await;
    assert_eq!(world.shown(&admin, "pump-7").await.model, "during");

    // The same at start: it waits for room, and then is there.
    let filler = fill(disk.path());
    world.kill();
    let starting = std::thread::spawn(move || {
        world.try_start().unwrap();
        world
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    std::fs::remove_file(&filler).unwrap();
    let world = starting.join().unwrap();
    let admin = world.admin().await;
    assert_eq!(world.shown(&admin, "pump-7").await.model, "during");
    drop(world);
}
