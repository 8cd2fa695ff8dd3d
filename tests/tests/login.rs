//! Operators and integrators log in over WebSocket without a certificate: with a token or a password. What
//! opens, what ends a session, and what guessing and flooding come to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Shared with tests that use all of it.
#[allow(dead_code)]
#[path = "../strangers/wire.rs"]
mod wire;

#[path = "../strangers/websocket.rs"]
mod websocket;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use contract::{ServiceName, v1};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use websocket::WebSocket;
use world::{Person, Promptness, Vitals, World, checkup, gets_in, memory_kib};

/// Bad user name or password (MQTT 5, table 3-1).
const NO: u8 = 0x86;
/// How soon what was taken back must have an effect.
const SOON: Duration = Duration::from_secs(1);

/// A server whose WebSocket listener lets people log in, or not.
struct Open {
    world: World,
    admin: Person,
    port: u16,
    /// No certificate.
    nobody: Arc<ClientConfig>,
}

impl Open {
    async fn to_logins(login: &str) -> Open {
        Open::with(login, &[]).await
    }

    /// The same with further settings.
    async fn with(login: &str, settings: &[(&str, &str)]) -> Open {
        let usual = [
            ("MUSTER_LISTEN__WEBSOCKET", "127.0.0.1:0"),
            ("MUSTER_LISTEN__WEBSOCKET_LOGIN", login),
            (
                "MUSTER_LISTEN__WEBSOCKET_ORIGINS",
                "[\"https://console.example.com\"]",
            ),
        ];
        let world = World::with(&[&usual[..], settings].concat()).await;
        let admin = world.admin().await;
        let open = Open {
            port: port(&admin).await,
            nobody: wire::tls(&world.roots(), None),
            admin,
            world,
        };
        open.muster(&["person", "put", "operator", "bob", "--role", "operator"]);
        open
    }

    fn muster(&self, arguments: &[&str]) -> String {
        let server = format!("127.0.0.1:{}", self.world.endpoint().port);
        world::muster(self.world.folder(), &[&["--server", &server], arguments].concat())
    }

    /// A token of bob's: what opens, and its name.
    fn token(&self, lifetime: &str) -> (String, String) {
        let made = self.muster(&["--json", "person", "token", "operator", "bob", "--for", lifetime]);
        let made: Value = serde_json::from_str(&made).unwrap();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        assert_eq!(text("user_name"), "operators/bob");
        (text("token"), text("token_id"))
    }

    /// Gives bob a password.
    fn password(&self, password: &str) {
        let file = self.world.folder().join("password");
        std::fs::write(&file, format!("{password}\n")).unwrap();
        let file = file.to_str().unwrap();
        let said = self.muster(&["person", "password", "operator", "bob", "--password-file", file]);
        assert!(!said.contains(password), "{said}");
    }

    async fn dial(&self, identity: Option<&Path>) -> Result<WebSocket, String> {
        let tls = match identity {
            Some(folder) => wire::tls(&self.world.roots(), Some(folder)),
            None => self.nobody.clone(),
        };
        WebSocket::open(self.port, tls).await
    }

    async fn try_as(&self, identity: Option<&Path>, user_name: &str, token: &str) -> u8 {
        let mut socket = self.dial(identity).await.unwrap();
        socket.log_in(user_name, token).await.unwrap()
    }

    /// Bob, logged in and subscribed to his answers.
    async fn bob(&self, token: &str) -> WebSocket {
        let mut bob = self.dial(None).await.unwrap();
        assert_eq!(bob.log_in("operators/bob", token).await, Ok(0));
        bob.send(&wire::subscribe(&["muster/v1/operators/bob/down/#"]))
            .await;
        assert_eq!(bob.next().await.unwrap().body, [0, 1, 0, 0]);
        bob
    }
}

/// Where the WebSocket listener is bound.
async fn port(admin: &Person) -> u16 {
    let asked = v1::ListListeners::default();
    let listed: v1::ListenersListed = admin.ask(ServiceName::FrontDoor, "listeners", &asked).await;
    let websocket = listed.listeners.iter().find(|l| l.name == "websocket").unwrap();
    let (_, port) = websocket.address.rsplit_once(':').unwrap();
    port.parse().unwrap()
}

/// The server's good-bye, and when it came: because somebody may not be here any longer.
async fn shut_out(socket: &mut WebSocket) -> Instant {
    loop {
        let packet = socket.next().await.unwrap();
        // Acknowledgements that were on their way.
        if packet.first != 0x40 {
            assert_eq!((packet.first, packet.body[0]), (0xE0, 0x87), "{packet:?}");
            return Instant::now();
        }
    }
}

