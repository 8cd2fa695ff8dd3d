//! Writing a sound store anew: to give back space, or for another engine.

use std::fs;

use service::store::StoreError;
use sha2::{Digest, Sha256};

use super::fresh::{self, Fresh};
use super::{NEW, Stopped, bytes_below, clear};
use crate::kind::Engine;
use crate::swap;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten {
    /// Rows in the store.
    pub rows: u64,
    /// What the folder had on disk.
    pub before: u64,
    /// What it has now.
    pub after: u64,
}

impl Stopped {
    /// Writes the store anew, without what its engine keeps of former rows.
    pub fn compact(&self) -> Result<Rewritten, StoreError> {
        self.rewrite(self.engine)
    }

    /// Writes the store anew for another engine. Its epoch stays: it is the same history.
    pub fn migrate(&self, to: Engine) -> Result<Rewritten, StoreError> {
        self.rewrite(to)
    }

    fn rewrite(&self, to: Engine) -> Result<Rewritten, StoreError> {
        self.demand_room_for_another()?;
        // Open, and so locked, until the other one is in its place.
        let old = self.engine.open_as_it_is(self.options.clone())?;
        let folder = swap::beside(self.path(), NEW);
        clear(&folder).map_err(|error| self.told(error))?;
        let mut fresh = Fresh::begin(to, folder.clone(), old.identity(), &self.options)?;
        let (mut rows, mut digest) = (0u64, Sha256::new());
        fresh::each_row(&*old, |key, value| {
            rows += 1;
            fresh::add(&mut digest, key, value);
            fresh.write(key, Some(value))
        })?;
        if fresh.finish()? != (rows, digest.finalize().into()) {
            return Err(fresh::unlike(self.path()));
        }
        let told = |error| self.told(error);
        let before = bytes_below(self.path()).map_err(told)?;
        let after = bytes_below(&folder).map_err(told)?;
        swap::exchange(self.path(), &folder).map_err(told)?;
        drop(old);
        fs::remove_dir_all(&folder).map_err(told)?;
        Ok(Rewritten { rows, before, after })
    }
}
