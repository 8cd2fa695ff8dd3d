//! Pages that sled keeps outside its log, as files under `blobs/`, because they are larger than a
//! quarter of a segment. sled never fsyncs them, so the store does, before it attests anything.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::folder;

/// The off-log pages known to be on disk.
#[derive(Debug)]
pub(crate) struct OffLog {
    folder: PathBuf,
    synced: HashMap<PathBuf, u64>,
}

impl OffLog {
    /// Of the store in `folder`. Nothing is taken for synced: the last process may have been killed.
    pub(crate) fn of(folder: &Path) -> OffLog {
        OffLog {
            folder: folder.join("blobs"),
            synced: HashMap::new(),
        }
    }

    /// Fsyncs what has come or grown since the last call. With small values there are no such files,
    /// and this is one read of an empty folder.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let mut present = HashMap::new();
        let mut fresh = false;
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let Some(length) = unless_gone(fs::metadata(&path))?.map(|metadata| metadata.len()) else {
                continue;
            };
            if self.synced.get(&path) != Some(&length) {
                fresh |= unless_gone(File::open(&path).and_then(|file| file.sync_all()))?.is_some();
            }
            present.insert(path, length);
        }
        self.synced = present;
        if fresh { folder::sync(&self.folder) } else { Ok(()) }
    }
}

/// sled removes such files whenever it likes.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
