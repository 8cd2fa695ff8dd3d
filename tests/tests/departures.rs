//! Why a device is no longer there: each way in which a session ends, by bytes, and the event that tells of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Shared with tests that use all of it.
#[allow(dead_code)]
#[path = "../strangers/wire.rs"]
mod wire;

use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

use contract::{ServiceName, v1};
use rustls::version::TLS12;
use serde_json::Value;
use wire::Wire;
use world::{Person, Process, World};

/// How long an event may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// From another address than everybody else.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const GRACE: (&str, &str) = ("MUSTER_MONITORING__GRACE", "1s");

/// A world, its admin, and whoever follows the events.
struct Scene {
    world: World,
    admin: Person,
    erp: Person,
}

impl Scene {
    async fn new(devices: &[&str]) -> Scene {
        let world = World::with(&[GRACE]).await;
        let admin = world.admin().await;
        world.register(&admin, devices).await;
        let claim = world.claim(&admin, "spring", devices.len() as u32).await;
        for device in devices {
            world.provision(&claim, device).await;
        }
        let erp = world.integrator(&admin, "erp", &["monitoring/#"]).await;
        let erp = world.connect(&world.identity(&erp), "").await;
        let filter = "muster/v1/events/monitoring/devices/#";
        erp.client.subscribe(filter).await.unwrap();
        Scene { world, admin, erp }
    }

    fn identity(&self, device: &str) -> PathBuf {
        self.world.folder().join("identities").join(device)
    }

    fn serial(&self, device: &str) -> String {
        let pem = std::fs::read_to_string(self.identity(device).join("certificate.pem")).unwrap();
        pki::ClientCertificate::parse_pem(&pem).unwrap().serial_hex
    }

    /// A device comes over TLS 1.3 with this CONNECT; the events that it is there.
    async fn comes(&mut self, device: &str, connect: &[u8]) -> (Wire, Value) {
        let wire = self.connected(device, Ipv4Addr::LOCALHOST, connect).await;
        (wire, self.event(device, "online").await)
    }

    async fn connected(&self, device: &str, from: Ipv4Addr, connect: &[u8]) -> Wire {
        let tls = wire::tls(&self.world.roots(), Some(&self.identity(device)));
        let port = self.world.endpoint().port;
        let mut wire = Wire::open_from(from, port, tls).await.unwrap();
        wire.send(connect).await;
        let connack = wire.next().await.unwrap();
        assert_eq!((connack.first, connack.body[1]), (0x20, 0), "{connack:?}");
        wire
    }

    /// The data of the device's next event, which is of this name.
    async fn event(&mut self, device: &str, name: &str) -> Value {
        let topic = format!("muster/v1/events/monitoring/devices/{device}/");
        let next = async {
            loop {
                let delivery = self.erp.inbox.recv().await.expect("it stays connected");
                if let Some(told) = delivery.topic.strip_prefix(&topic) {
                    let mut event: Value = serde_json::from_slice(&delivery.payload).unwrap();
                    assert_eq!(told, name, "{event}");
                    return event["data"].take();
                }
            }
        };
        let told = tokio::time::timeout(PATIENCE, next).await;
        told.unwrap_or_else(|_| panic!("nothing of {device}, where `{name}` should come"))
    }

    /// The device is away for this cause and reason: all that was said of the session that was there.
    async fn is_away(&mut self, device: &str, online: &Value, cause: &str, reason: &str) {
        let offline = self.event(device, "offline").await;
        assert_eq!(
            (&offline["cause"], &offline["reason"]),
            (&cause.into(), &reason.into()),
            "{device}: {offline}"
        );
        for field in SESSION {
            assert_eq!(offline[field], online[field], "{device}: {field} in {offline}");
        }
    }
}

/// What is said of a session.
const SESSION: [&str; 8] = [
    "address",
    "protocol",
    "keep_alive_s",
    "client_id",
    "serial",
    "tls",
    "boot",
    "session",
];

/// The pair that only grows.
fn number(told: &Value) -> (u64, u64) {
    let number = |field: &str| told[field].as_str().unwrap().parse().unwrap();
    (number("boot"), number("session"))
}

/// CONNECT of MQTT 3.1.1.
fn connect_3(client_id: &str) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 45];
    wire::text(&mut body, client_id);
    wire::packet(0x10, &body)
}

/// CONNECT that promises a sign of life each second.
fn connect_lively(client_id: &str) -> Vec<u8> {
    let mut connect = wire::connect(client_id);
    connect[11] = 1;
    connect
}

