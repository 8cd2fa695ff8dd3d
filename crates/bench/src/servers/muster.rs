//! `muster up` as a process of its own, on ports the system chooses.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use store::Engine;

use super::{Place, Process, mosquitto::TlsFiles};

/// The settings that differ from what `muster init` writes: free ports, the listener without TLS, and no rates: what
/// is measured is what it can, and Mosquitto has none either. No huge pages, as in `deploy/muster.service`.
const SETTINGS: [(&str, &str); 10] = [
    ("MIMALLOC_ALLOW_THP", "0"),
    ("MUSTER_LISTEN__PRINCIPALS", "127.0.0.1:0"),
    ("MUSTER_LISTEN__SERVICES", "127.0.0.1:0"),
    ("MUSTER_LISTEN__HTTP", "127.0.0.1:0"),
    ("MUSTER_LISTEN__INSECURE_TEST", "127.0.0.1:0"),
    ("MUSTER_LIMITS__ACCEPTS_PER_SECOND", "0"),
    ("MUSTER_LIMITS__TAKEOVERS_PER_MINUTE", "0"),
    ("MUSTER_LIMITS__PUBLISHES_PER_SECOND", "0"),
    ("MUSTER_LIMITS__BYTES_PER_SECOND", "0"),
    ("MUSTER_LOG__FILTER", "error"),
];

/// A running `muster up`.
pub(crate) struct Muster {
    pub(crate) process: Process,
    pub(crate) place: Place,
    pub(crate) http: SocketAddr,
    /// Kept open: a program whose reader has gone takes it for an order to end.
    _stdout: BufReader<ChildStdout>,
}

/// What it prints when it is ready.
#[derive(Deserialize)]
struct Ready {
    principals: SocketAddr,
    http: SocketAddr,
    insecure_test: SocketAddr,
}

/// Makes an installation in an empty folder.
pub(crate) fn init(program: &Path, folder: &Path) -> Result<()> {
    let mut command = Command::new(program);
    command
        .arg("--dir")
        .arg(folder)
        .args(["--json", "init", "--unencrypted"])
        .stdout(Stdio::null());
    let status = command.status().with_context(|| missing(program))?;
    if !status.success() {
        bail!("`muster init` fails: {status}");
    }
    Ok(())
}

impl Muster {
    /// Starts it, and waits until it lets devices in.
    pub(crate) fn start(program: &Path, folder: &Path) -> Result<Muster> {
        Muster::start_with(program, folder, Engine::default())
    }

    /// The same, its stores kept by this engine.
    pub(crate) fn start_with(program: &Path, folder: &Path, engine: Engine) -> Result<Muster> {
        let mut command = Command::new(program);
        command
            .arg("--dir")
            .arg(folder)
            .args(["--json", "up"])
            .envs(SETTINGS)
            .env("MUSTER_STORE__ENGINE", engine.word())
            .stdout(Stdio::piped());
        let mut process = Process::spawn("muster", &mut command).with_context(|| missing(program))?;
        let mut stdout = BufReader::new(process.stdout().context("muster has no output")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let ready: Ready = serde_json::from_str(&line).context("`muster up` did not get ready")?;
        let place = Place {
            plain: ready.insecure_test,
            tls: ready.principals,
        };
        Ok(Muster {
            process,
            place,
            http: ready.http,
            _stdout: stdout,
        })
    }
}

/// The files of an installation that a peer can use too.
pub(crate) fn tls_files(folder: &Path) -> TlsFiles {
    let pki = |name: &str| folder.join("pki").join(name);
    TlsFiles {
        chain: pki("server.pem"),
        key: pki("server.key"),
        roots: pki("root.pem"),
    }
}

/// Where the registry keeps its records.
pub(crate) fn registry_store(folder: &Path) -> PathBuf {
    folder.join("state/registry/db")
}

/// Certificate, key and roots of the first operator.
pub(crate) fn operator_files(folder: &Path) -> Result<[String; 3]> {
    let person = folder.join("people/admin");
    let read = |name: &str| fs::read_to_string(person.join(name)).with_context(|| format!("admin's {name}"));
    Ok([read("certificate.pem")?, read("key.pem")?, read("roots.pem")?])
}

fn missing(program: &Path) -> String {
    format!(
        "{} does not start; build it (`cargo build --release -p muster`) or give its path with --muster",
        program.display()
    )
}
