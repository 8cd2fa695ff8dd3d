//! What lies below the redo logs: an ordered map that keeps what it was given, once that was flushed. The product's is
//! sled; a rig plays another one.

use std::fmt::Debug;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use sled::IVec;

use crate::fault::{Fault, guarded};
use crate::off_log::OffLog;
use crate::salvage::Found;

/// How much may be put before sled's file is synced. sled takes what `sync_file_range` has written
/// for safe and soon reuses the segments it replaces; about one segment's worth keeps that true.
const SYNC_EVERY_BYTES: u64 = 512 << 10;

/// A key and its record, or why they cannot be read.
pub type Stored<B> = Result<(B, B), Fault>;

/// The map. Many read it while one writes.
///
/// All that may be asked of it: a record that was put and flushed is there. Of what was put since the last flush a crash
/// may leave any part, in any order, but none in half.
pub trait Tree: Debug + Send + Sync + 'static {
    /// A key or a record on its way to a reader.
    type Bytes: AsRef<[u8]>;

    /// The record under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Self::Bytes>, Fault>;

    /// All keys from `from` on, in order.
    fn range(&self, from: &[u8]) -> impl Iterator<Item = Stored<Self::Bytes>>;

    /// Puts a record under `key`.
    fn put(&self, key: &[u8], record: &[u8]) -> Result<(), Fault>;

    /// Removes what is under `key`.
    fn remove(&self, key: &[u8]) -> Result<(), Fault>;

    /// Makes all that was put and removed outlive a power cut.
    fn flush(&self) -> Result<(), Fault>;
}

/// The first row from a key on.
pub(crate) fn first_from(tree: &impl Tree, from: &[u8]) -> Result<Found, Fault> {
    let first = tree.range(from).next().transpose()?;
    Ok(first.map(|(key, record)| (key.as_ref().to_vec(), record.as_ref().to_vec())))
}

/// sled, synced as it does not sync itself.
#[derive(Debug)]
pub(crate) struct SledTree {
    db: sled::Db,
    file: File,
    off_log: Mutex<OffLog>,
    unsynced: AtomicU64,
}

impl SledTree {
    /// Over what sled has opened in `folder`.
    pub(crate) fn over(db: sled::Db, folder: &Path) -> Result<SledTree, Fault> {
        Ok(SledTree {
            db,
            file: File::open(folder.join("db"))?,
            off_log: Mutex::new(OffLog::of(folder)),
            unsynced: AtomicU64::new(0),
        })
    }

    /// What sled's files take.
    pub(crate) fn size_on_disk(&self) -> Result<u64, Fault> {
        guarded(|| self.db.size_on_disk())
    }

    fn written(&self, bytes: usize) -> Result<(), Fault> {
        // There is one writer.
        let unsynced = self.unsynced.load(Ordering::Relaxed) + bytes as u64;
        let due = unsynced >= SYNC_EVERY_BYTES;
        if due {
            self.file.sync_data()?;
        }
        self.unsynced
            .store(if due { 0 } else { unsynced }, Ordering::Relaxed);
        Ok(())
    }
}

impl Tree for SledTree {
    type Bytes = IVec;

    fn get(&self, key: &[u8]) -> Result<Option<IVec>, Fault> {
        guarded(|| self.db.get(key))
    }

    fn range(&self, from: &[u8]) -> impl Iterator<Item = Stored<IVec>> {
        let mut stored = self.db.range(from..);
        std::iter::from_fn(move || guarded(|| stored.next().transpose()).transpose())
    }

    /// One by one: sled's own `Batch` copies the whole leaf for every key, under a lock that all databases of the
    /// process share. sled copies the record into a buffer of its own, whatever it is given.
    fn put(&self, key: &[u8], record: &[u8]) -> Result<(), Fault> {
        guarded(|| self.db.insert(key, record))?;
        self.written(key.len() + record.len())
    }

    fn remove(&self, key: &[u8]) -> Result<(), Fault> {
        guarded(|| self.db.remove(key))?;
        self.written(key.len())
    }

    /// sled's flush reaches neither the files' metadata nor the drive's cache, nor the pages outside its log.
    fn flush(&self) -> Result<(), Fault> {
        guarded(|| self.db.flush())?;
        self.off_log.lock().sync()?;
        self.file.sync_all()?;
        self.unsynced.store(0, Ordering::Relaxed);
        Ok(())
    }
}
