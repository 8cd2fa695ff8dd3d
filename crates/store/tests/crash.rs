//! A crash between any two steps: nothing acknowledged is lost, no batch is torn, nothing overwritten
//! comes back.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod crashed;

use std::fs;
use std::path::{Path, PathBuf};

use crashed::RECORDS;
use service::store::{Batch, Read, Store, StoreError};
use store::conformance::Failpoint;
use store::{OpenOptions, SledStore};
use tempfile::TempDir;

const ROWS: u32 = 50;

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

fn commit(store: &SledStore, groups: std::ops::Range<u32>) {
    for number in groups {
        store.commit(&group(number)).unwrap();
    }
}

/// The number of the last group, of which everything is there, and nothing of any other.
fn found(store: &SledStore) -> u32 {
    let number = seen(store);
    store.verify().unwrap();
    number
}

/// The same without a look at the logs, which waits for the applier.
fn seen(store: &SledStore) -> u32 {
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
        Failpoint::Appended | Failpoint::Synced => store.commit(&group(10)).map(drop),
        _ => store.checkpoint(),
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
        (Failpoint::Turned, 9),
        (Failpoint::Frozen, 9),
        (Failpoint::Begun, 9),
        (Failpoint::HalfApplied, 9),
        (Failpoint::Applied, 9),
        (Failpoint::Flushed, 9),
        (Failpoint::Renewed, 9),
    ];
    for (point, last) in points {
        let (_folder, copy) = crash_at(point);
        assert_eq!(found(&open(&copy)), last, "{point:?}");
        goes_on(&copy);
    }
}

/// A store that has groups 0 to 9, whose applier is held at `point` with groups 6 to 8, so that group 9
/// is in the other log.
fn held_at(point: Failpoint) -> (TempDir, PathBuf, SledStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let store = open(&path);
    commit(&store, 0..6);
    store.checkpoint().unwrap();
    commit(&store, 6..9);
    store.hold_at(point);
    store.turn().unwrap();
    store.wait_until_held();
    assert_eq!(seen(&store), 8);
    store.commit(&group(9)).unwrap();
    assert_eq!(seen(&store), 9);
    (folder, path, store)
}

const IN_THE_APPLIER: [Failpoint; 6] = [
    Failpoint::Frozen,
    Failpoint::Begun,
    Failpoint::HalfApplied,
    Failpoint::Applied,
    Failpoint::Flushed,
    Failpoint::Renewed,
];

#[test]
fn commits_go_on_while_a_full_log_is_brought_in_and_a_crash_meanwhile_loses_nothing() {
    for point in IN_THE_APPLIER {
        let (folder, path, store) = held_at(point);
        let copy = folder.path().join("copy");
        crashed::copy(&path, &copy);
        store.release();
        assert_eq!(found(&store), 9, "{point:?}");
        drop(store);
        assert_eq!(found(&open(&copy)), 9, "{point:?}");
        goes_on(&copy);
        goes_on(&path);
    }
}

#[test]
fn a_crash_after_a_crash_with_both_logs_in_use_loses_nothing_either() {
    for first in IN_THE_APPLIER {
        let (folder, path, store) = held_at(first);
        let (copy, again) = (folder.path().join("copy"), folder.path().join("again"));
        crashed::copy(&path, &copy);
        store.release();
        let store = open(&copy);
        store.commit(&group(10)).unwrap();
        // Until what the crash left is in sled.
        store.verify().unwrap();
        store.hold_at(Failpoint::HalfApplied);
        store.turn().unwrap();
        store.wait_until_held();
        store.commit(&group(11)).unwrap();
        crashed::copy(&copy, &again);
        store.release();
        assert_eq!(found(&open(&again)), 11, "{first:?}");
    }
}

#[test]
fn a_full_log_that_lost_its_end_is_damage() {
    let (folder, path, store) = held_at(Failpoint::HalfApplied);
    let copy = folder.path().join("copy");
    crashed::copy(&path, &copy);
    store.release();
    let [full, _] = crashed::logs(&copy);
    for record in 0..full.ends.len() {
        let bad = folder.path().join(format!("bad-{record}"));
        crashed::copy(&copy, &bad);
        let [full, active] = crashed::logs(&bad);
        assert_eq!((full.ends.len(), active.ends.len()), (3, 1));
        full.overwrite(full.ends[record] - 1, b"?");
        assert!(named(try_open(&bad), &full.record(record)), "record {record}");
    }
}

