//! The program alone: an installation of its own, its server started and stopped, its commands as typed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fmt::Write,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// A text that looks like a number, and is another one as a number.
const SITE: &str = "0042";

/// Shell words that stand for the program.
const MUSTER: &str = env!("CARGO_BIN_EXE_muster");

struct Installation {
    folder: tempfile::TempDir,
    server: Option<(Child, String)>,
}

impl Installation {
    fn new() -> Installation {
        let folder = tempfile::tempdir().unwrap();
        let installation = Installation { folder, server: None };
        installation.good(&["init", "--unencrypted", "--site", SITE]);
        // From here on the environment says it.
        fs::write(installation.path("muster.toml"), "").unwrap();
        installation
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&mut self) {
        let mut child = command(self.folder.path())
            .args(["--json", "up"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).expect("it says that it is ready");
        self.server = Some((child, ready["principals"].as_str().unwrap().to_owned()));
    }

    /// As an operator stops it: SIGTERM, and 0 at its end.
    fn stop(&mut self) {
        let (mut child, _) = self.server.take().unwrap();
        let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(killed.success() && child.wait().unwrap().success());
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(self.folder.path());
        command.args(arguments).stdin(Stdio::null());
        if let Some((_, address)) = &self.server {
            command.env("MUSTER_SERVER", address);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    #[track_caller]
    fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// It ends with this code and these words.
    #[track_caller]
    fn fails(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        for word in words {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
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

fn command(folder: &Path) -> Command {
    let mut command = Command::new(MUSTER);
    // Settings of whoever runs the tests are not ours.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"MUSTER_")) {
        command.env_remove(name);
    }
    command
        .env("MUSTER_DIR", folder)
        .env("MUSTER_SITE", SITE)
        .env("MUSTER_STATE__FOLDER", "007")
        .env("MUSTER_LISTEN__PRINCIPALS", "127.0.0.1:0")
        .env("MUSTER_LISTEN__HTTP", "127.0.0.1:0");
    command
}

#[test]
fn an_admin_whose_key_is_lost_gets_back_in_while_the_server_is_stopped() {
    let mut installation = Installation::new();
    installation.fails(&["recover", "operator", "--yes"], 3, &["has never run"]);
    installation.start();
    assert!(
        installation.path("007/registry/db").exists(),
        "the folder's name is a text, too"
    );
    installation.good(&["device", "register", "pump-7"]);
    let in_use = ["in use", "while Muster is stopped"];
    installation.fails(&["recover", "operator", "--yes"], 4, &in_use);
    installation.stop();

    fs::remove_dir_all(installation.path("people")).unwrap();
    installation.fails(&["recover", "operator"], 2, &["--yes"]);
    installation.good(&["recover", "operator", "--yes"]);
    installation.good(&["recover", "operator", "ada", "--yes"]);
    // A twin of another id is nobody's certificate.
    installation.fails(&["recover", "operator", "ADA", "--yes"], 4, &["twins"]);
    assert!(!installation.path("people/ADA").exists());

    installation.start();
    let listed = installation.good(&["--json", "device", "list"]);
    assert!(listed.contains("pump-7"), "{listed}");
    installation.good(&[
        "--as", "ada", "person", "put", "operator", "eve", "--role", "viewer",
    ]);
    let certificates = installation.good(&["cert", "list", "--kind", "operator", "--id", "admin"]);
    assert_eq!(certificates.matches("admin").count(), 2, "{certificates}");
    let events = ["events", "--service", "registry", "--from-start", "--replay-only"];
    let told = installation.good(&events);
    assert!(told.contains("by services/recovery"), "{told}");
}

#[test]
fn whoever_reads_less_than_there_is_hears_no_word_and_whoever_reads_on_gets_it_all() {
    let mut installation = Installation::new();
    installation.start();
    let mut table = String::new();
    (0..150).for_each(|n| writeln!(table, r#"{{"device_id":"pump-{n}"}}"#).unwrap());
    let file = installation.path("devices.jsonl");
    fs::write(&file, table).unwrap();
    installation.good(&["device", "import", file.to_str().unwrap()]);

    for form in ["", "--json"] {
        for (rest, lines) in [
            ("| head -1", 1),
            ("--limit 3 | head -1", 1),
            ("--sort -id | head -1", 1),
        ] {
            let line = format!("\"$0\" {form} device list {rest}; exit ${{PIPESTATUS[0]}}");
            let mut shell = Command::new("bash");
            let typed = installation.command(&[]);
            shell
                .args(["-c", &line, MUSTER])
                .envs(typed.get_envs().filter_map(|(k, v)| Some((k, v?))));
            let output = shell.output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{line}: {output:?}");
            assert!(output.stderr.is_empty(), "{line}: {output:?}");
            assert_eq!(output.stdout.iter().filter(|b| **b == b'\n').count(), lines);
        }
    }
    let all = installation.good(&["--json", "device", "list"]);
    assert_eq!(all.lines().count(), 150);
    let some = installation.good(&["--json", "device", "list", "--limit", "7"]);
    assert_eq!(some.lines().count(), 7);
}

#[test]
fn who_may_not_follow_is_told_so() {
    let mut installation = Installation::new();
    installation.start();
    let grant = [
        "person",
        "put",
        "integrator",
        "billing",
        "--events",
        "registry/devices/#",
    ];
    installation.good(&grant);
    installation.good(&["cert", "issue", "integrator", "billing"]);
    let follow = [
        "--as",
        "billing",
        "events",
        "--service",
        "registry",
        "--count",
        "1",
    ];
    installation.fails(&[&follow[..], &["--filter", "people/#"]].concat(), 5, &["grant"]);
    installation.good(&["device", "register", "pump-7"]);
    let told = installation.good(&[&follow[..], &["--filter", "devices/#", "--from-start"]].concat());
    assert!(told.contains("pump-7"), "{told}");
}

#[test]
fn a_file_that_is_not_as_it_should_be_is_a_mistake_of_the_configuration() {
    let installation = Installation::new();
    installation.fails(
        &[
            "--dir",
            "/nowhere/x",
            "init",
            "--passphrase-file",
            "/nowhere/pass",
        ],
        2,
        &["/nowhere/pass"],
    );
    let key = installation.path("pki/server.key");
    let open = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o640);
    fs::set_permissions(&key, open).unwrap();
    installation.fails(&["up"], 2, &["chmod 600"]);
    fs::remove_file(&key).unwrap();
    installation.fails(&["up"], 2, &["server.key", "No such file"]);
}

#[test]
fn a_server_whose_words_nobody_reads_serves_on() {
    let mut installation = Installation::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut child = command(installation.folder.path())
        .arg("up")
        .env("MUSTER_LISTEN__PRINCIPALS", &address)
        .env("MUSTER_LOG__FILTER", "debug")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    installation.server = Some((child, address));
    let end = Instant::now() + Duration::from_secs(30);
    while installation.run(&["device", "list"]).status.code() != Some(0) {
        assert!(Instant::now() < end, "it does not serve");
        std::thread::sleep(Duration::from_millis(100));
    }
    installation.good(&["device", "register", "pump-7"]);
    installation.stop();
}
