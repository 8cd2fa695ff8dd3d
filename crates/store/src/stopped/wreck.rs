//! A copy of a damaged store, read as far as it can be.

use std::fs;
use std::io;
use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::committed::Committed;
use crate::envelope;
use crate::fault::Fault;
use crate::kind::Engine;
use crate::meta::{self, Meta};
use crate::opening::{self, OpenOptions};
use crate::redb_store;
use crate::redo::{self, Commit};
use crate::salvage::{self, Found, Seen};
use crate::tree::{self, SledTree, Tree};
use crate::{ballast, checkpoint, folder};

/// What can still be read.
pub(super) struct Wreck {
    rows: Rows,
    /// Whole records found in the logs, in the order of the commits.
    commits: Vec<Commit>,
    /// How many commits there were, as far as it is known.
    committed: Option<u64>,
}

enum Rows {
    Sled(SledTree),
    Redb(redb_store::Wreck),
    /// The engine does not open its files at all, and says why.
    Unreadable(String),
}

impl Wreck {
    /// Opens a copy, which the engine may change.
    pub(super) fn open(engine: Engine, copy: &OpenOptions) -> io::Result<Wreck> {
        let path = copy.path.as_path();
        let opened = match engine {
            Engine::Sled => opening::open_wreck(copy).map(Rows::Sled),
            Engine::Redb => redb_store::Wreck::open(path, copy.cache_bytes).map(Rows::Redb),
        };
        Ok(Wreck {
            rows: opened.unwrap_or_else(|fault| Rows::Unreadable(fault.told(path).to_string())),
            commits: redo::salvage(path)?,
            committed: Committed::read(path),
        })
    }

    /// Why the engine does not open its files, if it does not.
    pub(super) fn unreadable(&self) -> Option<&str> {
        match &self.rows {
            Rows::Unreadable(why) => Some(why),
            _ => None,
        }
    }

    /// Walks what the engine has.
    pub(super) fn walk(&self, visit: &mut dyn FnMut(Seen<'_>)) {
        if self.unreadable().is_none() {
            salvage::walk(|from| self.next(from), visit);
        }
    }

    fn next(&self, from: &[u8]) -> Result<Found, Fault> {
        match &self.rows {
            Rows::Sled(tree) => tree::first_from(tree, from),
            Rows::Redb(wreck) => wreck.next(from),
            Rows::Unreadable(_) => Ok(None),
        }
    }

    /// The store's own record, from its rows or else from a log.
    pub(super) fn meta(&self) -> Option<Meta> {
        let logged = || {
            let writes = self.commits.iter().rev().flat_map(|commit| &commit.writes);
            let written = writes.filter(|(key, _)| key == meta::KEY);
            written
                .filter_map(|(_, value)| Meta::decode(value.as_deref()?).ok())
                .next()
        };
        match &self.rows {
            Rows::Redb(wreck) => wreck.own_records().0,
            Rows::Sled(tree) => own(tree, meta::KEY)
                .and_then(|record| Meta::decode(envelope::open(meta::KEY, &record).ok()?).ok())
                .or_else(logged),
            Rows::Unreadable(_) => logged(),
        }
    }

    /// Up to where the rows had everything, if that can be read.
    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        match &self.rows {
            Rows::Redb(wreck) => wreck.own_records().1,
            Rows::Sled(tree) => Checkpoint::open(&own(tree, checkpoint::KEY)?).ok(),
            Rows::Unreadable(_) => None,
        }
    }

    /// The commits of the logs that make up for what the rows lack. Older ones bring back what was written
    /// over since, unless all that came after them are there, too.
    pub(super) fn commits(&self) -> &[Commit] {
        let reached = self.checkpoint().map_or(0, |checkpoint| checkpoint.generation);
        let gap = self
            .commits
            .windows(2)
            .rposition(|pair| pair[0].number + 1 != pair[1].number);
        let unbroken = gap.map_or(0, |at| at + 1);
        let missed = self
            .commits
            .iter()
            .position(|commit| commit.generation > reached)
            .unwrap_or(self.commits.len());
        &self.commits[unbroken.min(missed)..]
    }

    /// Those that had not reached the database.
    pub(super) fn newer_commits(&self) -> &[Commit] {
        let held = self.checkpoint().map_or(0, |checkpoint| checkpoint.next);
        let commits = self.commits();
        let first = commits.partition_point(|commit| commit.number < held);
        &commits[first..]
    }

    /// Those that the database had, and that may make up for what it has lost.
    pub(super) fn commits_brought_in(&self) -> &[Commit] {
        let commits = self.commits();
        &commits[..commits.len() - self.newer_commits().len()]
    }

    /// How many acknowledged commits are nowhere, as far as it is known.
    pub(super) fn commits_lost(&self) -> u64 {
        let held = self.checkpoint().map_or(0, |checkpoint| checkpoint.next);
        let newer = self.newer_commits();
        let last = newer.last().map_or(held, |last| last.number + 1);
        let all = self.committed.unwrap_or(0).max(last);
        all - held - newer.len() as u64
    }

    /// Whether a crash had cut off the bringing of a log into the database, so that the rows' number is not
    /// known from the checkpoint.
    pub(super) fn is_between_checkpoints(&self) -> bool {
        let reached = self.checkpoint();
        reached.is_none() || self.commits.iter().any(|commit| commit.turn_begun)
    }
}

fn own(tree: &SledTree, key: &[u8]) -> Option<Vec<u8>> {
    tree.get(key).ok().flatten().map(|record| record.to_vec())
}

/// Copies a store's folder, but for what only says who has it open.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    folder::make_private(to)?;
    for entry in folder::entries(from)? {
        let Some(name) = entry.file_name() else { continue };
        if name == folder::LOCK || name == ballast::FILE {
            continue;
        }
        match entry.is_dir() {
            true => copy(&entry, &to.join(name))?,
            false => drop(fs::copy(&entry, to.join(name))?),
        }
    }
    Ok(())
}
