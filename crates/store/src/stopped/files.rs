//! Checking the files beside a database.

use std::fs;
use std::io;
use std::path::Path;

use service::store::StoreError;

use crate::fault::Fault;
use crate::files;

/// Hex digits of a SHA-256.
const DIGEST_DIGITS: usize = 64;

/// What was found in a service's folder of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesVerified {
    /// How many there are.
    pub files: u64,
    /// What they have.
    pub bytes: u64,
    /// Those that are not what they were, in words.
    pub damaged: Vec<String>,
}

/// Reads every sealed file in `folder`. One that is named by its SHA-256, as firmware images are, must have
/// it. A folder that is not there has no files.
pub fn verify_files(folder: &Path) -> Result<FilesVerified, StoreError> {
    look(folder).map_err(|error| Fault::from(error).told(folder))
}

fn look(folder: &Path) -> io::Result<FilesVerified> {
    let mut found = FilesVerified::default();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type()?.is_file() || name.starts_with('.') {
            continue;
        }
        found.files += 1;
        match fs::File::open(entry.path()).and_then(files::digest) {
            Ok((bytes, digest)) => {
                found.bytes += bytes;
                if names_a_digest(&name) && name != hex(&digest) {
                    let path = entry.path();
                    found.damaged.push(format!(
                        "the file {}: its SHA-256 is not its name",
                        path.display()
                    ));
                }
            }
            Err(error) => found
                .damaged
                .push(format!("the file {}: {error}", entry.path().display())),
        }
    }
    Ok(found)
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

    use super::verify_files;

    #[test]
    fn a_file_named_by_its_digest_must_have_it() {
        let folder = tempfile::tempdir().unwrap();
        let name = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        fs::write(folder.path().join(name), "abc").unwrap();
        fs::write(folder.path().join("crl.pem"), "list").unwrap();
        let sound = verify_files(folder.path()).unwrap();
        assert_eq!((sound.files, sound.bytes, sound.damaged.len()), (2, 7, 0));
        fs::write(folder.path().join(name), "abd").unwrap();
        let damaged = verify_files(folder.path()).unwrap().damaged;
        assert!(damaged.len() == 1 && damaged[0].contains(name), "{damaged:?}");
        assert_eq!(verify_files(&folder.path().join("none")).unwrap().files, 0);
    }
}
