//! An installation's folder: where everything lies, and how secrets are written.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use contract::id::ServiceName;

use crate::exit::{Exit, Failure};

/// The folder that `muster init` makes.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The installation at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Folder {
        Folder(path.into())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.0.join("muster.toml")
    }

    /// A file of the certificate authorities: `root.pem`, `issuing.key`, `server.pem` …
    pub fn pki(&self, name: &str) -> PathBuf {
        self.0.join("pki").join(name)
    }

    /// A file of a person: `people/admin/identity.pem` …
    pub fn person(&self, id: &str, name: &str) -> PathBuf {
        self.0.join("people").join(id).join(name)
    }

    /// A file of the firmware signing keys.
    pub fn release(&self, name: &str) -> PathBuf {
        self.0.join("release").join(name)
    }

    /// The requests that a service decides once, when it is empty.
    pub fn bootstrap(&self, service: ServiceName) -> PathBuf {
        self.0.join("bootstrap").join(format!("{service}.json"))
    }
}

/// Makes a folder that only its owner may enter, where it is missing.
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file that only its owner may read: beside, fsynced, renamed, the folder fsynced.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, 0o600).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a file that everybody may read.
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, 0o644).with_context(|| format!("cannot write {}", path.display()))
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    make_private(folder)?;
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(folder)?.sync_all()
}

/// Reads a secret, and refuses one that others can read.
pub fn read_secret(path: &Path) -> Result<Vec<u8>> {
    let mode = fs::metadata(path)
        .map_err(|error| unreadable(path, &error))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        let message = format!(
            "{path} can be read by others (mode {:o}); run `chmod 600 {path}` and consider whether the key is still secret",
            mode & 0o777,
            path = path.display()
        );
        return Err(Failure::usage(message).into());
    }
    Ok(fs::read(path).map_err(|error| unreadable(path, &error))?)
}

/// Reads a text file.
pub fn read_text(path: &Path) -> Result<String> {
    Ok(fs::read_to_string(path).map_err(|error| unreadable(path, &error))?)
}

/// What was read; of a file that is not there, with what to do.
pub(crate) fn or_hint<T>(read: Result<T>, path: &Path, hint: &str) -> Result<T> {
    read.map_err(|error| match path.exists() {
        true => error,
        false => Failure::usage(format!("{error:#}; {hint}")).into(),
    })
}

/// A file that was named and is not there, or not ours, or no text, is a mistake of whoever named it; a disk
/// that fails is not.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let exit = match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::InvalidData
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory => Exit::Usage,
        _ => Exit::Failed,
    };
    let why = match error.kind() {
        io::ErrorKind::InvalidData => "it is no text".to_owned(),
        _ => error.to_string(),
    };
    Failure::new(exit, format!("cannot read {}: {why}", path.display()))
}

/// Demands to be run by whom a folder belongs to: what somebody else writes there, its owner could not read.
pub fn demand_owner(path: &Path) -> Result<(), Failure> {
    let owner = fs::metadata(path)
        .map_err(|error| unreadable(path, &error))?
        .uid();
    let me = rustix::process::geteuid().as_raw();
    if me == owner {
        return Ok(());
    }
    let message = format!(
        "{} belongs to user {owner} and this is user {me}: run it as that user, for example with `sudo -u '#{owner}' muster …`",
        path.display()
    );
    Err(Failure::new(Exit::Denied, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_for_their_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/key");
        write_secret(&path, b"x").unwrap();
        assert_eq!(read_secret(&path).unwrap(), b"x");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = read_secret(&path).unwrap_err();
        assert!(refused.to_string().contains("chmod 600"));
        assert_eq!(crate::exit::code_of(&refused), 2, "{refused}");
    }

    #[test]
    fn a_file_that_is_not_there_is_the_fault_of_whoever_named_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.pem");
        for error in [read_secret(&path).unwrap_err(), read_text(&path).unwrap_err()] {
            let error = error.context("the roots");
            assert_eq!(crate::exit::code_of(&error), 2, "{error:#}");
        }
        assert_eq!(
            unreadable(&path, &io::Error::from_raw_os_error(5)).exit,
            Exit::Failed
        );
    }

    #[test]
    fn a_folder_of_ours_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        assert!(demand_owner(folder.path()).is_ok());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(4711), None).unwrap();
            let refused = demand_owner(folder.path()).unwrap_err();
            assert_eq!(refused.exit, Exit::Denied);
            assert!(refused.to_string().contains("sudo -u '#4711'"), "{refused}");
        }
    }
}
