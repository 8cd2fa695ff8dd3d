//! The command line and the configuration: what is wrong is named, with what to do, and the exit code says
//! which kind of wrong it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use world::{World, cargo_output, muster};

/// How a run of the program ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// It ended with this code, said nothing on standard output, and these words on standard error.
    #[track_caller]
    fn with(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in {self:?}");
        }
        assert!(
            !self.err.contains("panicked") && !self.err.contains("backtrace"),
            "{self:?}"
        );
    }
}

fn run(folder: &Path, arguments: &[&str]) -> Ended {
    run_with(folder, arguments, &[])
}

/// Runs the program to its end; what runs on is a mistake too.
fn run_with(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(cargo_output("muster"));
    // Settings of whoever runs the tests are not ours.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"MUSTER_")) {
        command.env_remove(name);
    }
    let mut child = command
        .arg("--dir")
        .arg(folder)
        .args(arguments)
        .env("MUSTER_LISTEN__PRINCIPALS", "127.0.0.1:0")
        .env("MUSTER_LISTEN__HTTP", "127.0.0.1:0")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while child.try_wait().unwrap().is_none() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// An installation that does not run.
fn installation() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    muster(folder.path(), &["init", "--unencrypted", "--site", "test"]);
    folder
}

#[test]
fn all_mistakes_of_the_configuration_are_named_at_once() {
    let folder = installation();
    let toml =
        "[listen]\nservices = \"8.8.8.8:1\"\n[monitoring]\ngrace = \"soon\"\n[limits]\nconections = 7\n";
    std::fs::write(folder.path().join("muster.toml"), toml).unwrap();
    let mistakes = [
        "muster.toml has 3 mistake(s)",
        "listen.services",
        "monitoring.grace",
        "limits.conections",
    ];
    run(folder.path(), &["up"]).with(2, &mistakes);
    // What is no TOML at all is said with its line.
    std::fs::write(folder.path().join("muster.toml"), "site = \"test\"\n[listen\n").unwrap();
    run(folder.path(), &["up"]).with(2, &["muster.toml", "2"]);
    // The environment is read as strictly.
    std::fs::write(folder.path().join("muster.toml"), "").unwrap();
    run_with(folder.path(), &["up"], &[("MUSTER_MONITORING__GRACE", "soon")]).with(2, &["monitoring.grace"]);
    let misspelt = [
        ("MUSTER_LIMITS__NONE", "7"),
        ("MUSTER_LIMITS__CONNECTIONS", "abc"),
    ];
    run_with(folder.path(), &["up"], &misspelt).with(
        2,
        &[
            "the environment has 2 mistake(s)",
            "limits.none: there is no such setting (from the environment: MUSTER_LIMITS__NONE)",
            "expected a whole number (from the environment: MUSTER_LIMITS__CONNECTIONS)",
        ],
    );
}

#[test]
fn without_an_installation_it_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let remedy = format!("muster --dir {} init", nowhere.display());
    run(&nowhere, &["up"]).with(2, &[&remedy]);
    run(&nowhere, &["device", "list"]).with(2, &["init"]);
    assert!(!nowhere.exists());
}

