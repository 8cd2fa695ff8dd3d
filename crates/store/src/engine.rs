//! The store over sled: one tree, one batch a commit, one flush, one fsync.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use service::store::{Batch, Durable, Pair, Read, Store, StoreError};

use crate::envelope;
use crate::fault::{Fault, guarded};
use crate::folder::FolderLock;
use crate::limits;
use crate::meta::{self, Meta};
use crate::off_log::OffLog;
use crate::opening::OpenOptions;
use crate::range;
use crate::room::Room;

/// How long the drop of a poisoned store waits for sled, which can hang in its last flush.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// A service's database in sled.
#[derive(Debug)]
pub struct SledStore {
    db: Option<sled::Db>,
    writer: Mutex<Writer>,
    poison: OnceLock<String>,
    path: PathBuf,
    known_schema: u32,
    meta: Mutex<Meta>,
    _lock: FolderLock,
}

/// What only the committing thread touches.
#[derive(Debug)]
struct Writer {
    file: File,
    off_log: OffLog,
    room: Room,
    scratch: Vec<u8>,
}

impl SledStore {
    pub(crate) fn assemble(
        db: sled::Db,
        file: File,
        lock: FolderLock,
        room: Room,
        meta: Meta,
        options: &OpenOptions,
    ) -> SledStore {
        let off_log = OffLog::of(&options.path);
        SledStore {
            db: Some(db),
            writer: Mutex::new(Writer {
                file,
                off_log,
                room,
                scratch: Vec::new(),
            }),
            poison: OnceLock::new(),
            path: options.path.clone(),
            known_schema: options.schema,
            meta: Mutex::new(meta),
            _lock: lock,
        }
    }

    /// The schema of the rows as they are, which is older than the binary's until [`Self::migrate`].
    pub fn schema(&self) -> u32 {
        self.meta.lock().schema
    }

    /// When the store was made, in seconds since 1970.
    pub fn created(&self) -> u64 {
        self.meta.lock().created
    }

    /// Commits `batch` and, in the same stroke, that the rows now have the schema the store was opened with.
    pub fn migrate(&self, batch: &Batch) -> Result<Durable, StoreError> {
        let meta = Meta {
            schema: self.known_schema,
            ..*self.meta.lock()
        };
        let durable = self.commit_with(batch, Some(meta))?;
        *self.meta.lock() = meta;
        Ok(durable)
    }

    /// Whether a failed commit or a panic has closed the store; only opening it anew helps.
    pub fn is_poisoned(&self) -> bool {
        self.poison.get().is_some()
    }

    pub(crate) fn write_meta(&self) -> Result<Durable, StoreError> {
        let meta = *self.meta.lock();
        self.commit_with(&Batch::default(), Some(meta))
    }

    fn commit_with(&self, batch: &Batch, meta: Option<Meta>) -> Result<Durable, StoreError> {
        limits::check(batch)?;
        let mut writer = self.writer.lock();
        let db = self.live()?;
        if batch.is_empty() && meta.is_none() {
            return Ok(Durable::attest());
        }
        writer.room.admit(weight(batch))?;
        let sealed = seal(batch, meta, &mut writer.scratch);
        write(db, sealed, &mut writer).map_err(|fault| self.fail(fault))?;
        Ok(Durable::attest())
    }

    /// sled, unless the store is poisoned.
    fn live(&self) -> Result<&sled::Db, StoreError> {
        if let Some(cause) = self.poison.get() {
            return Err(StoreError::Engine(format!(
                "closed since a failure, open it anew: {cause}"
            )));
        }
        self.db
            .as_ref()
            .ok_or_else(|| StoreError::Engine("closed".to_owned()))
    }

    /// Poisons the store, and says why.
    fn fail(&self, fault: Fault) -> StoreError {
        let error = fault.told(&self.path);
        tracing::error!(path = %self.path.display(), %error, "the store is closed until it is opened anew");
        // The first cause stays.
        let _ = self.poison.set(error.to_string());
        error
    }

