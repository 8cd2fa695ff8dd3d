//! The order in which a store's bytes reach the disk: the active redo log, and, when that is full, the
//! other one, while the applier brings the full one into sled.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::applier::Thread;
use crate::committed::Committed;
use crate::fault::Fault;
use crate::pair::{Pair, Unrecorded, gone};
use crate::recovery::Recovered;
use crate::redo::{Recorded, Redo, Write};
use crate::room::Watch;
use crate::rows::Rows;
use crate::turn::Turn;

/// How often a commit that waits for the applier looks whether the disk has become full.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The redo logs, and the way to the applier.
#[derive(Debug)]
pub(crate) struct Journal {
    pair: Pair,
    committed: Committed,
    work: Sender<Turn>,
    renewed: Receiver<Redo>,
    watch: Watch,
    applier: JoinHandle<()>,
}

impl Journal {
    /// Starts the applier, with what the last process left to do.
    pub(crate) fn start(rows: &Arc<Rows>, found: Recovered, watch: Watch) -> Result<Journal, Fault> {
        let (work, to_do) = mpsc::channel();
        let (done, renewed) = mpsc::channel();
        let applier = Thread::new(Arc::clone(rows), watch.clone(), found.tally);
        let applier = thread::Builder::new()
            .name("store-applier".to_owned())
            .spawn(move || applier.run(&to_do, &done))?;
        if let Some(turn) = found.turn {
            // It has begun to listen; if it does not, the first wait for the log tells.
            let _ = work.send(turn);
        }
        Ok(Journal {
            committed: Committed::begin(&rows.path, found.pair.next()),
            pair: found.pair,
            work,
            renewed,
            watch,
            applier,
        })
    }

    /// Makes `writes` durable, in the other log when this one is full. The record is to be shown next.
    pub(crate) fn record(&mut self, rows: &Rows, writes: &[Write<'_>]) -> Result<Recorded, Unrecorded> {
        if self.pair.is_full(writes) {
            self.fetch_spare()?;
            self.turn(rows)?;
        }
        let record = self.pair.record(rows, writes)?;
        self.committed.note(self.pair.next());
        Ok(record)
    }

    /// Begins to bring everything into sled, if the applier has nothing to do.
    pub(crate) fn hurry(&mut self, rows: &Rows) -> Result<(), Fault> {
        if !self.pair.has_spare() {
            self.renewed
                .try_recv()
                .into_iter()
                .for_each(|redo| self.pair.give_back(redo));
        }
        match self.pair.has_spare() && !self.pair.is_empty() {
            true => self.turn(rows),
            false => Ok(()),
        }
    }

    /// Brings everything into sled and onto the disk, and leaves both logs empty.
    pub(crate) fn checkpoint(&mut self, rows: &Rows) -> Result<(), Unrecorded> {
        self.fetch_spare()?;
        if !self.pair.is_empty() {
            self.turn(rows)?;
            self.fetch_spare()?;
        }
        Ok(())
    }

    /// Checks both logs as they lie on disk, when the applier has given back the one it has.
    pub(crate) fn verify(&mut self) -> Result<(), Unrecorded> {
        self.fetch_spare()?;
        self.pair.verify().map_err(Unrecorded::Refused)
    }

    /// Lets the applier end when it has done what it has; the thread, to be waited for.
    pub(crate) fn close(self) -> JoinHandle<()> {
        self.applier
    }

    /// Waits until the other log is here and empty. On a disk that is full this may take for ever, so
    /// that is refused.
    fn fetch_spare(&mut self) -> Result<(), Unrecorded> {
        while !self.pair.has_spare() {
            match self.renewed.recv_timeout(LOOK_AGAIN_AFTER) {
                Ok(redo) => self.pair.give_back(redo),
                Err(RecvTimeoutError::Timeout) if self.watch.starves() => {
                    return Err(Unrecorded::Refused(Fault::Full));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Unrecorded::Broken(gone())),
            }
        }
        Ok(())
    }

    fn turn(&mut self, rows: &Rows) -> Result<(), Fault> {
        let turn = self.pair.turn(rows)?;
        self.work.send(turn).map_err(|_| gone())
    }
}
