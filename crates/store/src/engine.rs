//! The store over sled: one tree, read through [`Read`], written through the redo logs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use service::store::{Batch, Durable, Pair, Read, Store, StoreError};

use crate::database::{Database, Identity};
use crate::envelope;
use crate::fault::{Fault, guarded};
use crate::folder::FolderLock;
use crate::journal::Journal;
use crate::limits;
use crate::meta::{self, Meta};
use crate::opening::OpenOptions;
use crate::pair::Unrecorded;
use crate::redo::{self, Write};
use crate::room::Room;
use crate::rows::Rows;
use crate::salvage::{self, Seen};
use crate::tree;

/// How long the drop of a poisoned store waits for sled, which can hang in its last flush.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// A service's database in sled.
///
/// ```text
/// commit ─► active log, fdatasync ─► fresh layer (memory) ─► done
///                  │ when it is full        │
///                  ▼                        ▼
///              full log               frozen layer ─► applier's thread ─► sled, flush, fsync
///                  ▲                                          │
///                  └────────────── voided, empty ◄────────────┘
/// ```
///
/// Readers see the fresh layer over the frozen one over sled. A commit waits only when both logs are
/// full. What was written often since the last turn goes into sled once.
#[derive(Debug)]
pub struct SledStore {
    /// Until the store is dropped.
    rows: Option<Arc<Rows>>,
    writer: Mutex<Option<Writer>>,
    path: PathBuf,
    known_schema: u32,
    meta: Mutex<Meta>,
    /// What the rows had in sled when the store was opened.
    live_bytes: u64,
    _lock: FolderLock,
}

/// What only the committing thread touches.
#[derive(Debug)]
struct Writer {
    journal: Journal,
    room: Room,
}

impl SledStore {
    pub(crate) fn assemble(
        rows: Arc<Rows>,
        journal: Journal,
        lock: FolderLock,
        room: Room,
        meta: Meta,
        live_bytes: u64,
        options: &OpenOptions,
    ) -> SledStore {
        SledStore {
            rows: Some(rows),
            writer: Mutex::new(Some(Writer { journal, room })),
            path: options.path.clone(),
            known_schema: options.schema,
            meta: Mutex::new(meta),
            live_bytes,
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
        self.rows.as_ref().is_none_or(|rows| rows.is_poisoned())
    }

    /// Writes the metadata of a new store, and brings it into sled for good.
    pub(crate) fn write_meta(&self) -> Result<(), StoreError> {
        let meta = *self.meta.lock();
        self.commit_with(&Batch::default(), Some(meta))?;
        self.checkpoint_now()
    }

    /// Brings everything into sled and onto the disk, and empties the redo logs.
    pub(crate) fn checkpoint_now(&self) -> Result<(), StoreError> {
        self.write(|rows, writer| {
            let done = writer.journal.checkpoint(rows);
            done.map_err(|error| unrecorded(rows, error))
        })
    }

    fn commit_with(&self, batch: &Batch, meta: Option<Meta>) -> Result<Durable, StoreError> {
        limits::check(batch)?;
        let meta = meta.map(Meta::encode);
        let meta = meta.as_deref().map(|meta| (meta::KEY, Some(meta)));
        let writes: Vec<_> = batch.iter().chain(meta).collect();
        self.write(|rows, writer| {
            if writes.is_empty() {
                return Ok(Durable::attest());
            }
            writer.room.admit(weight(&writes), rows.pending_bytes())?;
            let record = writer.journal.record(rows, &writes);
            rows.show(&record.map_err(|error| unrecorded(rows, error))?);
            Ok(Durable::attest())
        })
    }

    /// Runs `action` as the one writer, unless the store is poisoned.
    fn write<T>(
        &self,
        action: impl FnOnce(&Rows, &mut Writer) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock();
        let rows = self.rows()?;
        rows.live()?;
        action(rows, writer.as_mut().ok_or_else(closed)?)
    }

    fn rows(&self) -> Result<&Rows, StoreError> {
        self.rows.as_deref().ok_or_else(closed)
    }
}

fn closed() -> StoreError {
    StoreError::Engine("closed".to_owned())
}

fn unrecorded(rows: &Rows, error: Unrecorded) -> StoreError {
    match error {
        Unrecorded::Refused(fault) => fault.told(&rows.path),
        // The applier may have said why.
        Unrecorded::Broken(fault) => rows.live().err().unwrap_or_else(|| rows.fail(fault)),
    }
}

impl Read for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows()?.read(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.rows()?.scan(prefix, after, limit)
    }
}

