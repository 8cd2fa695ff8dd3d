//! An installation of its own, its server started and stopped, its commands as typed.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

/// Shell words that stand for the program.
pub(crate) const MUSTER: &str = env!("CARGO_BIN_EXE_muster");

pub(crate) struct Installation {
    folder: tempfile::TempDir,
    settings: &'static [(&'static str, &'static str)],
    server: Option<(Child, String)>,
}

impl Installation {
    /// Made with `muster init --unencrypted` and these options, where the environment has these settings.
    pub(crate) fn new(settings: &'static [(&'static str, &'static str)], options: &[&str]) -> Installation {
        let installation = Installation {
            folder: tempfile::tempdir().unwrap(),
            settings,
            server: None,
        };
        installation.good(&[&["init", "--unencrypted"], options].concat());
        installation
    }

    /// One whose server runs.
    pub(crate) fn running() -> Installation {
        let mut installation = Installation::new(&[], &[]);
        installation.start();
        installation
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start(&mut self) {
        let mut child = self
            .command(&["--json", "up"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("it says that it is ready");
        self.server = Some((child, ready["principals"].as_str().unwrap().to_owned()));
    }

    /// The device of these tests is known when the server runs.
    #[track_caller]
    pub(crate) fn has_the_device(&mut self) {
        self.start();
        assert!(self.good(&["--json", "device", "list"]).contains("pump-7"));
        self.stop();
    }

    /// A server that was started otherwise.
    pub(crate) fn adopt(&mut self, server: Child, address: String) {
        self.server = Some((server, address));
    }

    /// Where the running server's principals connect.
    pub(crate) fn address(&self) -> &str {
        &self.server.as_ref().unwrap().1
    }

    /// As an operator stops it: SIGTERM, and 0 at its end.
    pub(crate) fn stop(&mut self) {
        let (mut child, _) = self.server.take().unwrap();
        let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(killed.success() && child.wait().unwrap().success());
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(MUSTER);
        // Settings of whoever runs the tests are not ours.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"MUSTER_"))
        {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .env("MUSTER_DIR", self.folder.path())
            .env("MUSTER_LISTEN__PRINCIPALS", "127.0.0.1:0")
            .env("MUSTER_LISTEN__HTTP", "127.0.0.1:0")
            .envs(self.settings.iter().copied())
            .stdin(Stdio::null());
        if let Some((_, address)) = &self.server {
            command.env("MUSTER_SERVER", address);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// It succeeds; what it printed.
    #[track_caller]
    pub(crate) fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it prints as JSON, one document a line.
    #[track_caller]
    pub(crate) fn documents(&self, arguments: &[&str]) -> Vec<Value> {
        let printed = self.good(&[&["--json"], arguments].concat());
        printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// It ends with this code; what it said, printed and complained.
    #[track_caller]
    pub(crate) fn ends(&self, arguments: &[&str], code: i32) -> String {
        let (printed, complained) = self.both(arguments, code);
        printed + &complained
    }

    #[track_caller]
    fn both(&self, arguments: &[&str], code: i32) -> (String, String) {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    }

    /// It ends with this code and complains in these words; what it printed.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str], code: i32, words: &[&str]) -> String {
        let (printed, complained) = self.both(arguments, code);
        for word in words {
            assert!(complained.contains(word), "`{word}` is not in: {complained}");
        }
        printed
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.server.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