#[test]
fn an_installation_is_not_made_over_another() {
    let folder = installation();
    let root = std::fs::read(folder.path().join("pki/root.pem")).unwrap();
    let again = run(folder.path(), &["init", "--unencrypted"]);
    assert!(again.code.is_some_and(|code| code != 0), "{again:?}");
    assert_eq!(std::fs::read(folder.path().join("pki/root.pem")).unwrap(), root);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = installation();
    for name in ["issuing.key", "server.key"] {
        let key = folder.path().join("pki").join(name);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let ended = run(folder.path(), &["up"]);
        let remedy = format!("chmod 600 {}", key.display());
        assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
        assert!(ended.err.contains(&remedy), "{ended:?}");
        assert!(ended.out.is_empty(), "it was never ready: {ended:?}");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn a_bad_command_line_is_a_usage_error() {
    let folder = installation();
    for arguments in [
        &["device", "show", "a/b"][..],
        &["device", "show", "../x"],
        &["device", "register", ""],
        &["device", "register", "-x"],
        &["device", "register", "p\u{e9}"],
        &["device", "suspend"],
        &["no-such-command"],
        &["--timeout", "soon", "device", "list"],
    ] {
        let ended = run(folder.path(), arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(
            ended.out.is_empty() && !ended.err.is_empty(),
            "{arguments:?}: {ended:?}"
        );
    }
    run(folder.path(), &["--as", "nobody", "device", "list"]).with(2, &["nobody"]);
}

/// Each row is typed as it stands: what, with which code it ends, and what it says.
#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_has_the_code_that_the_page_says() {
    let world = World::new().await;
    let elsewhere = installation();
    let folder = world.folder();
    let copy = |name: &str, file: &str, from: Option<&Path>| {
        let to = folder.join(name);
        std::fs::create_dir(&to).unwrap();
        for file in ["certificate.pem", "key.pem", "roots.pem"] {
            std::fs::copy(folder.join("people/admin").join(file), to.join(file)).unwrap();
        }
        match from {
            Some(from) => drop(std::fs::copy(from, to.join(file)).unwrap()),
            None => std::fs::remove_file(to.join(file)).unwrap(),
        }
    };
    let other = |file: &str| elsewhere.path().join("people/admin").join(file);
    std::fs::write(folder.join("junk"), "nonsense").unwrap();
    std::fs::write(folder.join("noise"), [0xFF; 64]).unwrap();
    copy("no-key", "key.pem", None);
    copy("no-roots", "roots.pem", None);
    copy("junk-certificate", "certificate.pem", Some(&folder.join("junk")));
    copy("another-key", "key.pem", Some(&other("key.pem")));
    copy("other-roots", "roots.pem", Some(&other("roots.pem")));
    let foreign = other("");
    let server = world.server().principals.to_string();
    let http = world.server().http.to_string();
    let told = |name: &str| folder.join(name).display().to_string();
    let rows: Vec<(u8, String, &str)> = vec![
        // a wrong address
        (2, "--server 127.0.0.1:x device list".into(), "is no port"),
        (
            6,
            format!("--server {http} device list"),
            "does not speak TLS. The port for --server is that of `listen.principals`",
        ),
        // a wrong certificate
        (2, format!("--as {} device list", told("no-key")), "key.pem"),
        (2, format!("--as {} device list", told("no-roots")), "roots.pem"),
        (
            2,
            format!("--as {} device list", told("junk-certificate")),
            "certificate.pem",
        ),
        (
            2,
            format!("--as {} device list", told("another-key")),
            "do not make an identity",
        ),
        (
            5,
            format!("--as {} device list", told("other-roots")),
            "not trusted here",
        ),
        (
            5,
            format!("--as {} device list", foreign.display()),
            "not trusted here",
        ),
        // a missing folder or file
        (2, "device import missing.csv".into(), "cannot read missing.csv"),
        (2, "cert verify missing.pem".into(), "cannot read missing.pem"),
        (
            2,
            "audit verify missing.ndjson".into(),
            "cannot read missing.ndjson",
        ),
        (2, format!("device import {}", told("people")), "Is a directory"),
        (2, format!("plan {}", told("noise")), "it is no text"),
        (2, "plan missing.toml".into(), "cannot read missing.toml"),
        (2, "backup verify missing".into(), "cannot read missing"),
        (2, format!("backup verify {}", told("people")), "Is a directory"),
        (2, format!("backup verify {}", told("junk")), "is no backup"),
        (2, format!("cert verify {}", told("junk")), "is no certificate"),
        (2, format!("cert verify {}", told("people")), "Is a directory"),
        (
            5,
            format!("cert verify {}", told("pki/server.pem")),
            "extended key usage",
        ),
        (2, "type add pump --schema missing.json".into(), "missing.json"),
        (2, "manufacturer add acme --ca missing.pem".into(), "missing.pem"),
        (
            2,
            "manufacturer crl acme missing.pem".into(),
            "cannot read missing.pem",
        ),
        (2, "firmware add missing.bin".into(), "missing.bin"),
        (
            2,
            format!(
                "firmware sign missing.bin --key {} --name n --version 1 --sequence 1 --model m",
                told("release/release.key")
            ),
            "missing.bin",
        ),
        (
            2,
            "device retirement verify missing".into(),
            "cannot read missing",
        ),
        // a word that is none
        (2, "audit show --verb dance".into(), "there is no such verb"),
        (
            2,
            "audit show --verb registry/retrie".into(),
            "perhaps you mean retire",
        ),
        (2, "audit show --verb list".into(), "not among it"),
        (2, "audit show --service regsitry".into(), "registry"),
        (2, "device list --stage actve".into(), "active"),
        (2, "monitor security --kind none".into(), "connect-denied"),
        (
            2,
            "agent pump-7 --claim missing".into(),
            "there is no folder missing",
        ),
        // an unknown id
        (3, "device show nope".into(), "nope"),
        (3, "device history nope".into(), "nope"),
        (3, "device suspend nope --reason x".into(), "nope"),
        (3, "device retire nope --reason x --yes".into(), "nope"),
        (3, "monitor show nope".into(), "nope"),
        (3, "monitor rule remove nope --yes".into(), "nope"),
        (3, "group show nope".into(), "nope"),
        (3, "group remove nope --yes".into(), "nope"),
        (3, "type show nope".into(), "nope"),
        (3, "rollout show nope".into(), "nope"),
        (3, "rollout pause nope".into(), "nope"),
        (3, "command show nope".into(), "nope"),
        (3, "config show nope".into(), "nope"),
        (3, "approval show nope".into(), "nope"),
        (3, "operator show nope".into(), "nope"),
        (3, "person show integrator nope".into(), "nope"),
        (3, "person show operator admi".into(), "perhaps you mean admin"),
        (3, "supplier show nope".into(), "nope"),
        (3, "order show nope".into(), "nope"),
        (3, "query show nope".into(), "nope"),
        (3, "claim show nope".into(), "nope"),
        (3, "enrol show nope".into(), "nope"),
        (3, "monitor rule show nope".into(), "nope"),
        (3, "config template show type nope".into(), "nope"),
        (3, "ca show 00000000".into(), "00000000"),
        (3, "ca root show 00000000".into(), "00000000"),
        (3, "manufacturer show nope".into(), "nope"),
        (3, "broker client nope".into(), "nope"),
        (
            3,
            "cert show 4f000000000000000000000000000000".into(),
            "no certificate",
        ),
        // no terminal to ask on
        (2, "device retire nope --reason x".into(), "--yes"),
        // in use
        (4, "store verify".into(), "in use by another process"),
        (4, "init --unencrypted".into(), "holds an installation already"),
        (4, "init".into(), "holds an installation already"),
        // may not
        (5, "why connect nope".into(), "no such device"),
        // no answer in time
        (6, "--timeout 1ms device list".into(), "within 1ms"),
    ];
    let mut wrong = Vec::new();
    for (code, typed, part) in rows {
        let words = typed.split_whitespace();
        let named = typed.starts_with("--server") || typed.starts_with("init");
        let first = if named { vec![] } else { vec!["--server", &server] };
        let ended = run(folder, &first.into_iter().chain(words).collect::<Vec<_>>());
        if ended.code != Some(i32::from(code)) || !ended.err.contains(part) {
            wrong.push(format!("{typed}: {code} with `{part}` was expected: {ended:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    interrupted(folder, &server);
}

/// Whoever waits is ended by Ctrl-C and SIGTERM, and the shell says by which.
fn interrupted(folder: &Path, server: &str) {
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let mut waiting = Command::new(cargo_output("muster"))
            .arg("--dir")
            .arg(folder)
            .args([
                "--server",
                server,
                "events",
                "--service",
                "registry",
                "--from-start",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It has begun when it says something.
        let mut line = String::new();
        let mut out = std::io::BufReader::new(waiting.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        world::signal(waiting.id(), name);
        let ended = waiting.wait().unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&ended);
        assert_eq!(signal, Some(number), "{ended:?} after {line}");
    }
}

#[test]
fn nobody_listening_is_unavailable() {
    let folder = installation();
    let server = format!("127.0.0.1:{}", world::free_port());
    let begun = Instant::now();
    run(folder.path(), &["--server", &server, "device", "list"]).with(6, &[&server]);
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_what_may_not_be_and_who_may_not_have_codes_of_their_own() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ada = ["put", "operator", "ada", "--role", "viewer"];
    let server = world.server().principals.to_string();
    let ask = |arguments: &[&str]| {
        let arguments = [&["--server", &server], arguments].concat();
        run(world.folder(), &arguments)
    };
    ask(&["device", "show", "pump-7"]).with(3, &["pump-7"]);
    world.register(&admin, &["pump-7"]).await;
    let again = ask(&["device", "register", "pump-7"]);
    again.with(4, &["pump-7", "exists"]);

    assert_eq!(ask(&[&["person"][..], &ada].concat()).code, Some(0));
    assert_eq!(ask(&["cert", "issue", "operator", "ada"]).code, Some(0));
    ask(&["--as", "ada", "device", "register", "pump-8"]).with(5, &["needs the role operator"]);
    let listed = ask(&["--as", "ada", "device", "list"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(listed.out.contains("pump-7") && !listed.out.contains("pump-8"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_is_left_alone() {
    let world = World::new().await;
    let second = run(world.folder(), &["up"]);
    assert!(second.code.is_some_and(|code| code != 0), "{second:?}");
    assert!(second.err.contains("in use by another process"), "{second:?}");
    assert!(second.out.is_empty(), "it was never ready: {second:?}");
    // The first one has not noticed, nor do those who connect only now.
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    world.device(&admin, "pump-7").await;
}

/// Each listener's address is taken before anybody is let in at any other.
#[test]
fn an_address_in_use_is_named_with_its_setting_and_nobody_was_let_in() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["init", "--unencrypted"]).code, Some(0));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for setting in ["principals", "http", "services", "websocket", "est"] {
        let variable = format!("MUSTER_LISTEN__{}", setting.to_uppercase());
        let up = run_with(folder.path(), &["up"], &[(&variable, &address)]);
        up.with(4, &[&address, &format!("listen.{setting}")]);
        assert!(up.out.is_empty(), "it was never ready: {up:?}");
        assert!(!up.err.contains("open for principals"), "{up:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_reading_is_no_error() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ids: Vec<_> = (0..1_500).map(|n| format!("pump-{n}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    world.register(&admin, &ids).await;
    for json in ["", "--json"] {
        let line = format!(
            "{} {json} --dir {} --server {} device list --all | head -1; echo \"${{PIPESTATUS[0]}}\" >&2",
            cargo_output("muster").display(),
            world.folder().display(),
            world.server().principals,
        );
        let output = Command::new("bash").args(["-c", &line]).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(out.lines().count(), 1, "{out}{err}");
        let code = err.trim();
        // 141: ended by SIGPIPE.
        assert!(code == "0" || code == "141", "it said: {err}");
    }
}
