//! The order in which a store's bytes reach the disk: the active redo log, and, when that is full, the
//! other one, while the applier brings the full one into sled.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;

use crate::applier::{Applier, Work};
use crate::committed::Committed;
use crate::failpoint::Failpoint;
use crate::fault::Fault;
use crate::recovery::{Logs, Recovered};
use crate::redo::{self, AppendError, Redo, Write};
use crate::room::Watch;
use crate::rows::Rows;

/// How often a commit that waits for the applier looks whether the disk has become full.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The redo logs, and the way to the applier.
#[derive(Debug)]
pub(crate) struct Journal {
    active: Redo,
    /// The other log, unless the applier has it.
    spare: Option<Redo>,
    committed: Committed,
    work: Sender<Work>,
    renewed: Receiver<Redo>,
    watch: Watch,
    applier: JoinHandle<()>,
}

/// Why a batch did not get into the log.
pub(crate) enum Unrecorded {
    /// Nothing of it is anywhere.
    Refused(Fault),
    /// What is on disk is not known.
    Broken(Fault),
}

impl Journal {
    /// Starts the applier, with what the last process left to do.
    pub(crate) fn start(rows: &Arc<Rows>, found: Recovered, watch: Watch) -> Result<Journal, Fault> {
        let (work, to_do) = mpsc::channel();
        let (done, renewed) = mpsc::channel();
        let applier = Applier::new(Arc::clone(rows), watch.clone(), &rows.path, found.tally)?;
        let applier = thread::Builder::new()
            .name("store-applier".to_owned())
            .spawn(move || applier.run(&to_do, &done))?;
        let (active, spare) = match found.logs {
            Logs::OneInUse { active, spare } => (active, Some(spare)),
            Logs::BothInUse { active, full, layer } => {
                // It has begun to listen; if it does not, the first wait for the log tells.
                let successor = active.number();
                let _ = work.send(Work {
                    redo: full,
                    layer,
                    successor,
                });
                (active, None)
            }
        };
        Ok(Journal {
            committed: Committed::begin(&rows.path, active.next()),
            active,
            spare,
            work,
            renewed,
            watch,
            applier,
        })
    }

    /// Makes `writes` durable, in the other log when this one is full. The record is to be shown next.
    pub(crate) fn record(&mut self, rows: &Rows, writes: &[Write<'_>]) -> Result<Bytes, Unrecorded> {
        if self.active.is_full(redo::size(writes)) {
            self.fetch_spare()?;
            self.turn(rows)?;
        }
        let record = self.active.append(writes)?;
        rows.points.reach(Failpoint::Appended)?;
        self.active.sync().map_err(Fault::from)?;
        rows.points.reach(Failpoint::Synced)?;
        self.committed.note(self.active.next());
        Ok(record)
    }

    /// Begins to bring everything into sled, if the applier has nothing to do.
    pub(crate) fn hurry(&mut self, rows: &Rows) -> Result<(), Fault> {
        if self.spare.is_none() {
            self.spare = self.renewed.try_recv().ok();
        }
        match self.spare {
            Some(_) if !self.active.is_empty() => self.turn(rows),
            _ => Ok(()),
        }
    }

    /// Brings everything into sled and onto the disk, and leaves both logs empty.
    pub(crate) fn checkpoint(&mut self, rows: &Rows) -> Result<(), Unrecorded> {
        self.fetch_spare()?;
        if !self.active.is_empty() {
            self.turn(rows)?;
            self.fetch_spare()?;
        }
        Ok(())
    }

    /// Checks both logs as they lie on disk, when the applier has given back the one it has.
    pub(crate) fn verify(&mut self) -> Result<(), Unrecorded> {
        self.fetch_spare()?;
        let logs = [Some(&self.active), self.spare.as_ref()];
        logs.into_iter()
            .flatten()
            .try_for_each(Redo::verify)
            .map_err(Unrecorded::Refused)
    }

    /// Lets the applier end when it has done what it has; the thread, to be waited for.
    pub(crate) fn close(self) -> JoinHandle<()> {
        self.applier
    }

    /// Waits until the other log is here and empty. On a disk that is full this may take for ever, so
    /// that is refused.
    fn fetch_spare(&mut self) -> Result<(), Unrecorded> {
        while self.spare.is_none() {
            match self.renewed.recv_timeout(LOOK_AGAIN_AFTER) {
                Ok(redo) => self.spare = Some(redo),
                Err(RecvTimeoutError::Timeout) if self.watch.starves() => {
                    return Err(Unrecorded::Refused(Fault::Full));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Unrecorded::Broken(gone())),
            }
        }
        Ok(())
    }

    /// Puts the other log, which is here and empty, in the place of this one.
    fn turn(&mut self, rows: &Rows) -> Result<(), Fault> {
        let mut next = self.spare.take().ok_or_else(gone)?;
        next.begin_with(self.active.next());
        let successor = next.number();
        let redo = mem::replace(&mut self.active, next);
        rows.points.reach(Failpoint::Turned)?;
        let layer = rows.freeze();
        self.work
            .send(Work {
                redo,
                layer,
                successor,
            })
            .map_err(|_| gone())
    }
}

fn gone() -> Fault {
    Fault::Panicked("the thread that brings the redo log into the database has ended".to_owned())
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
