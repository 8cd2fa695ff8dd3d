//! Clients that know nothing of Muster: mosquitto's programs, paho-mqtt, mqtt.js and rumqttc, over MQTT 3.1.1 and 5; and
//! the page that shows how to use them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Shared with tests that use all of it.
#[allow(dead_code)]
#[path = "../strangers/mosquitto.rs"]
mod mosquitto;
// Shared with tests that use all of it.
#[allow(dead_code)]
#[path = "../strangers/page.rs"]
mod page;
#[path = "../strangers/rumqttc.rs"]
mod rumqttc;
// Shared with tests that use all of it.
#[allow(dead_code)]
#[path = "../strangers/wire.rs"]
mod wire;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use contract::{
    ServiceName,
    v1::{self, Stage},
};
use mosquitto::{Mosquitto, VERSIONS};
use page::Page;
use rumqttc::{Rumqttc, Version};
use serde_json::json;
use world::{Person, World, repository};

/// A device that is registered and has a certificate; its folder.
async fn provisioned(world: &World, admin: &Person, id: &str) -> PathBuf {
    world.register(admin, &[id]).await;
    let claim = world.claim(admin, &format!("for-{id}"), 1).await;
    world.provision(&claim, id).await;
    world.folder().join("identities").join(id)
}

/// A person with a role and a certificate; the folder.
async fn viewer(world: &World, admin: &Person, id: &str) -> PathBuf {
    let person = v1::PutPerson {
        id: id.into(),
        kind: "operators".into(),
        role: v1::Role::Viewer.into(),
        ..v1::PutPerson::default()
    };
    let _: v1::Changed = admin.ask(ServiceName::Registry, "put-person", &person).await;
    world.issue(admin, "operators", id).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto-clients and paho-mqtt; tests/run installs them"]
async fn mosquitto_is_a_device() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["victim"]).await;
    let before = world.shown(&admin, "victim").await;
    for version in VERSIONS {
        let id = format!("pump-{version}");
        let identity = provisioned(&world, &admin, &id).await;
        let device = Mosquitto::new(&world, &format!("devices/{id}"), &identity, version);
        let listener = device.listen(&[&device.down("#")]);

        let report = r#"{"request_id":"r-1","model":"p200","firmware_version":"1.0.0"}"#;
        let published = device.publish(&device.up("registry/report"), report);
        assert!(published.is_acknowledged(), "{version}: {published:?}");
        let reply = listener.next("down/registry/report/accepted");
        assert_eq!((&reply["request_id"], &reply["id"]), (&json!("r-1"), &json!(id)));
        let shown = world.shown(&admin, &id).await;
        assert_eq!(
            (shown.stage(), shown.firmware_version.as_str()),
            (Stage::Active, "1.0.0")
        );

        let beat = r#"{"uptime_ms":"60000","metrics":{"temperature":41.5}}"#;
        let published = device.publish(&device.up("monitoring/heartbeat"), beat);
        assert!(published.is_acknowledged(), "{version}: {published:?}");
        until_temperature(&admin, &id, 41.5).await;

        let others = "muster/v1/devices/victim/up/registry/report";
        assert!(device.is_denied(others, r#"{"model":"stolen"}"#), "{version}");
        let no_verb_of_its_own = device.up("registry/register");
        assert!(
            device.is_denied(&no_verb_of_its_own, r#"{"request_id":"x"}"#),
            "{version}"
        );
        // Nobody else's `down/`, nor all events.
        for filter in ["muster/v1/devices/victim/down/#", "muster/v1/events/#", "#"] {
            assert!(
                device.is_refused(&format!("{id}:curious"), filter),
                "{version} {filter}"
            );
        }
    }
    assert_eq!(world.shown(&admin, "victim").await, before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto-clients and paho-mqtt; tests/run installs them"]
async fn mosquitto_leaves_a_session_and_comes_back() {
    let world = World::new().await;
    let admin = world.admin().await;
    for version in VERSIONS {
        let id = format!("pump-{version}");
        let identity = provisioned(&world, &admin, &id).await;
        let device = Mosquitto::new(&world, &format!("devices/{id}"), &identity, version);
        let (kept, filter) = (format!("{id}:kept"), device.down("registry/#"));
        assert!(device.leaves_a_session(&kept, &filter), "{version}");
        for n in 0..3 {
            let ask = json!({"request_id": format!("s-{n}")}).to_string();
            assert!(
                device.publishes_once(&device.up("registry/standing"), &ask),
                "{version}"
            );
        }
        let (replies, complete) = device.comes_back(&kept, &filter, 3);
        let ids: Vec<_> = replies
            .iter()
            .map(|reply| reply["request_id"].as_str().unwrap_or_default())
            .collect();
        assert_eq!((ids, complete), (vec!["s-0", "s-1", "s-2"], true), "{version}");
    }
}

async fn until_temperature(admin: &Person, id: &str, expected: f64) {
    for _ in 0..1_200 {
        let request = v1::ShowStatus {
            device_id: id.into(),
            ..v1::ShowStatus::default()
        };
        let shown: v1::StatusShown = admin.ask(ServiceName::Monitoring, "show", &request).await;
        let metrics = shown.status.unwrap_or_default().metrics;
        if metrics.get("temperature") == Some(&expected) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the heartbeat of {id} does not arrive");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto-clients and paho-mqtt; tests/run installs them"]
async fn mosquitto_is_an_operator() {
    let world = World::new().await;
    let admin = world.admin().await;
    let vera = viewer(&world, &admin, "vera").await;
    let home = world.folder().join("people/admin");
    for version in VERSIONS {
        let operator = Mosquitto::new(&world, "operators/admin", &home, version);
        let listener = operator.listen(&[&operator.down("registry/#")]);
        let id = format!("new-{version}");
        let register = json!({"request_id": id, "device_id": id, "model": "p200"}).to_string();
        let mut answers = Vec::new();
        for _ in 0..2 {
            let published = operator.publish(&operator.up("registry/register"), &register);
            assert!(published.is_acknowledged(), "{version}: {published:?}");
            answers.push(listener.next("down/registry/register/accepted"));
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0]["id"], json!(id));

        let other = json!({"request_id": id, "device_id": id, "model": "p300"}).to_string();
        operator.publish(&operator.up("registry/register"), &other);
        let refusal = listener.next("down/registry/register/rejected");
        assert_eq!(refusal["code"], "conflict");

        let ask = |verb: &str, payload: String| {
            let (topic, reply) = (operator.up(verb), operator.down(&format!("{verb}/accepted")));
            operator.request("admin:ask", &topic, &reply, &payload).unwrap()
        };
        let shown = ask("registry/show", json!({"device_id": id}).to_string());
        assert_eq!(shown["device"]["stage"], "STAGE_REGISTERED");
        let listed = ask("registry/list", json!({"prefix": "new-"}).to_string());
        let listed = listed["devices"].as_array().unwrap();
        assert!(listed.iter().any(|device| device["device_id"] == json!(id)));

        let viewer = Mosquitto::new(&world, "operators/vera", &vera, version);
        let late = json!({"request_id": "v-1", "device_id": "never"}).to_string();
        assert!(
            viewer.is_denied(&viewer.up("registry/register"), &late),
            "{version}"
        );
    }
    let request = v1::ShowDevice {
        device_id: "never".into(),
        ..v1::ShowDevice::default()
    };
    let refusal = admin.refused(ServiceName::Registry, "show", &request).await;
    assert_eq!(refusal.code, contract::Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto-clients and paho-mqtt; tests/run installs them"]
async fn mosquitto_is_an_integrator() {
    let world = World::new().await;
    let admin = world.admin().await;
    let home = world.integrator(&admin, "erp", &["registry/#"]).await;
    for version in VERSIONS {
        let erp = Mosquitto::new(&world, "integrators/erp", &home, version);
        let listener = erp.listen(&["muster/v1/events/registry/#"]);
        let ids = [format!("a-{version}"), format!("b-{version}")];
        world.register(&admin, &[&ids[0], &ids[1]]).await;
        let mut sequences = Vec::new();
        for id in &ids {
            let event = listener.next(&format!("events/registry/devices/{id}/registered"));
            assert_eq!(event["specversion"], "1.0");
            assert_eq!(event["type"], "muster.registry.device.registered.v1");
            assert_eq!(event["subject"], json!(format!("devices/{id}")));
            assert_eq!(event["source"], "/muster/test/registry");
            assert_eq!(event["datacontenttype"], "application/json");
            assert_eq!(event["actor"], "operators/admin");
            sequences.push(event["sequence"].as_str().unwrap().parse::<u64>().unwrap());
        }
        assert_eq!(sequences[1], sequences[0] + 1);
        for filter in [
            "muster/v1/events/#",
            "muster/v1/events/provisioning/#",
            "muster/v1/events/+/devices/+/registered",
            "$share/all/muster/v1/events/#",
            "$share/all/muster/v1/integrators/erp/down/#",
            "muster/v1/operators/admin/down/#",
        ] {
            assert!(erp.is_refused("erp:curious", filter), "{version} {filter}");
        }
        // It reads and changes nothing.
        let change = r#"{"request_id":"x","device_id":"x"}"#;
        assert!(erp.is_denied(&erp.up("registry/register"), change), "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto-clients and paho-mqtt; tests/run installs them"]
async fn mosquitto_says_what_only_the_plant_understands() {
    let world = World::new().await;
    let admin = world.admin().await;
    let person = v1::PutPerson {
        id: "plant".into(),
        kind: "integrators".into(),
        data_devices: vec!["+".into()],
        ..v1::PutPerson::default()
    };
    let _: v1::Changed = admin.ask(ServiceName::Registry, "put-person", &person).await;
    let home = world.issue(&admin, "integrators", "plant").await;
    for version in VERSIONS {
        let id = format!("pump-{version}");
        let identity = provisioned(&world, &admin, &id).await;
        let device = Mosquitto::new(&world, &format!("devices/{id}"), &identity, version);
        let data = device.up("front-door/data");
        let unheard = device.publish(&data, r#"{"litres":0}"#);
        assert!(unheard.is_acknowledged(), "{version}: {unheard:?}");

        let plant = Mosquitto::new(&world, "integrators/plant", &home, version);
        let listener = plant.listen(&["muster/v1/devices/+/up/front-door/data"]);
        let published = device.publish(&data, r#"{"litres":3.2}"#);
        assert!(published.is_acknowledged(), "{version}: {published:?}");
        let said = listener.next(&format!("devices/{id}/up/front-door/data"));
        assert_eq!(said, json!({"litres": 3.2}));
        assert!(device.is_refused(&format!("{id}:curious"), "muster/v1/devices/+/up/front-door/data"));
        assert!(plant.is_refused("plant:curious", "muster/v1/devices/+/up/registry/report"));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto-clients and paho-mqtt; tests/run installs them"]
async fn mosquitto_is_a_claim() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-1", "pump-2"]).await;
    let home = world.claim(&admin, "spring", 10).await;
    let claim = Mosquitto::new(&world, "claims/pump-1", &home, "mqttv5");
    for filter in [
        "muster/v1/claims/pump-2/down/#",
        "muster/v1/claims/+/down/#",
        "muster/v1/devices/pump-1/down/#",
        "muster/v1/events/#",
    ] {
        assert!(claim.is_refused("pump-1", filter), "{filter}");
    }
    for topic in [
        "muster/v1/claims/pump-2/up/provisioning/sign",
        "muster/v1/devices/pump-1/up/registry/report",
        "muster/v1/claims/pump-1/up/registry/show",
    ] {
        let published = claim.publish_as_itself(topic, r#"{"request_id":"x"}"#);
        assert!(
            published.said.contains("Not authorized"),
            "{topic}: {published:?}"
        );
    }
    let key = pki::generate_key(pki::KeyKind::P256).unwrap();
    let sign = json!({"request_id": "first", "csr": pki::csr_for(&key, "pump-1").unwrap()}).to_string();
    let (up, down) = (claim.up("provisioning/sign"), claim.down("sign"));
    let first = claim.request("pump-1", &up, &down, &sign).unwrap();
    assert!(
        first["certificate"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    // After a lost connection the same request gets the same certificate.
    assert_eq!(claim.request("pump-1", &up, &down, &sign).unwrap(), first);
    world.until_stage(&admin, "pump-1", Stage::Provisioned).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto-clients and paho-mqtt; tests/run installs them"]
async fn paho_in_every_role() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["victim"]).await;
    let before = world.shown(&admin, "victim").await;
    viewer(&world, &admin, "vera").await;
    world.integrator(&admin, "erp", &["registry/#"]).await;
    for version in ["3", "5"] {
        let device = format!("pump-{version}");
        provisioned(&world, &admin, &device).await;
        let output = Command::new(repository().join("target/python/bin/python"))
            .arg(repository().join("tests/strangers/paho_roles.py"))
            .args(["--version", version, "--device", &device])
            .args(["--port", &world.endpoint().port.to_string()])
            .arg("--folder")
            .arg(world.folder())
            .output()
            .unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        println!("{out}");
        assert!(output.status.success(), "MQTT {version}:\n{out}{err}");
    }
    assert_eq!(world.shown(&admin, "victim").await, before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto-clients and paho-mqtt; tests/run installs them"]
async fn paho_over_websocket() {
    let world = World::with(&[
        ("MUSTER_LISTEN__WEBSOCKET", "127.0.0.1:0"),
        (
            "MUSTER_LISTEN__WEBSOCKET_ORIGINS",
            "[\"https://console.example.com\"]",
        ),
    ])
    .await;
    let admin = world.admin().await;
    provisioned(&world, &admin, "pump-1").await;
    let asked = v1::ListListeners::default();
    let listed: v1::ListenersListed = admin.ask(ServiceName::FrontDoor, "listeners", &asked).await;
    let websocket = listed.listeners.iter().find(|l| l.name == "websocket").unwrap();
    assert!(websocket.tls);
    let (_, port) = websocket.address.rsplit_once(':').unwrap();
    let output = Command::new(repository().join("target/python/bin/python"))
        .arg(repository().join("tests/strangers/paho_websocket.py"))
        .args(["--port", port, "--device", "pump-1", "--folder"])
        .arg(world.folder())
        .output()
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    println!("{out}");
    assert!(output.status.success(), "{out}{err}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node with mqtt.js; tests/run installs them"]
async fn mqtt_js_in_every_role() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["victim"]).await;
    let before = world.shown(&admin, "victim").await;
    viewer(&world, &admin, "vera").await;
    world.integrator(&admin, "erp", &["registry/#"]).await;
    for version in ["3", "5"] {
        let device = format!("pump-{version}");
        provisioned(&world, &admin, &device).await;
        let output = Command::new("node")
            .arg(repository().join("tests/strangers/mqttjs_roles.cjs"))
            .args([version, &world.endpoint().port.to_string()])
            .arg(world.folder())
            .arg(&device)
            .env("NODE_PATH", repository().join("target/node/node_modules"))
            .output()
            .unwrap();
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        println!("{out}");
        assert!(output.status.success(), "MQTT {version}:\n{out}{err}");
    }
    assert_eq!(world.shown(&admin, "victim").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rumqttc_is_a_device() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["victim"]).await;
    let before = world.shown(&admin, "victim").await;
    for version in [Version::Three, Version::Five] {
        let id = format!("pump-{version:?}");
        let home = provisioned(&world, &admin, &id).await;
        let mut device = Rumqttc::connect(&world, &format!("devices/{id}"), "", &home, version).await;
        assert!(device.subscribe(&device.down("#")).await);
        for filter in ["muster/v1/devices/victim/down/#", "muster/v1/events/#", "#"] {
            assert!(!device.subscribe(filter).await, "{version:?} {filter}");
        }
        let report = json!({"request_id": "r-1", "model": "p200", "firmware_version": "1.0.0"}).to_string();
        assert!(device.publish(&device.up("registry/report"), &report).await);
        let reply = device.next("down/registry/report/accepted").await.payload;
        assert_eq!((&reply["request_id"], &reply["id"]), (&json!("r-1"), &json!(id)));
        assert_eq!(world.shown(&admin, &id).await.stage(), Stage::Active);

        let beat = json!({"uptime_ms": "60000", "metrics": {"temperature": 41.5}}).to_string();
        assert!(device.publish(&device.up("monitoring/heartbeat"), &beat).await);
        until_temperature(&admin, &id, 41.5).await;

        let others = "muster/v1/devices/victim/up/registry/report";
        assert!(
            device.is_denied(others, r#"{"model":"stolen"}"#).await,
            "{version:?}"
        );
        let no_verb_of_its_own = device.up("registry/register");
        assert!(device.is_denied(&no_verb_of_its_own, "{}").await, "{version:?}");
        if version == Version::Five {
            let (ask, mine) = (device.up("registry/standing"), device.down("mine"));
            assert!(device.publish_with(&ask, "{}", Some((b"c-1", &mine))).await);
            let reply = device.next("down/mine").await;
            assert_eq!(reply.correlation.as_deref(), Some(&b"c-1"[..]));
            assert_eq!(reply.payload["stage"], "STAGE_ACTIVE");
        }
        device.leave().await;
    }
    assert_eq!(world.shown(&admin, "victim").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rumqttc_is_an_operator_and_an_integrator() {
    let world = World::new().await;
    let admin = world.admin().await;
    let vera = viewer(&world, &admin, "vera").await;
    let erp = world.integrator(&admin, "erp", &["registry/#"]).await;
    let home = world.folder().join("people/admin");
    for version in [Version::Three, Version::Five] {
        let mut integrator = Rumqttc::connect(&world, "integrators/erp", "", &erp, version).await;
        assert!(integrator.subscribe("muster/v1/events/registry/#").await);
        for filter in ["muster/v1/events/#", "muster/v1/operators/admin/down/#"] {
            assert!(!integrator.subscribe(filter).await, "{version:?} {filter}");
        }

        let mut operator = Rumqttc::connect(&world, "operators/admin", ":rumqttc", &home, version).await;
        assert!(operator.subscribe(&operator.down("#")).await);
        let id = format!("new-{version:?}");
        let register = json!({"request_id": id, "device_id": id, "model": "p200"}).to_string();
        let mut answers = Vec::new();
        for _ in 0..2 {
            assert!(
                operator
                    .publish(&operator.up("registry/register"), &register)
                    .await
            );
            answers.push(operator.next("down/registry/register/accepted").await.payload);
        }
        assert_eq!(answers[0], answers[1]);
        let other = json!({"request_id": id, "device_id": id, "model": "p300"}).to_string();
        let done = operator.publish(&operator.up("registry/register"), &other).await;
        assert_eq!(done, version == Version::Three, "MQTT 3.1.1 cannot say it");
        let refusal = operator.next("down/registry/register/rejected").await.payload;
        assert_eq!(refusal["code"], "conflict");
        operator.leave().await;

        let event = integrator.next(&format!("devices/{id}/registered")).await.payload;
        assert_eq!(
            (&event["type"], &event["actor"]),
            (
                &json!("muster.registry.device.registered.v1"),
                &json!("operators/admin")
            )
        );
        integrator.leave().await;

        let mut viewer = Rumqttc::connect(&world, "operators/vera", "", &vera, version).await;
        assert!(viewer.subscribe(&viewer.down("#")).await);
        let late = json!({"request_id": "v-1", "device_id": "never"}).to_string();
        assert!(
            viewer.is_denied(&viewer.up("registry/register"), &late).await,
            "{version:?}"
        );
        viewer.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto-clients, paho-mqtt, Node with mqtt.js, and the example; tests/run installs and builds them"]
async fn the_page_for_other_clients_does_what_it_says() {
    let world = World::new().await;
    let page = Page::of(&world, "docs/mqtt-clients.md");
    let said = page.typed();
    println!("{said}");
    for words in [
        "\"code\":\"not-found\"",
        "\"stage\":\"STAGE_ACTIVE\"",
        "\"to\":\"RESTRICTION_QUARANTINED\"",
        "muster.registry.device.restricted.v1",
        "\"complete\":true",
    ] {
        assert!(said.contains(words), "`{words}` is not in\n{said}");
    }
    assert!(page.folder().join("pump-7.pem").exists());
    let answered = "devices/pump-7/down/registry/standing/accepted";
    page.runs("python", &repository().join("target/python/bin/python"), answered);
    page.runs("js", Path::new("node"), answered);
    page.runs_rust(answered);
}