    /// A failed read near `key`. Damage is named and leaves the store open; a panic closes it.
    fn unread(&self, key: &[u8], fault: Fault) -> StoreError {
        match fault {
            Fault::Corrupt(_) => envelope::damaged(key, "its page or one on the way to it is damaged"),
            Fault::Panicked(_) => self.fail(fault),
            other => other.told(&self.path),
        }
    }

    /// Hands every record from `start` on to `visit`, until that returns `false`.
    fn walk(
        &self,
        start: Vec<u8>,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut last = start.clone();
        let mut records = self.live()?.range(start..);
        loop {
            let next = guarded(|| records.next().transpose()).map_err(|fault| self.unread(&last, fault))?;
            let Some((key, record)) = next else {
                return Ok(());
            };
            if *key != *meta::KEY && !visit(&key, &record)? {
                return Ok(());
            }
            last.clear();
            last.extend_from_slice(&key);
        }
    }
}

impl Read for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let db = self.live()?;
        if key == meta::KEY {
            return Ok(None);
        }
        let record = guarded(|| db.get(key)).map_err(|fault| self.unread(key, fault))?;
        record
            .map(|record| envelope::open(key, &record).map(<[u8]>::to_vec))
            .transpose()
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let mut found = Vec::new();
        if limit == 0 {
            return self.live().map(|_| found);
        }
        self.walk(range::start(prefix, after), |key, record| {
            if !key.starts_with(prefix) {
                return Ok(false);
            }
            found.push((key.to_vec(), envelope::open(key, record)?.to_vec()));
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }
}

impl Store for SledStore {
    fn commit(&self, batch: &Batch) -> Result<Durable, StoreError> {
        self.commit_with(batch, None)
    }

    fn epoch(&self) -> u64 {
        self.meta.lock().epoch
    }

    fn verify(&self) -> Result<u64, StoreError> {
        let mut records = 0;
        self.walk(Vec::new(), |key, record| {
            envelope::open(key, record)?;
            records += 1;
            Ok(true)
        })?;
        Ok(records)
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        let db = self.live()?;
        guarded(|| db.size_on_disk()).map_err(|fault| fault.told(&self.path))
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        if !self.is_poisoned() {
            // sled's last flush may panic; there is nobody left to tell.
            let _ = guarded(|| {
                drop(db);
                Ok(())
            });
            return;
        }
        drop_aside(db, &self.path);
    }
}

/// Drops a failed database on a thread of its own, which is left behind if sled does not come back.
fn drop_aside(db: sled::Db, path: &Path) {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = guarded(|| {
            drop(db);
            Ok(())
        });
        let _ = done.send(());
    });
    if wait.recv_timeout(CLOSE_PATIENCE).is_err() {
        tracing::error!(path = %path.display(), "the engine does not close; restart the process");
    }
}

fn write(db: &sled::Db, batch: sled::Batch, writer: &mut Writer) -> Result<(), Fault> {
    guarded(|| db.apply_batch(batch))?;
    guarded(|| db.flush())?;
    writer.off_log.sync()?;
    writer.file.sync_all()?;
    Ok(())
}

/// The batch in envelopes. Each value is copied into the scratch and from there into sled's own
/// reference-counted buffer; sled makes that copy of whatever it is given, even of a `Vec`.
fn seal(batch: &Batch, meta: Option<Meta>, scratch: &mut Vec<u8>) -> sled::Batch {
    let mut sealed = sled::Batch::default();
    for (key, value) in batch.iter() {
        match value {
            Some(value) => {
                envelope::seal(key, value, scratch);
                sealed.insert(key, scratch.as_slice());
            }
            None => sealed.remove(key),
        }
    }
    if let Some(meta) = meta {
        envelope::seal(meta::KEY, &meta.encode(), scratch);
        sealed.insert(meta::KEY, scratch.as_slice());
    }
    sealed
}

fn weight(batch: &Batch) -> u64 {
    let bytes = |(key, value): (&[u8], Option<&[u8]>)| {
        key.len() + value.map_or(0, |value| value.len() + envelope::OVERHEAD)
    };
    batch.iter().map(bytes).sum::<usize>() as u64
}
