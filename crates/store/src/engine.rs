//! The store over sled: one tree, read through [`Read`], written through the redo log.

use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use service::store::{Batch, Durable, Pair, Read, Store, StoreError};

use crate::apply;
use crate::envelope;
use crate::fault::{Fault, guarded};
use crate::folder::FolderLock;
use crate::journal::{Journal, Unrecorded};
use crate::limits;
use crate::meta::{self, Meta};
use crate::opening::OpenOptions;
use crate::range;
use crate::redo::{self, Write};
use crate::room::Room;

/// How long the drop of a poisoned store waits for sled, which can hang in its last flush.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// How many records a scan reads between two commits' turns.
const STRETCH: usize = 256;

/// A service's database in sled.
#[derive(Debug)]
pub struct SledStore {
    db: Option<sled::Db>,
    writer: Mutex<Writer>,
    /// Held for writing while a batch is applied, so that readers see all of it or nothing.
    showing: RwLock<()>,
    poison: OnceLock<String>,
    path: PathBuf,
    known_schema: u32,
    meta: Mutex<Meta>,
    _lock: FolderLock,
}

/// What only the committing thread touches.
#[derive(Debug)]
struct Writer {
    journal: Journal,
    room: Room,
    scratch: Vec<u8>,
}

impl SledStore {
    pub(crate) fn assemble(
        db: sled::Db,
        journal: Journal,
        lock: FolderLock,
        room: Room,
        meta: Meta,
        options: &OpenOptions,
    ) -> SledStore {
        SledStore {
            db: Some(db),
            writer: Mutex::new(Writer {
                journal,
                room,
                scratch: Vec::new(),
            }),
            showing: RwLock::new(()),
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

    /// Writes the metadata of a new store, and brings it into sled for good.
    pub(crate) fn write_meta(&self) -> Result<(), StoreError> {
        let meta = *self.meta.lock();
        self.commit_with(&Batch::default(), Some(meta))?;
        self.checkpoint_now()
    }

    /// Brings everything into sled and onto the disk, and empties the redo log.
    pub(crate) fn checkpoint_now(&self) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        let db = self.live()?;
        writer.journal.checkpoint(db).map_err(|fault| self.fail(fault))
    }

    fn commit_with(&self, batch: &Batch, meta: Option<Meta>) -> Result<Durable, StoreError> {
        limits::check(batch)?;
        let mut writer = self.writer.lock();
        let db = self.live()?;
        let meta = meta.map(Meta::encode);
        let meta = meta.as_deref().map(|meta| (meta::KEY, Some(meta)));
        let writes: Vec<_> = batch.iter().chain(meta).collect();
        if writes.is_empty() {
            return Ok(Durable::attest());
        }
        writer.room.admit(weight(&writes))?;
        let recorded = writer.journal.record(db, &writes);
        recorded.map_err(|error| self.unrecorded(error))?;
        self.apply(db, &writes, &mut writer)?;
        Ok(Durable::attest())
    }

    /// Shows readers what is on disk now. A failure poisons the store before anybody may read again.
    fn apply(&self, db: &sled::Db, writes: &[Write<'_>], writer: &mut Writer) -> Result<(), StoreError> {
        let Writer { journal, scratch, .. } = writer;
        let hidden = self.showing.write();
        apply::apply(db, writes, scratch, &journal.points).map_err(|fault| self.fail(fault))?;
        drop(hidden);
        journal.applied(writes).map_err(|fault| self.fail(fault))
    }

    fn unrecorded(&self, error: Unrecorded) -> StoreError {
        match error {
            Unrecorded::Refused(fault) => fault.told(&self.path),
            Unrecorded::Broken(fault) => self.fail(fault),
        }
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

    /// Hands every record from `start` on to `visit`, until that returns `false`. Commits get their
    /// turn after every stretch, so a walk longer than that is no point in time.
    fn walk(
        &self,
        start: Vec<u8>,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut last = start.clone();
        let mut records = self.live()?.range(start..);
        loop {
            let _shown = self.showing.read();
            self.live()?;
            for _ in 0..STRETCH {
                let next = guarded(|| records.next().transpose());
                let Some((key, record)) = next.map_err(|fault| self.unread(&last, fault))? else {
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
}

impl Read for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _shown = self.showing.read();
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

    fn has_room(&self) -> Result<(), StoreError> {
        self.writer.lock().room.admit(0)
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
        let writer = self.writer.lock();
        self.live()?;
        writer.journal.verify().map_err(|fault| fault.told(&self.path))?;
        Ok(records)
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        let log = self.writer.lock().journal.length();
        let db = self.live()?;
        let rows = guarded(|| db.size_on_disk()).map_err(|fault| fault.told(&self.path))?;
        Ok(rows + log)
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        let closed = self.is_poisoned() || self.checkpoint_now().is_err();
        let Some(db) = self.db.take() else { return };
        if closed {
            return drop_aside(db, &self.path);
        }
        // sled's last flush may panic; there is nobody left to tell.
        let _ = guarded(|| {
            drop(db);
            Ok(())
        });
    }
}

/// Drops a failed database on a thread of its own, which is left behind if sled does not come back.
pub(crate) fn drop_aside(db: sled::Db, path: &Path) {
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

fn weight(writes: &[Write<'_>]) -> u64 {
    redo::size(writes) + (writes.len() * envelope::OVERHEAD) as u64
}

#[cfg(any(test, feature = "conformance"))]
impl SledStore {
    /// Lets the next commit or checkpoint that comes to `point` stop there, as a crash would. The store
    /// is then poisoned, and its folder is what the crash would have left.
    pub fn stop_at(&self, point: crate::conformance::Failpoint) {
        self.writer.lock().journal.points.arm(point);
    }

    /// A checkpoint now, which else comes when the redo log is full and when the store is dropped.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.checkpoint_now()
    }
}
