//! What a device stands on: network, disk, clock and keys. On a machine these are the machine's; elsewhere whoever
//! runs the device plays them, and the rest of the SDK does not know.

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use client::{Internet, Network};
use pki::{KeyError, KeyKind};
use zeroize::Zeroizing;

use crate::{clock, error::Error, files};

/// What a device stands on.
pub trait Ground: fmt::Debug + Send + Sync {
    /// Its way to the front door.
    fn network(&self) -> Arc<dyn Network>;

    /// Its folder, opened for this process alone.
    fn disk(&self, folder: &Path) -> Result<Arc<dyn Disk>, Error>;

    /// The time of day, milliseconds since 1970; nothing where it is not known.
    fn now_ms(&self) -> Option<i64>;

    /// A new private key, PEM.
    fn new_key(&self, kind: KeyKind) -> Result<Zeroizing<String>, KeyError>;
}

/// A folder of files, as a file system has it: what was written is safe once it was synced, a name once the folder
/// was.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Reads a file from its beginning.
    fn reader(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;

    /// Opens a file to write to, and makes it if it is not there; an emptied one, if it is to be.
    fn create(&self, name: &str, emptied: bool) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that is there, to write to. It stays the same file whatever becomes of its name.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, in place of what has that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// All names.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes safe which names there are.
    fn sync(&self) -> io::Result<()>;

    /// Where a file lies, for people and for the platform.
    fn path(&self, name: &str) -> PathBuf;

    /// Whether file work takes long, and is done away from the threads that serve the network.
    fn is_slow(&self) -> bool {
        true
    }
}

/// A file that is written to.
pub trait DiskFile: Send {
    /// Writes all of it at an offset.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts it, or fills it up with zeros.
    fn set_len(&mut self, length: u64) -> io::Result<()>;

    /// How long it is.
    fn length(&self) -> io::Result<u64>;

    /// Makes its contents safe.
    fn sync(&mut self) -> io::Result<()>;
}

/// The machine that this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Machine;

impl Ground for Machine {
    fn network(&self) -> Arc<dyn Network> {
        Arc::new(Internet)
    }

    fn disk(&self, folder: &Path) -> Result<Arc<dyn Disk>, Error> {
        Ok(Arc::new(OwnFolder::open(folder)?))
    }

    fn now_ms(&self) -> Option<i64> {
        clock::now_ms()
    }

    fn new_key(&self, kind: KeyKind) -> Result<Zeroizing<String>, KeyError> {
        pki::generate_key(kind)
    }
}

/// A folder that only its owner can look into, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct OwnFolder {
    path: PathBuf,
    _lock: File,
}

impl OwnFolder {
    /// Opens the folder, or makes it.
    pub(crate) fn open(path: &Path) -> Result<OwnFolder, Error> {
        let failed = |doing| move |source| files::failure(path, doing, source);
        make(path).map_err(failed("making the folder"))?;
        let lock = options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(failed("opening the lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(OwnFolder {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(files::failure(path, "locking", source)),
        }
    }
}

impl Disk for OwnFolder {
    fn reader(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.path(name))?))
    }

    fn create(&self, name: &str, emptied: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut options = options();
        options.write(true).create(true).truncate(emptied);
        Ok(Box::new(options.open(self.path(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).open(self.path(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.path)?.collect::<io::Result<Vec<_>>>()?;
        let names = entries
            .into_iter()
            .filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.collect())
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl DiskFile for File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Makes a folder that only its owner can look into, and lets its name outlive a cut.
fn make(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700)
        .recursive(true)
        .create(path)?;
    for folder in missing {
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        File::open(above.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}
