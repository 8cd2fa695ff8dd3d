//! Blobs as files: sealed ones in the folder, unsealed ones in `parts/` below it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use service::store::{Blobs, StoreError};
use sha2::{Digest, Sha256};

use crate::fault::Fault;
use crate::folder;
use crate::name;

/// The folder of the unsealed blobs.
pub(crate) const PARTS: &str = "parts";

/// A gibibyte: more than any firmware we know of, less than a disk.
const DEFAULT_CAP_BYTES: u64 = 1 << 30;

/// What is left to the databases on the same disk.
const DEFAULT_RESERVE_BYTES: u64 = 64 << 20;

/// Blobs in a folder. The folder is 0700, each file 0600; symbolic links are refused.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    cap: u64,
    reserve: u64,
    /// One replacement at a time, since they share the temporary's name.
    replacing: Mutex<()>,
}

impl Files {
    /// Opens the folder, or makes it, and removes what an interrupted [`Blobs::replace`] left.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Files, StoreError> {
        let files = Files {
            folder: folder.into(),
            cap: DEFAULT_CAP_BYTES,
            reserve: DEFAULT_RESERVE_BYTES,
            replacing: Mutex::new(()),
        };
        files.prepare().map_err(|error| files.told(error))?;
        Ok(files)
    }

    /// Caps each blob at `bytes`; a gibibyte unless told.
    pub fn with_cap(self, bytes: u64) -> Files {
        Files { cap: bytes, ..self }
    }

    /// Refuses writes while the disk has less room than `bytes`; 64 MiB unless told.
    pub fn with_reserve(self, bytes: u64) -> Files {
        Files {
            reserve: bytes,
            ..self
        }
    }

    fn prepare(&self) -> io::Result<()> {
        folder::make_private(&self.folder)?;
        folder::make_private(&self.folder.join(PARTS))?;
        for entry in folder::entries(&self.folder)? {
            let name = entry
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if name.starts_with('.') && name.ends_with(".tmp") {
                fs::remove_file(&entry)?;
            }
        }
        folder::sync(&self.folder)
    }

    fn sealed(&self, name: &str) -> Result<PathBuf, StoreError> {
        name::check(name)?;
        Ok(self.folder.join(name))
    }

    fn part(&self, name: &str) -> Result<PathBuf, StoreError> {
        name::check(name)?;
        Ok(self.folder.join(PARTS).join(name))
    }

    fn admit(&self, end: Option<u64>, bytes: usize) -> Result<(), StoreError> {
        if end.is_none_or(|end| end > self.cap) {
            return Err(StoreError::Engine(format!("a blob may have {} bytes", self.cap)));
        }
        let room = fs4::available_space(&self.folder).map_err(|error| self.told(error))?;
        if room < self.reserve.saturating_add(bytes as u64) {
            return Err(self.told(ErrorKind::StorageFull.into()));
        }
        Ok(())
    }

    fn told(&self, error: io::Error) -> StoreError {
        Fault::from(error).told(&self.folder)
    }

    fn seal_at(&self, part: &Path, sealed: &Path) -> io::Result<()> {
        match open_plain(part, Access::Read)? {
            Some(file) => file.sync_all()?,
            // Sealed before, by a request that is now repeated.
            None if open_plain(sealed, Access::Read)?.is_some() => return Ok(()),
            None => {
                return Err(io::Error::new(
                    ErrorKind::NotFound,
                    "there is no such unsealed blob",
                ));
            }
        }
        fs::rename(part, sealed)?;
        folder::sync(&self.folder)?;
        folder::sync(&self.folder.join(PARTS))
    }

    fn replace_at(&self, name: &str, sealed: &Path, bytes: &[u8]) -> io::Result<()> {
        let _alone = self.replacing.lock();
        let temporary = self.folder.join(format!(".{name}.tmp"));
        unless_missing(fs::remove_file(&temporary))?;
        let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, sealed));
        if written.is_err() {
            // The cause is what the caller should hear.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        folder::sync(&self.folder)
    }
}

impl Blobs for Files {
    fn read(&self, name: &str, offset: u64, length: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.sealed(name)?;
        let read = || match open_plain(&path, Access::Read)? {
            Some(file) => read_range(&file, offset, length).map(Some),
            None => Ok(None),
        };
        read().map_err(|error| self.told(error))
    }

    /// Promises nothing about durability: that is what [`Blobs::seal`] is for. Until then a power cut
    /// may take any part, and [`Blobs::digest_part`] tells.
    fn write_part(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.part(name)?;
        self.admit(offset.checked_add(bytes.len() as u64), bytes.len())?;
        let file = open_or_create(&path).map_err(|error| self.told(error))?;
        file.write_all_at(bytes, offset).map_err(|error| self.told(error))
    }

    fn digest_part(&self, name: &str) -> Result<Option<(u64, [u8; 32])>, StoreError> {
        let path = self.part(name)?;
        let digest = || open_plain(&path, Access::Read)?.map(digest).transpose();
        digest().map_err(|error| self.told(error))
    }

    fn seal(&self, name: &str) -> Result<(), StoreError> {
        let (part, sealed) = (self.part(name)?, self.sealed(name)?);
        self.seal_at(&part, &sealed).map_err(|error| self.told(error))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let sealed = self.sealed(name)?;
        self.admit(Some(bytes.len() as u64), bytes.len())?;
        self.replace_at(name, &sealed, bytes)
            .map_err(|error| self.told(error))
    }

    fn discard_part(&self, name: &str) -> Result<(), StoreError> {
        let path = self.part(name)?;
        unless_missing(fs::remove_file(path))
            .map(|_| ())
            .map_err(|error| self.told(error))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Opens a file that is there and is a plain one. What was looked at must be what was opened, so a
/// link put there in between is refused as well.
fn open_plain(path: &Path, access: Access) -> io::Result<Option<File>> {
    let Some(seen) = unless_missing(fs::symlink_metadata(path))? else {
        return Ok(None);
    };
    if !seen.is_file() {
        return Err(not_plain());
    }
    let file = File::options()
        .read(true)
        .write(access == Access::Write)
        .open(path)?;
    let opened = file.metadata()?;
    if (opened.dev(), opened.ino()) != (seen.dev(), seen.ino()) {
        return Err(not_plain());
    }
    Ok(Some(file))
}

fn open_or_create(path: &Path) -> io::Result<File> {
    if let Some(file) = open_plain(path, Access::Write)? {
        return Ok(file);
    }
    match create(path) {
        // The first blocks of a blob may come side by side.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            open_plain(path, Access::Write)?.ok_or(error)
        }
        created => created,
    }
}

/// Creates a file that is not there; a link in its place counts as there.
fn create(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = create(path)?;
    file.write_all_at(bytes, 0)?;
    file.sync_all()
}

fn read_range(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let left = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(length)];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// The length and SHA-256 of a file.
pub(crate) fn digest(mut file: File) -> io::Result<(u64, [u8; 32])> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut length = 0;
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok((length, hasher.finalize().into()));
        };
        hasher.update(bytes);
        length += read as u64;
    }
}

fn not_plain() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "not a plain file")
}

fn unless_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
