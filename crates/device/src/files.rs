//! The device's folder: whole files or none, readable by its owner only, and one process at a time.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::Error,
    ground::{Disk, DiskFile},
};

const PIECE: usize = 64 * 1024;
/// How long work that was begun on a folder is waited for, and how often it is looked at.
const WORK_ENDS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(2));

/// The folder, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Folder(Arc<dyn Disk>);

impl Folder {
    pub(crate) fn on(disk: Arc<dyn Disk>) -> Folder {
        Folder(disk)
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.0
    }

    /// Waits until nobody else has it: whoever works on it on another thread cannot be called back.
    pub(crate) async fn left_alone(self: Arc<Folder>) {
        let (patience, look) = WORK_ENDS;
        let alone = async {
            while Arc::strong_count(&self) > 1 {
                tokio::time::sleep(look).await;
            }
        };
        let _ = tokio::time::timeout(patience, alone).await;
    }

    /// Where a file of the folder lies.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    /// Reads a file; nothing if it is not there.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut bytes = Vec::new();
        let read = self
            .0
            .reader(name)
            .and_then(|mut file| file.read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.failure(name, "reading", source)),
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
        self.replace(name, bytes)
            .map_err(|source| self.failure(name, "writing", source))
    }

    /// Reads a record that [`Folder::keep`] has written; nothing if it is not there or cannot be read.
    pub(crate) fn kept<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        Ok(self.read(name)?.and_then(|bytes| record_of(&bytes)))
    }

    /// Writes a record: JSON, and its checksum on a line of its own.
    pub(crate) fn keep<T: Serialize>(&self, name: &str, record: &T) -> Result<(), Error> {
        self.write(name, &bytes_of(record))
    }

    /// Writes a secret, and overwrites the one it replaces.
    pub(crate) fn write_secret(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let old = self.0.open(name).ok();
        self.replace(name, bytes)
            .and_then(|()| old.map_or(Ok(()), overwrite))
            .map_err(|source| self.failure(name, "writing", source))
    }

    /// Overwrites a file and removes it; also what a cut left of writing it. What cannot be overwritten, as on
    /// a full disk whose file system copies what it overwrites, is removed all the same.
    pub(crate) fn erase(&self, name: &str) -> Result<(), Error> {
        let erased = [name.to_owned(), fresh(name)].map(|name| {
            let overwritten = self.0.open(&name).and_then(overwrite);
            let removed = self.0.remove(&name);
            absent_is_fine(removed.and(overwritten)).map_err(|source| self.failure(&name, "erasing", source))
        });
        let synced = self.0.sync();
        erased.into_iter().collect::<Result<(), Error>>()?;
        synced.map_err(|source| self.failure("", "erasing", source))
    }

    /// Overwrites what a file says, and leaves it its name; one that is not there needs nothing.
    pub(crate) fn blank(&self, name: &str) -> Result<(), Error> {
        absent_is_fine(self.0.open(name).and_then(overwrite))
            .map_err(|source| self.failure(name, "erasing", source))
    }

    /// Removes a file that holds no secret.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        absent_is_fine(self.0.remove(name)).map_err(|source| self.failure(name, "removing", source))
    }

    /// Gives a file another name, in place of what has that name.
    pub(crate) fn move_file(&self, from: &str, to: &str) -> Result<(), Error> {
        self.0
            .rename(from, to)
            .and_then(|()| self.0.sync())
            .map_err(|error| self.failure(from, "renaming", error))
    }

    /// Gives a secret another name, and overwrites the one that had it.
    pub(crate) fn rename_secret(&self, from: &str, to: &str) -> Result<(), Error> {
        let old = self.0.open(to).ok();
        self.0
            .rename(from, to)
            .and_then(|()| self.0.sync())
            .and_then(|()| old.map_or(Ok(()), overwrite))
            .map_err(|error| self.failure(from, "renaming", error))
    }

    /// The names of the files that begin with this.
    pub(crate) fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let names = self
            .0
            .names()
            .map_err(|source| self.failure("", "listing", source))?;
        Ok(names
            .into_iter()
            .filter(|name| name.starts_with(prefix))
            .collect())
    }

    /// Says that a file is damaged.
    pub(crate) fn damaged(&self, name: &str, why: impl Into<String>) -> Error {
        Error::Damaged {
            path: self.path(name),
            why: why.into(),
        }
    }

    /// What the system says of a file.
    pub(crate) fn failure(&self, name: &str, doing: &'static str, source: io::Error) -> Error {
        failure(&self.path(name), doing, source)
    }

    /// What a full disk has taken of it is given back.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let fresh = fresh(name);
        let mut file = self.0.create(&fresh, true)?;
        let written = file.write_at(bytes, 0).and_then(|()| file.sync());
        if let Err(error) = written {
            // It may hold a part of a secret.
            let _ = overwrite(file);
            let _ = self.0.remove(&fresh);
            return Err(error);
        }
        self.0.rename(&fresh, name)?;
        self.0.sync()
    }
}

/// What the system says of a file.
pub(crate) fn failure(path: &Path, doing: &'static str, source: io::Error) -> Error {
    Error::Files {
        path: path.to_owned(),
        doing,
        source,
    }
}

fn bytes_of<T: Serialize>(record: &T) -> Vec<u8> {
    // Texts, numbers, enums, and maps with text as keys: this cannot fail.
    let mut bytes = serde_json::to_vec(record).unwrap_or_default();
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(format!("\n{checksum:08x}\n").as_bytes());
    bytes
}

fn record_of<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (json, checksum) = bytes.split_last_chunk::<10>()?;
    let expected = format!("\n{:08x}\n", crc32fast::hash(json));
    (checksum.as_slice() == expected.as_bytes())
        .then(|| serde_json::from_slice(json).ok())
        .flatten()
}

fn fresh(name: &str) -> String {
    format!("{name}.new")
}

fn overwrite(mut file: Box<dyn DiskFile>) -> io::Result<()> {
    let length = file.length()?;
    let mut offset = 0;
    while offset < length {
        let piece = usize::try_from(length - offset).unwrap_or(PIECE).min(PIECE);
        file.write_at(&vec![0; piece], offset)?;
        offset += piece as u64;
    }
    file.sync()
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::ground::OwnFolder;

    #[test]
    fn a_file_is_whole_its_owners_and_gone_when_erased() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::on(Arc::new(OwnFolder::open(&dir.path().join("a/b")).unwrap()));
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
    fn a_damaged_record_is_none() {
        let record = vec![Some("logs".to_owned()), None];
        let bytes = bytes_of(&record);
        assert_eq!(record_of(&bytes), Some(record));
        let read = record_of::<Vec<Option<String>>>;
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(read(&flipped), None, "octet {at}");
            assert_eq!(read(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn what_had_the_name_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::on(Arc::new(OwnFolder::open(dir.path()).unwrap()));
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
        let first = Folder::on(Arc::new(OwnFolder::open(dir.path()).unwrap()));
        assert!(matches!(OwnFolder::open(dir.path()), Err(Error::InUse { .. })));
        drop(first);
        assert!(OwnFolder::open(dir.path()).is_ok());
    }
}
