//! Taking over everything that can be read of a damaged store.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use service::store::{StoreError, printable};

use super::fresh::Fresh;
use super::look;
use super::wreck::{self, Wreck};
use super::{Classify, NEW, Stopped, clear};
use crate::database::Identity;
use crate::folder::FolderLock;
use crate::meta::Meta;
use crate::opening::OpenOptions;
use crate::redo::Commit;
use crate::salvage::Seen;
use crate::swap;

/// What the copy is called that is read from.
const COPY: &str = "wreck";

/// How many lost records are named; all are counted.
const NAMED: usize = 100;

/// Whether the repaired store takes the damaged one's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// It does; the damaged one is kept beside it, under a name that ends in this.
    Replace(u64),
    /// It is only seen what would come of it.
    Try,
}

/// What was read, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Rows in the repaired store.
    pub rows: u64,
    /// Commits taken from the redo logs that had not reached the database.
    pub commits: u64,
    /// What is lost.
    pub lost: Lost,
    /// The epoch, if it is a new one, since something is or may be lost: whoever follows this store then
    /// fetches everything anew.
    pub epoch: Option<u64>,
    /// Where the damaged store is kept.
    pub kept: Option<PathBuf>,
}

/// What cannot be read any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lost {
    /// Damaged records by kind.
    pub classes: BTreeMap<String, u64>,
    /// Their keys, the first hundred.
    pub keys: Vec<String>,
    /// Stretches in which nothing can be read, in words.
    pub gaps: Vec<String>,
    /// Rows that were in the database and are not found; `None` when their number is not known.
    pub missing: Option<u64>,
    /// Acknowledged commits of which nothing is left in the logs.
    pub commits: u64,
    /// Why the engine does not open its own files, if it does not.
    pub unreadable: Option<String>,
}

impl Lost {
    /// Whether all is there, for certain.
    pub fn is_nothing(&self) -> bool {
        self.classes.is_empty()
            && self.gaps.is_empty()
            && self.missing == Some(0)
            && self.commits == 0
            && self.unreadable.is_none()
    }
}

impl Stopped {
    /// Reads a copy of the store as far as it can be read, and writes a fresh one from it.
    pub fn repair(&self, plan: Plan, class: Classify<'_>) -> Result<Repaired, StoreError> {
        let lock = FolderLock::acquire(self.path())?;
        self.demand_room_for_another()?;
        let told = |error| self.told(error);
        let (copy, new) = (swap::beside(self.path(), COPY), swap::beside(self.path(), NEW));
        clear(&copy).and_then(|()| clear(&new)).map_err(told)?;
        wreck::copy(self.path(), &copy).map_err(told)?;
        let outcome = self.restore(&copy, new.clone(), &lock, class);
        clear(&copy).map_err(told)?;
        let mut repaired = outcome?;
        match plan {
            Plan::Try => clear(&new).map_err(told)?,
            Plan::Replace(when) => {
                // The name first, so that the exchange puts the damaged one under it.
                let kept = swap::beside(self.path(), &format!("damaged-{when}"));
                fs::rename(&new, &kept).map_err(told)?;
                swap::exchange(self.path(), &kept).map_err(told)?;
                repaired.kept = Some(kept);
            }
        }
        Ok(repaired)
    }

    /// Writes what the copy holds into a fresh store: another history, when something is or may be lost.
    fn restore(
        &self,
        copy: &Path,
        new: PathBuf,
        lock: &FolderLock,
        class: Classify<'_>,
    ) -> Result<Repaired, StoreError> {
        let options = OpenOptions {
            path: copy.to_owned(),
            ..self.options.clone()
        };
        let wreck = Wreck::open(self.engine, &options).map_err(|error| self.told(error))?;
        let lost = survey(&wreck, class);
        let found = wreck.meta();
        let meta = found.unwrap_or(Meta {
            schema: self.options.schema,
            epoch: self.options.fresh_epoch,
            created: lock.taken(),
        });
        meta.demand_known(self.options.schema)?;
        let epoch = (!lost.is_nothing() || found.is_none()).then_some(self.options.fresh_epoch);
        let identity = Identity {
            epoch: epoch.unwrap_or(meta.epoch),
            ..meta.into()
        };
        let mut fresh = Fresh::begin(self.engine, new, identity, &self.options)?;
        let mut outcome = Ok(());
        wreck.walk(&mut |seen| {
            if let (Seen::Row(key, value), Ok(())) = (seen, &outcome) {
                outcome = fresh.write(key, Some(value));
            }
        });
        outcome?;
        for (key, value) in wreck.commits().iter().flat_map(|commit| &commit.writes) {
            if !crate::meta::is_own(key) {
                fresh.write(key, value.as_deref())?;
            }
        }
        let (rows, _) = fresh.finish()?;
        Ok(Repaired {
            rows,
            commits: wreck.newer_commits().len() as u64,
            lost,
            epoch,
            kept: None,
        })
    }
}

/// What cannot be read in the copy. What a log still has is not lost.
fn survey(wreck: &Wreck, class: Classify<'_>) -> Lost {
    let mut lost = Lost {
        commits: wreck.commits_lost(),
        unreadable: wreck.unreadable().map(str::to_owned),
        ..Lost::default()
    };
    let logged = last_writes(wreck.commits());
    let mut met = 0u64;
    let mut unmet = last_writes(wreck.commits_brought_in());
    wreck.walk(&mut |seen| match seen {
        Seen::Gap(from, until) => lost.gaps.push(look::gap(from, until)),
        Seen::Row(key, _) | Seen::Damaged(key, _) => {
            met += 1;
            unmet.remove(key);
            if matches!(seen, Seen::Damaged(..)) && !logged.contains_key(key) {
                *lost.classes.entry(class(key)).or_default() += 1;
                if lost.keys.len() < NAMED {
                    lost.keys.push(printable(key).to_string());
                }
            }
        }
    });
    let healed = unmet.values().filter(|is_set| **is_set).count() as u64;
    let expected = wreck.checkpoint().map(|checkpoint| checkpoint.tally.rows());
    if !wreck.is_between_checkpoints() {
        lost.missing = expected.map(|expected| expected.saturating_sub(met + healed));
    }
    if lost.missing == Some(0) {
        // The logs had all of it.
        lost.gaps.clear();
    }
    lost
}

/// The keys that commits write, and whether the last of them sets the key.
fn last_writes(commits: &[Commit]) -> HashMap<&[u8], bool> {
    let writes = commits.iter().flat_map(|commit| &commit.writes);
    writes
        .filter(|(key, _)| !crate::meta::is_own(key))
        .map(|(key, value)| (key.as_slice(), value.is_some()))
        .collect()
}
