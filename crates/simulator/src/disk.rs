//! A service's disk: under its store lies the product's redo log, on a file that does what real ones do: it is full,
//! it fails, it is torn, and bits flip where they lie. Where the product brings a full log into sled, this one grows.

mod store_on_it;

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use parking_lot::Mutex;
use service::store::{Batch, Durable, Pair, StoreError};
use store::Log;

pub(crate) use self::store_on_it::{Rows, SimStore};
use crate::{dice::Dice, platter::Platter};

/// What becomes of the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its record is torn as it is written.
    Lost,
    /// It is written, and the sync fails.
    Kept,
    /// The disk fails after so many steps, whichever they are.
    After(u64),
    /// It fails, and half of it is there: no disk under a redo log does this. A planted mistake.
    Half,
}

/// The disk of one service. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

type Table = BTreeMap<Vec<u8>, Vec<u8>>;

struct State {
    /// What was acknowledged.
    rows: Table,
    /// Of a commit that failed: it is there when the store is opened anew, or not.
    doubtful: Option<Batch>,
    file: Platter,
    log: Option<Log<Platter>>,
    /// The number of the first commit that was not acknowledged, as a file beside the log says.
    acknowledged: Option<u64>,
    /// Where the last commit begins that was acknowledged.
    last_at: u64,
    /// What the file was before a bit flipped in it.
    sound: Option<Vec<u8>>,
    dice: Dice,
    epoch: u64,
    full: bool,
    fate: Option<Fate>,
    /// What a store did that none may do.
    found: Option<String>,
}

impl Disk {
    /// An empty disk, whose store has this epoch; what it does to what is written is decided by the seed.
    pub(crate) fn new(epoch: u64, seed: u64) -> Disk {
        let mut state = State {
            rows: BTreeMap::new(),
            doubtful: None,
            file: Platter::default(),
            log: None,
            acknowledged: None,
            last_at: 0,
            sound: None,
            dice: Dice::new(seed, epoch),
            epoch,
            full: false,
            fate: None,
            found: None,
        };
        state.begin();
        Disk(Arc::new(Mutex::new(state)))
    }

    /// Opens the store, as after a crash.
    pub(crate) fn open(&self) -> Result<SimStore, StoreError> {
        let mut state = self.0.lock();
        if state.full {
            return Err(full());
        }
        state.log = None;
        state.fate = None;
        state.file.on();
        state.replay()?;
        drop(state);
        Ok(SimStore(self.clone()))
    }

    /// There is no room, or there is again.
    pub(crate) fn set_full(&self, full: bool) {
        self.0.lock().full = full;
    }

    /// What the next commit comes to.
    pub(crate) fn set_fate(&self, fate: Fate) {
        self.0.lock().fate = Some(fate);
    }

    /// The power is cut; nobody has the store open. What stands beside the log may be older then.
    pub(crate) fn cut_power(&self) {
        let state = &mut *self.0.lock();
        state.log = None;
        state.file.cut_power(&mut state.dice);
        state.acknowledged = state.acknowledged.filter(|_| state.dice.percent(50));
    }

    /// A bit flips; nobody has the store open. Where a power cut has taken the only proof of the last commit, not in
    /// that one.
    pub(crate) fn flip(&self) -> usize {
        let state = &mut *self.0.lock();
        state.log = None;
        state.sound.get_or_insert_with(|| state.file.copy());
        let until = state.acknowledged.map_or(state.last_at, |_| u64::MAX);
        state.file.flip(until, &mut state.dice)
    }

    /// The operator brings back what was there before a bit flipped.
    pub(crate) fn mend(&self) {
        let mut state = self.0.lock();
        if let Some(sound) = state.sound.take() {
            state.file.put(sound);
        }
    }

    /// What the store did that none may do, since this was last asked.
    pub(crate) fn take_found(&self) -> Option<String> {
        self.0.lock().found.take()
    }

    /// A copy of everything, as a backup takes it.
    pub(crate) fn backup(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.0.lock().rows.clone()
    }

    /// Brings a backup back, as a history of its own.
    pub(crate) fn restore(&self, rows: BTreeMap<Vec<u8>, Vec<u8>>, epoch: u64) {
        let mut state = self.0.lock();
        state.rows = rows;
        state.epoch = epoch;
        state.begin();
    }

    /// The history's name.
    pub(crate) fn epoch(&self) -> u64 {
        self.0.lock().epoch
    }

