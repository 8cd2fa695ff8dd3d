//! A store's folder: made private, locked by one process, its entries fsynced.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use service::store::StoreError;

use crate::fault::Fault;

/// How long an opener waits for a lock: a dropped store's background threads let go of it late.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Proof that this process owns the folder; lets go when dropped.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

impl FolderLock {
    /// Makes the folder where it is missing and locks it.
    pub(crate) fn acquire(path: &Path) -> Result<FolderLock, StoreError> {
        patiently(|| Self::attempt(path)).map_err(|fault| fault.told(path))
    }

    fn attempt(path: &Path) -> Result<FolderLock, Fault> {
        make_private(path)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock(file)),
            Err(fs::TryLockError::WouldBlock) => Err(Fault::Locked),
            Err(fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// When the lock file was first written, in seconds since 1970.
    pub(crate) fn born(&self) -> u64 {
        let modified = self.0.metadata().and_then(|metadata| metadata.modified()).ok();
        modified
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |age| age.as_secs())
    }
}

/// Repeats `attempt` while it finds the folder locked, for two seconds at most.
pub(crate) fn patiently<T>(mut attempt: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(Fault::Locked) if begun.elapsed() < LOCK_PATIENCE => std::thread::sleep(LOCK_PAUSE),
            outcome => return outcome,
        }
    }
}

/// Makes `path` a folder that only its owner may enter.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Makes the folder's entries outlive a power cut.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Fsyncs a new store: its files, the folder, and the folder's own entry in its parent.
pub(crate) fn sync_all(path: &Path) -> io::Result<()> {
    for entry in entries(path)? {
        if entry.is_file() {
            File::open(&entry)?.sync_all()?;
        }
    }
    sync(path)?;
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or(Ok(()), sync)
}

/// The paths directly in a folder, sorted.
pub(crate) fn entries(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}
