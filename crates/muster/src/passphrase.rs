//! Where a passphrase is read from: never the command line, which everybody on the machine can see.
//!
//! | written | what is read |
//! |---|---|
//! | `/etc/muster/ca`, or any path | the first line of that file, which nobody else may read |
//! | `fd:3` | the first line of what was opened as that file descriptor, once; it is kept for the files that follow |
//! | `credential:ca` | the first line of that credential of systemd, in `$CREDENTIALS_DIRECTORY` |
//! | `env:CA_PASSPHRASE` | that variable of the environment. Whoever may look into the process sees it |
//!
//! A file of such a name is written with a folder before it: `./fd:3`.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::Result;
use zeroize::Zeroizing;

use crate::{config::variable, exit::Failure, folder::read_secret};

/// The longest passphrase, bytes.
const LONGEST: u64 = 4 * 1024;
/// What systemd names the folder of a service's credentials by.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// What descriptors gave. A pipe can be read once, and the server reads its keys again when they change.
static GIVEN: Mutex<BTreeMap<u32, Zeroizing<String>>> = Mutex::new(BTreeMap::new());

enum Source<'a> {
    File(&'a Path),
    Descriptor(&'a str),
    Credential(&'a str),
    Variable(&'a str),
}

impl Source<'_> {
    fn of(written: &Path) -> Source<'_> {
        let text = written.to_str().unwrap_or_default();
        match text.split_once(':') {
            Some(("fd", number)) => Source::Descriptor(number),
            Some(("credential", name)) => Source::Credential(name),
            Some(("env", name)) => Source::Variable(name),
            _ => Source::File(written),
        }
    }
}

/// A source as it is found from anywhere: a file's path begins in this folder.
pub(crate) fn resolved(folder: &Path, source: &Path) -> PathBuf {
    match Source::of(source) {
        Source::File(path) => folder.join(path),
        _ => source.to_owned(),
    }
}

/// A source as `muster.toml` names it for the server; none for a descriptor, which the server is given anew.
pub(crate) fn for_server(source: &Path) -> io::Result<Option<PathBuf>> {
    match Source::of(source) {
        Source::File(path) => std::path::absolute(path).map(Some),
        Source::Descriptor(_) => Ok(None),
        Source::Credential(_) | Source::Variable(_) => Ok(Some(source.to_owned())),
    }
}

/// Reads it.
pub(crate) fn read(source: &Path) -> Result<Zeroizing<String>> {
    match Source::of(source) {
        Source::File(path) => first_line(source, read_secret(path)?.as_slice()),
        Source::Descriptor(number) => descriptor(source, number),
        Source::Credential(name) => credential(source, name),
        Source::Variable(name) => match variable(name).map(OsString::into_string) {
            Some(Ok(text)) => first_line(source, Zeroizing::new(text).as_bytes()),
            _ => Err(unreadable(source, "there is no such variable, or it is no text").into()),
        },
    }
}

fn descriptor(source: &Path, number: &str) -> Result<Zeroizing<String>> {
    let number: u32 = number
        .parse()
        .map_err(|_| unreadable(source, "a file descriptor is a number, as in `fd:3`"))?;
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(passphrase) = given.get(&number) {
        return Ok(passphrase.clone());
    }
    let opened =
        File::open(format!("/dev/fd/{number}")).map_err(|error| unreadable(source, &error.to_string()))?;
    let passphrase = first_line(source, opened)?;
    given.insert(number, passphrase.clone());
    Ok(passphrase)
}

fn credential(source: &Path, name: &str) -> Result<Zeroizing<String>> {
    let folder = variable(CREDENTIALS).ok_or_else(|| {
        unreadable(
            source,
            "systemd gave this process no credentials (LoadCredential=)",
        )
    })?;
    if name.is_empty() || name.contains('/') {
        return Err(unreadable(source, "that is no name of a credential").into());
    }
    let opened =
        File::open(Path::new(&folder).join(name)).map_err(|error| unreadable(source, &error.to_string()))?;
    // systemd may give it by an access list, which shows as the group's right to read.
    let mode = opened.metadata()?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(unreadable(source, "everybody can read it").into());
    }
    first_line(source, opened)
}

fn first_line(source: &Path, reader: impl Read) -> Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(Vec::new());
    let read = BufReader::new(reader.take(LONGEST)).read_until(b'\n', &mut line);
    read.map_err(|error| unreadable(source, &error.to_string()))?;
    let text = std::str::from_utf8(&line).map_err(|_| unreadable(source, "it is no text"))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn unreadable(source: &Path, why: &str) -> Failure {
    Failure::usage(format!(
        "cannot read the passphrase from {}: {why}",
        source.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_secret_and_its_first_line_counts() {
        let at = tempfile::tempdir().unwrap();
        let file = at.path().join("fd:3");
        std::fs::write(&file, "four words\r\nand no more\n").unwrap();
        let refused = read(&file).unwrap_err();
        assert!(refused.to_string().contains("can be read by others"), "{refused}");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(*read(&file).unwrap(), "four words");
        std::fs::write(&file, [0xff, b'\n']).unwrap();
        assert!(read(&file).unwrap_err().to_string().contains("no text"));
    }

    #[test]
    fn sources_that_are_not_there_are_named() {
        for (source, part) in [
            ("fd:x", "`fd:3`"),
            ("fd:4711", "fd:4711"),
            ("env:MUSTER_NO_SUCH_VARIABLE", "no such variable"),
            ("credential:ca", "no credentials"),
            ("/nowhere", "/nowhere"),
        ] {
            let refused = read(Path::new(source)).unwrap_err();
            assert!(refused.to_string().contains(part), "{source}: {refused}");
            assert_eq!(crate::exit::code_of(&refused), 2, "{source}");
        }
    }

    #[test]
    fn only_files_are_found_from_a_folder() {
        let resolved = |source: &str| resolved(Path::new("/m"), Path::new(source));
        assert_eq!(resolved("pass"), Path::new("/m/pass"));
        assert_eq!(resolved("./fd:3"), Path::new("/m/./fd:3"));
        for source in ["fd:3", "env:CA", "credential:ca"] {
            assert_eq!(resolved(source), Path::new(source));
        }
        assert_eq!(for_server(Path::new("fd:3")).unwrap(), None);
        assert!(for_server(Path::new("pass")).unwrap().unwrap().is_absolute());
    }
}
