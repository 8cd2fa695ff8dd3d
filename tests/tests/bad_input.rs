//! What strangers and broken clients send. Each gets an answer with a reason, nobody else notices, and the
//! server lives on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Shared with tests that use all of it.
#[allow(dead_code)]
#[path = "../strangers/wire.rs"]
mod wire;

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use contract::{ServiceName, v1};
use rand::{Rng, SeedableRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wire::Wire;
use world::{Person, World, muster};

/// How fast a device must be served, whatever others do.
const SOON: Duration = Duration::from_secs(1);

/// A world with a device that is there to be disturbed.
struct Scene {
    world: World,
    admin: Person,
    probe: client::Identity,
    pump: PathBuf,
}

impl Scene {
    async fn new() -> Scene {
        let world = World::new().await;
        let admin = world.admin().await;
        world.register(&admin, &["probe", "pump-7"]).await;
        let claim = world.claim(&admin, "spring", 10).await;
        let probe = world.provision(&claim, "probe").await;
        world.provision(&claim, "pump-7").await;
        let pump = world.folder().join("identities/pump-7");
        Scene {
            world,
            admin,
            probe,
            pump,
        }
    }

    fn port(&self) -> u16 {
        self.world.endpoint().port
    }

    /// Another device connects, asks and is answered within a second.
    async fn probe(&self) {
        let begun = Instant::now();
        let probe = self.world.connect(&self.probe, "").await;
        let _: v1::Standing = probe
            .ask(ServiceName::Registry, "standing", &v1::GetStanding::default())
            .await;
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        probe.client.disconnect().await;
    }

    /// All is well, and nothing was worse than it looked.
    async fn is_well(&self) {
        self.probe().await;
        let mut http = TcpStream::connect(self.world.server().http).await.unwrap();
        let ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        http.write_all(ask).await.unwrap();
        let mut answer = String::new();
        http.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let log = self.world.server().log();
        assert!(!log.contains("panic"), "{log}");
    }

    /// The device on a wire of its own.
    async fn pump(&self) -> Wire {
        let tls = wire::tls(&self.world.roots(), Some(&self.pump));
        Wire::enter(self.port(), tls, "pump-7", "muster/v1/devices/pump-7/down/#").await
    }

    /// What becomes of somebody who connects with this identity.
    async fn refusal(&self, identity: Option<&std::path::Path>) -> String {
        let tls = wire::tls(&self.world.roots(), identity);
        let mut wire = match Wire::open(self.port(), tls).await {
            Ok(wire) => wire,
            Err(error) => return error.to_string(),
        };
        wire.send(&wire::connect("admin")).await;
        wire.next().await.expect_err("it was let in")
    }
}

fn up(rest: &str) -> String {
    format!("muster/v1/devices/pump-7/up/{rest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_certificate_of_ours_ends_in_tls() {
    let scene = Scene::new().await;
    let refusal = scene.refusal(None).await;
    assert!(refusal.contains("CertificateRequired"), "{refusal}");

    let elsewhere = tempfile::tempdir().unwrap();
    muster(elsewhere.path(), &["init", "--unencrypted", "--site", "test"]);
    let refusal = scene.refusal(Some(&elsewhere.path().join("people/admin"))).await;
    assert!(
        refusal.contains("UnknownCA") || refusal.contains("DecryptError"),
        "{refusal}"
    );

    let own = self_signed();
    let refusal = scene.refusal(Some(own.path())).await;
    assert!(refusal.contains("alert"), "{refusal}");
    scene.is_well().await;
}

/// A certificate that says all the right things about its owner, signed by its owner.
fn self_signed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "30", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=admin"])
        .args(["-addext", "subjectAltName=URI:urn:muster:test:operators:admin"])
        .args(["-addext", "extendedKeyUsage=clientAuth"])
        .args(["-addext", "basicConstraints=critical,CA:false"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_no_tls_is_sent_away_at_once() {
    let scene = Scene::new().await;
    for hello in [
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04pump",
    ] {
        let mut socket = TcpStream::connect(("127.0.0.1", scene.port())).await.unwrap();
        socket.write_all(hello.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(SOON, socket.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{hello:?} is still connected");
        assert!(answer.len() < 16, "no more than an alert: {answer:?}");
    }
    scene.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_leaves_a_line_of_each_sort_and_their_number() {
    const EACH: usize = 100;
    let mut scene = Scene::new().await;
    for _ in 0..EACH {
        let mut socket = TcpStream::connect(("127.0.0.1", scene.port())).await.unwrap();
        socket.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
    }
    for _ in 0..10 {
        let tls = wire::tls(&scene.world.roots(), Some(&scene.pump));
        let mut wire = Wire::open(scene.port(), tls).await.unwrap();
        wire.send(&wire::connect("valve-1")).await;
        assert!(wire.next().await.is_ok());
    }
    scene.is_well().await;
    let (ended, log) = scene.world.stop_and_tell();
    assert_eq!(ended, Some(0));
    let (_, life) = log.split_once("ready bound").unwrap();
    assert!(
        !life.contains("WARN") && !life.contains("ERROR"),
        "a normal stop is quiet:\n{life}"
    );
    let lines = |what: &str| log.lines().filter(|line| line.contains(what)).collect::<Vec<_>>();
    assert_eq!(lines("a connection was refused before MQTT").len(), 1, "{log}");
    assert_eq!(lines("not let in").len(), 1, "{log}");
    assert!(log.contains(&format!("and {} more like it", EACH - 1)), "{log}");
    let [more] = lines("and 9 more like it")[..] else {
        panic!("{log}")
    };
    assert!(
        more.contains("devices/pump-7") && more.contains("your client id"),
        "{more}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_drips_holds_up_nobody_and_ends() {
    let scene = Scene::new().await;
    let mut hello = Vec::new();
    let tls = wire::tls(&scene.world.roots(), Some(&scene.pump));
    rustls::ClientConnection::new(tls, wire::host())
        .unwrap()
        .write_tls(&mut hello)
        .unwrap();
    let begun = Instant::now();
    let drips: Vec<_> = (0..50)
        .map(|n| {
            tokio::spawn(drip(
                scene.port(),
                if n % 2 == 0 { hello.clone() } else { Vec::new() },
            ))
        })
        .collect();
    for _ in 0..5 {
        scene.probe().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // With TLS done, CONNECT has as much time again.
    let tls = wire::tls(&scene.world.roots(), Some(&scene.pump));
    let mut silent = Wire::open(scene.port(), tls).await.unwrap();
    for drip in drips {
        assert!(drip.await.unwrap(), "it is still connected");
    }
    assert_ne!(silent.next().await.unwrap_err(), "nothing in time");
    // 10 s for the handshake.
    assert!(begun.elapsed() > Duration::from_secs(8), "{:?}", begun.elapsed());
    scene.is_well().await;
}

/// Sends a byte now and then, or none; whether the server hung up in time.
async fn drip(port: u16, bytes: Vec<u8>) -> bool {
    let (mut read, mut write) = TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap()
        .into_split();
    let writing = tokio::spawn(async move {
        for byte in bytes {
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        std::future::pending::<()>().await;
    });
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(15), read.read_to_end(&mut answer)).await;
    writing.abort();
    ended.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_is_rejected_with_its_code_and_the_connection_stays() {
    let scene = Scene::new().await;
    let mut pump = scene.pump().await;
    let deep = format!(
        "{{\"model\":{}1{}}}",
        "[".repeat(50_000 / 2),
        "]".repeat(50_000 / 2)
    );
    let (json, protobuf) = ("application/json", "application/x-protobuf");
    // Content type, payload, what the sentence says.
    let cases: [(&str, &[u8], &str); 9] = [
        ("", b"\xff\xff\xff", "does not parse"),
        ("", b"\x12\x05ab", "does not parse"),
        ("", b"{\"model\":", "does not parse"),
        ("", b"{\"model\":7}", "does not parse"),
        ("", b"{\"nonsense\":1}", "nonsense"),
        ("", b" {}", "without blanks"),
        ("", b"\xef\xbb\xbf{}", "byte order mark"),
        (json, deep.as_bytes(), "nested"),
        (protobuf, b"{}", "content type"),
    ];
    for (content_type, payload, expected) in cases {
        let name = String::from_utf8_lossy(&payload[..payload.len().min(20)]).into_owned();
        pump.send(&wire::publish(
            0x32,
            &up("registry/report"),
            content_type,
            payload,
        ))
        .await;
        let (reason, reply) = pump.acknowledgement().await;
        assert_eq!(reason.code, 0x99, "{name}: {reason:?}");
        assert!(reason.text.contains(expected), "{name}: {reason:?}");
        let reply = match reply {
            Some(reply) => reply,
            None => pump.message().await,
        };
        let rejection: v1::Rejection = contract::wire::decode(&reply, "").unwrap();
        assert_eq!(rejection.code, "malformed", "{name}: {rejection:?}");
        assert!(rejection.message.contains(expected), "{name}: {rejection:?}");
    }
    // The connection has survived it all.
    pump.send(&wire::publish(0x32, &up("registry/standing"), json, b"{}"))
        .await;
    assert_eq!(pump.acknowledgement().await.0.code, 0);
    scene.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_service_sees_is_refused_by_the_acknowledgement() {
    let scene = Scene::new().await;
    let mut pump = scene.pump().await;
    let large = vec![b'x'; 65_537];
    let beat = vec![b'x'; 8_193];
    let cases: [(u8, String, &[u8], u8, &str); 12] = [
        (0x32, up("registry/nonsense"), b"{}", 0x90, "docs/topics.md"),
        (0x32, up("nonsense/report"), b"{}", 0x90, "docs/topics.md"),
        (0x32, up("registry/report/more"), b"{}", 0x90, "docs/topics.md"),
        (0x32, "\u{e9}/x".into(), b"{}", 0x90, "docs/topics.md"),
        (0x32, "\u{1f600}".into(), b"{}", 0x90, "docs/topics.md"),
        (0x32, "muster/#".into(), b"{}", 0x90, "docs/topics.md"),
        (
            0x32,
            "muster/v1/events/registry/devices/pump-7/moved".into(),
            b"{}",
            0x90,
            "",
        ),
        (
            0x32,
            "muster/v1/devices/probe/up/registry/report".into(),
            b"{}",
            0x87,
            "devices/probe",
        ),
        (0x32, up("registry/register"), b"{}", 0x87, "not for devices"),
        (0x32, up("registry/report"), &large, 0x97, "65536"),
        (0x32, up("monitoring/heartbeat"), &beat, 0x97, "8192"),
        (0x33, up("registry/report"), b"", 0x83, "retain"),
    ];
    for (first, topic, payload, code, expected) in cases {
        pump.send(&wire::publish(first, &topic, "", payload)).await;
        let (reason, _) = pump.acknowledgement().await;
        assert_eq!(reason.code, code, "{topic}: {reason:?}");
        assert!(reason.text.contains(expected), "{topic}: {reason:?}");
    }
    scene.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_larger_than_the_server_takes_is_refused_before_it_is_sent() {
    let scene = Scene::new().await;
    let connections = scene.admin.client.connections();
    let before = *connections.borrow();
    let huge = v1::PutType {
        type_id: "pump".into(),
        schema: "x".repeat(300_000),
        ..v1::PutType::default()
    };
    let refused = scene
        .admin
        .refused(ServiceName::Registry, "put-type", &huge)
        .await;
    assert_eq!(refused.code, contract::Code::TooLarge, "{refused:?}");
    for words in [
        "266240",
        "packet of 300",
        "limits.packet_bytes",
        "it was not sent",
    ] {
        assert!(refused.message.contains(words), "{refused:?}");
    }
    // What fits into a packet and is too large for its verb is answered by the server.
    let large = v1::PutType {
        schema: "x".repeat(200_000),
        ..huge
    };
    let refused = scene
        .admin
        .refused(ServiceName::Registry, "put-type", &large)
        .await;
    assert!(!refused.message.contains("it was not sent"), "{refused:?}");
    assert_eq!(*connections.borrow(), before, "the connection is the same");
    scene.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_the_protocol_is_told_why_and_let_go() {
    let scene = Scene::new().await;
    let report = up("registry/report");
    let huge = vec![0; 10 * 1024 * 1024];
    let cases = [
        ("10 MB", 0x95, wire::publish(0x32, &report, "", &huge)),
        ("QoS 3", 0x81, wire::publish(0x36, &report, "", b"")),
        ("a second CONNECT", 0x82, wire::connect("pump-7")),
    ];
    for (what, code, bytes) in cases {
        let mut pump = scene.pump().await;
        pump.send(&bytes).await;
        let said = pump.farewell().await;
        assert_eq!(said.code, code, "{what}: {said:?}");
        scene.probe().await;
    }
    // What is no MQTT at all, or no filter by the standard: closed, whatever is said.
    let share = ["$share//x", "$share/g", "$share/+/x"].map(|filter| wire::subscribe(&[filter]));
    let noise = [vec![0xFF; 64], vec![0; 64]];
    for bytes in noise.into_iter().chain(share) {
        let mut pump = scene.pump().await;
        pump.send(&bytes).await;
        let closed = loop {
            match pump.next().await {
                Ok(packet) => assert_eq!(packet.first, 0xE0, "{packet:?}"),
                Err(end) => break end,
            }
        };
        assert_ne!(closed, "nothing in time");
        scene.probe().await;
    }
    scene.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_a_request_id_is_refused() {
    let scene = Scene::new().await;
    let home = scene.world.folder().join("people/admin");
    let tls = wire::tls(&scene.world.roots(), Some(&home));
    let down = "muster/v1/operators/admin/down/#";
    let mut admin = Wire::enter(scene.port(), tls, "admin:raw", down).await;
    let topic = "muster/v1/operators/admin/up/registry/register";
    let register = br#"{"device_id":"nameless"}"#;
    admin.send(&wire::publish(0x32, topic, "", register)).await;
    let (reason, reply) = admin.acknowledgement().await;
    assert_eq!(reason.code, 0x83, "{reason:?}");
    let reply = match reply {
        Some(reply) => reply,
        None => admin.message().await,
    };
    let rejection: v1::Rejection = contract::wire::decode(&reply, "").unwrap();
    assert_eq!(
        (rejection.code.as_str(), rejection.field.as_str()),
        ("invalid", "request_id")
    );
    let request = v1::ShowDevice {
        device_id: "nameless".into(),
        ..v1::ShowDevice::default()
    };
    let refusal = scene.admin.refused(ServiceName::Registry, "show", &request).await;
    assert_eq!(refusal.code, contract::Code::NotFound);
    scene.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_none_or_not_granted_is_refused() {
    let scene = Scene::new().await;
    let mut pump = scene.pump().await;
    for (filter, code) in [
        ("muster/v1/devices/pump-7/down/#/more", 0x8F),
        ("muster/v1/devices/pump-7/down/a+/b", 0x8F),
        ("muster/v1/devices/pump-7/down/a#", 0x8F),
        ("$share/all/muster/v1/devices/pump-7/down/#", 0x9E),
        ("muster/v1/devices/+/down/#", 0x87),
        ("muster/v1/devices/pump-70/down/#", 0x87),
        ("muster/v1/devices/pump-7/up/#", 0x87),
        ("muster/v1/facts/#", 0x87),
        ("$SYS/#", 0x87),
        ("#", 0x87),
    ] {
        assert_eq!(pump.subscribe(&[filter]).await, [code], "{filter}");
    }
    // A good one beside a bad one holds.
    let both = ["muster/v1/devices/pump-7/down/registry/+", "#"];
    assert_eq!(pump.subscribe(&both).await, [0, 0x87]);
    // 64 at most, whatever is asked.
    let many: Vec<_> = (0..70)
        .map(|n| format!("muster/v1/devices/pump-7/down/registry/x{n}"))
        .collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let codes = pump.subscribe(&many).await;
    assert_eq!((codes[0], codes[69]), (0, 0x97), "{codes:?}");
    scene.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ones_client_id_is_refused() {
    let scene = Scene::new().await;
    for client_id in ["probe", "pump-70", "pump-7/x", "#", " pump-7"] {
        let tls = wire::tls(&scene.world.roots(), Some(&scene.pump));
        let mut wire = Wire::open(scene.port(), tls).await.unwrap();
        wire.send(&wire::connect(client_id)).await;
        let connack = wire.next().await.unwrap();
        assert_eq!(
            (connack.first, connack.body[1]),
            (0x20, 0x85),
            "{client_id}: {connack:?}"
        );
    }
    scene.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_kills_nothing() {
    let scene = Scene::new().await;
    let report = br#"{"model":"p200"}"#;
    let whole = [
        wire::connect("pump-7"),
        wire::subscribe(&["muster/v1/devices/pump-7/down/#"]),
        wire::publish(0x32, &up("registry/report"), "application/json", report),
        wire::publish(0x32, &up("registry/standing"), "", b""),
    ]
    .concat();
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    let connect = wire::connect("pump-7").len();
    for round in 0..150 {
        let mut bytes = whole.clone();
        for _ in 0..random.random_range(1..4) {
            // In every second round the CONNECT is whole, so that the rest is looked at.
            let from = if round % 2 == 0 { connect } else { 0 };
            let place = random.random_range(from..bytes.len());
            bytes[place] = random.random();
        }
        let tls = wire::tls(&scene.world.roots(), Some(&scene.pump));
        let mut wire = Wire::open(scene.port(), tls).await.unwrap();
        wire.send(&bytes).await;
        // Whatever comes, comes soon.
        let _ = tokio::time::timeout(Duration::from_millis(20), wire.next()).await;
    }
    scene.is_well().await;
}

/// What a request in JSON, as somebody types it, comes to.
async fn typed(
    admin: &mut Wire,
    number: &mut usize,
    verb: &str,
    mut json: serde_json::Value,
) -> Result<(), v1::Rejection> {
    *number += 1;
    json["request_id"] = format!("typed-{number}").into();
    let topic = format!("muster/v1/operators/admin/up/registry/{verb}");
    admin
        .send(&wire::publish(0x32, &topic, "", json.to_string().as_bytes()))
        .await;
    let (reason, reply) = admin.acknowledgement().await;
    let reply = match reply {
        Some(reply) => reply,
        None => admin.message().await,
    };
    if reason.code == 0 {
        return Ok(());
    }
    Err(contract::wire::decode(&reply, "").unwrap())
}

/// Ids that are none, or look like another one.
fn confusable() -> Vec<String> {
    let mut ids = vec!["x".repeat(65), "x".repeat(300)];
    let texts = [
        "",
        "../x",
        "a/b",
        "+",
        "#",
        "a\0b",
        "pump 7",
        ".pump",
        "pump\u{200b}7",
        "\u{202e}pump",
        "\u{e9}",
        "e\u{301}",
        "\u{43f}ump-7",
        "\u{ff50}ump-7",
        "pump\u{2010}7",
        "pump-7\n",
        "=pump",
    ];
    ids.extend(texts.map(str::to_owned));
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hostile_hands_type_is_refused_at_its_field_with_its_reason() {
    use serde_json::json;
    let scene = Scene::new().await;
    let home = scene.world.folder().join("people/admin");
    let tls = wire::tls(&scene.world.roots(), Some(&home));
    let down = "muster/v1/operators/admin/down/#";
    let mut admin = Wire::enter(scene.port(), tls, "admin:typed", down).await;
    let mut number = 0;
    for id in confusable() {
        for (verb, field) in [
            ("register", "device_id"),
            ("put-group", "group_id"),
            ("put-type", "type_id"),
        ] {
            let refused = typed(&mut admin, &mut number, verb, json!({ field: id })).await;
            let refused = refused.expect_err(&id);
            let told = (refused.code.as_str(), refused.field.as_str());
            assert_eq!(told, ("invalid", field), "{verb} {id:?}");
        }
    }
    let schema = json!({ "properties": { "administrative": { "properties": { "bore": { "type": "integer", "maximum": 90 } } } } });
    let kind = json!({ "type_id": "pump", "schema": schema.to_string() });
    typed(&mut admin, &mut number, "put-type", kind).await.unwrap();
    let wide = |levels: usize| format!("{}site = a{}", "(".repeat(levels), ")".repeat(levels));
    let many = vec!["site = a"; 129].join(" or ");
    let deep_schema = format!("{}{}", "{\"not\":".repeat(2_000), "}".repeat(2_000));
    let device = |fields: serde_json::Value| json!({ "device_id": "x", "fields": fields });
    // Verb, what is typed, the code, the field, what the sentence says.
    let cases = [
        (
            "register",
            json!({ "device_id": "Probe" }),
            "exists",
            "device_id",
            "`probe` exists",
        ),
        (
            "register",
            json!({ "device_id": "x", "name": "\u{1b}[31mred" }),
            "invalid",
            "name",
            "one line",
        ),
        (
            "register",
            json!({ "device_id": "x", "owner": "\u{202e}txt.exe" }),
            "invalid",
            "owner",
            "direction",
        ),
        (
            "register",
            device(json!({ "site": "a\nb" })),
            "invalid",
            "site",
            "one line",
        ),
        (
            "register",
            device(json!({ "tags.\u{202e}k": "v" })),
            "invalid",
            "tags",
            "key",
        ),
        (
            "register",
            device(json!({ "tags.k": "\u{7}" })),
            "invalid",
            "tags",
            "control",
        ),
        (
            "register",
            device(json!({ "type": "pump", "administrative.bore": "91" })),
            "invalid",
            "administrative.bore",
            "at /administrative/bore",
        ),
        (
            "register",
            device(json!({ "type": "pump", "administrative.bore": "wide" })),
            "invalid",
            "administrative.bore",
            "integer",
        ),
        (
            "register",
            device(json!({ "\u{1b}[2J": "x" })),
            "invalid",
            "",
            "there is no field",
        ),
        (
            "suspend",
            json!({ "device_id": "probe", "reason": "\u{1b}]0;root\u{7}" }),
            "invalid",
            "reason",
            "steer",
        ),
        (
            "change",
            json!({ "device_id": "probe", "expected_version": "99", "owner": "x" }),
            "conflict",
            "expected_version",
            "version",
        ),
        (
            "list",
            json!({ "where": "x".repeat(2_049) }),
            "too-large",
            "where",
            "2048 characters",
        ),
        (
            "list",
            json!({ "where": many }),
            "too-large",
            "where",
            "128 tests",
        ),
        ("list", json!({ "where": wide(200) }), "invalid", "", "deep"),
        ("list", json!({ "page_size": 501 }), "invalid", "page_size", "500"),
        (
            "put-type",
            json!({ "type_id": "t", "schema": deep_schema }),
            "invalid",
            "schema",
            "no JSON",
        ),
        (
            "put-type",
            json!({ "type_id": "t", "schema": "{\"$ref\":\"#\"}" }),
            "invalid",
            "schema",
            "refers to nothing",
        ),
    ];
    for (verb, json, code, field, sentence) in cases {
        let shown: String = json.to_string().chars().take(80).collect();
        let refused = typed(&mut admin, &mut number, verb, json)
            .await
            .expect_err(&shown);
        assert_eq!(refused.code, code, "{shown}: {refused:?}");
        assert!(refused.field.starts_with(field), "{shown}: {refused:?}");
        assert!(refused.message.contains(sentence), "{shown}: {refused:?}");
        let all = format!("{} {} {:?}", refused.message, refused.field, refused.allowed);
        assert!(!all.contains(contract::text::misleads), "{all:?}");
    }
    // What only looks like a formula is a name.
    let formula = json!({ "device_id": "x", "name": "=HYPERLINK(\"http://x\")" });
    typed(&mut admin, &mut number, "register", formula).await.unwrap();
    let log = scene.world.server().log();
    assert!(!log.contains(['\u{1b}', '\u{202e}']), "{log:?}");
    scene.is_well().await;
}
