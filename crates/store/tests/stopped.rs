//! What is done to a store that no service has open: written anew, brought to another engine, repaired.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics where it fails")]

mod crashed;
mod foreign;

use std::fs;
use std::path::{Path, PathBuf};

use service::store::{Batch, Read, Store, StoreError};
use store::{Engine, OpenOptions, Plan, Repaired, SledStore, Stopped};

const ENGINES: [Engine; 2] = [Engine::Sled, Engine::Redb];

fn options(path: &Path) -> OpenOptions {
    OpenOptions::new(path, 8, 2)
}

fn key(row: u32) -> Vec<u8> {
    format!("kind-{}/{row:05}", row % 3).into_bytes()
}

fn batch(rows: std::ops::Range<u32>, mark: u8) -> Batch {
    let mut batch = Batch::default();
    rows.for_each(|row| batch.put(key(row), vec![mark; 200]));
    batch
}

/// A store of epoch 7 and schema 1, with `rows` rows that were written three times.
fn filled(engine: Engine, path: &Path, rows: u32) {
    let store = engine.open(OpenOptions::new(path, 7, 1)).unwrap();
    for mark in 1..=3 {
        for first in (0..rows).step_by(1000) {
            store
                .commit(&batch(first..(first + 1000).min(rows), mark))
                .unwrap();
        }
    }
}

fn stopped(path: &Path) -> Stopped {
    Stopped::find(options(path)).unwrap().unwrap()
}

fn class(key: &[u8]) -> String {
    String::from_utf8_lossy(&key[..6]).into_owned()
}

#[track_caller]
fn assert_holds(engine: Engine, path: &Path, rows: u32) {
    let store = engine.open(OpenOptions::new(path, 9, 2)).unwrap();
    assert_eq!((store.epoch(), store.identity().schema), (7, 1));
    assert_eq!(store.verify().unwrap(), u64::from(rows));
    for row in 0..rows {
        assert_eq!(store.get(&key(row)).unwrap().unwrap(), [3; 200]);
    }
}

fn names_beside(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_compact_store_is_smaller_and_the_same() {
    for engine in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        filled(engine, &path, 20_000);
        let done = stopped(&path).compact().unwrap();
        println!("{engine}: {done:?}");
        assert!(
            done.rows == 20_000 && done.after < done.before,
            "{engine}: {done:?}"
        );
        assert_eq!(names_beside(&path), ["db"]);
        assert_holds(engine, &path, 20_000);
        assert_eq!(stopped(&path).verify().unwrap().rows, 20_000);
    }
}

#[test]
fn a_store_moves_from_one_engine_to_the_other_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    filled(Engine::Sled, &path, 3000);
    let created = SledStore::open(options(&path)).unwrap().created();
    for (from, to) in [(Engine::Sled, Engine::Redb), (Engine::Redb, Engine::Sled)] {
        assert_eq!(stopped(&path).engine(), from);
        assert_eq!(stopped(&path).migrate(to).unwrap().rows, 3000);
        let refusal = from.open(options(&path)).map(drop).unwrap_err();
        assert!(refusal.to_string().contains("migrate --to"), "{refusal}");
        assert_holds(to, &path, 3000);
        assert_eq!(to.open(options(&path)).unwrap().identity().created, created);
        assert_eq!(names_beside(&path), ["db"]);
    }
}

#[test]
fn a_store_that_is_open_is_left_alone() {
    for engine in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        filled(engine, &path, 10);
        let store = engine.open(options(&path)).unwrap();
        let stopped = stopped(&path);
        let locked = |outcome: Result<(), StoreError>| matches!(outcome, Err(StoreError::Locked { .. }));
        assert!(locked(stopped.verify().map(drop)));
        assert!(locked(stopped.compact().map(drop)));
        assert!(locked(stopped.repair(Plan::Try, &class).map(drop)));
        drop(store);
        assert_eq!(names_beside(&path), ["db"]);
    }
    assert!(
        Stopped::find(options(Path::new("/nowhere/db")))
            .unwrap()
            .is_none()
    );
}

