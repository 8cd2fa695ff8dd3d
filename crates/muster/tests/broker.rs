//! What an operator sees of the front door, as typed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

const MUSTER: &str = env!("CARGO_BIN_EXE_muster");

struct Server {
    folder: tempfile::TempDir,
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Server {
        let folder = tempfile::tempdir().unwrap();
        let init = command(folder.path())
            .args(["init", "--unencrypted"])
            .output()
            .unwrap();
        assert!(init.status.success(), "{init:?}");
        let mut child = command(folder.path())
            .args(["--json", "up"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("it says that it is ready");
        Server {
            address: ready["principals"].as_str().unwrap().to_owned(),
            folder,
            child,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(self.folder.path());
        command
            .args(arguments)
            .stdin(Stdio::null())
            .env("MUSTER_SERVER", &self.address);
        command
    }

    /// It ends with this code; what it said on both outputs.
    #[track_caller]
    fn ends(&self, arguments: &[&str], code: i32) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(arguments).output().unwrap();
        let said = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    /// Documents, one a line.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let said = self.ends(&[&["--json"], arguments].concat(), 0);
        said.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &std::path::Path) -> Command {
    let mut command = Command::new(MUSTER);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"MUSTER_")) {
        command.env_remove(name);
    }
    command
        .env("MUSTER_DIR", folder)
        .env("MUSTER_LISTEN__PRINCIPALS", "127.0.0.1:0")
        .env("MUSTER_LISTEN__HTTP", "127.0.0.1:0");
    command
}

struct Follower(Child);

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A session that follows events, and its client id.
fn follower(server: &Server) -> (Follower, String) {
    let mut follow = server.command(&["--json", "events"]);
    let child = follow
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let follower = Follower(child);
    let begun = Instant::now();
    loop {
        let sessions = server.json(&["broker", "clients", "--kind", "operator", "--prefix", "adm"]);
        let following = sessions.iter().find(|s| s["subscriptions"].as_u64() > Some(1));
        if let Some(session) = following {
            return (follower, session["client_id"].as_str().unwrap().to_owned());
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{sessions:?}");
    }
}

#[test]
fn an_operator_sees_who_is_connected_and_sends_one_away() {
    let server = Server::start();
    let (_follower, client) = follower(&server);
    let table = server.ends(&["broker", "clients"], 0);
    assert!(
        table.contains(&client) && table.contains("mqtt-5") && table.contains("1.3"),
        "{table}"
    );
    let shown = server.ends(&["broker", "client", "admin", "--kind", "operator"], 0);
    for words in [&client, "operators/admin", "muster/v1/events/", "principals"] {
        assert!(shown.contains(words), "`{words}` is not in {shown}");
    }
    server.ends(&["broker", "client", "pump-7"], 3);
    server.ends(&["broker", "clients", "--prefix", "a/"], 2);

    let kick = [
        "broker", "kick", "admin", "--kind", "operator", "--client", &client, "--reason", "a test",
    ];
    let asked = server.ends(&kick, 2);
    assert!(asked.contains("--yes"), "{asked}");
    let would = server.ends(&[&kick[..], &["--dry-run"]].concat(), 0);
    assert!(would.contains("would close"), "{would}");
    let kicked = server.json(&[&kick[..], &["--yes"]].concat());
    assert_eq!(kicked[0]["closed"], 1);
    let again = server.ends(&[&kick[..], &["--yes"]].concat(), 0);
    assert!(again.contains("no connection was open"), "{again}");
    let told = server.json(&[
        "events",
        "--service",
        "monitoring",
        "--filter",
        "clients/+/kicked",
        "--after",
        "0",
        "--count",
        "1",
    ]);
    assert_eq!(told[0]["data"]["by"], "operators/admin", "{told:?}");
    assert_eq!(
        (&told[0]["data"]["reason"], &told[0]["subject"]),
        (&"a test".into(), &"clients/operators.admin".into())
    );
}

#[test]
fn an_operator_sees_limits_and_listeners() {
    let server = Server::start();
    let limits = server.json(&["broker", "limits"]);
    let connections = limits
        .iter()
        .find(|limit| limit["name"] == "connections")
        .unwrap();
    assert!(connections["value"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    let table = server.ends(&["broker", "limits"], 0);
    assert!(
        table.contains("kept_for_device.messages") && table.contains("counted since"),
        "{table}"
    );
    let listeners = server.json(&["broker", "listeners"]);
    assert_eq!(listeners.len(), 1);
    assert_eq!(
        (
            &listeners[0]["name"],
            &listeners[0]["address"],
            &listeners[0]["sessions"]
        ),
        (&"principals".into(), &server.address.as_str().into(), &1.into())
    );
    server.ends(&["broker", "listeners"], 0);
}
