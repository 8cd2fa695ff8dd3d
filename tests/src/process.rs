//! Any `muster` process: started with arguments of one's choosing, signalled, waited for.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use serde::Deserialize;

use crate::files::muster_program;

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What the program prints when it is ready.
#[derive(Clone, Deserialize)]
struct Ready {
    principals: String,
    http: String,
}

#[derive(Default)]
struct Said {
    log: String,
    ready: Option<Ready>,
    /// How many of its two pipes are closed: after both, nothing more will be said.
    closed: usize,
}

/// A running `muster`.
pub struct Process {
    child: Child,
    said: Arc<(Mutex<Said>, Condvar)>,
}

impl Process {
    /// A command on a folder, with settings in its environment, that listens on free ports.
    pub fn command(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(muster_program());
        command
            .arg("--dir")
            .arg(folder)
            .arg("--json")
            .args(arguments)
            .env("MUSTER_LISTEN__PRINCIPALS", "127.0.0.1:0")
            .env("MUSTER_LISTEN__HTTP", "127.0.0.1:0")
            .env("MUSTER_LOG__FILTER", "info,rumqttd=warn")
            .envs(settings.iter().copied());
        command
    }

    /// Starts a command.
    pub fn spawn(mut command: Command) -> Process {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::<(Mutex<Said>, Condvar)>::default();
        gather(child.stderr.take().unwrap(), said.clone(), false);
        gather(child.stdout.take().unwrap(), said.clone(), true);
        Process { child, said }
    }

    /// Waits until it says that it is ready; else what it has logged.
    pub fn ready(&self, patience: Duration) -> Result<(), String> {
        let said = self.said.0.lock().unwrap();
        let waits = |said: &mut Said| said.ready.is_none() && said.closed < 2;
        let (said, _) = self.said.1.wait_timeout_while(said, patience, waits).unwrap();
        said.ready.as_ref().map(|_| ()).ok_or_else(|| said.log.clone())
    }

    /// Where principals connect; once it is ready.
    pub fn principals(&self) -> SocketAddr {
        self.said().principals.parse().unwrap()
    }

    /// Health and metrics; once it is ready.
    pub fn http(&self) -> SocketAddr {
        self.said().http.parse().unwrap()
    }

    fn said(&self) -> Ready {
        self.said.0.lock().unwrap().ready.clone().unwrap()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.said.0.lock().unwrap().log.clone()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for its end; `None` if that does not come in time.
    pub fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if begun.elapsed() > patience {
                return None;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Kills it at once (SIGKILL).
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- muster said:\n{}", self.log());
        }
    }
}

/// Sends a process a signal, by name.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name])
        .arg(pid.to_string())
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -s {name} {pid}");
}

/// Reads a pipe to its end, on a thread of its own.
fn gather(pipe: impl Read + Send + 'static, said: Arc<(Mutex<Said>, Condvar)>, tells_ready: bool) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if std::env::var_os("WORLD_ECHO").is_some() {
                eprintln!("  | {line}");
            }
            let mut heard = said.0.lock().unwrap();
            if tells_ready && heard.ready.is_none() {
                heard.ready = serde_json::from_str(&line).ok();
                said.1.notify_all();
            }
            heard.log.push_str(&line);
            heard.log.push('\n');
        }
        said.0.lock().unwrap().closed += 1;
        said.1.notify_all();
    });
}
