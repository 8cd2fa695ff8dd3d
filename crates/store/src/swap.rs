//! Putting a new folder in the place of another one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use service::store::StoreError;

use crate::fault::Fault;
use crate::folder;

/// What a folder is called while another one takes its place in two steps.
const MOVED: &str = "before-swap";

/// Exchanges two folders of one parent, in one step where the file system can.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS) => exchange_in_steps(one, other)?,
        outcome => outcome?,
    }
    sync_parent(one)
}

fn exchange_in_steps(one: &Path, other: &Path) -> io::Result<()> {
    let moved = moved(one);
    fs::rename(one, &moved)?;
    sync_parent(one)?;
    fs::rename(other, one)?;
    sync_parent(one)?;
    fs::rename(moved, other)
}

/// Refuses a store whose folder was moved away and nothing put in its place: it would be taken for new.
pub(crate) fn demand_whole(path: &Path) -> Result<(), StoreError> {
    let moved = moved(path);
    if path.exists() || !moved.exists() {
        return Ok(());
    }
    let what = format!(
        "its place was to be taken by another folder, and that was cut off; rename {} back",
        moved.display()
    );
    Err(Fault::Other(what).told(path))
}

/// Makes the entries of the folder above outlive a power cut.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or(Ok(()), folder::sync)
}

fn moved(path: &Path) -> PathBuf {
    beside(path, MOVED)
}

/// A path beside `path`: its name, a dot, and `word`.
pub(crate) fn beside(path: &Path, word: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.{word}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{beside, demand_whole, exchange, exchange_in_steps, moved};

    #[test]
    fn two_folders_change_places() {
        let parent = tempfile::tempdir().unwrap();
        let (one, other) = (parent.path().join("one"), parent.path().join("other"));
        for name in [&one, &other] {
            fs::create_dir(name).unwrap();
            fs::write(name.join("who"), name.to_str().unwrap()).unwrap();
        }
        let who = || fs::read_to_string(one.join("who")).unwrap();
        exchange(&one, &other).unwrap();
        assert_eq!(who(), other.to_str().unwrap());
        exchange_in_steps(&one, &other).unwrap();
        assert_eq!(who(), one.to_str().unwrap());
        demand_whole(&one).unwrap();
        fs::rename(&one, moved(&one)).unwrap();
        assert!(demand_whole(&one).unwrap_err().to_string().contains("rename"));
        assert_eq!(beside(&other, "x"), parent.path().join("other.x"));
    }
}
