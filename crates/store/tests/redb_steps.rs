//! redb over a disk that is played to the byte: it fails at any step, is full, tears, loses and reorders what was not
//! synced. Nothing acknowledged is lost, no commit is torn, and no sound store is refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails where it unwraps")]
// The disk is the simulator's, which knows no database and needs more of it.
#![allow(dead_code)]
// How many histories is for the environment to say.
#![allow(clippy::disallowed_methods)]

#[path = "../../simulator/src/dice.rs"]
mod dice;
#[path = "../../simulator/src/platter.rs"]
mod platter;

use std::collections::BTreeMap;

use dice::Dice;
use platter::Platter;
use service::store::{Batch, Read, Store, StoreError};
use store::conformance::{self, Home};
use store::{OpenOptions, RedbStore};
use tempfile::TempDir;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a store may serve.
#[derive(Clone, Default)]
struct Promised {
    acknowledged: Rows,
    /// With the commit that was neither acknowledged nor undone.
    doubtful: Option<Rows>,
}

struct Rig {
    folder: TempDir,
    file: Platter,
}

impl Rig {
    fn new() -> Rig {
        Rig {
            folder: tempfile::tempdir().unwrap(),
            file: Platter::default(),
        }
    }

    fn try_open(&self) -> Result<RedbStore, StoreError> {
        let options = OpenOptions {
            reserve_bytes: 0,
            cache_bytes: 1 << 20,
            ..OpenOptions::new(self.folder.path(), 7, 1)
        };
        RedbStore::open_over(options, self.file.clone())
    }

    /// The process is gone: nothing that it would have done when it closes is done.
    fn kill(&self, store: Option<RedbStore>) {
        self.file.fail_after(0, 0);
        drop(store);
        self.file.on();
    }

    /// The power is gone too; what stands beside the rows may be older then.
    fn cut_power(&self, dice: &mut Dice) {
        self.file.cut_power(dice);
        if dice.percent(50) {
            let _ = std::fs::remove_file(self.folder.path().join("committed"));
        }
    }

    /// Opens it: it has what was promised, whole, and takes another commit.
    fn demand(&self, promised: &mut Promised, what: &str) -> RedbStore {
        let store = self.try_open().unwrap_or_else(|error| panic!("{what}: {error}"));
        let rows = rows(&store);
        let expected = [Some(&promised.acknowledged), promised.doubtful.as_ref()];
        assert!(expected.contains(&Some(&rows)), "{what}: {} rows", rows.len());
        assert_eq!(store.verify().unwrap(), rows.len() as u64, "{what}");
        *promised = Promised {
            acknowledged: rows,
            doubtful: None,
        };
        store
    }
}

impl Home for Rig {
    type Engine = RedbStore;

    fn open(&self) -> RedbStore {
        self.try_open().unwrap()
    }
}

fn rows(store: &RedbStore) -> Rows {
    store.scan(b"", None, usize::MAX).unwrap().into_iter().collect()
}

/// Overwrites, removes and adds; some values take pages of their own.
fn batch(number: u64, dice: &mut Dice) -> Batch {
    let mut batch = Batch::default();
    for _ in 0..dice.between(1, 40) {
        let key = dice.below(200).to_be_bytes();
        match dice.below(10) {
            0..2 => batch.delete(key),
            2 => batch.put(key, vec![number as u8; 9_000]),
            _ => batch.put(key, number.to_be_bytes().repeat(12)),
        }
    }
    batch.put("number", number.to_be_bytes());
    batch
}

fn with(rows: &Rows, batch: &Batch) -> Rows {
    let mut rows = rows.clone();
    for (key, value) in batch.iter() {
        match value {
            Some(value) => rows.insert(key.to_vec(), value.to_vec()),
            None => rows.remove(key),
        };
    }
    rows
}

/// Commits; what was promised changes with it.
fn commit(store: &RedbStore, batch: &Batch, promised: &mut Promised) -> Result<(), StoreError> {
    let after = with(&promised.acknowledged, batch);
    match store.commit(batch) {
        Ok(_) => promised.acknowledged = after,
        Err(error) => {
            promised.doubtful = Some(after);
            return Err(error);
        }
    }
    Ok(())
}

