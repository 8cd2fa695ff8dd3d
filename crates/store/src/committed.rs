//! How many commits were acknowledged, told from beside the logs.
//!
//! A log alone cannot tell a last record that was damaged from one that a power cut tore before it was
//! acknowledged. So after each sync the number of commits is written here, and not synced: what it says is
//! true whenever it gets to the disk. It outlives the process at once, and a power cut after the
//! half minute in which an operating system writes such pages.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Its name in the store's folder.
pub(crate) const FILE: &str = "committed";

const MAGIC: [u8; 8] = *b"MSTRDONE";

const BYTES: usize = 8 + 8 + 4;

/// The open file.
#[derive(Debug)]
pub(crate) struct Committed {
    file: Option<File>,
}

impl Committed {
    /// The number of the first record that was not acknowledged, as far as this file knows; `None` when it
    /// is missing or cannot be read, which loses a proof and no row.
    pub(crate) fn read(folder: &Path) -> Option<u64> {
        let number = std::fs::read(folder.join(FILE))
            .ok()
            .and_then(|bytes| decode(&bytes));
        if number.is_none() {
            tracing::debug!(path = %folder.display(), "nothing tells how many commits were acknowledged");
        }
        number
    }

    /// Opens the file, or makes it, and notes `next`.
    pub(crate) fn begin(folder: &Path, next: u64) -> Committed {
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(folder.join(FILE));
        let mut committed = Committed { file: None };
        match opened {
            Ok(file) => committed.file = Some(file),
            Err(error) => committed.give_up(&error),
        }
        committed.note(next);
        committed
    }

    /// Every record before number `next` is on disk, and is about to be acknowledged.
    pub(crate) fn note(&mut self, next: u64) {
        let Some(file) = &self.file else { return };
        if let Err(error) = file.write_all_at(&encode(next), 0) {
            self.give_up(&error);
        }
    }

    /// What it said last stays true.
    fn give_up(&mut self, error: &io::Error) {
        tracing::warn!(%error, "the number of commits is not noted beside the redo logs");
        self.file = None;
    }
}

fn encode(next: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let (body, sum) = bytes.split_at_mut(BYTES - 4);
    body.copy_from_slice(&[MAGIC, next.to_le_bytes()].concat());
    sum.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
    (bytes == encode(number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{Committed, FILE};

    #[test]
    fn what_was_noted_is_read_and_damage_is_no_number() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Committed::read(folder.path()), None);
        let mut committed = Committed::begin(folder.path(), 3);
        assert_eq!(Committed::read(folder.path()), Some(3));
        committed.note(u64::MAX);
        assert_eq!(Committed::read(folder.path()), Some(u64::MAX));
        let path = folder.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[9] ^= 1;
        std::fs::write(path, bytes).unwrap();
        assert_eq!(Committed::read(folder.path()), None);
    }
}
