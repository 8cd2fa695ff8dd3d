//! The thread that brings what is in a full redo log into sled, and then gives the log back empty.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use crate::failpoint::Failpoint;
use crate::fault::Fault;
use crate::redo::Redo;
use crate::room::Watch;
use crate::rows::Rows;
use crate::tally::Tally;
use crate::turn::{Applier, Step, Turn};

/// How often a full disk is looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How many keys one step brings in: so many that steps cost nothing.
const STRETCH: usize = 1024;

/// What the thread owns.
pub(crate) struct Thread {
    rows: Arc<Rows>,
    watch: Watch,
    applier: Applier,
}

/// Whether a log could be brought into sled.
enum Outcome {
    Empty(Redo),
    /// The store is being closed while the disk is full; what is in the log stays there.
    Left,
}

impl Thread {
    /// For the store whose rows come to `tally` in sled.
    pub(crate) fn new(rows: Arc<Rows>, watch: Watch, tally: Tally) -> Thread {
        let applier = Applier::new(Arc::clone(&rows), tally);
        Thread { rows, watch, applier }
    }

    /// Works until nobody has work any more. A failure poisons the store and ends the thread.
    pub(crate) fn run(mut self, work: &Receiver<Turn>, renewed: &Sender<Redo>) {
        while let Ok(next) = work.recv() {
            match self.bring(next, work) {
                // Nobody waits for the log of a store that is being dropped.
                Ok(Outcome::Empty(redo)) => drop(renewed.send(redo)),
                Ok(Outcome::Left) => return,
                Err(fault) => return drop(self.rows.fail(fault)),
            }
        }
    }

    fn bring(&mut self, mut turn: Turn, more: &Receiver<Turn>) -> Result<Outcome, Fault> {
        self.rows.points.reach(Failpoint::Frozen)?;
        if !self.wait_for_room(turn.bytes(), more)? {
            return Ok(Outcome::Left);
        }
        loop {
            match self.applier.step(turn, STRETCH)? {
                Step::On(next) => turn = next,
                Step::Done(redo) => return Ok(Outcome::Empty(redo)),
            }
        }
    }

    /// sled does not outlive a full disk, so it is not touched while there is no room. Whether to go on.
    fn wait_for_room(&self, bytes: u64, more: &Receiver<Turn>) -> Result<bool, Fault> {
        while !self.watch.allows(bytes)? {
            // There is no other work while this is not done: this waits, or hears of the end.
            if more.recv_timeout(LOOK_AGAIN_AFTER).err() == Some(RecvTimeoutError::Disconnected) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
