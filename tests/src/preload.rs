//! Libraries in C that stand between a process and its system calls.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Builds a source of this crate into `folder`. `None`: there is no C compiler.
pub(crate) fn build(source: &str, folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let library = folder.join(source.with_extension("so").file_name()?);
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .output()
        .ok()?;
    assert!(built.status.success(), "{built:?}");
    Some(library)
}
