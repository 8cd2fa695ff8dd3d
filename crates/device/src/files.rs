//! The device's folder: whole files or none, readable by its owner only, and one process at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::error::Error;

/// The folder, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens the folder, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Folder, Error> {
        let failed = |doing| move |source| failure(path, doing, source);
        make(path).map_err(failed("making the folder"))?;
        let lock = options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(failed("opening the lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(failure(path, "locking", source)),
        }
    }

    /// Where a file of the folder lies.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a file; nothing if it is not there.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failure(&path, "reading", source)),
        }
    }

    /// Reads a text; nothing if it is not there.
    pub(crate) fn read_text(&self, name: &str) -> Result<Option<String>, Error> {
        let Some(bytes) = self.read(name)? else {
            return Ok(None);
        };
        let why = |e: std::string::FromUtf8Error| self.damaged(name, e.to_string());
        String::from_utf8(bytes).map(Some).map_err(why)
    }

    /// Writes a file: after a cut it has either its old contents or these.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name);
        self.replace(&path, bytes)
            .map_err(|source| failure(&path, "writing", source))
    }

    /// Writes a secret, and overwrites the one it replaces.
    pub(crate) fn write_secret(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name);
        let old = OpenOptions::new().write(true).open(&path).ok();
        self.replace(&path, bytes)
            .and_then(|()| old.map_or(Ok(()), overwrite))
            .map_err(|source| failure(&path, "writing", source))
    }

    /// Overwrites a file and removes it; also what a cut left of writing it. What cannot be overwritten, as on
    /// a full disk whose file system copies what it overwrites, is removed all the same.
    pub(crate) fn erase(&self, name: &str) -> Result<(), Error> {
        let paths = [self.path(name), fresh(&self.path(name))];
        let erased = paths.map(|path| {
            let overwritten = OpenOptions::new().write(true).open(&path).and_then(overwrite);
            let removed = fs::remove_file(&path);
            absent_is_fine(removed.and(overwritten)).map_err(|source| failure(&path, "erasing", source))
        });
        let synced = self.sync();
        erased.into_iter().collect::<Result<(), Error>>()?;
        synced.map_err(|source| failure(&self.path, "erasing", source))
    }

    /// Removes a file that holds no secret.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        absent_is_fine(fs::remove_file(&path)).map_err(|source| failure(&path, "removing", source))
    }

    /// Gives a file another name, in place of what has that name.
    pub(crate) fn move_file(&self, from: &str, to: &str) -> Result<(), Error> {
        let source = self.path(from);
        fs::rename(&source, self.path(to))
            .and_then(|()| self.sync())
            .map_err(|error| failure(&source, "renaming", error))
    }

    /// Gives a secret another name, and overwrites the one that had it.
    pub(crate) fn rename_secret(&self, from: &str, to: &str) -> Result<(), Error> {
        let (source, target) = (self.path(from), self.path(to));
        let old = OpenOptions::new().write(true).open(&target).ok();
        fs::rename(&source, &target)
            .and_then(|()| self.sync())
            .and_then(|()| old.map_or(Ok(()), overwrite))
            .map_err(|error| failure(&source, "renaming", error))
    }

    /// The names of the files that begin with this.
    pub(crate) fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let listed = fs::read_dir(&self.path)
            .and_then(|entries| entries.collect::<io::Result<Vec<_>>>())
            .map_err(|source| failure(&self.path, "listing", source))?;
        let names = listed
            .into_iter()
            .filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|name| name.starts_with(prefix)).collect())
    }

    /// Says that a file is damaged.
    pub(crate) fn damaged(&self, name: &str, why: impl Into<String>) -> Error {
        Error::Damaged {
            path: self.path(name),
            why: why.into(),
        }
    }

    /// What a full disk has taken of it is given back.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let fresh = fresh(path);
        let mut file = options().write(true).create(true).truncate(true).open(&fresh)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // It may hold a part of a secret.
            let _ = overwrite(file);
            let _ = fs::remove_file(&fresh);
            return Err(error);
        }
        fs::rename(&fresh, path)?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Makes a folder that only its owner can look into, and lets its name outlive a cut.
fn make(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for folder in missing {
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        File::open(above.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// What the system says of a file.
pub(crate) fn failure(path: &Path, doing: &'static str, source: io::Error) -> Error {
    Error::Files {
        path: path.to_owned(),
        doing,
        source,
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn fresh(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

fn overwrite(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.rewind()?;
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_all()
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_whole_its_owners_and_gone_when_erased() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(&dir.path().join("a/b")).unwrap();
        assert_eq!(folder.read("key").unwrap(), None);
        folder.write("key", b"one").unwrap();
        folder.write("key", b"two").unwrap();
        assert_eq!(folder.read_text("key").unwrap().as_deref(), Some("two"));
        let mode = fs::metadata(folder.path("key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(folder.path("key.new"), b"cut off").unwrap();
        folder.erase("key").unwrap();
        folder.erase("key").unwrap();
        assert_eq!(folder.names("key").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_had_the_name_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.write("old", b"secret").unwrap();
        fs::hard_link(folder.path("old"), folder.path("witness")).unwrap();
        folder.write("next", b"other").unwrap();
        folder.rename_secret("next", "old").unwrap();
        fs::hard_link(folder.path("old"), folder.path("second")).unwrap();
        folder.write_secret("old", b"third").unwrap();
        assert_eq!(folder.read("second").unwrap().unwrap(), [0; 5]);
        assert_eq!(folder.read("witness").unwrap().unwrap(), [0; 6]);
        assert_eq!(folder.read("old").unwrap().unwrap(), b"third");
    }

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Folder::open(dir.path()).unwrap();
        assert!(matches!(Folder::open(dir.path()), Err(Error::InUse { .. })));
        drop(first);
        assert!(Folder::open(dir.path()).is_ok());
    }
}