/// A store with so many commits, closed as it should be.
fn filled(commits: u64, dice: &mut Dice) -> (Rig, Promised) {
    let (rig, mut promised) = (Rig::new(), Promised::default());
    let store = rig.try_open().unwrap();
    for number in 0..commits {
        commit(&store, &batch(number, dice), &mut promised).unwrap();
    }
    drop(store);
    (rig, promised)
}

#[test]
fn redb_conforms_over_a_played_disk() {
    conformance::suite_without_damage(Rig::new);
}

/// Each step of a commit in turn is the one that fails, in part; then the process is killed, or the power cut.
#[test]
fn a_commit_that_ends_at_any_of_its_steps_is_there_or_not() {
    let dice = &mut Dice::new(1, 1);
    let (rig, sound) = filled(6, dice);
    let (before, next) = (rig.file.copy(), batch(6, dice));
    let committed = std::fs::read(rig.folder.path().join("committed")).unwrap();
    let (mut failed, mut kept, mut cut) = (0, 0, 0);
    for step in 0.. {
        let mut is_over = false;
        for turn in 0..8 {
            rig.file.put(before.clone());
            std::fs::write(rig.folder.path().join("committed"), &committed).unwrap();
            let mut promised = sound.clone();
            let store = rig.try_open().unwrap();
            rig.file.fail_after(step, dice.below(256));
            is_over = commit(&store, &next, &mut promised).is_ok();
            failed += u64::from(!is_over);
            rig.kill(Some(store));
            if turn > 0 {
                cut += 1;
                rig.cut_power(dice);
            }
            let what = format!("step {step}, turn {turn}");
            let store = rig.demand(&mut promised, &what);
            kept += u64::from(rows(&store) == with(&sound.acknowledged, &next));
            commit(&store, &batch(7, dice), &mut promised).unwrap();
            drop(store);
            rig.demand(&mut promised, &what);
        }
        if is_over {
            println!("{step} steps, {failed} commits failed, {kept} were there, {cut} power cuts");
            assert!(step > 2 && failed > 0);
            return;
        }
    }
}

/// What a crash left is mended by the opening; each step of that, and of a close, is the one at which it crashes again.
#[test]
fn an_opening_or_a_close_that_ends_at_any_of_its_steps_loses_nothing() {
    let dice = &mut Dice::new(2, 1);
    let (rig, mut promised) = filled(6, dice);
    let store = rig.try_open().unwrap();
    rig.file.fail_after(3, 100);
    commit(&store, &batch(6, dice), &mut promised).unwrap_err();
    rig.kill(Some(store));
    rig.cut_power(dice);
    let before = rig.file.copy();
    let mut opened = 0;
    for step in 0..200 {
        for turn in 0..4 {
            rig.file.put(before.clone());
            let mut promised = promised.clone();
            rig.file.fail_after(step, dice.below(256));
            // Beyond the steps of the opening it is the close that is cut off.
            let store = rig.try_open();
            opened += u64::from(store.is_ok());
            drop(store);
            rig.file.on();
            if turn > 0 {
                rig.cut_power(dice);
            }
            drop(rig.demand(&mut promised, &format!("step {step}, turn {turn}")));
        }
        if opened > 100 {
            println!("{} cut off, {opened} of them in the close", 4 * (step + 1));
            return;
        }
    }
    panic!("it never opened");
}

/// What a run of a history came to.
#[derive(Default)]
struct Seen {
    failed: u64,
    cuts: u64,
    refused_full: u64,
    commits: u64,
}

/// A history of commits, kills, power cuts, full disks and clean closes, decided by a seed.
fn run(seed: u64, seen: &mut Seen) {
    let dice = &mut Dice::new(seed, 3);
    let (rig, mut promised) = (Rig::new(), Promised::default());
    let mut store = Some(rig.try_open().unwrap());
    for number in 0..24 {
        let live = store
            .take()
            .unwrap_or_else(|| rig.demand(&mut promised, &format!("seed {seed}, commit {number}")));
        if dice.percent(35) {
            rig.file.fail_after(dice.below(14), dice.below(256));
        }
        rig.file.set_full(dice.percent(15));
        let done = commit(&live, &batch(number, dice), &mut promised);
        seen.commits += 1;
        seen.failed += u64::from(done.is_err());
        seen.refused_full += u64::from(matches!(done, Err(StoreError::Full { .. })));
        match (done.is_ok(), dice.below(10)) {
            (true, 0..5) => {
                rig.file.on();
                store = Some(live);
            }
            (true, 5..7) => {
                rig.file.on();
                drop(live);
            }
            _ => {
                rig.kill(Some(live));
                if dice.percent(70) {
                    seen.cuts += 1;
                    rig.cut_power(dice);
                }
            }
        }
        rig.file.set_full(false);
    }
}