#[test]
fn a_record_that_was_not_synced_may_be_torn_anywhere() {
    let (folder, copy) = crash_at(Failpoint::Appended);
    let ends = crashed::only(&copy).ends;
    let [.., begin, end] = ends[..] else {
        unreachable!()
    };
    assert_eq!(ends.len(), 5);
    let older = fs::read(crashed::only(&copy).path).unwrap();
    for (trial, torn_at) in (begin..end).step_by(97).chain([end - 1]).enumerate() {
        let left = (end - torn_at) as usize;
        for (kind, instead) in [
            (0, vec![0; left]),
            (1, older[RECORDS as usize..][..left].to_vec()),
        ] {
            let torn = folder.path().join(format!("torn-{trial}-{kind}"));
            crashed::copy(&copy, &torn);
            crashed::only(&torn).overwrite(torn_at, &instead);
            assert_eq!(found(&open(&torn)), 9, "torn at {torn_at}");
            goes_on(&torn);
            fs::remove_dir_all(&torn).unwrap();
        }
    }
}

/// The commit that follows a torn record takes its place, in a log that goes on being used.
#[test]
fn a_torn_record_is_overwritten_by_the_next_one() {
    let (folder, copy) = crash_at(Failpoint::Appended);
    let log = crashed::only(&copy);
    log.overwrite(log.ends[4] - 40, &[0; 40]);
    let store = open(&copy);
    let mut small = Batch::default();
    small.put("small", "s");
    for number in 10..13 {
        store.commit(&small).unwrap();
        store.commit(&group(number)).unwrap();
        let again = folder.path().join(format!("again-{number}"));
        crashed::copy(&copy, &again);
        let store = open(&again);
        assert_eq!(store.get(b"small").unwrap().unwrap(), b"s");
        assert!(store.get(format!("only {number}").as_bytes()).unwrap().is_some());
    }
}

#[test]
fn a_new_generation_whose_header_is_torn_has_not_begun() {
    let (folder, copy) = crash_at(Failpoint::Renewed);
    for (name, block) in [("redo", 0), ("redo", 4096), ("redo-2", 0), ("redo-2", 4096)] {
        let torn = folder.path().join(format!("torn-{name}-{block}"));
        crashed::copy(&copy, &torn);
        damage_header(&torn, name, block);
        match try_open(&torn) {
            Ok(store) => assert_eq!(found(&store), 9, "{name} at {block}"),
            refused => {
                // Not torn by a crash: it was on disk before the applier began.
                assert!(named(refused, "redo-2"), "{name} at {block}");
                continue;
            }
        }
        goes_on(&torn);
    }
}

/// No void generation comes back, whichever header goes bad when all is at rest.
#[test]
fn a_header_that_goes_bad_brings_nothing_old_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let mut refused = 0;
    for number in 0..4 {
        let store = open(&path);
        store.commit(&group(number)).unwrap();
        drop(store);
        for (name, block) in [("redo", 0), ("redo", 4096), ("redo-2", 0), ("redo-2", 4096)] {
            let bad = folder.path().join(format!("bad-{number}-{name}-{block}"));
            crashed::copy(&path, &bad);
            damage_header(&bad, name, block);
            match try_open(&bad) {
                Ok(store) => assert_eq!(found(&store), number, "{name} at {block}"),
                outcome => {
                    assert!(matches!(outcome, Err(StoreError::Damaged { .. })), "{outcome:?}");
                    refused += 1;
                }
            }
        }
    }
    println!("{refused} of 16 refused");
    assert!(refused < 16);
}

fn damage_header(folder: &Path, name: &str, block: u64) {
    let [one, other] = crashed::logs(folder);
    let log = if one.path.ends_with(name) { one } else { other };
    log.overwrite(block + 12, &[0xff; 8]);
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
    take_logs(&path, &old);
    assert_eq!(found(&open(&old)), 39);
    goes_on(&old);
}

