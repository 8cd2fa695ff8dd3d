//! Files that are damaged while the store is closed: what was acknowledged is there, or the store says
//! that it is not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics where it fails")]

mod crashed;
mod foreign;

use std::fs;
use std::path::{Path, PathBuf};

use service::store::{Batch, Read, Store, StoreError};
use store::conformance::Failpoint;
use store::{OpenOptions, SledStore};
use tempfile::TempDir;

fn open(path: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(OpenOptions::new(path, 7, 1))
}

/// Rows that no other group writes, and one that all do.
fn group(number: u32, rows: u32) -> Batch {
    let mut batch = Batch::default();
    (0..rows).for_each(|row| batch.put(key(number, row), vec![number as u8; 300]));
    batch.put("last", number.to_be_bytes());
    batch
}

fn key(number: u32, row: u32) -> Vec<u8> {
    format!("row {row:05} of {number:05}").into_bytes()
}

fn commit(store: &SledStore, numbers: std::ops::Range<u32>, rows: u32) {
    for number in numbers {
        store.commit(&group(number, rows)).unwrap();
    }
}

/// Whether everything up to group `last` is there; an error is a refusal.
fn is_whole(store: &SledStore, last: u32, rows: u32) -> Result<bool, StoreError> {
    let all = store.scan(b"row", None, usize::MAX)?;
    let right = all.iter().all(|(_, value)| value.len() == 300);
    let newest = store.get(b"last")?;
    Ok(right && all.len() as u32 == (last + 1) * rows && newest == Some(last.to_be_bytes().to_vec()))
}

#[track_caller]
fn assert_refused(path: &Path, name: &str) {
    match open(path) {
        Err(StoreError::Damaged { key, .. }) if key.starts_with(name) => {}
        other => panic!("{name} should be named: {other:?}"),
    }
}

fn flip(path: &Path, at: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at as usize] ^= 4;
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path, length: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

/// A store that was killed with groups 0 to 4, the last three in a log only.
fn killed() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("db"), folder.path().join("killed"));
    let store = open(&path).unwrap();
    commit(&store, 0..2, 20);
    store.checkpoint().unwrap();
    commit(&store, 2..5, 20);
    crashed::copy(&path, &copy);
    (folder, copy)
}

fn each_copy(from: &Path, number: u64) -> PathBuf {
    let copy = from.with_extension(format!("copy-{number}"));
    crashed::copy(from, &copy);
    copy
}

#[test]
fn a_flipped_bit_in_any_record_is_named_the_last_one_included() {
    let (_folder, killed) = killed();
    let log = crashed::only(&killed);
    let name = log.path.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(log.ends.len(), 3);
    let end = *log.ends.last().unwrap();
    for at in (crashed::RECORDS..end).step_by(211).chain([end - 1]) {
        let bad = each_copy(&killed, at);
        flip(&bad.join(&name), at);
        assert_refused(&bad, &name);
    }
}

#[test]
fn a_log_that_was_cut_anywhere_is_named() {
    let (_folder, killed) = killed();
    let log = crashed::only(&killed).path;
    let length = fs::metadata(&log).unwrap().len();
    let name = log.file_name().unwrap();
    for left in (1..length).step_by(4099).chain([length - 1]) {
        let bad = each_copy(&killed, left);
        cut(&bad.join(name), left);
        assert_refused(&bad, name.to_str().unwrap());
    }
}

/// Without the file beside the logs, as after a power cut, a damaged last record is as good as one that
/// was never acknowledged. Cuts are still known from the log's header, and so is all that has a record
/// behind it.
#[test]
fn without_word_of_what_was_acknowledged_a_flip_in_the_last_record_and_no_other_is_a_torn_write() {
    let (_folder, killed) = killed();
    fs::remove_file(killed.join("committed")).unwrap();
    let log = crashed::only(&killed);
    let name = log.path.file_name().unwrap();
    for (record, end) in log.ends.iter().enumerate() {
        let bad = each_copy(&killed, record as u64);
        crashed::only(&bad).overwrite(end - 1, b"?");
        if record + 1 < log.ends.len() {
            assert_refused(&bad, &log.record(record));
        } else {
            assert!(is_whole(&open(&bad).unwrap(), 3, 20).unwrap());
        }
    }
    let bad = each_copy(&killed, 100);
    cut(&bad.join(name), fs::metadata(&log.path).unwrap().len() - 1);
    assert_refused(&bad, name.to_str().unwrap());
}

