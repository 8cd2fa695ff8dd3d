//! A crash between any two steps: nothing acknowledged is lost, no batch is torn, nothing overwritten
//! comes back.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod crashed;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use service::store::{Batch, Read, Store, StoreError};
use store::conformance::Failpoint;
use store::{OpenOptions, SledStore};
use tempfile::TempDir;

const ROWS: u32 = 50;

/// Where the records begin in the redo log.
const RECORDS: u64 = 8192;

fn open(path: &Path) -> SledStore {
    SledStore::open(OpenOptions::new(path, 7, 1)).unwrap()
}

/// Overwrites every row, and moves one that must be there once only.
fn group(number: u32) -> Batch {
    let mut batch = Batch::default();
    (0..ROWS).for_each(|row| batch.put(row.to_be_bytes(), number.to_be_bytes().repeat(30)));
    batch.delete(format!("only {}", number.wrapping_sub(1)));
    batch.put(format!("only {number}"), "x");
    batch
}

/// The number of the last group, of which everything is there, and nothing of any other.
fn found(store: &SledStore) -> u32 {
    let rows = store.scan(b"", None, usize::MAX).unwrap();
    let number = u32::from_be_bytes(*rows[0].1.first_chunk().unwrap());
    let (values, only) = rows.split_at(ROWS as usize);
    assert!(
        values
            .iter()
            .all(|(_, value)| *value == number.to_be_bytes().repeat(30)),
        "a torn batch"
    );
    assert_eq!(only, [(format!("only {number}").into_bytes(), b"x".to_vec())]);
    store.verify().unwrap();
    number
}

/// A store with groups 0 to 9 acknowledged, some before a checkpoint, and stopped at `point` in group
/// 10 or in the checkpoint after group 9.
fn crash_at(point: Failpoint) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("db"), folder.path().join("copy"));
    let store = open(&path);
    (0..6).for_each(|number| {
        store.commit(&group(number)).unwrap();
    });
    store.checkpoint().unwrap();
    (6..10).for_each(|number| {
        store.commit(&group(number)).unwrap();
    });
    store.stop_at(point);
    let stopped = match point {
        Failpoint::Flushed | Failpoint::Renewed => store.checkpoint(),
        _ => store.commit(&group(10)).map(drop),
    };
    assert!(matches!(stopped, Err(StoreError::Engine(_))), "{stopped:?}");
    assert!(store.is_poisoned() && store.get(b"only 9").is_err() && store.verify().is_err());
    crashed::copy(&path, &copy);
    (folder, copy)
}

/// Life goes on after a crash, through a clean close and another crash, and nothing old comes back.
fn goes_on(path: &Path) {
    let store = open(path);
    let next = found(&store) + 1;
    store.commit(&group(next)).unwrap();
    drop(store);
    let store = open(path);
    assert_eq!(found(&store), next);
    store.commit(&group(next + 1)).unwrap();
    let again = path.with_extension("again");
    crashed::copy(path, &again);
    drop(store);
    assert_eq!(found(&open(path)), next + 1);
    assert_eq!(found(&open(&again)), next + 1);
}

#[test]
fn a_crash_at_any_point_loses_nothing_and_tears_nothing() {
    let points = [
        (Failpoint::Appended, 10),
        (Failpoint::Synced, 10),
        (Failpoint::HalfApplied, 10),
        (Failpoint::Applied, 10),
        (Failpoint::Flushed, 9),
        (Failpoint::Renewed, 9),
    ];
    for (point, last) in points {
        let (_folder, copy) = crash_at(point);
        assert_eq!(found(&open(&copy)), last, "{point:?}");
        goes_on(&copy);
    }
}

/// Where each record of the present generation ends. Behind the last one lie older generations.
fn ends(path: &Path) -> Vec<u64> {
    let bytes = fs::read(path.join("redo")).unwrap();
    let stamp = &bytes[RECORDS as usize..][..8];
    let mut ends = Vec::new();
    let mut at = RECORDS as usize;
    while bytes[at..].starts_with(stamp) {
        let length = u32::from_le_bytes(*bytes[at + 24..].first_chunk().unwrap());
        at += 32 + length as usize;
        ends.push(at as u64);
    }
    ends
}

fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    let file = fs::File::options().write(true).open(path.join("redo")).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

#[test]
fn a_record_that_was_not_synced_may_be_torn_anywhere() {
    let (folder, copy) = crash_at(Failpoint::Appended);
    let ends = ends(&copy);
    let [.., begin, end] = ends[..] else {
        unreachable!()
    };
    assert_eq!(ends.len(), 5);
    let older = fs::read(copy.join("redo")).unwrap();
    for (trial, torn_at) in (begin..end).step_by(97).chain([end - 1]).enumerate() {
        let left = (end - torn_at) as usize;
        for (kind, instead) in [
            (0, vec![0; left]),
            (1, older[RECORDS as usize..][..left].to_vec()),
        ] {
            let torn = folder.path().join(format!("torn-{trial}-{kind}"));
            crashed::copy(&copy, &torn);
            overwrite(&torn, torn_at, &instead);
            assert_eq!(found(&open(&torn)), 9, "torn at {torn_at}");
            goes_on(&torn);
            fs::remove_dir_all(&torn).unwrap();
        }
    }
}

#[test]
fn a_new_generation_whose_header_is_torn_has_not_begun() {
    let (folder, copy) = crash_at(Failpoint::Renewed);
    for block in [0, 4096] {
        let torn = folder.path().join(format!("torn-{block}"));
        crashed::copy(&copy, &torn);
        overwrite(&torn, block + 12, &[0xff; 8]);
        assert_eq!(found(&open(&torn)), 9, "the header at {block}");
        goes_on(&torn);
    }
}

