//! Reading a stopped store from end to end.

use std::collections::BTreeMap;
use std::fs;

use service::store::{StoreError, printable};

use super::{Classify, Stopped, bytes_below};
use crate::database::Identity;
use crate::salvage::Seen;

/// How many damaged records are named; all are counted.
const NAMED: usize = 20;

/// What a store was found to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Rows whose checksum fits.
    pub rows: u64,
    /// Their keys and values together.
    pub bytes: u64,
    /// Rows whose checksum does not fit, and stretches in which nothing can be read.
    pub damaged: u64,
    /// The first of them, in words.
    pub named: Vec<String>,
}

/// Where a store's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// What the store says of itself.
    pub identity: Identity,
    /// Rows and bytes of each kind.
    pub classes: BTreeMap<String, ClassStats>,
    /// Files in the store's folder and what they have, by name; folders as a whole.
    pub files: BTreeMap<String, u64>,
    /// What the engine needs for the rows: its own files, and the redo logs.
    pub disk_bytes: u64,
    /// What the redo logs held that had not reached the database yet.
    pub log_bytes: u64,
}

/// Rows of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassStats {
    /// How many.
    pub rows: u64,
    /// Their keys and values together.
    pub bytes: u64,
}

impl Stats {
    /// All kinds together.
    pub fn live(&self) -> ClassStats {
        self.classes
            .values()
            .fold(ClassStats::default(), |all, class| ClassStats {
                rows: all.rows + class.rows,
                bytes: all.bytes + class.bytes,
            })
    }

    /// How many bytes on disk there are for each byte of the rows.
    pub fn amplification(&self) -> f64 {
        self.disk_bytes as f64 / self.live().bytes.max(1) as f64
    }
}

impl Stopped {
    /// Reads every record, the logs', too, and checks that none is missing.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        self.verify_each(&mut |_, _| {})
    }

    /// The same; `each` is shown every row whose checksum fits.
    pub fn verify_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<Verified, StoreError> {
        let store = self.engine.open_as_it_is(self.options.clone())?;
        let mut found = Verified::default();
        store.survey(&mut |seen| {
            found.take(&seen);
            if let Seen::Row(key, value) = seen {
                each(key, value);
            }
        })?;
        if found.damaged == 0 {
            store.verify()?;
        }
        Ok(found)
    }

    /// Counts rows and bytes by kind.
    pub fn stats(&self, class: Classify<'_>) -> Result<Stats, StoreError> {
        let store = self.engine.open_as_it_is(self.options.clone())?;
        let log_bytes = store.log_bytes();
        let mut classes = BTreeMap::<String, ClassStats>::new();
        super::fresh::each_row(&*store, |key, value| {
            let counted = classes.entry(class(key)).or_default();
            counted.rows += 1;
            counted.bytes += (key.len() + value.len()) as u64;
            Ok(())
        })?;
        let identity = store.identity();
        let disk_bytes = store.size_on_disk()?;
        Ok(Stats {
            identity,
            classes,
            files: self.files()?,
            disk_bytes,
            log_bytes,
        })
    }

    fn files(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let list = || -> std::io::Result<BTreeMap<String, u64>> {
            let entries = fs::read_dir(self.path())?;
            let sizes = entries.map(|entry| {
                let entry = entry?;
                let bytes = match entry.file_type()?.is_dir() {
                    true => bytes_below(&entry.path())?,
                    false => entry.metadata()?.len(),
                };
                Ok((entry.file_name().to_string_lossy().into_owned(), bytes))
            });
            sizes.collect()
        };
        list().map_err(|error| self.told(error))
    }
}

impl Verified {
    fn take(&mut self, seen: &Seen<'_>) {
        let name = match seen {
            Seen::Row(key, value) => {
                self.rows += 1;
                self.bytes += (key.len() + value.len()) as u64;
                return;
            }
            Seen::Damaged(key, reason) => format!("the record {}: {reason}", printable(key)),
            Seen::Gap(from, until) => gap(from, *until),
        };
        self.damaged += 1;
        if self.named.len() < NAMED {
            self.named.push(name);
        }
    }
}

/// A stretch in which nothing can be read, in words.
pub(super) fn gap(from: &[u8], until: Option<&[u8]>) -> String {
    let from = match from {
        [] => "the beginning".to_owned(),
        from => printable(from).to_string(),
    };
    match until {
        None => format!("nothing can be read from {from} to the end"),
        Some(until) => {
            let digits = until
                .iter()
                .rposition(|digit| *digit != 0)
                .map_or(0, |last| last + 1);
            format!(
                "nothing can be read from {from} to {}",
                printable(&until[..digits])
            )
        }
    }
}
