//! What a crash leaves: a copy of an open store's folder.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where the records begin in a redo log.
pub(crate) const RECORDS: u64 = 12288;

/// A redo log on disk.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    pub(crate) generation: u64,
    /// Where each record of the present generation ends. Behind the last one lie older generations.
    pub(crate) ends: Vec<u64>,
}

impl Log {
    fn read(path: PathBuf) -> Log {
        let bytes = fs::read(&path).unwrap();
        let field = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().unwrap());
        let header = [0, 4096]
            .into_iter()
            .max_by_key(|block| field(block + 12))
            .unwrap();
        let mut ends = Vec::new();
        let mut at = RECORDS as usize;
        while at + 32 <= bytes.len() && field(at) == field(header + 20) {
            let length = u32::from_le_bytes(*bytes[at + 24..].first_chunk().unwrap());
            at += 32 + length as usize;
            ends.push(at as u64);
        }
        let generation = field(header + 12);
        Log {
            path,
            generation,
            ends,
        }
    }

    pub(crate) fn overwrite(&self, offset: u64, bytes: &[u8]) {
        let file = fs::File::options().write(true).open(&self.path).unwrap();
        file.write_all_at(bytes, offset).unwrap();
    }

    /// What an error calls a record of it.
    pub(crate) fn record(&self, place: usize) -> String {
        format!("{}#{place}", name(&self.path))
    }
}

/// Both logs, the one with the older commits first.
pub(crate) fn logs(folder: &Path) -> [Log; 2] {
    let mut logs = ["redo", "redo-2"].map(|name| Log::read(folder.join(name)));
    logs.sort_by_key(|log| log.generation);
    logs
}

/// The only log that has records.
pub(crate) fn only(folder: &Path) -> Log {
    let mut used: Vec<_> = logs(folder)
        .into_iter()
        .filter(|log| !log.ends.is_empty())
        .collect();
    assert_eq!(used.len(), 1);
    used.remove(0)
}

/// Copies a folder whose store is open, and whose applier rests or is held. Snapshots go first and the
/// redo logs last, so that no file is older than one that it is needed for.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let mut entries: Vec<PathBuf> = fs::read_dir(from).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort_by_key(|path| match name(path) {
        snapshot if snapshot.starts_with("snap.") => 0,
        "redo" | "redo-2" => 2,
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
