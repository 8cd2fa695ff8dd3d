//! Power cuts: what a killed process had written and not synced is taken back, as a drive's cache would lose it.

use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::preload;

/// What goes before every note, in the C structure's layout.
const HEAD: usize = 40;

/// How much of what was not synced is lost.
#[derive(Debug, Clone, Copy)]
pub enum Loss {
    /// All of it.
    All,
    /// All from some write on; the share of those that are kept, 0 to 1.
    After(f64),
}

/// The rig around one process after the other.
pub struct Power {
    library: PathBuf,
    log: PathBuf,
    state: PathBuf,
}

struct Change {
    number: u64,
    path: PathBuf,
    offset: u64,
    length: u64,
    old: Vec<u8>,
}

impl Power {
    /// For the state below `state`; the rig's files are put into `folder`. `None`: there is no C compiler.
    pub fn around(state: &Path, folder: &Path) -> Option<Power> {
        Some(Power {
            library: preload::build("src/power/cache.c", folder)?,
            log: folder.join("power.log"),
            state: state.to_owned(),
        })
    }

    /// What the process's environment must say.
    pub fn settings(&self) -> [(&'static str, &str); 3] {
        [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("POWER_LOG", self.log.to_str().unwrap()),
            ("POWER_FOLDER", self.state.to_str().unwrap()),
        ]
    }

    /// The process is dead: takes back what was not synced. How many writes that were.
    pub fn cut(&self, loss: Loss) -> usize {
        let (changes, synced) = read(&std::fs::read(&self.log).unwrap());
        let unsynced: Vec<_> = changes
            .into_iter()
            .filter(|change| change.number > synced.get(&change.path).copied().unwrap_or(0))
            .collect();
        let kept = match loss {
            Loss::All => 0,
            Loss::After(share) => (unsynced.len() as f64 * share) as usize,
        };
        let lost = &unsynced[kept..];
        lost.iter().rev().for_each(undo);
        lost.len()
    }
}

fn undo(change: &Change) {
    // It may have been removed or renamed since.
    let Ok(file) = File::options().write(true).open(&change.path) else {
        return;
    };
    file.write_all_at(&change.old, change.offset).unwrap();
    file.set_len(change.length).unwrap();
}

/// All changes, and up to which number each file is synced. A note that the kill cut off ends it: its write
/// has not happened.
fn read(log: &[u8]) -> (Vec<Change>, HashMap<PathBuf, u64>) {
    let (mut changes, mut synced) = (Vec::new(), HashMap::new());
    let mut rest = log;
    while let Some((change, is_sync, after)) = next(rest) {
        rest = after;
        if is_sync {
            let upto = synced.entry(change.path).or_insert(0);
            *upto = change.number.max(*upto);
        } else {
            changes.push(change);
        }
    }
    (changes, synced)
}

fn next(bytes: &[u8]) -> Option<(Change, bool, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let short = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
    let (path, rest) = rest.split_at_checked(short(4) as usize)?;
    let (old, rest) = rest.split_at_checked(usize::try_from(long(32)).ok()?)?;
    let change = Change {
        number: long(8),
        path: std::str::from_utf8(path).unwrap().into(),
        offset: long(16),
        length: long(24),
        old: old.to_vec(),
    };
    Some((change, short(0) == 2, rest))
}
