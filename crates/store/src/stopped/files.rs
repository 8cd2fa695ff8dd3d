//! The files beside a database: whether they are what they were, and putting one back.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use service::store::StoreError;
use sha2::{Digest, Sha256};

use crate::fault::Fault;
use crate::{files, folder, name};

/// Hex digits of a SHA-256.
const DIGEST_DIGITS: usize = 64;

/// A file that a record names: it must be there, and have the SHA-256 that is its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Its name.
    pub name: String,
    /// What it is, in words.
    pub what: String,
    /// What it has.
    pub bytes: u64,
}

/// What was found in a service's folder of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesVerified {
    /// How many there are.
    pub files: u64,
    /// What they have.
    pub bytes: u64,
    /// Those that are not what they were or not there, in words.
    pub damaged: Vec<String>,
    /// Those of them that records name.
    pub lacking: Vec<Needed>,
}

/// Reads every sealed file in `folder`. One that is named by its SHA-256, as firmware images are, must have
/// it, and each that is `needed` must be there. A folder that is not there has no files.
pub fn verify_files(folder: &Path, needed: &[Needed]) -> Result<FilesVerified, StoreError> {
    look(folder, needed).map_err(|error| Fault::from(error).told(folder))
}

fn look(folder: &Path, needed: &[Needed]) -> io::Result<FilesVerified> {
    let mut found = FilesVerified::default();
    let mut missing: Vec<_> = needed.iter().collect();
    for path in sealed(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let need = missing.iter().position(|need| need.name == name);
        found.take(&path, &name, need.map(|at| missing.remove(at)));
    }
    for need in missing {
        found.damaged.push(format!(
            "{}: the file {} is missing",
            need.what,
            folder.join(&need.name).display()
        ));
        found.lacking.push(need.clone());
    }
    Ok(found)
}

/// The sealed files in a folder, sorted.
fn sealed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = match folder::entries(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    found.retain(|path| {
        let is_hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        !is_hidden && path.symlink_metadata().is_ok_and(|data| data.is_file())
    });
    Ok(found)
}

impl FilesVerified {
    fn take(&mut self, path: &Path, name: &str, need: Option<&Needed>) {
        self.files += 1;
        let why = match File::open(path).and_then(files::digest) {
            Ok((bytes, digest)) => {
                self.bytes += bytes;
                if !names_a_digest(name) || name == hex(&digest) {
                    return;
                }
                match need {
                    Some(need) if need.bytes != bytes => {
                        format!("has {bytes} bytes and not {}", need.bytes)
                    }
                    _ => "is not what it was: its SHA-256 is not its name".to_owned(),
                }
            }
            Err(error) => format!("cannot be read: {error}"),
        };
        let path = path.display();
        match need {
            Some(need) => {
                self.damaged.push(format!("{}: the file {path} {why}", need.what));
                self.lacking.push(need.clone());
            }
            None if names_a_digest(name) => self.damaged.push(format!(
                "the file {path} {why}; no record names it, it can be removed"
            )),
            None => self.damaged.push(format!("the file {path} {why}")),
        }
    }
}

/// Puts a file in its place that has the SHA-256 which is its name, over one that is damaged. Whether it had; else
/// nothing is changed.
pub fn put_file_back(folder: &Path, needed: &Needed, from: impl Read) -> Result<bool, StoreError> {
    name::check(&needed.name)?;
    put_back(folder, needed, from).map_err(|error| Fault::from(error).told(folder))
}

fn put_back(folder: &Path, needed: &Needed, from: impl Read) -> io::Result<bool> {
    folder::make_private(folder)?;
    let beside = folder.join(format!(".{}.tmp", needed.name));
    let put = copy(&beside, from.take(needed.bytes.saturating_add(1))).and_then(|digest| {
        if hex(&digest) != needed.name {
            return Ok(false);
        }
        fs::rename(&beside, folder.join(&needed.name))?;
        folder::sync(folder)?;
        Ok(true)
    });
    if !matches!(put, Ok(true)) {
        // What went wrong is what the caller should hear; the next opening removes what stays.
        let _ = fs::remove_file(&beside);
    }
    put
}

/// Copies to a new file, durably: the SHA-256 of what came.
fn copy(to: &Path, mut from: impl Read) -> io::Result<[u8; 32]> {
    let _ = fs::remove_file(to);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            read => {
                sum.update(&buffer[..read]);
                file.write_all(&buffer[..read])?;
            }
        }
    }
    file.sync_all()?;
    Ok(sum.finalize().into())
}

fn names_a_digest(name: &str) -> bool {
    name.len() == DIGEST_DIGITS && name.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Needed, put_file_back, verify_files};

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn needed() -> Needed {
        Needed {
            name: ABC.to_owned(),
            what: "the image pump@1".to_owned(),
            bytes: 3,
        }
    }

    #[track_caller]
    fn complains(folder: &Path, words: [&str; 2]) {
        let found = verify_files(folder, &[needed()]).unwrap();
        assert_eq!(
            (found.damaged.len(), found.lacking.as_slice()),
            (1, &[needed()][..])
        );
        for word in words.into_iter().chain(["pump@1", ABC]) {
            assert!(found.damaged[0].contains(word), "{:?}", found.damaged);
        }
    }

    #[test]
    fn a_file_named_by_its_digest_must_have_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(ABC), "abc").unwrap();
        fs::write(folder.path().join("crl.pem"), "list").unwrap();
        let sound = verify_files(folder.path(), &[]).unwrap();
        assert_eq!((sound.files, sound.bytes, sound.damaged.len()), (2, 7, 0));
        fs::write(folder.path().join(ABC), "abd").unwrap();
        let found = verify_files(folder.path(), &[]).unwrap();
        assert!(found.damaged.len() == 1 && found.lacking.is_empty());
        assert!(
            found.damaged[0].contains(ABC) && found.damaged[0].contains("no record"),
            "{found:?}"
        );
        assert_eq!(verify_files(&folder.path().join("none"), &[]).unwrap().files, 0);
    }

    #[test]
    fn a_file_that_a_record_names_must_be_there_whole_and_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        complains(&files, ["missing", "missing"]);
        assert!(!put_file_back(&files, &needed(), &b"abd"[..]).unwrap());
        assert!(!put_file_back(&files, &needed(), &b"abcd"[..]).unwrap());
        assert_eq!(fs::read_dir(&files).unwrap().count(), 0);
        for (damaged, words) in [
            ("ab", ["2 bytes", "not 3"]),
            ("abd", ["SHA-256", "is not what it was"]),
        ] {
            fs::write(files.join(ABC), damaged).unwrap();
            complains(&files, words);
            assert!(put_file_back(&files, &needed(), &b"abc"[..]).unwrap());
            let sound = verify_files(&files, &[needed()]).unwrap();
            assert!(sound.damaged.is_empty() && sound.lacking.is_empty(), "{sound:?}");
        }
        let lying = Needed {
            name: "../abc".to_owned(),
            ..needed()
        };
        assert!(put_file_back(&files, &lying, &b"abc"[..]).is_err());
    }
}
