//! `muster up` as a process that can be killed.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde::Deserialize;

use crate::files::muster_program;

/// A running `muster up`, or a part of one.
pub struct Server {
    child: Child,
    /// Where devices, operators and integrators connect.
    pub principals: SocketAddr,
    /// Where devices enrol over HTTPS, where that is configured.
    pub est: Option<SocketAddr>,
    /// Health and metrics.
    pub http: SocketAddr,
    log: Arc<Mutex<String>>,
    errors: Option<std::thread::JoinHandle<()>>,
}

#[derive(Deserialize)]
struct Ready {
    principals: String,
    http: String,
    est: String,
}

impl Server {
    /// Starts it on a folder; `principals` is the port that it shall have, 0 for any.
    pub fn start(folder: &Path, principals: u16, settings: &[(&str, &str)]) -> Result<Server, String> {
        let mut command = Command::new(muster_program());
        command
            .arg("--dir")
            .arg(folder)
            .args(["--json", "up"])
            .env("MUSTER_LISTEN__PRINCIPALS", format!("127.0.0.1:{principals}"))
            .env("MUSTER_LISTEN__HTTP", "127.0.0.1:0")
            .env("MUSTER_LOG__FILTER", "info,rumqttd=warn")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| e.to_string())?;
        let log = Arc::new(Mutex::new(String::new()));
        let errors = gather(child.stderr.take().unwrap(), log.clone());
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let _ = stdout.read_line(&mut line);
        // Kept open: whoever stops reading stops the writer.
        gather(stdout.into_inner(), log.clone());
        let Ok(ready) = serde_json::from_str::<Ready>(&line) else {
            let _ = child.kill();
            let _ = child.wait();
            // Its last words may still be on their way.
            let _ = errors.join();
            return Err(log.lock().unwrap().clone());
        };
        let principals = ready.principals.parse().map_err(|_| "no address".to_owned())?;
        let http = ready.http.parse().map_err(|_| "no address".to_owned())?;
        Ok(Server {
            child,
            principals,
            est: ready.est.parse().ok(),
            http,
            log,
            errors: Some(errors),
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once (SIGKILL).
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop (SIGTERM), and waits; its exit code.
    pub fn stop(mut self) -> Option<i32> {
        let _ = Command::new("kill").arg(self.pid().to_string()).status();
        self.child.wait().ok().and_then(|status| status.code())
    }

    /// The same, and what it has logged in its life.
    pub fn stop_and_tell(mut self) -> (Option<i32>, String) {
        let _ = Command::new("kill").arg(self.pid().to_string()).status();
        let ended = self.child.wait().ok().and_then(|status| status.code());
        let _ = self.errors.take().map(std::thread::JoinHandle::join);
        (ended, self.log())
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- muster said:\n{}", self.log());
        }
    }
}

/// Reads a pipe to its end, on a thread of its own.
fn gather(pipe: impl std::io::Read + Send + 'static, log: Arc<Mutex<String>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if std::env::var_os("WORLD_ECHO").is_some() {
                eprintln!("  | {line}");
            }
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    })
}
