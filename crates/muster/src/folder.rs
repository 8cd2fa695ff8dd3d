//! An installation's folder: where everything lies, and how secrets are written.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use contract::id::ServiceName;

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
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
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
        .with_context(|| format!("cannot read {}", path.display()))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        bail!(
            "{} can be read by others (mode {:o}); run `chmod 600 {}` and consider whether the key is still secret",
            path.display(),
            mode & 0o777,
            path.display()
        );
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads a text file.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
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
        assert!(read_secret(&path).unwrap_err().to_string().contains("chmod 600"));
    }
}
