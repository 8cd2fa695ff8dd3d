//! A store's folder: made private, locked by one process, its entries fsynced.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use service::store::StoreError;

use crate::fault::Fault;

/// How long an opener waits for a lock: a dropped store's background threads let go of it late.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// The lock file.
pub(crate) const LOCK: &str = "lock";

const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Proof that this process owns the folder; lets go when dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
    again: bool,
}

impl FolderLock {
    /// Makes the folder where it is missing and locks it. Another process is refused at once; this one
    /// may be about to let go, and is waited for.
    pub(crate) fn acquire(path: &Path) -> Result<FolderLock, StoreError> {
        let ours = || holder(path) == Some(std::process::id());
        patiently(ours, || Self::attempt(path)).map_err(|fault| fault.told(path))
    }

    fn attempt(path: &Path) -> Result<FolderLock, Fault> {
        make_private(path)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(Self::sign(path, file)),
            Err(fs::TryLockError::WouldBlock) => Err(Fault::Locked),
            Err(fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Writes who holds the lock into its file. Of fixed width and in place, which a full disk takes.
    fn sign(path: &Path, file: File) -> FolderLock {
        let own = std::process::id();
        let again = holder(path) == Some(own);
        if let Err(error) = file.write_all_at(format!("{own:>10}\n").as_bytes(), 0) {
            tracing::warn!(path = %path.display(), %error, "the lock file does not say who holds it");
        }
        FolderLock { file, again }
    }

    /// Whether this very process had the folder before, and may still be letting go of what is in it.
    pub(crate) fn is_again(&self) -> bool {
        self.again
    }

    /// When the lock was taken, in seconds since 1970, by the file system's clock.
    pub(crate) fn taken(&self) -> u64 {
        let modified = self.file.metadata().and_then(|metadata| metadata.modified()).ok();
        modified
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |age| age.as_secs())
    }
}

/// Keeps everybody from opening a store that is there, until it is dropped.
#[derive(Debug)]
pub struct Held {
    _lock: FolderLock,
}

impl Held {
    /// Takes a store's folder; `None` when there is none.
    pub fn take(path: &Path) -> Result<Option<Held>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        FolderLock::acquire(path).map(|lock| Some(Held { _lock: lock }))
    }
}

/// The process that took the lock last.
fn holder(path: &Path) -> Option<u32> {
    fs::read_to_string(path.join(LOCK)).ok()?.trim().parse().ok()
}

/// Repeats `attempt` while it finds the folder locked and `may_wait` holds, for two seconds at most.
pub(crate) fn patiently<T>(
    may_wait: impl Fn() -> bool,
    mut attempt: impl FnMut() -> Result<T, Fault>,
) -> Result<T, Fault> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(Fault::Locked) if begun.elapsed() < LOCK_PATIENCE && may_wait() => {
                std::thread::sleep(LOCK_PAUSE);
            }
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
