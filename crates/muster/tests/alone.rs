//! The program alone: an installation of its own, its server started and stopped, its commands as typed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod installation;

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use installation::{Installation, MUSTER};

/// The bit of SIGTERM in the sets of signals that Linux tells of a process.
const SIGTERM: u64 = 1 << (15 - 1);

/// A text that looks like a number, and is another one as a number.
const SITE: &str = "0042";

/// One whose configuration is in the environment.
fn alone() -> Installation {
    let settings = &[("MUSTER_SITE", SITE), ("MUSTER_STATE__FOLDER", "007")];
    let installation = Installation::new(settings, &["--site", SITE]);
    // From here on the environment says it.
    fs::write(installation.path("muster.toml"), "").unwrap();
    installation
}

#[test]
fn an_admin_whose_key_is_lost_gets_back_in_while_the_server_is_stopped() {
    let mut installation = alone();
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
    let mut installation = alone();
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
    let mut installation = alone();
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
fn who_asks_for_events_that_are_no_longer_kept_is_told_where_the_rest_begins() {
    let settings = &[("MUSTER_EVENTS__MOST", "3"), ("MUSTER_EVENTS__KEEP", "2s")];
    let mut installation = Installation::new(settings, &[]);
    installation.start();
    let replay = |installation: &Installation| {
        let typed = ["events", "--service", "registry", "--after", "1", "--replay-only"];
        installation.ends(&typed, 0)
    };
    for n in 0..6 {
        installation.good(&["device", "register", &format!("pump-{n}")]);
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let gone = loop {
        let said = replay(&installation);
        if said.contains("of registry are no longer kept; ") {
            break said;
        }
        assert!(Instant::now() < deadline, "{said}");
        std::thread::sleep(Duration::from_millis(500));
    };
    assert!(gone.contains("events 2 to "), "{gone}");
    // One who follows hears of what comes, whatever has gone before it.
    let follow = ["events", "--service", "registry", "--filter", "devices/#"];
    let mut follower = installation
        .command(&[&follow[..], &["--count", "1"]].concat())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut late, deadline) = (0, Instant::now() + Duration::from_secs(60));
    while follower.try_wait().unwrap().is_none() {
        installation.good(&["device", "register", &format!("late-{late}")]);
        late += 1;
        assert!(Instant::now() < deadline, "it hears nothing");
    }
    let told = follower.wait_with_output().unwrap();
    assert!(told.status.success() && String::from_utf8_lossy(&told.stdout).contains("late-"));
}

#[test]
fn a_file_that_is_not_as_it_should_be_is_a_mistake_of_the_configuration() {
    let installation = alone();
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
fn a_server_whose_key_or_certificate_is_lost_gets_another_and_nothing_else_changes() {
    let mut installation = Installation::new(&[], &["--host", "muster.example.com"]);
    installation.fails(&["recover", "server", "--yes"], 3, &["has never run"]);
    installation.start();
    installation.good(&["device", "register", "pump-7"]);
    installation.fails(&["recover", "server", "--yes"], 4, &["while Muster is stopped"]);
    installation.stop();
    let [key, chain] = ["pki/server.key", "pki/server.pem"].map(|name| installation.path(name));
    let own = fs::read_to_string(&chain).unwrap();

    let way_back = "`muster recover server` makes another";
    let other = installation.path("people/admin/key.pem");
    for (unfit, words) in [
        (None, "server.key: No such file"),
        (Some(&b"\xff\xfe"[..]), "no PEM"),
        (Some(b"nothing\n"), "the server's key: "),
        (Some(&fs::read(&other).unwrap()), "KeyMismatch"),
    ] {
        match unfit {
            None => fs::remove_file(&key).unwrap(),
            // The mode of a key that is there stays.
            Some(bytes) => fs::write(&key, bytes).unwrap(),
        }
        installation.fails(&["up"], 2, &[words, way_back]);
        installation.fails(&["recover", "server"], 2, &["--yes"]);
        let said = installation.good(&["recover", "server", "--yes"]);
        assert!(said.contains("muster.example.com, localhost"), "{said}");
        assert_ne!(fs::read_to_string(&chain).unwrap(), own);
    }
    for unfit in [None, Some(""), Some("nothing")] {
        match unfit {
            None => fs::remove_file(&chain).unwrap(),
            Some(text) => fs::write(&chain, text).unwrap(),
        }
        installation.fails(&["up"], 2, &["server", way_back]);
        installation.fails(&["recover", "server", "--yes"], 2, &["server.pem", "--host"]);
        let typed = ["recover", "server", "--host", "192.0.2.7", "--yes"];
        assert!(installation.good(&typed).contains("192.0.2.7, localhost"));
    }
    installation.has_the_device();

    // The others are no secrets, and each says where a copy is.
    let root = installation.path("pki/root.pem");
    fs::remove_file(&root).unwrap();
    installation.fails(&["up"], 2, &["root.pem", "`roots.pem`"]);
    fs::copy(installation.path("people/admin/roots.pem"), &root).unwrap();
    let issuing = installation.path("pki/issuing.pem");
    let kept = fs::read(&issuing).unwrap();
    fs::remove_file(&issuing).unwrap();
    installation.fails(
        &["up"],
        2,
        &["issuing.pem", "second certificate of `pki/server.pem`"],
    );
    fs::write(&issuing, kept).unwrap();
    installation.start();
    let certificates = installation.good(&["cert", "list", "--kind", "service"]);
    assert_eq!(certificates.matches("front-door").count(), 8, "{certificates}");
    let events = [
        "events",
        "--service",
        "provisioning",
        "--from-start",
        "--replay-only",
    ];
    let told = installation.good(&[&events[..], &["--filter", "certificates/+/issued"]].concat());
    assert_eq!(told.matches("by services/recovery").count(), 7, "{told}");
}

#[test]
fn a_server_whose_words_nobody_reads_serves_on() {
    let mut installation = alone();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut child = installation
        .command(&["up"])
        .env("MUSTER_LISTEN__PRINCIPALS", &address)
        .env("MUSTER_LOG__FILTER", "debug")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    installation.adopt(child, address);
    let end = Instant::now() + Duration::from_secs(60);
    while installation.run(&["device", "list"]).status.code() != Some(0) {
        assert!(Instant::now() < end, "it does not serve");
        std::thread::sleep(Duration::from_millis(100));
    }
    installation.good(&["device", "register", "pump-7"]);
    installation.stop();
}

/// Whether a process has a handler for SIGTERM.
fn minds_its_end(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    u64::from_str_radix(caught.unwrap().trim(), 16).unwrap() & SIGTERM != 0
}

#[test]
fn whoever_hears_that_it_is_ready_may_ask_it_to_stop_at_once() {
    let installation = Installation::new(&[], &[]);
    // Its words wait behind these until somebody reads: it is held where it says that it is ready.
    let (mut said, full) = std::io::pipe().unwrap();
    let mut filling = full.try_clone().unwrap();
    std::thread::spawn(move || filling.write_all(&[b' '; 65_536]));
    let mut child = installation
        .command(&["--json", "up"])
        .stdout(full)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !minds_its_end(child.id()) {
        assert!(Instant::now() < end, "SIGTERM would still kill it");
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    let mut words = String::new();
    said.read_to_string(&mut words).unwrap();
    assert!(asked.success() && words.contains("\"ready\":true"), "{words}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// What a shell says on a terminal of its own while it runs this, where these bytes are typed once it asks.
fn on_a_terminal(shell: &str, asks: &str, typed: &[u8]) -> String {
    let mut child = Command::new("script")
        .args(["--quiet", "--flush", "--command", shell, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut said, mut bytes, mut has_typed) = (String::new(), [0; 256], false);
    loop {
        let read = output.read(&mut bytes).unwrap();
        if read == 0 {
            break;
        }
        said += &String::from_utf8_lossy(&bytes[..read]);
        if !has_typed && said.contains(asks) {
            input.write_all(typed).unwrap();
            has_typed = true;
        }
    }
    child.wait().unwrap();
    said
}

#[test]
fn an_interrupted_question_leaves_the_terminal_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let init = format!(
        "{MUSTER} --dir {}/m init; echo ended $?; stty -a",
        folder.path().display()
    );
    let said = on_a_terminal(&init, "Passphrase for the CA keys: ", b"four wor\x03");
    assert!(said.contains("ended 130"), "{said}");
    for mode in [" echo ", " icanon ", "isig "] {
        assert!(said.contains(mode), "`{mode}` in {said}");
    }
    assert!(said.contains("eol = <undef>"), "{said}");
    assert!(!said.contains("four"), "{said}");
    assert!(!folder.path().join("m/pki").exists());
}

#[test]
fn a_passphrase_is_asked_for_twice_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let init = format!(
        "{MUSTER} --dir {}/m init; echo ended $?; stty -a",
        folder.path().display()
    );
    let said = on_a_terminal(
        &init,
        "Passphrase for the CA keys: ",
        b"four worx\x7fds\nfour words\n",
    );
    assert!(
        said.contains("The same again: ") && said.contains("ended 0"),
        "{said}"
    );
    assert!(!said.contains("four") && said.contains(" echo "), "{said}");
    assert!(folder.path().join("m/pki").exists());
}

#[test]
fn whoever_connects_to_the_port_for_http_is_told_which_one_is_meant() {
    let mut installation = Installation::new(&[], &[]);
    let mut server = installation
        .command(&["--json", "up"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    installation.adopt(server, ready["principals"].as_str().unwrap().to_owned());
    let http = ready["http"].as_str().unwrap();
    installation.fails(
        &["--server", http, "device", "list"],
        6,
        &["does not speak TLS", "listen.principals", "8883", "listen.http"],
    );
    installation.stop();
}
