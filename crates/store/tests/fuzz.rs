//! Redo logs as a disk may leave them: they are replayed up to a commit and not a step further, or the damage is
//! named. A stranger who can write a checksum makes nothing panic.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

mod crashed;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use crashed::RECORDS;
use falsify::{changed, every_cut, every_flip, falsify};
use service::store::{Batch, Pair, Read, Store, StoreError};
use store::conformance::Failpoint;
use store::{OpenOptions, SledStore};
use tempfile::TempDir;

/// Each opens a database.
const CASES: u32 = 60;
const COMMITS: u32 = 4;
/// Of a record: stamp, generation, number, payload length, checksum.
const HEADER: usize = 32;

fn open(path: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(OpenOptions::new(path, 7, 1))
}

fn batch(number: u32) -> Batch {
    let mut batch = Batch::default();
    for row in 0..3u32 {
        batch.put(format!("row {row}"), format!("{number} of {row}").repeat(4));
    }
    batch.put(format!("only {number}"), "");
    batch.delete(format!("only {}", number.wrapping_sub(1)));
    batch
}

/// What there is after so many commits.
fn rows_after(commits: u32) -> Vec<Pair> {
    if commits == 0 {
        return Vec::new();
    }
    let number = commits - 1;
    let rows = (0..3u32).map(|row| (format!("row {row}"), format!("{number} of {row}").repeat(4)));
    let only = (format!("only {number}"), String::new());
    let rows = std::iter::once(only).chain(rows);
    rows.map(|(key, value)| (key.into_bytes(), value.into_bytes()))
        .collect()
}

/// A store that crashed after its commits, all of them in one log.
struct Crashed {
    _dir: TempDir,
    folder: PathBuf,
    log: PathBuf,
    /// The records in the log, and where they begin and end.
    records: Vec<u8>,
    ends: Vec<usize>,
}

impl Crashed {
    fn new() -> Crashed {
        let dir = tempfile::tempdir().unwrap();
        let (path, folder) = (dir.path().join("db"), dir.path().join("copy"));
        let store = open(&path).unwrap();
        for number in 0..COMMITS {
            store.commit(&batch(number)).unwrap();
        }
        store.stop_at(Failpoint::Appended);
        store.commit(&batch(COMMITS)).unwrap_err();
        crashed::copy(&path, &folder);
        // As a power cut may leave it: nothing beside the logs tells how many commits were acknowledged.
        fs::remove_file(folder.join("committed")).unwrap();
        let log = crashed::only(&folder);
        let ends: Vec<_> = log.ends.iter().map(|end| (end - RECORDS) as usize).collect();
        let bytes = fs::read(&log.path).unwrap();
        let records = bytes[RECORDS as usize..][..*ends.last().unwrap()].to_vec();
        Crashed {
            _dir: dir,
            folder,
            log: log.path,
            records,
            ends,
        }
    }

    /// Opens a copy whose log holds these records, and behind them nothing. The rows, if it opens.
    fn with(&self, records: &[u8]) -> Result<Vec<Pair>, StoreError> {
        let dir = tempfile::tempdir().unwrap();
        crashed::copy(&self.folder, dir.path());
        let log = dir.path().join(self.log.file_name().unwrap());
        let mut bytes = fs::read(&log).unwrap();
        bytes[RECORDS as usize..].fill(0);
        let end = (RECORDS as usize + records.len()).min(bytes.len());
        bytes[RECORDS as usize..end].copy_from_slice(&records[..end - RECORDS as usize]);
        fs::write(&log, bytes).unwrap();
        let store = open(dir.path())?;
        let rows = store.scan(b"", None, usize::MAX)?;
        store.verify()?;
        Ok(rows)
    }

    /// After some commit, or damaged by name.
    fn check(&self, records: &[u8]) -> bool {
        match self.with(records) {
            Ok(rows) => {
                assert!(
                    (0..=COMMITS + 1).any(|commits| rows == rows_after(commits)),
                    "{rows:?}"
                );
                true
            }
            Err(StoreError::Damaged { key, .. }) => {
                assert!(key.starts_with("redo"), "{key}");
                false
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_changed_log_is_replayed_up_to_a_commit_or_named() {
    let (crashed, opened) = (Crashed::new(), Cell::new(0));
    let found = falsify(
        CASES,
        &changed(vec![crashed.records.clone()], &[&[0; 8], &[0xFF; 4]]),
        |records| {
            opened.set(opened.get() + u32::from(crashed.check(records)));
        },
    );
    assert!(found.is_none(), "fails for {found:?}");
    println!("{} of {CASES} opened", opened.get());
}

#[test]
fn a_log_cut_anywhere_is_a_torn_tail() {
    let crashed = Crashed::new();
    for (n, records) in every_cut(&crashed.records).enumerate() {
        // A database for each byte would take long.
        if n % 29 == 0 || crashed.ends.contains(&n) {
            let whole = crashed.ends.iter().filter(|end| **end <= n).count() as u32;
            assert_eq!(crashed.with(&records).unwrap(), rows_after(whole), "{n} bytes");
        }
    }
}

#[test]
fn a_flipped_bit_before_the_last_commit_is_named() {
    let crashed = Crashed::new();
    let acknowledged = crashed.ends[crashed.ends.len() - 2];
    for records in every_flip(&crashed.records).take(acknowledged * 8).step_by(211) {
        assert!(!crashed.check(&records), "an acknowledged commit is gone");
    }
}

/// The record at the beginning of `record` with this payload, and a checksum that fits.
fn forged(record: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut fields = record[..HEADER - 4].to_vec();
    let length = u32::try_from(payload.len()).unwrap();
    fields[HEADER - 8..].copy_from_slice(&length.to_le_bytes());
    let mut sum = crc32fast::Hasher::new();
    sum.update(&fields);
    sum.update(payload);
    [&fields[..], &sum.finalize().to_le_bytes(), payload].concat()
}

#[test]
fn a_forged_record_is_replayed_or_named() {
    let crashed = Crashed::new();
    let first = &crashed.records[..crashed.ends[0]];
    let payload = first[HEADER..].to_vec();
    let found = falsify(
        CASES,
        &changed(vec![payload], &[&[0xFF; 4], &[0; 6], &[1, 0]]),
        |payload| match crashed.with(&forged(first, payload)) {
            Ok(_) | Err(StoreError::Damaged { .. }) => {}
            Err(other) => panic!("{other}"),
        },
    );
    assert!(found.is_none(), "fails for {found:?}");
}
