//! The order in which a store's bytes reach the disk: redo log, sled, checkpoint.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::failpoint::{Failpoint, Failpoints};
use crate::fault::{Fault, guarded};
use crate::off_log::OffLog;
use crate::redo::{self, AppendError, Redo, Write};

/// How much may be applied before sled's file is synced. sled takes what `sync_file_range` has written
/// for safe and soon reuses the segments it replaces; about one segment's worth keeps that true.
const SYNC_EVERY_BYTES: u64 = 512 << 10;

/// The redo log, and sled's files as the operating system sees them.
#[derive(Debug)]
pub(crate) struct Journal {
    redo: Redo,
    file: File,
    off_log: OffLog,
    unsynced: u64,
    pub(crate) points: Failpoints,
}

/// Why a batch did not get into the log.
pub(crate) enum Unrecorded {
    /// Nothing of it is anywhere.
    Refused(Fault),
    /// What is on disk is not known.
    Broken(Fault),
}

impl Journal {
    /// Of the store in `folder`, which sled has opened.
    pub(crate) fn new(redo: Redo, folder: &Path) -> io::Result<Journal> {
        Ok(Journal {
            redo,
            file: File::open(folder.join("db"))?,
            off_log: OffLog::of(folder),
            unsynced: 0,
            points: Failpoints::default(),
        })
    }

    /// Makes `writes` durable, after a checkpoint where one is due. They are to be applied next.
    pub(crate) fn record(&mut self, db: &sled::Db, writes: &[Write<'_>]) -> Result<(), Unrecorded> {
        if self.redo.is_due(redo::size(writes)) {
            self.checkpoint(db)?;
        }
        self.redo.append(writes)?;
        self.points.reach(Failpoint::Appended)?;
        self.redo.sync().map_err(Fault::from)?;
        self.points.reach(Failpoint::Synced)?;
        Ok(())
    }

    /// Takes note that `writes` have been applied.
    pub(crate) fn applied(&mut self, writes: &[Write<'_>]) -> Result<(), Fault> {
        self.unsynced += redo::size(writes);
        if self.unsynced >= SYNC_EVERY_BYTES {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Brings everything applied to disk, and then begins the log anew. sled's flush reaches neither
    /// the files' metadata nor the drive's cache, nor the pages outside its log.
    pub(crate) fn checkpoint(&mut self, db: &sled::Db) -> Result<(), Fault> {
        if self.redo.is_empty() {
            return Ok(());
        }
        guarded(|| db.flush())?;
        self.off_log.sync()?;
        self.file.sync_all()?;
        self.unsynced = 0;
        self.points.reach(Failpoint::Flushed)?;
        self.redo.renew()?;
        self.points.reach(Failpoint::Renewed)?;
        self.redo.sync()?;
        Ok(self.redo.trim()?)
    }

    /// Checks the log as it lies on disk.
    pub(crate) fn verify(&self) -> Result<(), Fault> {
        self.redo.verify()
    }

    /// Bytes of the log on disk.
    pub(crate) fn length(&self) -> u64 {
        self.redo.length()
    }
}

impl From<Fault> for Unrecorded {
    fn from(fault: Fault) -> Unrecorded {
        Unrecorded::Broken(fault)
    }
}

impl From<AppendError> for Unrecorded {
    fn from(error: AppendError) -> Unrecorded {
        match error {
            AppendError::Undone(fault) => Unrecorded::Refused(fault),
            AppendError::Unknown(fault) => Unrecorded::Broken(fault),
        }
    }
}