#[test]
fn both_logs_make_up_for_everything_since_the_checkpoint() {
    for point in [Failpoint::HalfApplied, Failpoint::Applied, Failpoint::Flushed] {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("db"), folder.path().join("old"));
        let store = open(&path);
        store.commit(&group(0)).unwrap();
        store.checkpoint().unwrap();
        crashed::copy(&path, &old);
        commit(&store, 1..5);
        store.hold_at(point);
        store.turn().unwrap();
        store.wait_until_held();
        commit(&store, 5..8);
        take_logs(&path, &old);
        store.release();
        assert_eq!(found(&open(&old)), 7, "{point:?}");
        goes_on(&old);
    }
}

fn take_logs(from: &Path, to: &Path) {
    for log in ["redo", "redo-2"] {
        fs::copy(from.join(log), to.join(log)).unwrap();
    }
}

fn assert_logs_bounded(path: &Path) {
    for log in ["redo", "redo-2"] {
        assert!(fs::metadata(path.join(log)).unwrap().len() <= 8 << 20);
    }
}

#[test]
fn a_full_log_makes_place_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("db"), folder.path().join("copy"));
    let store = open(&path);
    let filler = |number: u32| vec![number as u8; 60_000];
    for number in 0..40 {
        let mut batch = group(number);
        (0..20u32).for_each(|row| batch.put(row.to_be_bytes(), filler(number)));
        store.commit(&batch).unwrap();
        store.commit(&group(number)).unwrap();
        assert_logs_bounded(&path);
    }
    assert_eq!(found(&store), 39);
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
    store.verify().unwrap();
    crashed::copy(&path, &copy);
    store.commit(&group(1)).unwrap();
    store.verify().unwrap();
    assert_logs_bounded(&path);
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
    for record in 0..4 {
        let bad = folder.path().join(format!("bad-{record}"));
        crashed::copy(&copy, &bad);
        let log = crashed::only(&bad);
        log.overwrite(log.ends[record] - 200, b"?");
        assert!(named(try_open(&bad), &log.record(record)), "record {record}");
        assert!(named(try_open(&bad), &log.record(record)), "it stays so");
    }
}

#[test]
fn a_log_that_is_missing_or_unreadable_is_damage() {
    let (folder, copy) = crash_at(Failpoint::Synced);
    for name in ["redo", "redo-2"] {
        let bad = folder.path().join(format!("bad-{name}"));
        crashed::copy(&copy, &bad);
        damage_header(&bad, name, 0);
        damage_header(&bad, name, 4096);
        assert!(named(try_open(&bad), name));
        fs::remove_file(bad.join(name)).unwrap();
        assert!(named(try_open(&bad), name));
    }
}

#[test]
fn a_header_damaged_after_records_followed_it_is_damage() {
    let (folder, copy) = crash_at(Failpoint::Synced);
    let name = crashed::only(&copy).path.file_name().unwrap().to_owned();
    let name = name.to_str().unwrap();
    let mut refused = 0;
    for block in [0, 4096] {
        let bad = folder.path().join(format!("bad-{block}"));
        crashed::copy(&copy, &bad);
        damage_header(&bad, name, block);
        match try_open(&bad) {
            Ok(store) => assert_eq!(found(&store), 10, "the older header is of no consequence"),
            error => {
                assert!(named(error, name));
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
    let log = crashed::only(folder.path());
    log.overwrite(log.ends[1] - 1, b"?");
    assert!(matches!(store.verify(), Err(StoreError::Damaged { key, .. }) if key == log.record(1)));
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
    let log = crashed::only(&path);
    let record = fs::read(&log.path).unwrap()[RECORDS as usize..log.ends[0] as usize].to_vec();
    // A later generation has another stamp.
    store.checkpoint().unwrap();
    let mut forged = Batch::default();
    forged.put("forged", record.repeat(5));
    store.commit(&forged).unwrap();
    store.commit(&group(1)).unwrap();
    store.commit(&forged).unwrap();
    crashed::copy(&path, &copy);
    let log = crashed::only(&copy);
    log.overwrite(log.ends[2] - 10, &[0xee; 10]);
    // A power cut before it was acknowledged.
    fs::remove_file(copy.join("committed")).unwrap();
    let store = open(&copy);
    assert_eq!(store.get(b"forged").unwrap().unwrap(), record.repeat(5));
    assert_eq!(store.get(b"only 1").unwrap().unwrap(), b"x");
    assert_eq!(store.get(b"only 0").unwrap(), None);
}
