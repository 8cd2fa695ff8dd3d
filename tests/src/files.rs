//! Where things lie: the repository, the built program.

use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// The repository's folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A program that cargo built beside these tests, in the same profile. `tests/run` builds it first.
pub fn cargo_output(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let mut folder = test.parent().unwrap();
    if folder.ends_with("deps") {
        folder = folder.parent().unwrap();
    }
    let program = folder.join(name);
    assert!(
        program.exists(),
        "{} is not built; run `cargo build -p {name}` first",
        program.display()
    );
    program
}

/// Writes an identity as the command line reads it: the key for its owner only.
pub fn write_identity(folder: &Path, certificate: &str, key: &str, roots: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("certificate.pem"), certificate).unwrap();
    std::fs::write(folder.join("roots.pem"), roots).unwrap();
    let path = folder.join("key.pem");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(key.as_bytes()).unwrap();
}

/// The `muster` program; `WORLD_PROGRAM` names another build of it.
pub fn muster_program() -> PathBuf {
    let named = std::env::var_os("WORLD_PROGRAM").and_then(|name| name.into_string().ok());
    cargo_output(named.as_deref().unwrap_or("muster"))
}

/// Runs the program on an installation's folder; what it printed. It must succeed.
pub fn muster(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(cargo_output("muster"))
        .arg("--dir")
        .arg(folder)
        .args(arguments)
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "muster {arguments:?} fails:\n{out}{err}");
    out.into_owned()
}
