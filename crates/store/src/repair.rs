//! sled's snapshots: derived from the log, so a damaged one can be set aside and made anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::folder;

/// Removes snapshots whose writing was cut off. sled takes `snap.X.generating` for newer than
/// `snap.X` and then refuses to open. Only for the holder of the folder's lock.
pub(crate) fn drop_unfinished(path: &Path) -> io::Result<()> {
    for snapshot in snapshots(path)? {
        if snapshot
            .extension()
            .is_some_and(|extension| extension == "generating")
        {
            tracing::warn!(path = %snapshot.display(), "removing an unfinished snapshot");
            fs::remove_file(snapshot)?;
        }
    }
    Ok(())
}

/// Moves every snapshot into a fresh `repair-<n>` folder. `None` when there is none to blame.
pub(crate) fn set_snapshots_aside(path: &Path) -> io::Result<Option<PathBuf>> {
    let found = snapshots(path)?;
    if found.is_empty() {
        return Ok(None);
    }
    let aside = fresh_folder(path)?;
    for snapshot in found {
        if let Some(name) = snapshot.file_name() {
            fs::rename(&snapshot, aside.join(name))?;
        }
    }
    folder::sync(&aside)?;
    folder::sync(path)?;
    Ok(Some(aside))
}

fn snapshots(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = folder::entries(path)?;
    found.retain(|entry| {
        entry
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("snap."))
    });
    Ok(found)
}

fn fresh_folder(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1u32;
    loop {
        let candidate = path.join(format!("repair-{number}"));
        match fs::create_dir(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}