    /// The rows as they were acknowledged, whoever has the store open.
    pub(crate) fn rows(&self) -> Rows {
        Rows(self.clone())
    }
}

fn full() -> StoreError {
    StoreError::Full {
        path: "the simulated disk".into(),
    }
}

impl State {
    /// A new log, with all the rows in it.
    fn begin(&mut self) {
        self.file.on();
        self.file.put(Vec::new());
        (self.doubtful, self.sound, self.last_at) = (None, None, 0);
        let stamps = [self.dice.below(u64::MAX), self.dice.below(u64::MAX)];
        let mut batch = Batch::default();
        self.rows
            .iter()
            .for_each(|(key, value)| batch.put(key.as_slice(), value.as_slice()));
        let made = Log::create(self.file.clone(), stamps).and_then(|mut log| {
            log.commit(&batch)?;
            Ok(log.next())
        });
        match made {
            Ok(next) => self.acknowledged = Some(next),
            Err(error) => self.found = Some(format!("no log could be made: {error}")),
        }
    }

    /// Reads the log: it comes to what was acknowledged, perhaps with the commit that failed last, or is refused; and
    /// only a flipped bit is a reason to refuse it (I15).
    fn replay(&mut self) -> Result<(), StoreError> {
        let opened = Log::open(self.file.clone(), self.acknowledged);
        let (log, changes) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                if self.sound.is_none() {
                    self.found = Some(format!("a sound store was refused: {error}"));
                }
                return Err(error);
            }
        };
        let mut rows = Table::new();
        apply(&mut rows, changes);
        let mut with_doubtful = self.rows.clone();
        if let Some(batch) = self.doubtful.take() {
            apply(&mut with_doubtful, own(&batch));
        }
        if rows != self.rows && rows != with_doubtful {
            let (found, expected) = (rows.len(), self.rows.len());
            self.found = Some(format!(
                "a store serves {found} rows, which are not the {expected} that were committed to it"
            ));
        }
        self.rows = rows;
        if self.acknowledged != Some(log.next()) {
            // Where its last record begins is not known before the next one.
            self.last_at = 0;
        }
        self.acknowledged = Some(log.next());
        // Whatever flipped was of no consequence.
        self.sound = None;
        self.log = Some(log);
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<Durable, StoreError> {
        if self.full {
            return Err(full());
        }
        let fate = self.fate.take();
        match fate {
            None | Some(Fate::Half) => {}
            Some(Fate::Lost) => self.file.fail_after(0, self.dice.below(256)),
            Some(Fate::Kept) => self.file.fail_after(1, 0),
            Some(Fate::After(steps)) => self.file.fail_after(steps, self.dice.below(256)),
        }
        let half = Some(Fate::Half) == fate;
        let written = if half { first_half(batch) } else { batch.clone() };
        let log = self.log.as_mut().ok_or_else(closed)?;
        let at = log.end();
        let committed = log.commit(&written);
        let next = log.next();
        if fate.is_none() && committed.is_ok() {
            apply(&mut self.rows, own(batch));
            self.acknowledged = Some(next);
            self.last_at = at;
            return Ok(Durable::attest());
        }
        // After a failed commit nothing is read until the store is opened anew.
        self.log = None;
        self.doubtful = Some(batch.clone());
        Err(StoreError::Engine("the simulated disk failed".into()))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Pair> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after.to_vec()),
            _ => Bound::Included(prefix.to_vec()),
        };
        self.rows
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

fn apply(rows: &mut Table, changes: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) {
    for (key, value) in changes {
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
}

fn own(batch: &Batch) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
    batch
        .iter()
        .map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)))
}

fn first_half(batch: &Batch) -> Batch {
    let mut half = Batch::default();
    for (key, value) in batch.iter().take(batch.len() / 2) {
        match value {
            Some(value) => half.put(key, value),
            None => half.delete(key),
        }
    }
    half
}

fn closed() -> StoreError {
    StoreError::Engine("closed since a failure".into())
}

#[cfg(test)]
mod tests {
    use service::store::{Batch, Read, Store};
    use store::conformance::{self, Home};

    use super::{Disk, Fate, SimStore};

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
                    assert!(error.to_string().contains("redo"), "{error}");
                    disk.mend();
                    assert_eq!(Home::open(&disk).get(b"k").expect("read"), read);
                }
            }
            assert_eq!(disk.take_found(), None, "seed {seed}");
        }
        assert!(refused > 20 && opened > 0, "{refused} refused, {opened} opened");
    }
}
