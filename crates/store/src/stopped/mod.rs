//! What may be done to a store while no service has it open: look through it, write it anew, repair it.
//!
//! A store is never changed where it lies: a fresh one is written beside it, read back, and put in its
//! place in one step. Until then a crash leaves the old one as it was.

mod files;
mod fresh;
mod look;
mod repair;
mod restored;
mod rewrite;
mod wreck;

use std::fs;
use std::io;
use std::path::Path;

use service::store::StoreError;

pub use files::{FilesVerified, Needed, put_file_back, verify_files};
pub use look::{ClassStats, Stats, Verified};
pub use repair::{Lost, Plan, Repaired};
pub use restored::Restored;
pub use rewrite::Rewritten;

use crate::fault::Fault;
use crate::kind::Engine;
use crate::opening::OpenOptions;
use crate::swap;

/// What the store written anew is called until it takes the other one's place.
const NEW: &str = "new";

/// Says which kind of row a key belongs to, in words.
pub type Classify<'a> = &'a dyn Fn(&[u8]) -> String;

/// A store that no service has open.
#[derive(Debug)]
pub struct Stopped {
    pub(crate) options: OpenOptions,
    pub(crate) engine: Engine,
}

impl Stopped {
    /// The store in the options' folder, whichever engine keeps it; `None` when there is none.
    pub fn find(options: OpenOptions) -> Result<Option<Stopped>, StoreError> {
        swap::demand_whole(&options.path)?;
        let engine = Engine::of(&options.path);
        Ok(engine.map(|engine| Stopped { options, engine }))
    }

    /// The engine that keeps it.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    fn path(&self) -> &Path {
        &self.options.path
    }

    /// Refuses when the disk has no room for the store once more.
    fn demand_room_for_another(&self) -> Result<(), StoreError> {
        let needed =
            bytes_below(self.path()).and_then(|bytes| Ok((bytes, fs4::available_space(self.path())?)));
        let (bytes, available) = needed.map_err(|error| self.told(error))?;
        if available < bytes.saturating_add(self.options.reserve_bytes) {
            return Err(Fault::Full.told(self.path()));
        }
        Ok(())
    }

    fn told(&self, error: io::Error) -> StoreError {
        Fault::from(error).told(self.path())
    }
}

/// What all files below a folder have on disk.
fn bytes_below(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => bytes_below(&entry.path())?,
            false => metadata.len(),
        };
    }
    Ok(bytes)
}

/// Removes what an earlier run that was cut off has left.
fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
