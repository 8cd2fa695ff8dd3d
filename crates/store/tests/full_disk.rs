//! A disk that really fills up: a small tmpfs, where the tests may mount one.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use service::store::{Batch, Blobs, Read, Store, StoreError};
use store::{Engine, Files, OpenOptions, RedbStore, SledStore};
use tempfile::TempDir;

/// A mounted tmpfs, unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(megabytes: u32) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(SmallDisk(folder)),
            other => {
                println!("skipped: no tmpfs can be mounted here ({other:?})");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills what is left, but for `leave` bytes.
    fn fill(&self, leave: u64) {
        let free = fs4::available_space(self.path()).unwrap().saturating_sub(leave);
        let mut file = File::create(self.path().join("filler")).unwrap();
        file.write_all(&vec![1; free as usize]).unwrap();
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn group(number: u32) -> Batch {
    let mut batch = Batch::default();
    (0..100u32).for_each(|row| batch.put((number * 100 + row).to_be_bytes(), vec![number as u8; 400]));
    batch
}

/// Commits groups until one fails; the number of groups acknowledged.
fn commit_until_refused(store: &dyn Store, from: u32) -> (u32, StoreError) {
    for number in from..100_000 {
        if let Err(error) = store.commit(&group(number)) {
            return (number, error);
        }
    }
    unreachable!("the disk never filled");
}

fn assert_all_there(store: &dyn Store, groups: u32) {
    for number in 0..groups {
        for row in 0..100u32 {
            let value = store.get(&(number * 100 + row).to_be_bytes()).unwrap();
            assert_eq!(value, Some(vec![number as u8; 400]), "group {number} row {row}");
        }
    }
}

#[test]
fn what_was_acknowledged_survives_a_disk_that_ran_full_under_sled() {
    // Both logs at their full length leave little, so that it is sled which meets the end.
    let Some(disk) = SmallDisk::mount(64) else { return };
    let other = disk.path().join("other");
    fs::write(&other, vec![1; 32 << 20]).unwrap();
    let path = disk.path().join("db");
    let watched = OpenOptions {
        reserve_bytes: 1 << 20,
        ..OpenOptions::new(&path, 7, 1)
    };
    let blind = OpenOptions {
        reserve_bytes: 0,
        ..watched.clone()
    };
    {
        let store = SledStore::open(watched.clone()).unwrap();
        store.commit(&group(0)).unwrap();
        assert!(path.join("ballast").exists());
    }
    let store = SledStore::open(blind.clone()).unwrap();
    let (acknowledged, refusal) = commit_until_refused(&store, 1);
    assert!(refusal.to_string().contains("is full"), "{refusal}");
    // A log that could not grow may be refused a moment before the applier meets the full disk.
    let begun = Instant::now();
    while !store.is_poisoned() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(store.is_poisoned());
    assert!(store.get(&0u32.to_be_bytes()).is_err() && store.scan(b"", None, 1).is_err());
    assert!(store.commit(&Batch::default()).is_err() && store.verify().is_err());
    drop(store);

    disk.fill(0);
    let store = SledStore::open(watched.clone()).unwrap();
    assert!(
        !path.join("ballast").exists(),
        "it took the ballast to open on a full disk"
    );
    assert_all_there(&store, acknowledged);
    assert!(matches!(
        store.commit(&group(acknowledged)),
        Err(StoreError::Full { .. })
    ));
    assert!(
        !store.is_poisoned(),
        "what does not fit into sled stays in the logs"
    );
    drop(store);

    disk.free();
    fs::remove_file(other).unwrap();
    let store = SledStore::open(blind).unwrap();
    assert_all_there(&store, acknowledged);
    assert_eq!(store.verify().unwrap() / 100, u64::from(acknowledged));
    store.commit(&group(acknowledged)).unwrap();
    println!("{acknowledged} groups acknowledged");
}

#[test]
fn the_watermark_keeps_the_store_open_and_writing_goes_on_when_there_is_room_again() {
    waits_for_room(Engine::Sled);
}

#[test]
fn the_watermark_keeps_redb_open_too() {
    waits_for_room(Engine::Redb);
}

fn waits_for_room(engine: Engine) {
    let Some(disk) = SmallDisk::mount(48) else { return };
    let path = disk.path().join("db");
    let options = OpenOptions {
        reserve_bytes: 8 << 20,
        ..OpenOptions::new(&path, 7, 1)
    };
    let store = engine.open(options).unwrap();
    for number in 0..50 {
        store.commit(&group(number)).unwrap();
    }
    disk.fill(10 << 20);
    let (acknowledged, refusal) = commit_until_refused(&*store, 50);
    assert!(matches!(refusal, StoreError::Full { .. }), "{refusal}");
    assert_all_there(&*store, acknowledged);
    disk.free();
    let begun = Instant::now();
    while let Err(refusal) = store.commit(&group(acknowledged)) {
        assert!(matches!(refusal, StoreError::Full { .. }), "{refusal}");
        assert!(begun.elapsed() < Duration::from_secs(60), "there is room again");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_all_there(&*store, acknowledged + 1);
}

/// redb itself meets the end of the disk, in whatever step of its commit.
#[test]
fn what_was_acknowledged_survives_a_disk_that_ran_full_under_redb() {
    for leave in [0, 200 << 10, 900 << 10, 3 << 20] {
        let Some(disk) = SmallDisk::mount(24) else { return };
        let path = disk.path().join("db");
        let blind = OpenOptions {
            reserve_bytes: 0,
            ..OpenOptions::new(&path, 7, 1)
        };
        let store = RedbStore::open(blind.clone()).unwrap();
        store.commit(&group(0)).unwrap();
        disk.fill(leave);
        let (acknowledged, refusal) = commit_until_refused(&store, 1);
        assert!(refusal.to_string().contains("is full"), "{refusal}");
        drop(store);
        // Still without room, then with it.
        let full = RedbStore::open(blind.clone());
        if let Ok(store) = &full {
            assert_all_there(store, acknowledged);
        }
        drop(full);
        disk.free();
        let store = RedbStore::open(blind).unwrap();
        assert_all_there(&store, acknowledged);
        store.verify().unwrap();
        store.commit(&group(acknowledged)).unwrap();
        println!("{leave} left: {acknowledged} groups acknowledged");
    }
}

#[test]
fn a_replacement_that_does_not_fit_leaves_the_old_blob_and_no_temporary() {
    let Some(disk) = SmallDisk::mount(4) else { return };
    let files = Files::open(disk.path().join("blobs")).unwrap().with_reserve(0);
    files.replace("crl", b"old").unwrap();
    disk.fill(64 << 10);
    let large = vec![0; 1 << 20];
    assert!(matches!(
        files.replace("crl", &large),
        Err(StoreError::Full { .. })
    ));
    assert!(matches!(
        files.write_part("fw", 0, &large),
        Err(StoreError::Full { .. })
    ));
    assert_eq!(files.read("crl", 0, 10).unwrap().unwrap(), b"old");
    let left: Vec<_> = fs::read_dir(disk.path().join("blobs"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
    disk.free();
    files.write_part("fw", 0, &large).unwrap();
    files.seal("fw").unwrap();
}
