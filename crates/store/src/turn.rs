//! The turn of a full redo log to be brought into the database, in steps: a crash may come between any two.

use std::fs::File;
use std::sync::Arc;

use service::planted::{self, Mistake};

use crate::checkpoint::{self, Checkpoint};
use crate::envelope;
use crate::failpoint::Failpoint;
use crate::fault::Fault;
use crate::layers::Layer;
use crate::redo::{Redo, Write};
use crate::rows::Rows;
use crate::tally::Tally;
use crate::tree::{SledTree, Tree};

/// A full log whose turn has come.
#[derive(Debug)]
pub(crate) struct Turn<M = File> {
    redo: Redo<M>,
    /// Its writes, frozen.
    layer: Arc<Layer>,
    /// The number of the log that takes the commits meanwhile.
    successor: u64,
    stage: Stage,
}

/// What comes next.
#[derive(Debug)]
enum Stage {
    /// To note in the log what it leaves alone.
    Begin,
    /// To put its writes from this key on, so many of which have been.
    Apply {
        from: Vec<u8>,
        done: usize,
        tally: Tally,
    },
    /// To put the record that says up to where everything is in the database.
    Conclude(Tally),
    /// To flush.
    Flush(Tally),
    /// To void the log.
    Void,
    /// To make that durable.
    Sync,
}

/// Where a step has led.
pub(crate) enum Step<M> {
    /// There is more to do.
    On(Turn<M>),
    /// All of the log is in the database, and it is empty.
    Done(Redo<M>),
}

impl<M> Turn<M> {
    pub(crate) fn new(redo: Redo<M>, layer: Arc<Layer>, successor: u64) -> Turn<M> {
        Turn {
            redo,
            layer,
            successor,
            stage: Stage::Begin,
        }
    }

    /// What is to be brought in, bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.layer.bytes()
    }

    /// What it does next.
    pub(crate) fn what_comes_next(&self) -> &'static str {
        match self.stage {
            Stage::Begin => "to be begun",
            Stage::Apply { .. } => "being applied",
            Stage::Conclude(_) => "to be concluded",
            Stage::Flush(_) => "to be flushed",
            Stage::Void => "flushed",
            Stage::Sync => "voided",
        }
    }
}

/// Who brings full logs in, one after the other.
#[derive(Debug)]
pub(crate) struct Applier<T = SledTree> {
    rows: Arc<Rows<T>>,
    /// What all rows in the database come to, between two turns.
    tally: Tally,
    scratch: Vec<u8>,
}

impl<T: Tree> Applier<T> {
    /// For a database whose rows come to `tally`.
    pub(crate) fn new(rows: Arc<Rows<T>>, tally: Tally) -> Applier<T> {
        Applier {
            rows,
            tally,
            scratch: Vec::new(),
        }
    }

    /// Does the next step, which puts at most so many `keys`. After an error the store is to be opened anew.
    pub(crate) fn step<M: crate::Medium>(
        &mut self,
        mut turn: Turn<M>,
        keys: usize,
    ) -> Result<Step<M>, Fault> {
        turn.stage = match turn.stage {
            Stage::Begin => Stage::Apply {
                from: Vec::new(),
                done: 0,
                tally: self.begin(&mut turn.redo, &turn.layer)?,
            },
            Stage::Apply { from, done, tally } => self.apply(&turn.layer, from, done, tally, keys)?,
            Stage::Conclude(tally) => self.conclude(&turn.redo, tally)?,
            Stage::Flush(tally) => self.flush(tally)?,
            Stage::Void => {
                turn.redo.renew(turn.successor)?;
                self.rows.points.reach(Failpoint::Renewed)?;
                if planted::is(Mistake::VoidedUnflushed) {
                    turn.redo.sync()?;
                }
                Stage::Sync
            }
            Stage::Sync => {
                if planted::is(Mistake::VoidedUnflushed) {
                    self.rows.live()?.flush()?;
                }
                turn.redo.sync()?;
                turn.redo.trim()?;
                drop(turn.layer);
                self.rows.settle();
                return Ok(Step::Done(turn.redo));
            }
        };
        Ok(Step::On(turn))
    }

    /// Notes in the log what all rows come to that it leaves alone, before any is touched. A turn that a
    /// crash cut off has noted it already.
    fn begin<M: crate::Medium>(&self, redo: &mut Redo<M>, layer: &Layer) -> Result<Tally, Fault> {
        if let Some(rest) = redo.turn() {
            return Ok(rest);
        }
        let tree = self.rows.live()?;
        let mut rest = self.tally;
        for (key, _) in layer.range(b"") {
            if let Some(record) = tree.get(key)? {
                rest.remove(key, record.as_ref());
            }
        }
        if !planted::is(Mistake::TurnUnnoted) {
            redo.begin_turn(rest)?;
        }
        self.rows.points.reach(Failpoint::Begun)?;
        Ok(rest)
    }

    /// In key order, which is kind to sled's leaves.
    fn apply(
        &mut self,
        layer: &Layer,
        from: Vec<u8>,
        mut done: usize,
        mut tally: Tally,
        keys: usize,
    ) -> Result<Stage, Fault> {
        let rows = Arc::clone(&self.rows);
        let (tree, half) = (rows.live()?, layer.len() / 2);
        let mut rest = layer.range(&from);
        for (key, value) in rest.by_ref().take(keys) {
            if done == half {
                rows.points.reach(Failpoint::HalfApplied)?;
            }
            self.apply_one(tree, (key, value))?;
            if value.is_some() {
                tally.add(key, &self.scratch);
            }
            done += 1;
        }
        match rest.next() {
            Some((key, _)) => Ok(Stage::Apply {
                from: key.to_vec(),
                done,
                tally,
            }),
            None => {
                rows.points.reach(Failpoint::Applied)?;
                Ok(Stage::Conclude(tally))
            }
        }
    }

    fn apply_one(&mut self, tree: &T, (key, value): Write<'_>) -> Result<(), Fault> {
        match value {
            Some(value) => {
                envelope::seal(key, value, &mut self.scratch);
                tree.put(key, &self.scratch)
            }
            None => tree.remove(key),
        }
    }

    fn conclude<M: crate::Medium>(&mut self, redo: &Redo<M>, tally: Tally) -> Result<Stage, Fault> {
        let reached = Checkpoint {
            generation: redo.number(),
            next: redo.next(),
            tally,
        };
        let rows = Arc::clone(&self.rows);
        self.apply_one(rows.live()?, (checkpoint::KEY, Some(&reached.encode())))?;
        Ok(Stage::Flush(tally))
    }

    /// Before the log is voided.
    fn flush(&mut self, tally: Tally) -> Result<Stage, Fault> {
        if !planted::is(Mistake::VoidedUnflushed) {
            self.rows.live()?.flush()?;
        }
        self.tally = tally;
        self.rows.points.reach(Failpoint::Flushed)?;
        Ok(Stage::Void)
    }
}
