//! An installation whose front door and services run in processes of their own.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::process::Process;

/// The parts, in the order of the documentation.
pub const PARTS: [&str; 5] = ["front-door", "registry", "provisioning", "rollout", "monitoring"];

/// How long the front door may take to get ready, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// `muster serve`, once for each part.
pub struct Parts {
    folder: PathBuf,
    settings: Vec<(String, String)>,
    running: BTreeMap<&'static str, Process>,
    /// What those that were killed had logged.
    past: String,
}

impl Parts {
    /// Of the installation in a folder, for principals on this port. Nothing runs yet.
    pub fn of(folder: impl Into<PathBuf>, principals: u16, services: u16) -> Parts {
        let address = |port: u16| format!("127.0.0.1:{port}");
        let settings = [
            ("MUSTER_LISTEN__PRINCIPALS", address(principals)),
            ("MUSTER_LISTEN__SERVICES", address(services)),
        ];
        Parts {
            folder: folder.into(),
            settings: settings.map(|(name, value)| (name.to_owned(), value)).into(),
            running: BTreeMap::new(),
            past: String::new(),
        }
    }

    /// Starts a part; it may have to wait for others before it is ready.
    pub fn start(&mut self, part: &'static str) {
        let settings: Vec<_> = self
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let command = Process::command(&self.folder, &["serve", part], &settings);
        self.running.insert(part, Process::spawn(command));
    }

    /// Starts parts in this order, and waits until the front door lets principals in.
    pub fn start_all(&mut self, order: &[&'static str]) {
        for part in order {
            self.start(part);
        }
        self.until_ready();
    }

    /// Waits until every part says that it is ready.
    pub fn until_ready(&self) {
        for (part, process) in &self.running {
            process
                .ready(PATIENCE)
                .unwrap_or_else(|log| panic!("{part} does not get ready:\n{log}"));
        }
    }

    /// Kills a part at once (SIGKILL).
    pub fn kill(&mut self, part: &str) {
        let mut process = self.running.remove(part).unwrap();
        process.kill();
        self.past.push_str(&process.log());
    }

    /// Kills what runs.
    pub fn kill_all(&mut self) {
        for part in PARTS {
            if self.running.contains_key(part) {
                self.kill(part);
            }
        }
    }

    /// The processes.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.running.values()
    }

    /// What those that are gone had logged.
    pub fn past(&self) -> &str {
        &self.past
    }
}
