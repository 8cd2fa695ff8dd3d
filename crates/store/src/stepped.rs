//! A store whose full logs are brought into the database step by step, by whoever plays its disk: the product's logs,
//! turns, layers and recovery, over files and a database that a rig loses, tears and damages.

use std::path::Path;
use std::sync::Arc;

use service::store::{Batch, Pair as Row, Read, StoreError};

use crate::fault::Fault;
use crate::limits;
use crate::meta::{self, Meta};
use crate::opening::{StartCheck, stored_meta};
use crate::pair::{Pair, Unrecorded};
use crate::recovery::{self, Left, Recovered};
use crate::redo::{FILES, Medium, Redo, Write};
use crate::rows::Rows;
use crate::tree::Tree;
use crate::turn::{Applier, Step, Turn};

/// The store.
#[derive(Debug)]
pub struct Stepped<T, M> {
    rows: Arc<Rows<T>>,
    pair: Pair<M>,
    applier: Applier<T>,
    turn: Option<Turn<M>>,
    epoch: u64,
}

impl<T: Tree, M: Medium + Clone> Stepped<T, M> {
    /// Opens the store that lies in `tree` and in the files of its two logs, or makes it with this epoch. It has every
    /// commit before number `acknowledged`, as far as that is known, or is damaged. A log is full at `full_bytes`.
    pub fn open(
        tree: T,
        files: &[M; 2],
        acknowledged: Option<u64>,
        fresh_epoch: u64,
        full_bytes: u64,
    ) -> Result<Stepped<T, M>, StoreError> {
        let opened = |n: usize| Redo::open_on(files[n].clone(), FILES[n]);
        let recovered = || -> Result<_, Fault> {
            let left = Left {
                logs: [opened(0)?, opened(1)?],
                committed: acknowledged,
            };
            recovery::recover(&tree, left, StartCheck::EveryRow, || begin(files))
        };
        let (Recovered { pair, turn, tally }, layers) = recovered().map_err(told)?;
        let rows = Arc::new(Rows::new(tree, layers, Path::new("")));
        let stored = stored_meta(&rows)?;
        let mut store = Stepped {
            applier: Applier::new(Arc::clone(&rows), tally),
            pair: pair.full_at(full_bytes),
            rows,
            turn,
            epoch: stored.map_or(fresh_epoch, |meta| meta.epoch),
        };
        if stored.is_none() {
            store.write_meta()?;
        }
        Ok(store)
    }

    /// Writes what a new store says of itself, and brings it into the database for good.
    fn write_meta(&mut self) -> Result<(), StoreError> {
        let meta = Meta {
            schema: 1,
            epoch: self.epoch,
            created: 0,
        };
        self.record(&[(meta::KEY, Some(&meta.encode()))])?;
        self.checkpoint()
    }

    /// Makes a batch durable, and shows it. Where both logs are full, what is left of the turn is done first. Where its
    /// record begins in the log, bytes.
    pub fn commit(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        limits::check(batch)?;
        let writes: Vec<_> = batch.iter().collect();
        match writes.is_empty() {
            true => self.rows.live().map(|_| self.pair.active().end()),
            false => self.record(&writes),
        }
    }

    fn record(&mut self, writes: &[Write<'_>]) -> Result<u64, StoreError> {
        self.rows.live()?;
        if self.pair.is_full(writes) {
            self.finish()?;
            self.hurry()?;
        }
        let begin = self.pair.active().end();
        match self.pair.record(&self.rows, writes) {
            Ok(record) => self.rows.show(&record),
            Err(Unrecorded::Refused(fault)) => return Err(told(fault)),
            Err(Unrecorded::Broken(fault)) => return Err(self.rows.fail(fault)),
        }
        Ok(begin)
    }

    /// Lets the active log's turn come, unless the other one's is under way or there is nothing in it.
    pub fn hurry(&mut self) -> Result<(), StoreError> {
        if self.pair.has_spare() && !self.pair.is_empty() {
            let turn = self.pair.turn(&self.rows);
            self.turn = Some(turn.map_err(|fault| self.rows.fail(fault))?);
        }
        Ok(())
    }

    /// Does one step of the turn that is under way, which brings in at most so many keys. Whether there was one. An
    /// error closes the store.
    pub fn step(&mut self, keys: usize) -> Result<bool, StoreError> {
        let Some(turn) = self.turn.take() else {
            return Ok(false);
        };
        match self.applier.step(turn, keys) {
            Ok(Step::On(turn)) => self.turn = Some(turn),
            Ok(Step::Done(redo)) => self.pair.give_back(redo),
            Err(fault) => return Err(self.rows.fail(fault)),
        }
        Ok(true)
    }

    /// Brings everything into the database, as a store does that is closed.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.finish()?;
        self.hurry()?;
        self.finish()
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        while self.step(usize::MAX)? {}
        Ok(())
    }

    /// What the turn that is under way does next.
    pub fn turning(&self) -> Option<&'static str> {
        self.turn.as_ref().map(Turn::what_comes_next)
    }

    /// Whether a failure has closed it.
    pub fn is_poisoned(&self) -> bool {
        self.rows.is_poisoned()
    }

    /// In which of its files the next commit goes, and where, bytes from the beginning.
    pub fn end(&self) -> (usize, u64) {
        let active = self.pair.active();
        (usize::from(active.name() != FILES[0]), active.end())
    }

    /// The number of the next commit.
    pub fn next(&self) -> u64 {
        self.pair.next()
    }

    /// The name of this history.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl<T: Tree, M: Medium> Read for Stepped<T, M>
where
    M: Send + Sync,
{
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.read(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.rows.scan(prefix, after, limit)
    }
}

fn begin<M: Medium + Clone>(files: &[M; 2]) -> Result<[Redo<M>; 2], Fault> {
    let one = Redo::create_on(files[0].clone(), FILES[0], 0)?;
    let other = Redo::create_on(files[1].clone(), FILES[1], one.number())?;
    Ok([one, other])
}

fn told(fault: Fault) -> StoreError {
    fault.told(Path::new("the database"))
}
