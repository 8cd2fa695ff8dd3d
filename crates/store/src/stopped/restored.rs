//! A store that is written from a copy.

use std::path::PathBuf;

use service::store::StoreError;

use super::fresh::Fresh;
use crate::database::Identity;
use crate::kind::Engine;
use crate::opening::OpenOptions;

/// A store under way. It bears a new epoch: what comes after it is another history than what came after the
/// copy.
pub struct Restored {
    fresh: Fresh,
    path: PathBuf,
}

impl Restored {
    /// An empty store in the options' folder, of the schema and age of the one that was copied.
    pub fn begin(engine: Engine, options: &OpenOptions, copied: Identity) -> Result<Restored, StoreError> {
        crate::meta::Meta::from(copied).demand_known(options.schema)?;
        let identity = Identity {
            epoch: options.fresh_epoch,
            ..copied
        };
        let path = options.path.clone();
        let fresh = Fresh::begin(engine, path.clone(), identity, options)?;
        Ok(Restored { fresh, path })
    }

    /// Writes what a chunk has; `false` when it cannot be read.
    pub fn apply(&mut self, chunk: &[u8]) -> Result<bool, StoreError> {
        for change in crate::copy::changes(chunk) {
            let Some((key, value)) = change else {
                return Ok(false);
            };
            self.fresh.write(key, value)?;
        }
        Ok(true)
    }

    /// Closes the store and reads all of it: how many rows it has.
    pub fn finish(self) -> Result<u64, StoreError> {
        let (rows, _) = self.fresh.finish()?;
        crate::swap::sync_parent(&self.path)
            .map_err(|error| crate::fault::Fault::from(error).told(&self.path))?;
        Ok(rows)
    }
}
