//! What opening a store meets: other processes, newer state, broken snapshots, full disks.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod foreign;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use service::store::{Batch, Read, Store, StoreError};
use store::{OpenOptions, SledStore};

fn options(path: &Path) -> OpenOptions {
    OpenOptions::new(path, 7, 1)
}

fn open(path: &Path) -> SledStore {
    SledStore::open(options(path)).unwrap()
}

fn rows(from: u32, count: u32) -> Batch {
    let mut batch = Batch::default();
    (from..from + count)
        .for_each(|row| batch.put(row.to_be_bytes(), format!("row {row} {}", "x".repeat(80))));
    batch
}

fn snapshots(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("snap."))
        .collect()
}

#[test]
fn a_second_opener_is_told_who_is_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let refusal = SledStore::open(options(folder.path())).unwrap_err();
    assert!(matches!(refusal, StoreError::Locked { .. }), "{refusal}");
    drop(first);
    open(folder.path());
}

#[test]
fn a_foreign_holder_of_the_database_counts_as_well() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let foreign = foreign::open(folder.path());
    assert!(matches!(
        SledStore::open(options(folder.path())),
        Err(StoreError::Locked { .. })
    ));
    drop(foreign);
    open(folder.path());
}

#[test]
fn a_dropped_store_opens_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..30 {
        let begun = Instant::now();
        let store = open(folder.path());
        assert!(begun.elapsed() < Duration::from_secs(2));
        store.commit(&rows(round * 100, 100)).unwrap();
        assert_eq!(store.verify().unwrap(), u64::from(round + 1) * 100);
    }
}

#[test]
fn the_epoch_given_counts_only_for_a_new_store() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(open(folder.path()).epoch(), 7);
    let again = SledStore::open(OpenOptions {
        fresh_epoch: 8,
        ..options(folder.path())
    })
    .unwrap();
    assert_eq!(again.epoch(), 7);
    assert!(again.created() > 1_700_000_000);
}

#[test]
fn newer_state_is_refused_and_older_is_migrated_once() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).commit(&rows(0, 10)).unwrap();
    let newer = |schema| OpenOptions {
        schema,
        ..options(folder.path())
    };
    let store = SledStore::open(newer(3)).unwrap();
    assert_eq!(store.schema(), 1);
    store.migrate(&rows(10, 10)).unwrap();
    assert_eq!(store.schema(), 3);
    drop(store);
    let refusal = SledStore::open(newer(2)).unwrap_err();
    assert_eq!(refusal, StoreError::Schema { found: 3, known: 2 });
    let store = SledStore::open(newer(3)).unwrap();
    assert_eq!((store.schema(), store.verify().unwrap()), (3, 20));
}

#[test]
fn rows_without_metadata_are_not_taken_for_a_new_store() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).commit(&rows(0, 10)).unwrap();
    let db = foreign::open(folder.path());
    db.remove(b"\x00meta").unwrap();
    drop(db);
    assert!(matches!(
        SledStore::open(options(folder.path())),
        Err(StoreError::Damaged { .. })
    ));
}

#[test]
fn an_empty_snapshot_is_set_aside_and_every_row_is_there() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = open(folder.path());
        for group in 0..20 {
            store.commit(&rows(group * 500, 500)).unwrap();
        }
    }
    drop(open(folder.path()));
    let found = snapshots(folder.path());
    assert!(!found.is_empty());
    found.iter().for_each(|path| fs::write(path, b"").unwrap());
    let store = open(folder.path());
    assert_eq!(store.verify().unwrap(), 10_000);
    assert_eq!(store.epoch(), 7);
    assert!(folder.path().join("repair-1").is_dir());
}

#[test]
fn a_snapshot_cut_off_while_it_was_written_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).commit(&rows(0, 500)).unwrap();
    drop(open(folder.path()));
    fs::write(folder.path().join("snap.FFFFFFFFFFFFFFFF.generating"), b"half").unwrap();
    assert_eq!(open(folder.path()).verify().unwrap(), 500);
    assert!(!folder.path().join("repair-1").exists());
}

#[test]
fn a_cut_database_is_damaged_and_stays_closed() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = open(folder.path());
        for group in 0..40 {
            store.commit(&rows(group * 1000, 1000)).unwrap();
        }
    }
    drop(open(folder.path()));
    let file = fs::File::options()
        .write(true)
        .open(folder.path().join("db"))
        .unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    match SledStore::open(options(folder.path())) {
        Err(error) => assert!(
            matches!(error, StoreError::Engine(_) | StoreError::Damaged { .. }),
            "{error}"
        ),
        Ok(store) => assert!(store.verify().is_err() || store.verify().unwrap() < 40_000),
    }
}

#[test]
fn overwritten_rows_give_their_space_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for round in 0..100u32 {
        let mut batch = Batch::default();
        (0..1000u32).for_each(|row| batch.put(row.to_be_bytes(), (round + row).to_be_bytes().repeat(25)));
        store.commit(&batch).unwrap();
    }
    let size = store.size_on_disk().unwrap();
    // 16 MiB of it are the redo logs, which keep their size.
    assert!(
        size < 34 << 20,
        "{size} bytes for 100 kB of rows written a hundred times"
    );
}

#[test]
fn readers_run_beside_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    store.commit(&rows(0, 1000)).unwrap();
    let readers: Vec<_> = (0..3u32)
        .map(|seed| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                for round in 0..50 {
                    let row = ((seed + 1) * round * 7) % 1000;
                    assert!(store.get(&row.to_be_bytes()).unwrap().is_some());
                    assert_eq!(store.scan(b"", None, 1000).unwrap().len(), 1000);
                }
            })
        })
        .collect();
    for group in 1..50 {
        store.commit(&rows(group * 1000, 200)).unwrap();
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

#[test]
fn the_watermark_refuses_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).commit(&rows(0, 10)).unwrap();
    let greedy = OpenOptions {
        reserve_bytes: u64::MAX,
        ..options(folder.path())
    };
    let store = SledStore::open(greedy).unwrap();
    assert!(matches!(
        store.commit(&rows(10, 10)),
        Err(StoreError::Full { .. })
    ));
    assert!(!store.is_poisoned());
    assert_eq!(store.verify().unwrap(), 10);
}