#[test]
fn what_tells_of_acknowledgements_may_itself_be_damaged() {
    let (_folder, killed) = killed();
    for at in 0..20 {
        let bad = each_copy(&killed, at);
        flip(&bad.join("committed"), at);
        assert!(is_whole(&open(&bad).unwrap(), 4, 20).unwrap(), "byte {at}");
    }
    let bad = each_copy(&killed, 20);
    cut(&bad.join("committed"), 0);
    let store = open(&bad).unwrap();
    assert!(is_whole(&store, 4, 20).unwrap());
    commit(&store, 5..6, 20);
    let again = each_copy(&bad, 0);
    let log = crashed::only(&again);
    flip(&log.path, log.ends[3] - 1);
    assert_refused(&again, &log.path.file_name().unwrap().to_string_lossy());
}

/// With rows in it, and with none but the store's own.
#[test]
fn a_database_that_was_emptied_or_removed_is_not_taken_for_a_new_one() {
    for groups in [0, 3] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let store = open(&path).unwrap();
        commit(&store, 0..groups, 20);
        drop(store);
        for snapshots in [true, false] {
            let bad = each_copy(&path, u64::from(groups) * 2 + u64::from(snapshots));
            cut(&bad.join("db"), 0);
            if !snapshots {
                remove_snapshots(&bad);
            }
            assert!(open(&bad).is_err(), "{groups} groups");
            fs::remove_file(bad.join("db")).unwrap();
            remove_snapshots(&bad);
            assert_refused(&bad, "db");
        }
    }
}

fn remove_snapshots(path: &Path) {
    for entry in fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.file_name().unwrap().to_str().unwrap().starts_with("snap.") {
            fs::remove_file(entry).unwrap();
        }
    }
}

#[test]
fn a_database_of_an_earlier_time_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, older) = (folder.path().join("db"), folder.path().join("older"));
    commit(&open(&path).unwrap(), 0..3, 20);
    crashed::copy(&path, &older);
    commit(&open(&path).unwrap(), 3..6, 20);
    for log in ["redo", "redo-2", "committed"] {
        fs::copy(path.join(log), older.join(log)).unwrap();
    }
    assert_refused(&older, "db");
    assert!(is_whole(&open(&path).unwrap(), 5, 20).unwrap());
}

#[test]
fn logs_of_an_earlier_time_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, older) = (folder.path().join("db"), folder.path().join("older"));
    commit(&open(&path).unwrap(), 0..3, 20);
    crashed::copy(&path, &older);
    commit(&open(&path).unwrap(), 3..6, 20);
    for log in ["redo", "redo-2"] {
        fs::copy(older.join(log), path.join(log)).unwrap();
    }
    assert_refused(&path, "redo");
}

/// A clean stop with several segments of sled's log since sled's last snapshot: a flip in the midst of it
/// makes sled skip the rest of that segment, and go on behind it.
#[test]
fn no_flip_in_the_database_and_no_cut_takes_rows_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let store = open(&path).unwrap();
    commit(&store, 0..30, 1000);
    drop(store);
    let database = fs::read(path.join("db")).unwrap();
    let written: Vec<_> = (0..database.len()).filter(|at| database[*at] != 0).collect();
    assert!(written.len() > 3 << 20, "{}", written.len());
    let mut refused = 0;
    for trial in 0..24 {
        let at = written[written.len() / 24 * trial + 11] as u64;
        for is_cut in [false, true] {
            let bad = each_copy(&path, at);
            match is_cut {
                true => cut(&bad.join("db"), at),
                false => flip(&bad.join("db"), at),
            }
            match open(&bad).and_then(|store| is_whole(&store, 29, 1000)) {
                Ok(whole) => assert!(whole, "byte {at}, cut: {is_cut}"),
                Err(_) => refused += 1,
            }
            fs::remove_dir_all(bad).unwrap();
        }
    }
    println!("{refused} of 48 refused, the others whole");
    assert!(refused > 24);
}

/// A crash in the midst of a turn: the rows that the log writes are either, and come from the log; any
/// other that is missing is missed.
#[test]
fn rows_that_a_turn_leaves_alone_are_counted_after_a_crash_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("db"), folder.path().join("copy"));
    let store = open(&path).unwrap();
    commit(&store, 0..3, 20);
    store.checkpoint().unwrap();
    commit(&store, 3..5, 20);
    store.hold_at(Failpoint::HalfApplied);
    store.turn().unwrap();
    store.wait_until_held();
    crashed::copy(&path, &copy);
    store.release();
    for (victim, is_missed) in [(key(1, 5), true), (key(3, 0), false), (b"last".to_vec(), false)] {
        let bad = each_copy(&copy, victim.len() as u64 * 2 + u64::from(is_missed));
        let db = raw(&bad);
        db.remove(&victim).unwrap();
        drop(db);
        if is_missed {
            assert_refused(&bad, "db");
        } else {
            assert!(is_whole(&open(&bad).unwrap(), 4, 20).unwrap());
        }
    }
}

fn raw(path: &Path) -> sled::Db {
    foreign::open(path)
}
