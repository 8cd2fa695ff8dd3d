//! A store in memory, for tests and the simulator: the promises of the real one, and its failures on
//! demand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;
use service::store::{Batch, Durable, Pair, Read, Store, StoreError};

use crate::{envelope, limits, range};

/// A store in memory. Clones share the rows, as reopenings of one folder do.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<RwLock<State>>,
    epoch: u64,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    damaged: BTreeSet<Vec<u8>>,
    fail_next: Option<StoreError>,
    poison: Option<String>,
    /// What the rows of the failed commit were before it.
    before: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    commits: u64,
}

impl MemoryStore {
    /// An empty store with this epoch.
    pub fn new(epoch: u64) -> MemoryStore {
        MemoryStore {
            epoch,
            ..MemoryStore::default()
        }
    }

    /// Lets the next commit write its rows and then fail with `error`. Like the real store, this one
    /// then refuses everything until [`Self::lose_unflushed`] or [`Self::keep_unflushed`]. A `Full`
    /// writes nothing and leaves the store open, as the watermark does.
    pub fn fail_next_commit(&self, error: StoreError) {
        self.state.write().fail_next = Some(error);
    }

    /// Crash and reopen; what the failed commit wrote is gone.
    pub fn lose_unflushed(&self) {
        let mut state = self.state.write();
        for (key, value) in std::mem::take(&mut state.before) {
            state.set(key, value);
        }
        state.poison = None;
    }

    /// Crash and reopen; what the failed commit wrote had reached the disk after all.
    pub fn keep_unflushed(&self) {
        let mut state = self.state.write();
        state.before.clear();
        state.poison = None;
    }

    /// Lets every read of `key` find it damaged, until it is written again.
    pub fn damage(&self, key: &[u8]) {
        self.state.write().damaged.insert(key.to_vec());
    }

    /// How many commits have succeeded.
    pub fn commits(&self) -> u64 {
        self.state.read().commits
    }
}

impl State {
    fn live(&self) -> Result<(), StoreError> {
        match &self.poison {
            Some(cause) => Err(StoreError::Engine(format!(
                "closed since a failure, open it anew: {cause}"
            ))),
            None => Ok(()),
        }
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        match value {
            Some(value) => self.rows.insert(key, value),
            None => self.rows.remove(&key),
        };
    }

    fn apply(&mut self, batch: &Batch) {
        for (key, value) in batch.iter() {
            self.damaged.remove(key);
            self.set(key.to_vec(), value.map(<[u8]>::to_vec));
        }
    }

    fn fail(&mut self, batch: &Batch, error: StoreError) -> StoreError {
        if !matches!(error, StoreError::Full { .. }) {
            self.before = batch
                .iter()
                .map(|(key, _)| (key.to_vec(), self.rows.get(key).cloned()))
                .collect();
            self.poison = Some(error.to_string());
            self.apply(batch);
        }
        error
    }

    fn whole(&self, key: &[u8]) -> Result<(), StoreError> {
        if self.damaged.contains(key) {
            Err(envelope::damaged(key, "its checksum does not fit"))
        } else {
            Ok(())
        }
    }
}

impl Read for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.state.read();
        state.live()?;
        state.whole(key)?;
        Ok(state.rows.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let state = self.state.read();
        state.live()?;
        let rows = state.rows.range(range::start(prefix, after)..);
        rows.take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| state.whole(key).map(|()| (key.clone(), value.clone())))
            .collect()
    }
}

impl Store for MemoryStore {
    fn commit(&self, batch: &Batch) -> Result<Durable, StoreError> {
        limits::check(batch)?;
        let mut state = self.state.write();
        state.live()?;
        if let Some(error) = state.fail_next.take() {
            return Err(state.fail(batch, error));
        }
        state.apply(batch);
        state.commits += 1;
        Ok(Durable::attest())
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn verify(&self) -> Result<u64, StoreError> {
        let state = self.state.read();
        state.live()?;
        state.rows.keys().try_for_each(|key| state.whole(key))?;
        Ok(state.rows.len() as u64)
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        let state = self.state.read();
        Ok(state
            .rows
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>() as u64)
    }
}

#[cfg(test)]
mod tests {
    use service::store::{Batch, Read, Store, StoreError};

    use super::MemoryStore;

    fn put(value: &str) -> Batch {
        let mut batch = Batch::default();
        batch.put("k", value);
        batch
    }

    #[test]
    fn a_failed_commit_closes_the_store_and_may_or_may_not_have_happened() {
        let store = MemoryStore::new(1);
        store.commit(&put("old")).unwrap();
        let error = StoreError::Engine("power".to_owned());
        store.fail_next_commit(error.clone());
        assert_eq!(store.commit(&put("new")).unwrap_err(), error);
        assert!(store.get(b"k").is_err() && store.commit(&put("x")).is_err());
        store.lose_unflushed();
        assert_eq!(store.get(b"k").unwrap().unwrap(), b"old");
        store.fail_next_commit(error);
        store.commit(&put("new")).unwrap_err();
        store.keep_unflushed();
        assert_eq!(store.get(b"k").unwrap().unwrap(), b"new");
    }

    #[test]
    fn a_full_disk_writes_nothing_and_passes() {
        let store = MemoryStore::new(1);
        store.fail_next_commit(StoreError::Full {
            path: "/state".to_owned(),
        });
        store.commit(&put("new")).unwrap_err();
        assert_eq!(store.get(b"k").unwrap(), None);
        store.commit(&put("new")).unwrap();
        assert_eq!(store.commits(), 1);
    }
}