#[test]
fn rows_and_bytes_are_counted_by_kind() {
    for engine in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        filled(engine, &path, 3000);
        let stats = stopped(&path).stats(&class).unwrap();
        assert_eq!(stats.classes.len(), 3);
        assert_eq!(stats.classes["kind-1"].rows, 1000);
        assert_eq!(stats.live().bytes, 3000 * (200 + 12));
        assert_eq!((stats.identity.epoch, stats.identity.schema), (7, 1));
        assert!(stats.amplification() > 1.0 && stats.disk_bytes > stats.live().bytes);
    }
}

fn repaired(path: &Path) -> Repaired {
    let stopped = stopped(path);
    assert!(stopped.verify().map_or(true, |found| found.damaged > 0));
    let before = names_beside(path);
    let seen = stopped.repair(Plan::Try, &class).unwrap();
    assert_eq!(names_beside(path), before, "a trial leaves nothing behind");
    let done = stopped.repair(Plan::Replace(1234), &class).unwrap();
    let kept = done.kept.clone().unwrap();
    assert!(kept.ends_with("db.damaged-1234") && kept.is_dir());
    assert_eq!(
        Repaired {
            kept: None,
            ..done.clone()
        },
        seen
    );
    let found = self::stopped(path).verify().unwrap();
    assert_eq!((found.rows, found.damaged), (done.rows, 0));
    done
}

/// Changes a stored byte of a key behind the store's back.
fn damage_row(path: &Path, key: &[u8]) {
    let db = foreign::open(path);
    let mut record = db.get(key).unwrap().unwrap().to_vec();
    *record.last_mut().unwrap() ^= 1;
    db.insert(key, record).unwrap();
}

/// Writes over what the logs still have of commits that were brought in.
fn forget_old_records(path: &Path) {
    for log in ["redo", "redo-2"] {
        let mut bytes = fs::read(path.join(log)).unwrap();
        bytes[crashed::RECORDS as usize..].fill(0);
        fs::write(path.join(log), bytes).unwrap();
    }
}

#[test]
fn a_damaged_record_is_the_only_one_that_is_lost_and_not_even_that_while_a_log_still_has_it() {
    for forgotten in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        filled(Engine::Sled, &path, 500);
        damage_row(&path, &key(7));
        if !forgotten {
            let done = repaired(&path);
            assert!(done.lost.is_nothing() && done.epoch.is_none(), "{done:?}");
            assert_holds(Engine::Sled, &path, 500);
            continue;
        }
        forget_old_records(&path);
        let done = repaired(&path);
        assert_eq!(done.rows, 499);
        assert_eq!(done.lost.classes.get("kind-1"), Some(&1));
        assert_eq!(done.lost.keys, ["kind-1/00007"]);
        assert_eq!(done.epoch, Some(8), "another history");
        assert_eq!(done.lost.missing, Some(0));
    }
}

#[test]
fn pages_that_cannot_be_read_are_passed_over() {
    for engine in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        filled(engine, &path, 20_000);
        // What is read from the start on is then no tail that the engine would cut off.
        drop(engine.open(options(&path)).unwrap());
        if engine == Engine::Sled {
            forget_old_records(&path);
        }
        let file = path.join(if engine == Engine::Sled { "db" } else { "rows.redb" });
        let bytes = fs::read(&file).unwrap();
        let mut harmed = None;
        for part in 3..40 {
            let mut bad = bytes.clone();
            let at = bytes.len() / 41 * part;
            for byte in &mut bad[at..at + 3000] {
                *byte ^= 0x55;
            }
            fs::write(&file, &bad).unwrap();
            if stopped(&path).verify().map_or(true, |found| found.damaged > 0) {
                harmed = Some(part);
                break;
            }
            fs::write(&file, &bytes).unwrap();
        }
        assert!(harmed.is_some(), "{engine}: nothing that was hit is in use");
        let done = repaired(&path);
        println!("{engine}: {} of 20000 rows, {:?}", done.rows, done.lost);
        assert!(
            done.rows > 19_000 && !done.lost.is_nothing(),
            "{engine}: {done:?}"
        );
        let damaged: u64 = done.lost.classes.values().sum();
        assert_eq!(done.lost.missing, Some(20_000 - done.rows - damaged));
        assert!(done.epoch.is_some());
    }
}

