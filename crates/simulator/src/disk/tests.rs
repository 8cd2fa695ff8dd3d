//! What the simulated disk promises.

use service::store::{Batch, Read, Store, StoreError};
use store::conformance::{self, Home};

use super::{Disk, Fate, SimStore, TurnEnd, Turned};

impl Home for Disk {
    type Engine = SimStore;

    fn open(&self) -> SimStore {
        Disk::open(self).expect("there is room")
    }
}

fn put(value: &str) -> Batch {
    let mut batch = Batch::default();
    batch.put("k", value);
    batch
}

/// As the engines of the store crate; damage is not simulated.
#[test]
fn the_simulated_disk_conforms() {
    conformance::suite_without_damage(|| Disk::new(7, 1));
}

#[test]
fn a_failed_commit_is_there_or_not_as_its_fate_says_and_nothing_is_read_before_it_is_opened_anew() {
    for (fate, kept) in [(Fate::Lost, "old"), (Fate::Kept, "new"), (Fate::After(9), "new")] {
        let disk = Disk::new(7, 1);
        let store = Home::open(&disk);
        store.commit(&put("old")).expect("committed");
        disk.set_fate(fate);
        assert!(store.commit(&put("new")).is_err() && store.get(b"k").is_err());
        let store = Home::open(&disk);
        assert_eq!(store.get(b"k").expect("read").as_deref(), Some(kept.as_bytes()));
    }
}

#[test]
fn a_full_disk_takes_nothing_keeps_all_and_goes_on() {
    let disk = Disk::new(7, 1);
    let store = Home::open(&disk);
    store.commit(&put("old")).expect("committed");
    disk.set_full(true);
    assert!(store.commit(&put("new")).is_err() && store.has_room().is_err());
    assert_eq!(store.get(b"k").expect("read").as_deref(), Some(&b"old"[..]));
    disk.set_full(false);
    store.commit(&put("new")).expect("committed");
}

#[test]
fn a_turn_that_meets_the_end_of_the_disk_closes_the_store_and_loses_nothing() {
    let disk = Disk::new(7, 1);
    let store = Home::open(&disk);
    store.commit(&put("old")).expect("committed");
    disk.fill(true, false);
    for _ in 0..3 {
        disk.end_turn(1_000, TurnEnd::Kill);
        let failed = (0..1_000).any(|_| matches!(disk.turn_on(), Turned::Failed(_)));
        assert!(failed && !disk.is_sound() && store.get(b"k").is_err());
        assert_eq!(
            Home::open(&disk).get(b"k").expect("read").as_deref(),
            Some(&b"old"[..])
        );
    }
    disk.set_full(false);
    disk.end_turn(1_000, TurnEnd::Kill);
    while disk.turn_on() != Turned::Moved(None) {}
    let store = Home::open(&disk);
    store.commit(&put("new")).expect("committed");
    assert_eq!((disk.turns(), disk.take_found()), (1, None));
}

#[test]
fn what_a_power_cut_leaves_is_what_was_acknowledged_and_a_flipped_bit_is_refused_or_of_no_consequence() {
    let (mut refused, mut opened) = (0, 0);
    for seed in 0..60 {
        let disk = Disk::new(7, seed);
        let store = Home::open(&disk);
        for value in ["one", "two", "three"] {
            store.commit(&put(value)).expect("committed");
        }
        disk.set_fate(Fate::After(seed % 3));
        store.commit(&put("four")).expect_err("it fails");
        disk.cut_power();
        let store = Home::open(&disk);
        let read = store.get(b"k").expect("read");
        assert!(read.as_deref() == Some(b"three") || read.as_deref() == Some(b"four"));
        if seed % 2 == 0 {
            disk.cut_power();
        }
        disk.flip();
        match Disk::open(&disk) {
            Ok(store) => {
                opened += 1;
                assert_eq!(store.get(b"k").expect("read"), read);
            }
            Err(error) => {
                refused += 1;
                assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
                disk.mend();
                assert_eq!(Home::open(&disk).get(b"k").expect("read"), read);
            }
        }
        assert_eq!(disk.take_found(), None, "seed {seed}");
    }
    assert!(refused > 20 && opened > 0, "{refused} refused, {opened} opened");
}

/// Turns are ended between any two of their steps, by a kill, a power cut and a failing disk, while commits go on.
#[test]
fn a_turn_may_end_anywhere() {
    let (mut ended, mut turns) = (0, 0);
    for seed in 0..120 {
        let disk = Disk::new(7, seed);
        let mut store = Home::open(&disk);
        for number in 0..60_u64 {
            let mut batch = Batch::default();
            (0..8).for_each(|key| {
                batch.put(
                    format!("{}", (number * 7 + key) % 50),
                    number.to_be_bytes().repeat(20),
                )
            });
            batch.delete(format!("{}", number % 50));
            if store.commit(&batch).is_err() {
                store = Home::open(&disk);
            }
            if number % 9 == 4 {
                let how = [TurnEnd::Kill, TurnEnd::PowerCut, TurnEnd::Fails(seed % 5)][(seed % 3) as usize];
                disk.end_turn(seed / 3 % 12, how);
            }
            for _ in 0..3 {
                match disk.turn_on() {
                    Turned::Idle | Turned::Moved(_) => continue,
                    Turned::Ends { power: true } => disk.cut_power(),
                    Turned::Ends { power: false } | Turned::Failed(_) => {}
                }
                ended += 1;
                store = Home::open(&disk);
            }
            assert_eq!(disk.take_found(), None, "seed {seed}, commit {number}");
        }
        turns += disk.turns();
    }
    assert!(ended > 300 && turns > 300, "{ended} ended, {turns} done");
}

/// A log was voided and that not synced when the process died; the other one's turn comes with no commit in between.
#[test]
fn a_log_that_was_voided_before_a_crash_stays_void() {
    for seed in 0..40 {
        let disk = Disk::new(7, seed);
        let get_on = |until: Option<&str>| {
            // Whatever the pace of this disk.
            while !matches!(disk.turn_on(), Turned::Moved(next) if next == until) {}
        };
        let store = Home::open(&disk);
        store.commit(&put("one")).expect("committed");
        disk.end_turn(1_000, TurnEnd::Kill);
        get_on(Some("voided"));
        let store = Home::open(&disk);
        store.commit(&put("two")).expect("committed");
        disk.end_turn(1_000, TurnEnd::Kill);
        get_on(None);
        disk.cut_power();
        let read = Home::open(&disk).get(b"k").expect("read");
        assert_eq!(
            (read.as_deref(), disk.take_found()),
            (Some(&b"two"[..]), None),
            "seed {seed}"
        );
    }
}
