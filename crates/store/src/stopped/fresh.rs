//! A store that is being written anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use service::store::{Batch, StoreError};
use sha2::{Digest, Sha256};

use crate::database::{Database, Identity};
use crate::fault::Fault;
use crate::kind::Engine;
use crate::opening::OpenOptions;
use crate::salvage::Seen;

/// How much goes into one commit.
const COMMIT_BYTES: usize = 1 << 20;

/// All rows in key order, in one number.
pub(super) type RowsDigest = [u8; 32];

/// A fresh store, and what is not committed yet.
pub(super) struct Fresh {
    store: Arc<dyn Database>,
    options: OpenOptions,
    engine: Engine,
    batch: Batch,
    bytes: usize,
}

impl Fresh {
    /// An empty store in `folder`, which bears the identity of the one that it is to replace.
    pub(super) fn begin(
        engine: Engine,
        folder: PathBuf,
        identity: Identity,
        like: &OpenOptions,
    ) -> Result<Fresh, StoreError> {
        let options = OpenOptions {
            path: folder,
            fresh_epoch: identity.epoch,
            fresh_created: Some(identity.created),
            schema: identity.schema,
            ..like.clone()
        };
        Ok(Fresh {
            store: engine.open_as_it_is(options.clone())?,
            options,
            engine,
            batch: Batch::default(),
            bytes: 0,
        })
    }

    /// Sets or removes a row.
    pub(super) fn write(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
        match value {
            Some(value) => self.batch.put(key, value),
            None => self.batch.delete(key),
        }
        self.bytes += key.len() + value.map_or(0, <[u8]>::len);
        if self.bytes >= COMMIT_BYTES {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.store.commit(&std::mem::take(&mut self.batch))?;
        self.bytes = 0;
        Ok(())
    }

    /// Closes the store, opens it again, and reads it back: how many rows it has, and what they come to.
    pub(super) fn finish(mut self) -> Result<(u64, RowsDigest), StoreError> {
        self.commit()?;
        drop(self.store);
        let store = self.engine.open_as_it_is(self.options)?;
        store.verify()?;
        digest(&*store)
    }
}

/// How many rows a store has, and what they come to. Anything that cannot be read is an error.
pub(super) fn digest(store: &dyn Database) -> Result<(u64, RowsDigest), StoreError> {
    let (mut rows, mut digest) = (0, Sha256::new());
    each_row(store, |key, value| {
        rows += 1;
        add(&mut digest, key, value);
        Ok(())
    })?;
    Ok((rows, digest.finalize().into()))
}

/// Counts a row into a digest.
pub(super) fn add(digest: &mut Sha256, key: &[u8], value: &[u8]) {
    for field in [key, value] {
        digest.update((field.len() as u64).to_le_bytes());
        digest.update(field);
    }
}

/// Walks all rows of a sound store.
pub(super) fn each_row(
    store: &dyn Database,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    store.survey(&mut |seen| {
        if outcome.is_ok() {
            outcome = match seen {
                Seen::Row(key, value) => visit(key, value),
                Seen::Damaged(key, reason) => Err(crate::envelope::damaged(key, reason)),
                Seen::Gap(from, _) => Err(crate::envelope::damaged(
                    from,
                    "its page or one on the way to it is damaged",
                )),
            };
        }
    })?;
    outcome
}

/// The error when a store that was written does not read back as it should.
pub(super) fn unlike(path: &Path) -> StoreError {
    Fault::Other("what was written anew does not read back the same; nothing was changed".to_owned())
        .told(path)
}
