//! What a crash leaves: a copy of an open store's folder.

use std::fs;
use std::path::{Path, PathBuf};

/// Copies a folder whose store is open. Snapshots go first and the redo log last, so that no file is
/// older than one that it is needed for.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let mut entries: Vec<PathBuf> = fs::read_dir(from).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort_by_key(|path| match name(path) {
        snapshot if snapshot.starts_with("snap.") => 0,
        "redo" => 2,
        _ => 1,
    });
    for path in entries {
        let target = to.join(name(&path));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}
