//! Where the demo plays: a folder, a server in a process of its own, and commands that are shown and run.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::super::print;
use crate::exit::{Exit, Failure};

/// Settings that differ from what `muster init` writes: free ports, and a short grace, for it is a short story.
const SETTINGS: [(&str, &str); 5] = [
    ("MUSTER_LISTEN__PRINCIPALS", "127.0.0.1:0"),
    ("MUSTER_LISTEN__SERVICES", "127.0.0.1:0"),
    ("MUSTER_LISTEN__HTTP", "127.0.0.1:0"),
    ("MUSTER_MONITORING__GRACE", "2s"),
    ("MUSTER_LOG__FILTER", "warn,rumqttd=error,rustls=error"),
];

/// The stage.
pub(super) struct Stage {
    program: PathBuf,
    folder: PathBuf,
    is_temporary: bool,
    server: Option<Child>,
    /// Where principals connect.
    pub(super) address: SocketAddr,
    begun: Instant,
    quiet: bool,
}

impl Stage {
    /// A fresh folder with an installation in it.
    pub(super) fn set(folder: Option<PathBuf>, quiet: bool) -> Result<Stage> {
        let is_temporary = folder.is_none();
        let name = format!("muster-demo-{:08x}", rand::random::<u32>());
        let folder = folder.unwrap_or_else(|| std::env::temp_dir().join(name));
        if folder.exists() {
            let message = format!("{} exists; the demo wants a fresh folder", folder.display());
            return Err(Failure::new(Exit::Conflict, message).into());
        }
        let program = std::env::current_exe().context("where is this program?")?;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let begun = Instant::now();
        Ok(Stage {
            program,
            folder,
            is_temporary,
            server: None,
            address,
            begun,
            quiet,
        })
    }

    /// The installation's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Says what has come to pass, and when.
    pub(super) fn tell(&self, what: impl AsRef<str>) -> Result<()> {
        if self.quiet {
            return Ok(());
        }
        print::line(format!(
            "{:>6.1} s  {}",
            self.begun.elapsed().as_secs_f64(),
            what.as_ref()
        ))
    }

    /// How long it has taken so far, seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// Shows a command and runs it.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<Value> {
        if !self.quiet {
            print::line(format!("          $ muster {}", arguments.join(" ")))?;
        }
        self.run_unseen(arguments)
    }

    /// Shows a command and runs it, whatever it prints.
    pub(super) fn run_blindly(&self, arguments: &[&str]) -> Result<()> {
        if !self.quiet {
            print::line(format!("          $ muster {}", arguments.join(" ")))?;
        }
        self.output(arguments).map(drop)
    }

    /// Runs a command; what it printed, as JSON.
    pub(super) fn run_unseen(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.output(arguments)?;
        let last = text.lines().last().unwrap_or("null");
        serde_json::from_str(last)
            .with_context(|| format!("`muster {}` printed no JSON", arguments.join(" ")))
    }

    fn output(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .command()
            .arg("--json")
            .args(arguments)
            .output()
            .context("cannot run this program")?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("`muster {}` failed: {}", arguments.join(" "), why.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// This program, on this stage.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--dir").arg(&self.folder);
        if self.server.is_some() {
            command.args(["--server", &self.address.to_string()]);
        }
        command
    }

    /// Starts the server and waits until it is ready.
    pub(super) fn start_server(&mut self) -> Result<()> {
        self.tell("the server starts: broker, registry, provisioning, rollout, monitoring")?;
        let mut command = self.command();
        command
            .args(["--json", "up"])
            .envs(SETTINGS)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the server")?;
        let mut stdout = BufReader::new(child.stdout.take().context("the server has no output")?);
        self.server = Some(child);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line).context("the server did not get ready")?;
        let address = ready["principals"].as_str().unwrap_or_default();
        self.address = address
            .parse()
            .context("the server did not say where it listens")?;
        self.tell(format!(
            "it is ready: {address} for devices, operators and integrators"
        ))?;
        // Kept open to the end: a program whose reader has gone takes it for an order to end.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Ok(())
    }

    /// Waits until the server ends, which only somebody else can make it do.
    pub(super) fn wait_for_server(&mut self) -> Result<()> {
        if let Some(server) = &mut self.server {
            server.wait()?;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
        if self.is_temporary {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