const DISCONNECT: &[u8] = &[0xE0, 0];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_does_itself_is_told_by_its_cause_with_all_that_is_known_of_the_session() {
    let mut scene = Scene::new(&["polite", "mute", "lost", "rude"]).await;
    let (mut polite, told) = scene.comes("polite", &wire::connect("polite:a")).await;
    assert_eq!(told["protocol"], "mqtt-5");
    assert_eq!(
        (&told["tls"], &told["client_id"]),
        (&"1.3".into(), &"polite:a".into())
    );
    assert_eq!(
        (&told["keep_alive_s"], &told["was"]),
        (&60.into(), &"CONNECTIVITY_NEVER".into())
    );
    assert_eq!(told["serial"], scene.serial("polite").as_str());
    let address = told["address"].as_str().unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{told}");
    polite.send(DISCONNECT).await;
    scene.is_away("polite", &told, "clean", "").await;
    let former = number(&told);

    // Again, as an older device would: the number has grown.
    let tls = wire::tls_of(&[&TLS12], &scene.world.roots(), Some(&scene.identity("polite")));
    let mut polite = Wire::open(scene.world.endpoint().port, tls).await.unwrap();
    polite.send(&connect_3("polite")).await;
    assert_eq!(polite.next().await.unwrap().body, [0, 0]);
    let told = scene.event("polite", "online").await;
    assert_eq!(
        (&told["protocol"], &told["tls"]),
        (&"mqtt-3.1.1".into(), &"1.2".into())
    );
    assert_eq!(
        (&told["keep_alive_s"], &told["was"]),
        (&45.into(), &"CONNECTIVITY_OFFLINE".into())
    );
    assert!(number(&told) > former && number(&told).0 == former.0, "{told}");
    polite.send(DISCONNECT).await;
    scene.is_away("polite", &told, "clean", "").await;

    let (mute, told) = scene.comes("mute", &connect_lively("mute")).await;
    assert_eq!(told["keep_alive_s"], 1);
    scene.is_away("mute", &told, "keep-alive", "").await;
    drop(mute);

    let (lost, told) = scene.comes("lost", &wire::connect("lost")).await;
    drop(lost);
    scene.is_away("lost", &told, "network", "").await;

    let (mut rude, told) = scene.comes("rude", &wire::connect("rude")).await;
    rude.send(&wire::connect("rude")).await;
    let said = rude.farewell().await;
    assert_eq!(said.code, 0x82);
    assert_eq!(scene.event("rude", "security").await["what"], "malformed");
    // What the log has is not for the client: a malformed packet is answered by its code.
    assert_eq!(said.text, "");
    scene
        .is_away("rude", &told, "protocol-error", "ProtocolError")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_sent_away_is_told_of_with_what_it_was_told() {
    let mut scene = Scene::new(&["suspect", "stolen", "noisy"]).await;
    let (mut suspect, told) = scene.comes("suspect", &wire::connect("suspect")).await;
    let suspend = v1::RestrictDevice {
        device_id: "suspect".into(),
        reason: "odd".into(),
        ..Default::default()
    };
    let _: v1::Changed = scene.admin.ask(ServiceName::Registry, "suspend", &suspend).await;
    let said = suspect.farewell().await;
    assert_eq!((said.code, &*said.text), (0x87, "this device is suspended"));
    scene
        .is_away("suspect", &told, "not-authorized", &said.text)
        .await;

    let (mut stolen, told) = scene.comes("stolen", &wire::connect("stolen")).await;
    let revoke = v1::Revoke {
        kind: "devices".into(),
        id: "stolen".into(),
        reason: "keyCompromise".into(),
        ..Default::default()
    };
    let _: v1::Revoked = scene
        .admin
        .ask(ServiceName::Provisioning, "revoke", &revoke)
        .await;
    let said = stolen.farewell().await;
    assert_eq!(said.code, 0x87);
    scene.is_away("stolen", &told, "not-authorized", &said.text).await;

    let (mut noisy, told) = scene.comes("noisy", &wire::connect("noisy")).await;
    let kick = v1::KickClient {
        kind: "devices".into(),
        id: "noisy".into(),
        reason: "it floods".into(),
        ..Default::default()
    };
    let kicked: v1::ClientKicked = scene.admin.ask(ServiceName::FrontDoor, "kick", &kick).await;
    assert_eq!(kicked.closed, 1);
    let said = noisy.farewell().await;
    assert_eq!(said.code, 0x98);
    assert!(said.text.ends_with("it floods"), "{said:?}");
    scene.is_away("noisy", &told, "kicked", &said.text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_taken_over_is_told_of_only_where_it_may_be_somebody_elses_doing() {
    let mut scene = Scene::new(&["pump-7"]).await;
    let (mut first, told) = scene.comes("pump-7", &wire::connect("pump-7")).await;
    // The device itself, before its broken connection was noticed.
    let mut second = scene
        .connected("pump-7", Ipv4Addr::LOCALHOST, &wire::connect("pump-7"))
        .await;
    assert_eq!(first.farewell().await.code, 0x8E);
    // Whoever has its key, elsewhere.
    let mut third = scene
        .connected("pump-7", ELSEWHERE, &wire::connect("pump-7"))
        .await;
    assert_eq!(second.farewell().await.code, 0x8E);
    let taken = scene.event("pump-7", "taken-over").await;
    assert_eq!(taken["cause"], "takeover");
    assert!(
        taken["address"].as_str().unwrap().starts_with("127.0.0.2:"),
        "{taken}"
    );
    let former = &taken["former"];
    assert!(
        former["address"].as_str().unwrap().starts_with("127.0.0.1:"),
        "{taken}"
    );
    assert_eq!(
        (&former["serial"], &taken["serial"]),
        (&told["serial"], &told["serial"])
    );
    assert!(
        number(&taken) > number(former) && number(former) > number(&told),
        "{taken}"
    );
    // Its own end is the device's own doing again.
    third.send(DISCONNECT).await;
    scene.is_away("pump-7", &taken, "clean", "").await;
}

/// The events of a device, from the first, as `muster events` reads them again: names, and data.
fn told_of(world: &World, device: &str) -> Vec<(String, Value)> {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let filter = format!("devices/{device}/#");
    let command = [
        "events",
        "--service",
        "monitoring",
        "--filter",
        &filter,
        "--from-start",
        "--replay-only",
    ];
    let settings = [("MUSTER_SERVER", server.as_str())];
    let said = Process::command(world.folder(), &command, &settings)
        .output()
        .unwrap();
    assert!(said.status.success(), "{said:?}");
    let lines = String::from_utf8(said.stdout).unwrap();
    let told = lines.lines().map(|line| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        let kind = event["type"].as_str().unwrap();
        let name = kind.split('.').nth(3).unwrap().to_owned();
        (name, event["data"].take())
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_no_device_s_doing_and_who_comes_back_was_never_away() {
    for killed in [false, true] {
        let mut scene = Scene::new(&["gone", "back"]).await;
        let (gone, told) = scene.comes("gone", &wire::connect("gone")).await;
        let (back, before) = scene.comes("back", &wire::connect("back")).await;
        let Scene { mut world, .. } = scene;
        if killed {
            world.kill();
        } else {
            assert_eq!(world.stop(), Some(0));
        }
        drop((gone, back));
        world.start().await;
        let tls = wire::tls(&world.roots(), Some(&world.folder().join("identities/back")));
        let mut back = Wire::open(world.endpoint().port, tls).await.unwrap();
        back.send(&wire::connect("back")).await;
        assert_eq!(back.next().await.unwrap().body[1], 0);

        let away = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some((name, data)) = told_of(&world, "gone").into_iter().nth(1) {
                    return (name, data);
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        let (name, offline) = away.await.expect("it is missed");
        assert_eq!(name, "offline");
        assert_eq!(
            (&offline["cause"], &offline["reason"]),
            (&"server-shutdown".into(), &"".into()),
            "{offline}"
        );
        for field in SESSION {
            assert_eq!(offline[field], told[field], "{field} in {offline}");
        }
        // Nobody was told that the other one was away, and its session is newer than before.
        let names: Vec<_> = told_of(&world, "back")
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["online"], "killed: {killed}");
        let admin = world.admin().await;
        let show = v1::ShowStatus {
            device_id: "back".into(),
            ..Default::default()
        };
        let shown: v1::StatusShown = admin.ask(ServiceName::Monitoring, "show", &show).await;
        let status = shown.status.unwrap();
        assert_eq!(status.connectivity(), v1::Connectivity::Online);
        assert!(status.boot > number(&before).0, "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_between_two_starts_makes_no_session_older() {
    let mut scene = Scene::new(&["pump-7"]).await;
    let (wire, before) = scene.comes("pump-7", &wire::connect("pump-7")).await;
    let Scene { mut world, .. } = scene;
    assert_eq!(world.stop(), Some(0));
    drop(wire);
    // As the last start would have left it under a clock that was a day ahead.
    let file = world.folder().join("state/front-door.boot");
    let last: u64 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    assert_eq!(last, number(&before).0);
    let ahead = last + 86_400_000;
    std::fs::write(&file, ahead.to_string()).unwrap();
    // The second start is one whose clock says less than monitoring has heard already.
    for boot in [ahead + 1, ahead + 2] {
        world.start().await;
        let tls = wire::tls(&world.roots(), Some(&world.folder().join("identities/pump-7")));
        let mut pump = Wire::open(world.endpoint().port, tls).await.unwrap();
        pump.send(&wire::connect("pump-7")).await;
        assert_eq!(pump.next().await.unwrap().body[1], 0);
        until_seen_in(&world, boot).await;
        assert_eq!(world.stop(), Some(0));
    }
}

/// Waits until monitoring believes that the device is there in this start of the server.
async fn until_seen_in(world: &World, boot: u64) {
    let admin = world.admin().await;
    let show = v1::ShowStatus {
        device_id: "pump-7".into(),
        ..Default::default()
    };
    let seen = async {
        loop {
            let shown: v1::StatusShown = admin.ask(ServiceName::Monitoring, "show", &show).await;
            if shown.status.unwrap().boot == boot {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen)
        .await
        .expect("it is believed");
}