impl Store for SledStore {
    fn commit(&self, batch: &Batch) -> Result<Durable, StoreError> {
        self.commit_with(batch, None)
    }

    /// When there is none, what is in the logs is brought into sled, which is then owed no room.
    fn has_room(&self) -> Result<(), StoreError> {
        self.write(|rows, writer| {
            let refused = writer.room.admit(0, rows.pending_bytes());
            if refused.is_err() {
                let hurried = writer.journal.hurry(rows);
                hurried.map_err(|fault| rows.fail(fault))?;
            }
            refused
        })
    }

    fn epoch(&self) -> u64 {
        self.meta.lock().epoch
    }

    fn verify(&self) -> Result<u64, StoreError> {
        let mut records = 0;
        self.rows()?.walk(Vec::new(), |record| {
            record.payload()?;
            records += 1;
            Ok(true)
        })?;
        self.write(|rows, writer| {
            let sound = writer.journal.verify();
            sound.map_err(|error| unrecorded(rows, error))?;
            rows.check_tally()
        })?;
        Ok(records)
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        let told = |fault: Fault| fault.told(&self.path);
        let mut size = self.rows()?.live()?.size_on_disk().map_err(told)?;
        for log in redo::FILES {
            let metadata = fs::metadata(self.path.join(log));
            size += metadata.map_err(|error| told(error.into()))?.len();
        }
        Ok(size)
    }
}

impl Database for SledStore {
    fn survey(&self, visit: &mut dyn FnMut(Seen<'_>)) -> Result<(), StoreError> {
        self.checkpoint_now()?;
        let tree = self.rows()?.live()?;
        salvage::walk(|from| tree::first_from(tree, from), visit);
        Ok(())
    }

    fn identity(&self) -> Identity {
        (*self.meta.lock()).into()
    }

    fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    fn log_bytes(&self) -> u64 {
        self.rows.as_ref().map_or(0, |rows| rows.pending_bytes())
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        let sound = self.checkpoint_now().is_ok();
        let (Some(rows), Some(writer)) = (self.rows.take(), self.writer.get_mut().take()) else {
            return;
        };
        let applier = writer.journal.close();
        let close = move || {
            // What it failed at, it has told.
            let _ = applier.join();
            drop(rows);
        };
        if sound {
            close_here(close);
        } else {
            close_aside(close, &self.path);
        }
    }
}

/// sled's last flush may panic; there is nobody left to tell.
fn close_here(close: impl FnOnce()) {
    let _ = guarded(|| {
        close();
        Ok(())
    });
}

/// Closes a failed database on a thread of its own, which is left behind if sled does not come back.
pub(crate) fn close_aside(close: impl FnOnce() + Send + 'static, path: &Path) {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || {
        close_here(close);
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
#[allow(clippy::expect_used, reason = "for tests, which fail here")]
impl SledStore {
    /// Lets whoever comes to `point` next stop there, as a crash would. The store is then poisoned, and
    /// its folder is what the crash would have left.
    pub fn stop_at(&self, point: crate::conformance::Failpoint) {
        self.points().stop(point);
    }

    /// Lets the applier wait at `point` when it comes there, until [`Self::release`].
    pub fn hold_at(&self, point: crate::conformance::Failpoint) {
        self.points().hold(point);
    }

    /// Waits until the applier waits where [`Self::hold_at`] said.
    pub fn wait_until_held(&self) {
        self.points().wait_until_held();
    }

    /// Lets the applier go on.
    pub fn release(&self) {
        self.points().release();
    }

    /// A checkpoint now, which else comes when the store is dropped.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.checkpoint_now()
    }

    /// What a full log does: the other one takes the commits, the applier begins its work.
    pub fn turn(&self) -> Result<(), StoreError> {
        self.write(|rows, writer| writer.journal.hurry(rows).map_err(|fault| rows.fail(fault)))
    }

    fn points(&self) -> &crate::failpoint::Failpoints {
        &self.rows().expect("the store is open").points
    }
}