fn killed(path: &Path, copy: &Path) -> PathBuf {
    let store = SledStore::open(OpenOptions::new(path, 7, 1)).unwrap();
    store.commit(&batch(0..20, 1)).unwrap();
    store.checkpoint().unwrap();
    for commit in 0..4 {
        store.commit(&batch(commit * 10..commit * 10 + 10, 3)).unwrap();
    }
    crashed::copy(path, copy);
    crashed::only(copy).path
}

#[test]
fn commits_are_taken_from_the_logs_but_for_the_damaged_one() {
    for (damaged, rows) in [(0, 40), (2, 30), (3, 30)] {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("first"), folder.path().join("db"));
        killed(&path, &copy);
        fs::remove_dir_all(&path).unwrap();
        let log = crashed::only(&copy);
        log.overwrite(log.ends[damaged] - 20, b"?");
        let done = repaired(&copy);
        assert_eq!(
            (done.commits, done.lost.commits, done.rows),
            (3, 1, rows),
            "{damaged}"
        );
        assert_eq!(done.epoch, Some(8));
        let store = SledStore::open(options(&copy)).unwrap();
        assert_eq!(
            store.get(&key(1)).unwrap().unwrap(),
            [if damaged == 0 { 1 } else { 3 }; 200]
        );
    }
}

#[test]
fn an_emptied_database_leaves_what_the_logs_have() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("first"), folder.path().join("db"));
    killed(&path, &copy);
    fs::remove_dir_all(&path).unwrap();
    for entry in fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.file_name().unwrap().to_string_lossy().starts_with("snap.") || entry.ends_with("db") {
            fs::remove_file(entry).unwrap();
        }
    }
    let done = repaired(&copy);
    assert_eq!(done.rows, 40, "all are in the log again");
    assert!(done.lost.missing.is_none());
}

#[test]
fn a_crash_in_the_midst_of_a_repair_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    filled(Engine::Sled, &path, 100);
    for left in ["db.new", "db.wreck"] {
        fs::create_dir(folder.path().join(left)).unwrap();
        fs::write(folder.path().join(left).join("redo"), b"half").unwrap();
    }
    assert_holds(Engine::Sled, &path, 100);
    stopped(&path).compact().unwrap();
    stopped(&path).repair(Plan::Try, &class).unwrap();
    assert_holds(Engine::Sled, &path, 100);
    assert_eq!(names_beside(&path), ["db"]);
}

#[test]
fn a_store_that_takes_too_much_is_written_anew_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    {
        let store = Engine::Sled.open(OpenOptions::new(&path, 7, 1)).unwrap();
        for first in (0..400_000).step_by(4000) {
            store.commit(&batch(first..first + 4000, 1)).unwrap();
        }
        for first in (0..400_000u32).step_by(4000) {
            let mut removed = Batch::default();
            (first..first + 4000).for_each(|row| removed.delete(key(row)));
            store.commit(&removed).unwrap();
        }
        store.commit(&batch(0..100, 3)).unwrap();
    }
    let size = || stopped(&path).stats(&class).unwrap().disk_bytes;
    let before = size();
    drop(
        Engine::Sled
            .open(OpenOptions {
                compact_above: 0,
                ..options(&path)
            })
            .unwrap(),
    );
    assert_eq!(size(), before);
    assert!(before > 64 << 20, "{before}");
    assert_holds(Engine::Sled, &path, 100);
    assert!(size() < 24 << 20, "{} of {before}", size());
}
