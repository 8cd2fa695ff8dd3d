//! The two redo logs, used in turn: a commit goes into the active one, and when that is full, into the other.

use std::fs::File;
use std::mem;

use crate::failpoint::Failpoint;
use crate::fault::Fault;
use crate::redo::{self, AppendError, Medium, Recorded, Redo, Write};
use crate::rows::Rows;
use crate::tree::Tree;
use crate::turn::Turn;

/// The logs.
#[derive(Debug)]
pub(crate) struct Pair<M = File> {
    active: Redo<M>,
    /// The other log, unless its turn has come.
    spare: Option<Redo<M>>,
    /// A log is full when a record would let it outgrow this.
    full_bytes: u64,
}

/// Why a batch did not get into the log.
pub(crate) enum Unrecorded {
    /// Nothing of it is anywhere.
    Refused(Fault),
    /// What is on disk is not known.
    Broken(Fault),
}

impl<M: Medium> Pair<M> {
    pub(crate) fn new(active: Redo<M>, spare: Option<Redo<M>>) -> Pair<M> {
        Pair {
            active,
            spare,
            full_bytes: redo::TARGET_BYTES,
        }
    }

    /// A log is full at so many bytes, which are not more than they are by themselves.
    pub(crate) fn full_at(mut self, bytes: u64) -> Pair<M> {
        self.full_bytes = bytes;
        self
    }

    /// The number of the next commit.
    pub(crate) fn next(&self) -> u64 {
        self.active.next()
    }

    /// The log that takes the commits.
    pub(crate) fn active(&self) -> &Redo<M> {
        &self.active
    }

    /// Whether the other log is here, and empty.
    pub(crate) fn has_spare(&self) -> bool {
        self.spare.is_some()
    }

    /// Takes the other log back.
    pub(crate) fn give_back(&mut self, renewed: Redo<M>) {
        self.spare = Some(renewed);
    }

    /// Whether the active log's turn should come before this is written.
    pub(crate) fn is_full(&self, writes: &[Write<'_>]) -> bool {
        self.active.is_full(redo::size(writes), self.full_bytes)
    }

    /// Whether there is nothing to bring in.
    pub(crate) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// Makes `writes` durable. The record is to be shown next.
    pub(crate) fn record<T: Tree>(
        &mut self,
        rows: &Rows<T>,
        writes: &[Write<'_>],
    ) -> Result<Recorded, Unrecorded> {
        let record = self.active.append(writes)?;
        rows.points.reach(Failpoint::Appended)?;
        self.active.sync().map_err(Fault::from)?;
        rows.points.reach(Failpoint::Synced)?;
        Ok(record)
    }

    /// Puts the other log, which is here and empty, in the place of the active one, whose turn has come.
    pub(crate) fn turn<T: Tree>(&mut self, rows: &Rows<T>) -> Result<Turn<M>, Fault> {
        let mut next = self.spare.take().ok_or_else(gone)?;
        next.begin_with(self.active.next());
        let successor = next.number();
        let redo = mem::replace(&mut self.active, next);
        rows.points.reach(Failpoint::Turned)?;
        Ok(Turn::new(redo, rows.freeze(), successor))
    }

    /// Checks the logs that are here as they lie on disk.
    pub(crate) fn verify(&self) -> Result<(), Fault> {
        let logs = [Some(&self.active), self.spare.as_ref()];
        logs.into_iter().flatten().try_for_each(Redo::verify)
    }
}

/// Who brings the full log in is gone, and the log with him.
pub(crate) fn gone() -> Fault {
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