#[test]
fn what_was_acknowledged_outlives_any_history_of_faults() {
    let mut seen = Seen::default();
    let seeds = std::env::var("REDB_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(60);
    for seed in 1..=seeds {
        run(seed, &mut seen);
    }
    let Seen {
        failed,
        cuts,
        refused_full,
        commits,
    } = seen;
    println!(
        "{seeds} seeds: {commits} commits, {failed} failed, {refused_full} for want of room, {cuts} power cuts"
    );
    assert!(failed > 100 && cuts > 100 && refused_full > 0);
}

/// The rig can fail: a disk that says that it has synced, and has not, loses what was acknowledged, and that is seen.
#[test]
fn a_disk_that_lies_about_its_syncs_is_found_out() {
    let found = (1..=20).find(|seed| {
        let dice = &mut Dice::new(*seed, 4);
        let (rig, mut promised) = filled(4, dice);
        let store = rig.try_open().unwrap();
        rig.file.lie();
        commit(&store, &batch(4, dice), &mut promised).unwrap();
        commit(&store, &batch(5, dice), &mut promised).unwrap();
        rig.kill(Some(store));
        rig.file.cut_power(dice);
        // Refused for what is missing, or served as it was before.
        rig.try_open()
            .map_or(true, |store| rows(&store) != promised.acknowledged)
    });
    println!("found with seed {found:?}");
    assert!(found.is_some());
}

/// Without room to grow it serves all, and goes on once there is some.
#[test]
fn a_full_disk_refuses_at_whatever_step_it_is_met_and_all_is_there() {
    for seed in 1..=20 {
        let dice = &mut Dice::new(seed, 5);
        let (rig, mut promised) = filled(4, dice);
        let store = rig.try_open().unwrap();
        rig.file.set_full(true);
        let mut number = 4;
        let refusal = loop {
            let mut large = batch(number, dice);
            (0..40u64).for_each(|row| large.put((1_000 + number * 40 + row).to_be_bytes(), vec![1; 20_000]));
            match commit(&store, &large, &mut promised) {
                Ok(()) => number += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refusal, StoreError::Full { .. }), "{refusal}");
        drop(store);
        if dice.percent(50) {
            rig.cut_power(dice);
        }
        // Still without room: served from, or refused because of it.
        match rig.try_open() {
            Ok(store) => {
                let found = Some(rows(&store));
                assert!(found.as_ref() == Some(&promised.acknowledged) || found == promised.doubtful);
            }
            Err(error) => assert!(matches!(error, StoreError::Full { .. }), "{error}"),
        }
        rig.file.set_full(false);
        let store = rig.demand(&mut promised, &format!("seed {seed}"));
        commit(&store, &batch(99, dice), &mut promised).unwrap();
    }
}

/// A flipped bit in a closed file is refused by name, or nothing that is served changes.
#[test]
fn a_flipped_bit_is_named_or_of_no_consequence() {
    let (mut refused, mut harmless) = (0, 0);
    for seed in 1..=150 {
        let dice = &mut Dice::new(seed, 6);
        let (rig, promised) = filled(3, dice);
        let mut bytes = rig.file.copy();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[dice.below(end as u64) as usize] ^= 1 << dice.below(8);
        rig.file.put(bytes);
        let read = rig.try_open().and_then(|store| store.scan(b"", None, usize::MAX));
        match read {
            Ok(found) => {
                harmless += 1;
                assert_eq!(
                    found.into_iter().collect::<Rows>(),
                    promised.acknowledged,
                    "seed {seed}"
                );
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    println!("{refused} refused, {harmless} of no consequence");
    assert!(refused > 0 && harmless > 0);
}