#[test]
fn the_log_alone_makes_up_for_everything_since_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("db"), folder.path().join("old"));
    let store = open(&path);
    (0..6).for_each(|number| {
        store.commit(&group(number)).unwrap();
    });
    store.checkpoint().unwrap();
    crashed::copy(&path, &old);
    (6..40).for_each(|number| {
        store.commit(&group(number)).unwrap();
    });
    // A power cut that took everything sled wrote since.
    fs::copy(path.join("redo"), old.join("redo")).unwrap();
    assert_eq!(found(&open(&old)), 39);
    goes_on(&old);
}

#[test]
fn a_full_log_makes_its_own_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("db"), folder.path().join("copy"));
    let store = open(&path);
    let filler = |number: u32| vec![number as u8; 60_000];
    for number in 0..40 {
        let mut batch = group(number);
        (0..20u32).for_each(|row| batch.put(row.to_be_bytes(), filler(number)));
        store.commit(&batch).unwrap();
        store.commit(&group(number)).unwrap();
        assert!(fs::metadata(path.join("redo")).unwrap().len() <= 8 << 20);
    }
    crashed::copy(&path, &copy);
    assert_eq!(found(&open(&copy)), 39);
    goes_on(&copy);
}

#[test]
fn a_batch_larger_than_the_log_is_one_record_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("db"), folder.path().join("copy"));
    let store = open(&path);
    store.commit(&group(0)).unwrap();
    let mut large = Batch::default();
    (0..200u32).for_each(|row| large.put(format!("large {row}"), vec![row as u8; 60_000]));
    store.commit(&large).unwrap();
    crashed::copy(&path, &copy);
    store.commit(&group(1)).unwrap();
    assert!(fs::metadata(path.join("redo")).unwrap().len() <= 8 << 20);
    for store in [store, open(&copy)] {
        let rows = store.scan(b"large", None, usize::MAX).unwrap();
        assert!(rows.len() == 200 && rows.iter().all(|(_, value)| value.len() == 60_000));
    }
}

fn named(outcome: Result<SledStore, StoreError>, record: &str) -> bool {
    matches!(outcome, Err(StoreError::Damaged { key, .. }) if key == record)
}

fn try_open(path: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(OpenOptions::new(path, 7, 1))
}

#[test]
fn damage_before_the_tail_is_named_and_keeps_the_store_closed() {
    let (folder, copy) = crash_at(Failpoint::Synced);
    let ends = ends(&copy);
    for (record, end) in ends.iter().enumerate().take(4) {
        let bad = folder.path().join(format!("bad-{record}"));
        crashed::copy(&copy, &bad);
        overwrite(&bad, end - 200, b"?");
        assert!(
            named(try_open(&bad), &format!("redo#{record}")),
            "record {record}"
        );
        assert!(named(try_open(&bad), &format!("redo#{record}")), "it stays so");
    }
}

#[test]
fn a_log_that_is_missing_or_unreadable_is_damage() {
    let (folder, copy) = crash_at(Failpoint::Synced);
    let bad = folder.path().join("bad");
    crashed::copy(&copy, &bad);
    overwrite(&bad, 0, &[0; RECORDS as usize]);
    assert!(named(try_open(&bad), "redo"));
    fs::remove_file(bad.join("redo")).unwrap();
    assert!(named(try_open(&bad), "redo"));
}

#[test]
fn a_header_damaged_after_records_followed_it_is_damage() {
    let (folder, copy) = crash_at(Failpoint::Synced);
    let mut refused = 0;
    for block in [0, 4096] {
        let bad = folder.path().join(format!("bad-{block}"));
        crashed::copy(&copy, &bad);
        overwrite(&bad, block + 12, &[0xff; 8]);
        match try_open(&bad) {
            Ok(store) => assert_eq!(found(&store), 10, "the older header is of no consequence"),
            error => {
                assert!(named(error, "redo"));
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 1);
}

#[test]
fn verify_reads_the_log_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.commit(&group(0)).unwrap();
    store.commit(&group(1)).unwrap();
    assert_eq!(store.verify().unwrap(), u64::from(ROWS) + 1);
    overwrite(folder.path(), ends(folder.path())[1] - 1, b"?");
    assert!(matches!(store.verify(), Err(StoreError::Damaged { key, .. }) if key == "redo#1"));
    store.checkpoint().unwrap();
    assert_eq!(
        store.verify().unwrap(),
        u64::from(ROWS) + 1,
        "a checkpoint heals it"
    );
}

/// A client may put into its value what looks like a record, of this store even, but not its stamp.
#[test]
fn a_value_cannot_pass_for_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("db"), folder.path().join("copy"));
    let store = open(&path);
    store.commit(&group(0)).unwrap();
    let record = fs::read(path.join("redo")).unwrap()[RECORDS as usize..ends(&path)[0] as usize].to_vec();
    // A later generation has another stamp.
    store.checkpoint().unwrap();
    let mut forged = Batch::default();
    forged.put("forged", record.repeat(5));
    store.commit(&forged).unwrap();
    store.commit(&group(1)).unwrap();
    store.commit(&forged).unwrap();
    crashed::copy(&path, &copy);
    overwrite(&copy, ends(&copy)[2] - 10, &[0xee; 10]);
    let store = open(&copy);
    assert_eq!(store.get(b"forged").unwrap().unwrap(), record.repeat(5));
    assert_eq!(store.get(b"only 1").unwrap().unwrap(), b"x");
    assert_eq!(store.get(b"only 0").unwrap(), None);
}
