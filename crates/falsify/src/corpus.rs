//! Inputs that are kept: what once broke a property is tried first for ever after, and changed with the others.

use std::{fs, path::PathBuf};

use proptest::strategy::Strategy;

use crate::search::falsify;

/// The inputs that are kept for one property: the files below `tests/fuzz/corpus/{name}` of its crate.
#[derive(Debug, Clone)]
pub struct Corpus {
    folder: PathBuf,
    found: PathBuf,
}

/// The corpus of this name of an integration test's crate.
#[macro_export]
macro_rules! corpus {
    ($name:literal) => {
        $crate::Corpus::new(env!("CARGO_MANIFEST_DIR"), env!("CARGO_TARGET_TMPDIR"), $name)
    };
}

impl Corpus {
    /// The corpus of this name; what is found is left in `tmp`.
    pub fn new(manifest_dir: &str, tmp: impl Into<PathBuf>, name: &str) -> Corpus {
        let folder = PathBuf::from(manifest_dir).join("tests/fuzz/corpus").join(name);
        let found = tmp.into().join(format!("{name}-found.bin"));
        Corpus { folder, found }
    }

    /// These inputs, and those that are kept.
    pub fn with(&self, mut seeds: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        seeds.extend(self.kept());
        seeds
    }

    /// Looks for bytes that break the property, among those that are kept first.
    ///
    /// # Panics
    ///
    /// If there are such bytes. The smallest are written to a file, and the failure says how to keep it.
    #[allow(clippy::panic, reason = "for tests, which fail here")]
    pub fn falsify(&self, cases: u32, values: &impl Strategy<Value = Vec<u8>>, check: impl Fn(&[u8])) {
        self.kept().iter().for_each(|bytes| check(bytes));
        let Some(bytes) = falsify(cases, values, |bytes| check(bytes)) else {
            return;
        };
        let (found, folder) = (self.found.display(), self.folder.display());
        let told = match fs::write(&self.found, &bytes) {
            Ok(()) => format!("once it is understood: cp {found} {folder}/"),
            Err(error) => format!("{found}: {error}"),
        };
        panic!("fails on \"{}\"; {told}", bytes.escape_ascii());
    }

    /// In the order of their names; none where there is no folder.
    fn kept(&self) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
        files.sort();
        files.iter().filter_map(|file| fs::read(file).ok()).collect()
    }
}
