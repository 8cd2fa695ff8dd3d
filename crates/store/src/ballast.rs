//! A few megabytes kept to throw overboard: sled cannot even open on a full disk, since it writes a
//! snapshot and clears the tail of its last segment.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// More than a segment and a snapshot of a large database.
pub(crate) const BALLAST_BYTES: u64 = 4 << 20;

/// The ballast's name in the store's folder.
pub(crate) const FILE: &str = "ballast";

/// The ballast file of one store.
#[derive(Debug)]
pub(crate) struct Ballast {
    path: PathBuf,
    aboard: bool,
}

impl Ballast {
    /// The ballast in the store's folder, whether or not it is there.
    pub(crate) fn of(folder: &Path) -> Ballast {
        let path = folder.join(FILE);
        let aboard = fs::metadata(&path).is_ok_and(|metadata| metadata.len() == BALLAST_BYTES);
        Ballast { path, aboard }
    }

    /// Whether there is space to be given.
    pub(crate) fn is_aboard(&self) -> bool {
        self.aboard
    }

    /// Gives the space to whoever needs it now.
    pub(crate) fn release(&mut self) {
        self.aboard = false;
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "the ballast could not be released");
        }
    }

    /// Takes ballast in again, if it is missing and `spare` bytes above the reserve allow it.
    pub(crate) fn restore(&mut self, spare: u64) {
        if self.aboard || spare < 2 * BALLAST_BYTES {
            return;
        }
        match self.fill() {
            Ok(()) => self.aboard = true,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "no room for the ballast");
                self.release();
            }
        }
    }

    /// Writes zeros instead of asking for blocks: this works on every file system.
    fn fill(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        let chunk = vec![0; 1 << 20];
        for _ in 0..BALLAST_BYTES / (1 << 20) {
            file.write_all(&chunk)?;
        }
        file.sync_all()
    }
}
