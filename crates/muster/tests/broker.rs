//! What an operator sees of the front door, as typed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod installation;

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use installation::Installation;

struct Follower(Child);

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A session that follows events, and its client id.
fn follower(server: &Installation) -> (Follower, String) {
    let mut follow = server.command(&["--json", "events"]);
    let child = follow
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let follower = Follower(child);
    let begun = Instant::now();
    loop {
        let sessions = server.documents(&["broker", "clients", "--kind", "operator", "--prefix", "adm"]);
        let following = sessions.iter().find(|s| s["subscriptions"].as_u64() > Some(1));
        if let Some(session) = following {
            return (follower, session["client_id"].as_str().unwrap().to_owned());
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{sessions:?}");
    }
}

/// Waits until nobody is connected under a client id.
fn gone(server: &Installation, client: &str) {
    let begun = Instant::now();
    loop {
        let sessions = server.documents(&["broker", "clients", "--kind", "operator", "--prefix", "adm"]);
        if sessions.iter().all(|session| session["client_id"] != client) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{sessions:?}");
    }
}

#[test]
fn an_operator_sees_who_is_connected_and_sends_one_away() {
    let server = Installation::running();
    let (following, client) = follower(&server);
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
    let kicked = server.documents(&[&kick[..], &["--yes"]].concat());
    assert_eq!(kicked[0]["closed"], 1);
    // It comes back by itself: it is gone for good once it has ended, and the server has seen that.
    drop(following);
    gone(&server, &client);
    let again = server.ends(&[&kick[..], &["--yes"]].concat(), 0);
    assert!(again.contains("no connection was open"), "{again}");
    let told = server.documents(&[
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
    let server = Installation::running();
    let limits = server.documents(&["broker", "limits"]);
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
    // Whoever asked before may not be gone yet.
    let begun = Instant::now();
    let mut listeners = server.documents(&["broker", "listeners"]);
    while listeners[0]["sessions"] != 1 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{listeners:?}");
        listeners = server.documents(&["broker", "listeners"]);
    }
    assert_eq!(listeners.len(), 1);
    assert_eq!(
        (
            &listeners[0]["name"],
            &listeners[0]["address"],
            &listeners[0]["sessions"]
        ),
        (&"principals".into(), &server.address().into(), &1.into())
    );
    server.ends(&["broker", "listeners"], 0);
}

/// Waits until a device is connected.
fn connected(server: &Installation, id: &str) {
    let begun = Instant::now();
    while server
        .documents(&["broker", "clients", "--kind", "device", "--prefix", id])
        .is_empty()
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "{id} does not come");
    }
}

/// The words of a line as a shell takes them, with quotes; without what follows a `#`.
fn words(line: &str) -> Vec<String> {
    let line = line.split('#').next().unwrap();
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(n, part)| match n % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// The commands that `docs/operations.md` gives for who is connected and for the server's certificate.
#[test]
fn what_the_documents_say_can_be_typed() {
    let server = Installation::running();
    server.good(&["device", "register", "pump-7"]);
    server.good(&["cert", "claim", "lot", "--uses", "1"]);
    let claim = server.good(&["claim", "show", "lot"]);
    assert!(claim.contains("used           0 of 1"), "{claim}");
    let claim = server.path("claims/lot");
    let mut agent = server.command(&["agent", "pump-7", "--claim", claim.to_str().unwrap()]);
    let agent = agent.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _agent = Follower(agent);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    // The server must still be reached by the name that it has here.
    let page = page.replace("192.0.2.7", "127.0.0.1");
    let mut typed = 0;
    for section in ["Who is connected", "The server's certificate"] {
        let (_, section) = page.split_once(&format!("\n## {section}\n")).expect(section);
        let section = section.split("\n## ").next().unwrap();
        for line in section.split("```").skip(1).step_by(2).flat_map(str::lines) {
            let mut words = words(line);
            if words.is_empty() {
                continue;
            }
            assert_eq!(words.remove(0), "muster", "{line}");
            // The agent comes back by itself when it was sent away.
            connected(&server, "pump-7");
            // What asks first.
            if words.iter().any(|word| word == "kick" || word == "--host") {
                words.push("--yes".into());
            }
            server.good(&words.iter().map(String::as_str).collect::<Vec<_>>());
            typed += 1;
        }
    }
    assert!(typed >= 9, "{typed}");
}