/// A question and its answer, both in JSON.
async fn ask(socket: &mut WebSocket, verb: &str, question: Value) -> Value {
    let topic = format!("muster/v1/operators/bob/up/{verb}");
    let question = question.to_string();
    socket
        .send(&wire::publish(0x32, &topic, "", question.as_bytes()))
        .await;
    loop {
        let packet = socket.next().await.unwrap();
        if packet.first == 0x30 {
            return serde_json::from_slice(&wire::payload(&packet.body)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_until_it_is_taken_back_or_ends() {
    let open = Open::to_logins("true").await;
    open.world.register(&open.admin, &["pump-7"]).await;
    let (token, name) = open.token("1h");
    let mut bob = open.bob(&token).await;
    let suspend = json!({ "request_id": "r-1", "device_id": "pump-7", "reason": "odd" });
    let answer = ask(&mut bob, "registry/suspend", suspend).await;
    assert_eq!(answer["id"], "pump-7", "{answer}");
    // His role is what it is over a certificate.
    let revoke = json!({ "request_id": "r-2", "kind": "devices", "id": "pump-7" }).to_string();
    let topic = "muster/v1/operators/bob/up/provisioning/revoke";
    bob.send(&wire::publish(0x32, topic, "", revoke.as_bytes())).await;
    let puback = loop {
        let packet = bob.next().await.unwrap();
        if packet.first == 0x40 && packet.body.len() > 2 {
            break packet;
        }
    };
    assert_eq!(puback.body[2], 0x87);

    let why = open.muster(&["why", "connect", "bob", "--kind", "operator"]);
    assert!(why.contains(&name), "{why}");
    let client = open.muster(&["broker", "client", "bob", "--kind", "operator"]);
    assert!(client.contains(&name), "{client}");

    let (other, _) = open.token("1h");
    let mut unharmed = open.bob(&other).await;
    open.muster(&["person", "revoke-token", "operator", "bob", &name, "--yes"]);
    let taken_back = Instant::now();
    let out = shut_out(&mut bob).await;
    assert!(out < taken_back + SOON, "{:?}", out - taken_back);
    assert_eq!(open.try_as(None, "operators/bob", &token).await, NO);
    let shown = ask(&mut unharmed, "registry/show", json!({ "device_id": "pump-7" })).await;
    assert_eq!(shown["device"]["restriction"], "RESTRICTION_SUSPENDED");

    let (short, _) = open.token("5s");
    let begun = Instant::now();
    let mut brief = open.bob(&short).await;
    let out = shut_out(&mut brief).await;
    assert!(out < begun + Duration::from_secs(5) + SOON, "{:?}", out - begun);

    // A disabled account is out as well.
    open.muster(&[
        "person",
        "put",
        "operator",
        "bob",
        "--role",
        "operator",
        "--disable",
    ]);
    shut_out(&mut unharmed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_people_logs_in_and_no_certificate_speaks_for_another() {
    let open = Open::to_logins("true").await;
    open.world.register(&open.admin, &["pump-7"]).await;
    let claim = open.world.claim(&open.admin, "line", 1).await;
    open.world.provision(&claim, "pump-7").await;
    let device = open.world.folder().join("identities/pump-7");
    let admin = open.world.folder().join("people/admin");
    let (token, _) = open.token("1h");
    for name in ["devices/pump-7", "claims/pump-7", "services/registry", "bob", ""] {
        assert_eq!(open.try_as(None, name, &token).await, NO, "{name}");
    }
    for (identity, name) in [
        (&device, "operators/bob"),
        (&admin, "operators/bob"),
        (&device, "devices/pump-8"),
    ] {
        assert_eq!(open.try_as(Some(identity), name, &token).await, 0x87, "{name}");
    }
    // A certificate opens as ever, with its own name or with none.
    assert_eq!(open.try_as(Some(&device), "devices/pump-7", "").await, 0);
    assert_eq!(open.try_as(Some(&admin), "", "").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_logins_are_not_open_there_is_no_handshake_without_a_certificate() {
    let open = Open::to_logins("false").await;
    let (token, _) = open.token("1h");
    let entered = match open.dial(None).await {
        Ok(mut socket) => socket.log_in("operators/bob", &token).await,
        Err(refused) => Err(refused),
    };
    assert!(entered.is_err(), "{entered:?}");
    // Nor by the other listener, where logins are.
    let also = Open::to_logins("true").await;
    let port = also.world.endpoint().port;
    let refused = match wire::Wire::open(port, also.nobody.clone()).await {
        Ok(mut wire) => {
            wire.send(&wire::connect("bob")).await;
            wire.next().await.map(drop)
        }
        Err(error) => Err(error.to_string()),
    };
    assert!(refused.is_err(), "{refused:?}");
}

const PASSWORD: &str = "four words will do";

/// How long a login takes that fails.
async fn guess(open: &Open, name: &str) -> Duration {
    let mut socket = open.dial(None).await.unwrap();
    let begun = Instant::now();
    assert_eq!(socket.log_in(name, "wrong words will not").await, Ok(NO));
    begun.elapsed()
}

/// The quickest guesses at somebody and at nobody: of ten, or of as many as it takes on a busy machine until both have
/// met a quiet moment.
async fn quickest(open: &Open) -> (Duration, Duration) {
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    for round in 1..=100 {
        known = known.min(guess(open, "operators/bob").await);
        unknown = unknown.min(guess(open, "operators/nobody").await);
        if round >= 10 && are_alike(known, unknown) {
            break;
        }
    }
    (known, unknown)
}

fn are_alike(one: Duration, other: Duration) -> bool {
    one < other * 3 && other < one * 3
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_until_it_is_changed_and_tells_nobody_who_there_is() {
    // So many guesses as are measured here would have to wait.
    let patient = [
        ("MUSTER_LIMITS__LOGIN_TRIES", "1000"),
        ("MUSTER_LIMITS__LOGIN_TRIES_PER_ADDRESS", "1000"),
        ("MUSTER_LIMITS__LOGIN_TRIES_PER_PERSON", "1000"),
    ];
    let mut open = Open::with("true", &patient).await;
    open.password(PASSWORD);
    let mut bob = open.bob(PASSWORD).await;
    let listed = ask(&mut bob, "registry/list", json!({})).await;
    assert!(listed.get("code").is_none(), "{listed}");
    let why = open.muster(&["why", "connect", "bob", "--kind", "operator"]);
    assert!(why.contains("with a password"), "{why}");
    let client = open.muster(&["broker", "client", "bob", "--kind", "operator"]);
    assert!(client.contains("password"), "{client}");

    let (known, unknown) = quickest(&open).await;
    println!("a wrong password: {known:?}, of nobody: {unknown:?}");
    assert!(are_alike(known, unknown), "{known:?}, {unknown:?}");

    // It is on disk, and outlives the process.
    open.admin.client.disconnect().await;
    open.world.kill();
    open.world.start().await;
    open.admin = open.world.admin().await;
    open.port = port(&open.admin).await;
    let mut bob = open.bob(PASSWORD).await;
    open.password("five other words will do");
    let changed = Instant::now();
    let out = shut_out(&mut bob).await;
    assert!(out < changed + SOON, "{:?}", out - changed);
    assert_eq!(open.try_as(None, "operators/bob", PASSWORD).await, NO);
    let mut bob = open.bob("five other words will do").await;
    open.muster(&["person", "password", "operator", "bob", "--remove", "--yes"]);
    shut_out(&mut bob).await;
    assert_eq!(
        open.try_as(None, "operators/bob", "five other words will do")
            .await,
        NO
    );
    // Nobody but people, here as well.
    assert_eq!(open.try_as(None, "devices/pump-7", PASSWORD).await, NO);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_are_looked_at_hold_up_nobody() {
    let open = Open::to_logins("true").await;
    let (token, _) = open.token("1h");
    let mut bob = open.bob(&token).await;
    open.world.register(&open.admin, &["probe"]).await;
    let claim = open.world.claim(&open.admin, "line", 1).await;
    let probe = open.world.provision(&claim, "probe").await;
    gets_in(&open.world.endpoint(), &probe).await;
    let before_kib = memory_kib(&[open.world.server().pid()]);

    // A hundred at once, in as many names: of one address sixteen are looked at, the others are told to come again.
    let mut guesses = JoinSet::new();
    for n in 0..100 {
        let (port, tls) = (open.port, open.nobody.clone());
        guesses.spawn(async move {
            let mut socket = WebSocket::open(port, tls).await.unwrap();
            let name = format!("operators/n{n}");
            socket.log_in(&name, "wrong words will not").await.unwrap()
        });
    }
    let working = async {
        let (mut slowest, bob_is) = (Duration::ZERO, Promptness::within(Duration::from_secs(2)));
        for _ in 0..20 {
            let begun = Instant::now();
            ask(&mut bob, "registry/list", json!({})).await;
            bob_is.took(begun.elapsed());
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    };
    let (said, slowest) = tokio::join!(guesses.join_all(), working);
    let of = |code: u8| said.iter().filter(|said| **said == code).count();
    println!(
        "{} wrong, {} busy; bob's slowest answer took {slowest:?}",
        of(NO),
        of(0x89)
    );
    assert_eq!(of(NO) + of(0x89), 100, "{said:?}");
    gets_in(&open.world.endpoint(), &probe).await;
    let vitals = [Vitals::from(open.world.server())];
    checkup(&open.world.endpoint(), &probe, &vitals, before_kib).await;
}

/// One login that fails, of one sort or another; or one that never comes to its end.
async fn fail(port: u16, tls: Arc<ClientConfig>, round: usize, n: usize) -> Option<WebSocket> {
    let mut socket = WebSocket::open(port, tls).await.ok()?;
    let large = [0x10, 0xFF, 0xFF, 0x0F, 0, 4, b'M', b'Q'];
    match n % 6 {
        // A guess at somebody, at anybody, at a password, and what is neither.
        0 => drop(socket.log_in("operators/bob", &format!("mst_{round}-{n}")).await),
        1 => drop(socket.log_in(&format!("operators/n{round}-{n}"), "mst_x").await),
        2 => drop(socket.log_in("operators/bob", "wrong words will not").await),
        3 => drop(socket.log_in("operators/bob", &"x".repeat(60_000)).await),
        // The beginning of a CONNECT that says it is large.
        4 => {
            socket.send(&large).await;
            return Some(socket);
        }
        // One that is large.
        _ => {
            socket.send(&[&large[..], &[0; 200_000]].concat()).await;
            let _ = socket.next().await;
        }
    }
    None
}

/// Six hundred of them, twenty at a time; those that hang.
async fn flood(open: &Open) -> Vec<WebSocket> {
    let mut hanging = Vec::new();
    for round in 0..30 {
        let mut tries = JoinSet::new();
        for n in 0..20 {
            tries.spawn(fail(open.port, open.nobody.clone(), round, n));
        }
        hanging.extend(tries.join_all().await.into_iter().flatten());
    }
    hanging
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_and_flooding_open_nothing_and_harm_nobody() {
    let open = Open::to_logins("true").await;
    let (token, _) = open.token("1h");
    let mut bob = open.bob(&token).await;
    open.world.register(&open.admin, &["probe"]).await;
    let claim = open.world.claim(&open.admin, "line", 1).await;
    let probe = open.world.provision(&claim, "probe").await;
    gets_in(&open.world.endpoint(), &probe).await;
    let before_kib = memory_kib(&[open.world.server().pid()]);

    let begun = Instant::now();
    let hanging = flood(&open).await;
    println!(
        "600 logins in {:?}, {} left hanging",
        begun.elapsed(),
        hanging.len()
    );
    // While they hang: devices come and go, who is logged in is served, and a certificate opens.
    gets_in(&open.world.endpoint(), &probe).await;
    let listed = ask(&mut bob, "registry/list", json!({})).await;
    assert_eq!(listed["devices"].as_array().map(Vec::len), Some(1), "{listed}");
    let admin = open.world.folder().join("people/admin");
    assert_eq!(open.try_as(Some(&admin), "operators/admin", "").await, 0);
    // From the address that floods nobody logs in for a while, which is counted. A pause that has just passed begins
    // anew, and twice as long, with the next failure.
    let mut said = Vec::new();
    while said.len() < 2 && !said.contains(&NO) {
        assert_eq!(open.try_as(None, "operators/eve", "mst_x").await, NO);
        said.push(open.try_as(None, "operators/bob", &token).await);
    }
    assert!(said.contains(&NO), "{said:?}");
    let limits = open.muster(&["broker", "limits"]);
    let row = limits
        .lines()
        .find(|line| line.contains("login_tries_per_address"));
    let met = row
        .unwrap()
        .split_whitespace()
        .any(|cell| cell.parse::<u64>().is_ok_and(|n| n > 20));
    assert!(met, "{limits}");
    let told = async || {
        loop {
            let events = open.muster(&[
                "--json",
                "events",
                "--service",
                "monitoring",
                "--filter",
                "clients/#",
                "--replay-only",
            ]);
            let told = events.lines().filter(|line| line.contains("login-failed"));
            let told: Vec<_> = told.map(str::to_owned).collect();
            if !told.is_empty() {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(60), told()).await;
    let (told, minutes) = (told.expect("it is told"), begun.elapsed().as_secs() as usize / 60);
    assert!(told.len() <= 1 + minutes, "one a minute: {told:?}");

    drop(hanging);
    let vitals = [Vitals::from(open.world.server())];
    checkup(&open.world.endpoint(), &probe, &vitals, before_kib).await;
}

/// The head of an upgrade with these lines in it.
fn upgrade(lines: &str) -> Vec<u8> {
    format!(
        "GET /mqtt HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_or_a_proxy_may_be_made_to_send_is_refused_before_the_upgrade() {
    const MQTT: &str = "Sec-WebSocket-Protocol: mqtt\r\n";
    const HERE: &str = "Host: 127.0.0.1\r\n";
    let open = Open::to_logins("true").await;
    open.world.register(&open.admin, &["probe"]).await;
    let claim = open.world.claim(&open.admin, "line", 1).await;
    let probe = open.world.provision(&claim, "probe").await;
    gets_in(&open.world.endpoint(), &probe).await;
    let before_kib = memory_kib(&[open.world.server().pid()]);
    let listed = "Origin: https://console.example.com\r\n";
    let foreign = "Origin: https://evil.example.com\r\n";
    let many = "x: y\r\n".repeat(10_000);
    let long = format!("x: {}\r\n", "y".repeat(100_000));
    let smuggled = "Content-Length: 44\r\nTransfer-Encoding: chunked\r\n";
    for (what, lines, status) in [
        ("an upgrade", [HERE, MQTT, ""], "101"),
        ("of a listed page", [HERE, MQTT, listed], "101"),
        (
            "by a name of the certificate",
            ["Host: localhost:8884\r\n", MQTT, ""],
            "101",
        ),
        ("by IPv6", ["Host: [::1]:8884\r\n", MQTT, ""], "101"),
        ("of a foreign page", [HERE, MQTT, foreign], "403"),
        (
            "of a page without an origin",
            [HERE, MQTT, "Origin: null\r\n"],
            "403",
        ),
        ("of two pages", [HERE, MQTT, &format!("{listed}{foreign}")], "403"),
        ("to another host", ["Host: evil.example.com\r\n", MQTT, ""], "421"),
        (
            "to a host of a listed page",
            ["Host: console.example.com\r\n", MQTT, listed],
            "421",
        ),
        ("to no host", ["", MQTT, ""], "400"),
        ("to two hosts", [HERE, "Host: localhost\r\n", MQTT], "400"),
        ("of no protocol", [HERE, "", ""], "400"),
        (
            "of another protocol",
            [HERE, "Sec-WebSocket-Protocol: chat\r\n", ""],
            "400",
        ),
        ("with a length", [HERE, MQTT, "Content-Length: 44\r\n"], "400"),
        ("in chunks", [HERE, MQTT, "Transfer-Encoding: chunked\r\n"], "400"),
        ("with both", [HERE, MQTT, smuggled], "400"),
        ("with many headers", [HERE, MQTT, &many], ""),
        ("with a long one", [HERE, MQTT, &long], ""),
    ] {
        let request = upgrade(&lines.concat());
        let answer = WebSocket::answered(open.port, open.nobody.clone(), &request).await;
        let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
        match status {
            "" => assert_eq!(answer, "", "{what}"),
            status => assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{what}: {answer}"
            ),
        }
    }
    // A second request behind the first is none.
    let two = [
        upgrade(&format!("{HERE}{MQTT}")),
        upgrade(&format!("{HERE}{MQTT}")),
    ]
    .concat();
    let answer = WebSocket::answered(open.port, open.nobody.clone(), &two)
        .await
        .unwrap();
    assert!(!answer.starts_with("HTTP/1.1 101"), "{answer}");
    // One that never ends is cut off.
    let begun = Instant::now();
    let half = &upgrade(HERE)[..60];
    let answer = WebSocket::answered(open.port, open.nobody.clone(), half)
        .await
        .unwrap();
    assert_eq!(answer, "");
    assert!(begun.elapsed() < Duration::from_secs(13), "{:?}", begun.elapsed());
    let vitals = [Vitals::from(open.world.server())];
    checkup(&open.world.endpoint(), &probe, &vitals, before_kib).await;
}
