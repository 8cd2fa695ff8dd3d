//! A disk that does what real ones do: it is full, it fails, and what was not flushed may or may not be
//! there afterwards.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use parking_lot::Mutex;
use service::store::{Batch, Durable, Pair, Read, Store, StoreError};

/// What becomes of the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It fails and none of it is on the disk when the store is opened anew.
    Lost,
    /// It fails, and all of it is on the disk when the store is opened anew.
    Kept,
    /// It fails, and half of it is there: no disk under a redo log does this. A planted mistake.
    Half,
}

/// The disk of one service. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

struct State {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    epoch: u64,
    full: bool,
    fate: Option<Fate>,
    /// After a failed commit nothing is read until the store is opened anew.
    closed: bool,
}

impl Disk {
    /// An empty disk, whose store has this epoch.
    pub(crate) fn new(epoch: u64) -> Disk {
        Disk(Arc::new(Mutex::new(State {
            rows: BTreeMap::new(),
            epoch,
            full: false,
            fate: None,
            closed: false,
        })))
    }

    /// Opens the store, as after a crash.
    pub(crate) fn open(&self) -> Result<SimStore, StoreError> {
        let mut state = self.0.lock();
        if state.full {
            return Err(full());
        }
        state.closed = false;
        state.fate = None;
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

    /// A copy of everything, as a backup takes it.
    pub(crate) fn backup(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.0.lock().rows.clone()
    }

    /// Brings a backup back, as a history of its own.
    pub(crate) fn restore(&self, rows: BTreeMap<Vec<u8>, Vec<u8>>, epoch: u64) {
        let mut state = self.0.lock();
        state.rows = rows;
        state.epoch = epoch;
    }

    /// The history's name.
    pub(crate) fn epoch(&self) -> u64 {
        self.0.lock().epoch
    }

    /// The rows as they are on the disk, whoever has the store open.
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
    fn apply<'a>(&mut self, writes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>) {
        for (key, value) in writes {
            match value {
                Some(value) => self.rows.insert(key.to_vec(), value.to_vec()),
                None => self.rows.remove(key),
            };
        }
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

/// The store on a [`Disk`].
pub(crate) struct SimStore(Disk);

impl SimStore {
    fn live<T>(&self, work: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let mut state = self.0.0.lock();
        if state.closed {
            return Err(StoreError::Engine("closed since a failure".into()));
        }
        Ok(work(&mut state))
    }
}

impl Read for SimStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.live(|state| state.rows.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.live(|state| state.scan(prefix, after, limit))
    }
}

impl Store for SimStore {
    fn commit(&self, batch: &Batch) -> Result<Durable, StoreError> {
        // What no engine takes this one does not take either.
        store::check_batch(batch)?;
        self.live(|state| {
            if state.full {
                return Err(full());
            }
            let Some(fate) = state.fate.take() else {
                state.apply(batch.iter());
                return Ok(Durable::attest());
            };
            match fate {
                Fate::Lost => {}
                Fate::Kept => state.apply(batch.iter()),
                Fate::Half => state.apply(batch.iter().take(batch.len() / 2)),
            }
            state.closed = true;
            Err(StoreError::Engine("the simulated disk failed".into()))
        })?
    }

    fn has_room(&self) -> Result<(), StoreError> {
        self.live(|state| if state.full { Err(full()) } else { Ok(()) })?
    }

    fn epoch(&self) -> u64 {
        self.0.epoch()
    }

    fn verify(&self) -> Result<u64, StoreError> {
        self.live(|state| state.rows.len() as u64)
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        let bytes = |state: &mut State| state.rows.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
        self.live(bytes).map(|bytes| bytes as u64)
    }
}

/// The rows of a disk, for whoever looks from outside.
pub(crate) struct Rows(Disk);

impl Rows {
    /// The history's name.
    pub(crate) fn epoch(&self) -> u64 {
        self.0.epoch()
    }
}

impl Read for Rows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.0.lock().rows.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        Ok(self.0.0.lock().scan(prefix, after, limit))
    }
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
        conformance::suite_without_damage(|| Disk::new(7));
    }

    #[test]
    fn a_failed_commit_is_there_or_not_as_its_fate_says_and_nothing_is_read_before_it_is_opened_anew() {
        for (fate, kept) in [(Fate::Lost, "old"), (Fate::Kept, "new")] {
            let disk = Disk::new(7);
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
        let disk = Disk::new(7);
        let store = Home::open(&disk);
        store.commit(&put("old")).expect("committed");
        disk.set_full(true);
        assert!(store.commit(&put("new")).is_err() && store.has_room().is_err());
        assert_eq!(store.get(b"k").expect("read").as_deref(), Some(&b"old"[..]));
        disk.set_full(false);
        store.commit(&put("new")).expect("committed");
    }
}
