//! The store as a service has it, and its rows as whoever looks from outside sees them.

use std::ops::Bound;

use service::store::{Batch, Durable, Pair, Read, Store, StoreError};
use store::Stepped;

use super::{Disk, State, closed, full};
use crate::{platter::Platter, tree::SimTree};

/// The store on a [`Disk`].
pub(crate) struct SimStore(pub(super) Disk);

impl SimStore {
    fn live<T>(&self, work: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let mut state = self.0.0.lock();
        if state.store.is_none() {
            return Err(closed());
        }
        Ok(work(&mut state))
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Stepped<SimTree, Platter>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let state = self.0.0.lock();
        work(state.store.as_ref().ok_or_else(closed)?)
    }
}

impl Read for SimStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|store| store.get(key))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.read(|store| store.scan(prefix, after, limit))
    }
}

impl Store for SimStore {
    fn commit(&self, batch: &Batch) -> Result<Durable, StoreError> {
        // What no engine takes this one does not take either.
        store::check_batch(batch)?;
        self.live(|state| state.commit(batch))?
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
pub(crate) struct Rows(pub(super) Disk);

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
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let state = self.0.0.lock();
        let rows = state.rows.range::<[u8], _>((from, Bound::Unbounded));
        let met = rows.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(met.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
