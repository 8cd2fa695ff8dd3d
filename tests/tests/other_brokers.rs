//! The policy as other brokers keep it: Mosquitto itself, with what `muster policy export mosquitto` wrote; and what EMQX
//! asks of `muster policy serve`, by curl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Shared with tests that use all of it.
#[allow(dead_code)]
#[path = "../strangers/mosquitto.rs"]
mod mosquitto;
// Shared with tests that use all of it.
#[allow(dead_code)]
#[path = "../strangers/page.rs"]
mod page;
// Shared with tests that use all of it.
#[allow(dead_code)]
#[path = "../strangers/wire.rs"]
mod wire;

use std::{
    fs,
    io::Write,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use contract::{
    ServiceName,
    v1::{self, Changed},
    verb::{Promise, VERBS},
};
use mosquitto::Mosquitto as Stranger;
use page::Page;
use serde_json::{Value, json};
use wire::Wire;
use world::{Person, Process, World, free_port, muster, muster_program, signal};

/// Mosquitto on the exported files, and a second listener without TLS that may do everything: the test's eyes.
struct Mosquitto {
    broker: Child,
    port: u16,
    plain: u16,
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.broker.kill();
        let _ = self.broker.wait();
    }
}

impl Mosquitto {
    fn start(world: &World) -> Mosquitto {
        let (port, plain) = (free_port(), free_port());
        let out = world.folder().join("mosquitto");
        export(world, &out, port);
        let edit = |name: &str, change: &dyn Fn(String) -> String| {
            let path = out.join(name);
            fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
        };
        edit("muster.acl", &|acl| format!("topic readwrite #\n{acl}"));
        edit("muster.conf", &|conf| {
            let conf = conf.replace("allow_anonymous false", "allow_anonymous true");
            format!("{conf}listener {plain} 127.0.0.1\nuser root\n")
        });
        let mut broker = Command::new("mosquitto");
        broker.arg("-c").arg(out.join("muster.conf"));
        let mosquitto = Mosquitto {
            broker: broker.stderr(Stdio::null()).spawn().unwrap(),
            port,
            plain,
        };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "mosquitto does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        mosquitto
    }

    fn client(&self, program: &str, identity: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", "localhost", "-V", "5", "-p", &self.port.to_string()]);
        for (option, file) in [
            ("--cafile", "roots.pem"),
            ("--cert", "certificate.pem"),
            ("--key", "key.pem"),
        ] {
            command.arg(option).arg(identity.join(file));
        }
        command
    }

    /// Whether this principal may publish on the topic: Mosquitto says so in its PUBACK.
    fn takes(&self, identity: &Path, topic: &str) -> bool {
        let mut publish = self.client("mosquitto_pub", identity);
        let output = publish
            .args(["-q", "1", "-m", "x", "-t", topic])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        !said(&output).contains("ot authorized")
    }

    /// Somebody who may do everything publishes on the topic.
    fn says(&self, topic: &str) {
        let mut says = Command::new("mosquitto_pub");
        says.args(["-h", "127.0.0.1", "-p", &self.plain.to_string()]);
        says.args(["-q", "1", "-m", "1", "-t", topic]);
        assert!(says.status().unwrap().success());
    }

    /// Whether this principal gets what somebody publishes on the topic. What is published after it on a topic of the
    /// principal's own comes for certain.
    fn delivers(&self, who: &Stranger, own: &str, topic: &str) -> bool {
        let listener = who.listen(&["#"]);
        self.says(topic);
        self.says(own);
        let heard = listener.topics_until(own);
        heard.iter().any(|one| one == topic)
    }

    fn lets_in(&self, identity: &Path) -> bool {
        let mut publish = self.client("mosquitto_pub", identity);
        publish
            .args(["-q", "1", "-m", "x", "-t", "nowhere"])
            .output()
            .unwrap()
            .status
            .success()
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn export(world: &World, out: &Path, port: u16) {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let (out, port) = (out.to_str().unwrap(), port.to_string());
    let begun = Instant::now();
    // The first list is made when the server has started, and nothing is exported without one.
    while !muster(
        world.folder(),
        &["--json", "--server", &server, "cert", "authorities"],
    )
    .contains("BEGIN X509 CRL")
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "no list is made");
        std::thread::sleep(Duration::from_millis(50));
    }
    muster(
        world.folder(),
        &[
            "--server",
            &server,
            "policy",
            "export",
            "mosquitto",
            "--out",
            out,
            "--listen",
            &port,
        ],
    );
}

async fn device(world: &World, admin: &Person, id: &str) -> PathBuf {
    world.register(admin, &[id]).await;
    let claim = world.claim(admin, &format!("for-{id}"), 1).await;
    world.provision(&claim, id).await;
    world.folder().join("identities").join(id)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto; tests/run installs it"]
async fn mosquitto_keeps_the_exported_policy() {
    let world = World::new().await;
    let admin = world.admin().await;
    let pump = device(&world, &admin, "pump-1").await;
    let sick = device(&world, &admin, "pump-2").await;
    let stolen = device(&world, &admin, "pump-3").await;
    let erp = world.integrator(&admin, "erp", &["registry/#"]).await;
    let operator = world.folder().join("people/admin");
    let quarantine = v1::RestrictDevice {
        device_id: "pump-2".into(),
        reason: "odd traffic".into(),
        ..v1::RestrictDevice::default()
    };
    let _: Changed = admin.ask(ServiceName::Registry, "quarantine", &quarantine).await;
    revoke(&world, &admin, "pump-3").await;
    let mosquitto = Mosquitto::start(&world);

    assert!(!mosquitto.lets_in(&stolen), "a revoked certificate");
    for (who, topic, expected) in [
        (&pump, "devices/pump-1/up/registry/report", true),
        (&pump, "devices/pump-1/up/registry/register", false),
        (&pump, "devices/pump-2/up/registry/report", false),
        (&pump, "devices/pump-1/down/registry/report", false),
        (&pump, "operators/pump-1/up/registry/show", false),
        (&pump, "claims/pump-1/up/provisioning/sign", false),
        (&pump, "events/registry/devices/pump-1/moved", false),
        (&sick, "devices/pump-2/up/registry/report", true),
        (&operator, "operators/admin/up/registry/register", true),
        (&operator, "devices/admin/up/registry/report", false),
        (&operator, "facts/registry/device/pump-1", false),
        (&erp, "integrators/erp/up/registry/replay", true),
        (&erp, "operators/erp/up/registry/show", false),
    ] {
        let topic = format!("muster/v1/{topic}");
        assert_eq!(
            mosquitto.takes(who, &topic),
            expected,
            "{} {topic}",
            who.display()
        );
    }
    let stranger = |who: &str, identity| Stranger::new(&world, who, identity, "mqttv5").at(mosquitto.port);
    let [device, integrator, person] = [
        (stranger("devices/pump-1", &pump), "devices/pump-1/down/end"),
        (stranger("integrators/erp", &erp), "events/registry/end"),
        (stranger("operators/admin", &operator), "operators/admin/down/end"),
    ];
    for ((who, own), topic, expected) in [
        (&device, "devices/pump-1/down/registry/retire", true),
        (&device, "devices/pump-2/down/registry/retire", false),
        (&integrator, "events/registry/devices/pump-1/moved", true),
        (&integrator, "events/provisioning/certificates/00/issued", false),
        (&person, "events/provisioning/certificates/00/issued", true),
        (&person, "facts/registry/device/pump-1", false),
    ] {
        let [topic, own] = [topic, own].map(|topic| format!("muster/v1/{topic}"));
        let delivered = mosquitto.delivers(who, &own, &topic);
        assert_eq!(delivered, expected, "{own} {topic}");
    }

    // Export and SIGHUP again: what was decided since holds.
    revoke(&world, &admin, "pump-1").await;
    export(&world, &world.folder().join("mosquitto"), mosquitto.port);
    signal(mosquitto.broker.id(), "HUP");
    let begun = Instant::now();
    while mosquitto.lets_in(&pump) {
        assert!(begun.elapsed() < Duration::from_secs(60), "revoked since");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(mosquitto.lets_in(&erp));
}

/// What there is to publish in a principal's own tree: the whole verb table but for what the front door itself answers.
fn own_topics(own: &str) -> Vec<String> {
    VERBS
        .iter()
        .filter(|verb| verb.service != ServiceName::FrontDoor || verb.promise == Promise::Delivery)
        .map(|verb| format!("muster/v1/{own}/up/{}/{}", verb.service, verb.name))
        .collect()
}

/// Which of the topics this principal may publish on, as the broker at a port acknowledges it. The payload is one that no
/// service takes.
async fn published(world: &World, port: u16, identity: &Path, id: &str, topics: &[String]) -> Vec<bool> {
    let mut wire = entered(world, port, identity, id).await;
    let mut may = Vec::new();
    for topic in topics {
        wire.send(&wire::publish(0x32, topic, "", b"\xff")).await;
        let code = wire.acknowledgement().await.0.code;
        may.push(![0x87, 0x90].contains(&code));
    }
    may
}

async fn entered(world: &World, port: u16, identity: &Path, client_id: &str) -> Wire {
    let tls = wire::tls(&world.roots(), Some(identity));
    let mut wire = Wire::open(port, tls).await.unwrap();
    wire.send(&wire::connect(client_id)).await;
    let connack = wire.next().await.unwrap();
    assert_eq!((connack.first, connack.body[1]), (0x20, 0), "{connack:?}");
    wire
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto; tests/run installs it"]
async fn mosquitto_lets_everybody_publish_what_the_front_door_does_and_nothing_more() {
    let world = World::new().await;
    let admin = world.admin().await;
    let people = |who: &str| world.folder().join("people").join(who);
    let pump = device(&world, &admin, "pump-1").await;
    let sick = device(&world, &admin, "pump-2").await;
    let shut_out = device(&world, &admin, "pump-3").await;
    let claim = world.claim(&admin, "spring", 1).await;
    let erp = world.integrator(&admin, "erp", &["registry/#"]).await;
    for (verb, device_id) in [("quarantine", "pump-2"), ("suspend", "pump-3")] {
        let restrict = v1::RestrictDevice {
            device_id: device_id.into(),
            reason: "odd traffic".into(),
            ..v1::RestrictDevice::default()
        };
        let _: Changed = admin.ask(ServiceName::Registry, verb, &restrict).await;
    }
    let mosquitto = Mosquitto::start(&world);
    let muster = world.endpoint().port;
    let all = VERBS.len() * 4;
    let topics: Vec<_> = [
        "devices/pump-1",
        "devices/pump-2",
        "operators/admin",
        "integrators/erp",
    ]
    .into_iter()
    .flat_map(own_topics)
    .collect();
    for (identity, id) in [
        (&pump, "pump-1"),
        (&sick, "pump-2"),
        (&people("admin"), "admin:raw"),
        (&erp, "erp"),
    ] {
        let here = published(&world, muster, identity, id, &topics).await;
        let there = published(&world, mosquitto.port, identity, id, &topics).await;
        let granted = here.iter().filter(|may| **may).count();
        assert!(granted > 0 && granted < all / 3, "{id}: {granted} of {all}");
        for ((topic, here), there) in topics.iter().zip(here).zip(there) {
            assert_eq!(here, there, "{id} {topic}");
        }
    }
    // Whom the front door does not let in at all, or to Muster itself alone.
    for (identity, id, own) in [
        (&shut_out, "pump-3", "devices/pump-3"),
        (&claim, "spring", "claims/spring"),
        (&claim, "spring", "devices/spring"),
    ] {
        let may = published(&world, mosquitto.port, identity, id, &own_topics(own)).await;
        assert!(!may.contains(&true), "{own}");
    }

    // Nobody ends another's session by its client id.
    let mut sessions = entered(&world, mosquitto.port, &sick, "pump-2").await;
    let _same = entered(&world, mosquitto.port, &pump, "pump-2").await;
    let down = "muster/v1/devices/pump-2/down/#";
    assert_eq!(sessions.subscribe(&[down]).await, [0], "it is still there");
}

/// How many certificates the revocation list names.
async fn listed(world: &World, admin: &Person) -> usize {
    let asked = v1::GetAuthorities::default();
    let told: v1::Authorities = admin.ask(ServiceName::Provisioning, "authorities", &asked).await;
    let pem = |name: &str| fs::read_to_string(world.folder().join("pki").join(name)).unwrap();
    let issuing = pki::IssuingCertificate::read(&pem("issuing.pem"), &pem("root.pem")).unwrap();
    let lists = pki::PublishedList::read_all(told.crl.as_bytes(), &[issuing]).unwrap();
    lists.iter().map(|list| list.revoked.len()).sum()
}

/// Revokes a device's certificate, and waits for the list that names it.
async fn revoke(world: &World, admin: &Person, device: &str) {
    let before = listed(world, admin).await;
    let revoke = v1::Revoke {
        kind: "devices".into(),
        id: device.into(),
        reason: "keyCompromise".into(),
        ..v1::Revoke::default()
    };
    let _: v1::Revoked = admin.ask(ServiceName::Provisioning, "revoke", &revoke).await;
    let begun = Instant::now();
    while listed(world, admin).await == before {
        assert!(begun.elapsed() < Duration::from_secs(60), "no list is made");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl and jq; tests/run installs them"]
async fn emqx_is_answered_as_the_page_says() {
    let world = World::new().await;
    let page = Page::of(&world, "docs/other-brokers.md").elsewhere("8091");
    let said = page.typed();
    println!("{said}");
    for words in [
        "\"client_attrs\":{\"muster\":\"operators/admin/",
        "{\"result\":\"allow\"}",
        "{\"result\":\"deny\"}",
    ] {
        assert!(said.contains(words), "`{words}` is not in\n{said}");
    }
}

/// `muster policy serve`, and curl as the broker that asks.
struct Hooks {
    process: Child,
    url: String,
    /// Options of curl that make it trust the server.
    trust: Vec<String>,
    secret: String,
    log: PathBuf,
    /// What is said of whoever has no certificate.
    of_strangers: String,
}

impl Drop for Hooks {
    fn drop(&mut self) {
        signal(self.process.id(), "TERM");
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
    }
}

impl Hooks {
    fn start(world: &World, over_tls: bool) -> Hooks {
        Hooks::start_with(world, over_tls, &[])
    }

    fn start_with(world: &World, over_tls: bool, options: &[&str]) -> Hooks {
        let folder = world.folder();
        let (secret, port) = ("a secret of some length", free_port());
        let file = folder.join("hooks.secret");
        fs::write(&file, format!("{secret}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let mut serve = Command::new(muster_program());
        serve
            .arg("--dir")
            .arg(folder)
            .args(["--server", &format!("127.0.0.1:{}", world.endpoint().port)]);
        serve.args([
            "policy",
            "serve",
            "--fresh",
            "200ms",
            "--listen",
            &format!("127.0.0.1:{port}"),
        ]);
        serve.arg("--secret").arg(&file).args(options);
        let (mut scheme, mut trust) = ("http", Vec::new());
        if over_tls {
            serve.arg("--certificate").arg(folder.join("pki/server.pem"));
            serve.arg("--key").arg(folder.join("pki/server.key"));
            scheme = "https";
            trust = vec![
                "--cacert".into(),
                folder.join("pki/root.pem").to_str().unwrap().into(),
            ];
        }
        let log = folder.join("hooks.log");
        let process = serve
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Hooks {
            process,
            url: format!("{scheme}://127.0.0.1:{port}"),
            trust,
            secret: secret.into(),
            log,
            of_strangers: options.last().unwrap_or(&"deny").to_string(),
        }
    }

    /// What it has logged when it has ended.
    fn ended(self) -> String {
        let log = self.log.clone();
        drop(self);
        fs::read_to_string(log).unwrap()
    }

    /// The status, and the answer.
    fn post(&self, path: &str, body: &str, secret: &str) -> (u16, Value) {
        let mut curl = Command::new("curl");
        curl.args([
            "-s",
            "-w",
            "\n%{http_code}",
            "-H",
            "content-type: application/json",
            "-d",
            "@-",
        ]);
        curl.args(&self.trust)
            .arg("-H")
            .arg(format!("authorization: Bearer {secret}"));
        let mut curl = curl
            .arg(format!("{}{path}", self.url))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It may be refused before all of it was read.
        let _ = curl.stdin.take().unwrap().write_all(body.as_bytes());
        let output = String::from_utf8(curl.wait_with_output().unwrap().stdout).unwrap();
        let (answer, status) = output.rsplit_once('\n').unwrap();
        (
            status.parse().unwrap(),
            serde_json::from_str(answer).unwrap_or_default(),
        )
    }

    /// In each of the forms in which EMQX may ask.
    fn ask(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, &body.to_string(), &self.secret);
        assert_eq!(status, 200, "{answer}");
        for form in [&["-G"][..], &[]] {
            assert_eq!(self.form(path, body, form), answer, "{form:?} {body}");
        }
        answer
    }

    /// The fields as a form: in the body, or behind the address of a GET.
    fn form(&self, path: &str, fields: &Value, how: &[&str]) -> Value {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-f"]).args(how).args(&self.trust);
        curl.arg("-H")
            .arg(format!("authorization: Bearer {}", self.secret));
        for (name, value) in fields.as_object().unwrap() {
            curl.arg("--data-urlencode");
            curl.arg(format!("{name}={}", value.as_str().unwrap()));
        }
        let output = curl.arg(format!("{}{path}", self.url)).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// As EMQX asks when a client with this certificate connects; the identity that it was told.
    fn connects(&self, identity: &Path, client_id: &str) -> Option<String> {
        let pem = fs::read_to_string(identity.join("certificate.pem")).unwrap();
        let first = pem.split_inclusive("-----END CERTIFICATE-----").next().unwrap();
        let name = client_id.split(':').next().unwrap();
        let told = Command::new("base64")
            .arg("-w0")
            .arg(identity.join("certificate.pem"))
            .output();
        let told = String::from_utf8(told.unwrap().stdout).unwrap();
        let by_name = json!({"clientid": client_id, "certificate": first, "common_name": name});
        // What TLS has seen counts, whatever the client writes as its user name.
        let by_tls =
            json!({"clientid": client_id, "cert_pem": told, "certificate": "no", "common_name": name});
        let nothing =
            json!({"clientid": client_id, "cert_pem": "", "certificate": first, "common_name": name});
        assert_eq!(self.ask("/authn", &nothing)["result"], self.of_strangers.as_str());
        let answer = self.ask("/authn", &by_tls);
        assert_eq!(answer, self.ask("/authn", &by_name));
        let identity = answer["client_attrs"]["muster"].as_str().map(str::to_owned);
        assert_eq!(
            answer["result"],
            if identity.is_some() { "allow" } else { "deny" }
        );
        assert_ne!(answer["is_superuser"], true);
        identity
    }

    fn may(&self, client_id: &str, identity: &str, action: &str, topic: &str) -> bool {
        let retain = if action == "publish" { "false" } else { "undefined" };
        let topic = format!("muster/v1/{topic}");
        let body = json!({"clientid": client_id, "identity": identity, "action": action, "topic": topic, "retain": retain});
        self.ask("/authz", &body)["result"] == "allow"
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl; tests/run installs it"]
async fn emqx_is_told_what_the_front_door_would_do() {
    let world = World::new().await;
    let admin = world.admin().await;
    let pump = device(&world, &admin, "pump-1").await;
    let erp = world.integrator(&admin, "erp", &["registry/#"]).await;
    for over_tls in [false, true] {
        let hooks = Hooks::start(&world, over_tls);
        let device = hooks.connects(&pump, "pump-1:a").expect("the device is let in");
        assert_eq!(hooks.connects(&pump, "pump-2"), None, "another's client id");
        let integrator = hooks.connects(&erp, "erp").expect("the integrator is let in");
        for (client_id, identity, action, topic, expected) in [
            (
                "pump-1:a",
                &device,
                "publish",
                "devices/pump-1/up/registry/report",
                true,
            ),
            (
                "pump-1:a",
                &device,
                "publish",
                "devices/pump-1/up/registry/register",
                false,
            ),
            (
                "pump-1:a",
                &device,
                "publish",
                "devices/pump-2/up/registry/report",
                false,
            ),
            ("pump-1:a", &device, "subscribe", "devices/pump-1/down/#", true),
            ("pump-1:a", &device, "subscribe", "devices/+/down/#", false),
            (
                "pump-2",
                &device,
                "publish",
                "devices/pump-1/up/registry/report",
                false,
            ),
            ("erp", &integrator, "subscribe", "events/registry/#", true),
            ("erp", &integrator, "subscribe", "events/#", false),
            (
                "erp",
                &integrator,
                "publish",
                "integrators/erp/up/registry/replay",
                true,
            ),
        ] {
            assert_eq!(
                hooks.may(client_id, identity, action, topic),
                expected,
                "{client_id} {action} {topic}"
            );
        }
        for (path, body, secret, status) in [
            ("/authn", "{}", "a wrong secret of some length", 401),
            ("/authn", "{", &*hooks.secret, 400),
            ("/authz", "{\"action\":\"dance\"}", &hooks.secret, 400),
            ("/acl", "{}", &hooks.secret, 404),
            ("/authn", &"x".repeat(1_000_000), &hooks.secret, 413),
        ] {
            assert_eq!(hooks.post(path, body, secret).0, status, "{path}");
        }
    }
    // What is decided meanwhile holds at once, or nearly: what was heard before counts for 200 ms.
    let hooks = Hooks::start(&world, false);
    let identity = hooks.connects(&pump, "pump-1").unwrap();
    let report = "devices/pump-1/up/registry/report";
    for (verb, expected) in [("suspend", false), ("release", true)] {
        let restrict = v1::RestrictDevice {
            device_id: "pump-1".into(),
            reason: "odd traffic".into(),
            ..v1::RestrictDevice::default()
        };
        let _: Changed = admin.ask(ServiceName::Registry, verb, &restrict).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let may = hooks.may("pump-1", &identity, "publish", report);
        assert_eq!(may, expected, "{verb}");
    }
    revoke(&world, &admin, "pump-1").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!hooks.may("pump-1", &identity, "publish", report));
    assert_eq!(hooks.connects(&pump, "pump-1"), None);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl; tests/run installs it"]
async fn emqx_hears_nothing_of_others_where_it_asks_somebody_else_about_them() {
    let world = World::new().await;
    let admin = world.admin().await;
    let pump = device(&world, &admin, "pump-1").await;
    let theirs = json!({"clientid": "theirs", "cert_pem": "", "certificate": "", "common_name": "theirs"});
    let does = json!({
        "clientid": "theirs", "identity": "undefined", "action": "publish", "topic": "a/b", "retain": "false",
    });
    for (options, expected) in [(&[][..], "deny"), (&["--others", "ignore"], "ignore")] {
        let hooks = Hooks::start_with(&world, false, options);
        for (path, question) in [("/authn", &theirs), ("/authz", &does)] {
            assert_eq!(hooks.ask(path, question), json!({ "result": expected }), "{path}");
        }
        // Ours is told what it may, and what not, as ever.
        let identity = hooks.connects(&pump, "pump-1").expect("the device is let in");
        assert_eq!(hooks.connects(&pump, "pump-2"), None);
        assert!(!hooks.may("pump-1", &identity, "subscribe", "devices/+/down/#"));
        // Of what is alike the log has one line, and the number.
        for _ in 0..50 {
            hooks.form("/authz", &does, &["-G"]);
        }
        let log = hooks.ended();
        let lines = |what: &str| log.lines().filter(|line| line.contains(what)).count();
        assert_eq!(lines("it was not let in by us"), 2, "{log}");
        assert_eq!(lines("and 52 more like it"), 1, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_on_this_machine_or_over_tls_and_never_without_a_secret() {
    let world = World::new().await;
    let secret = world.folder().join("short");
    fs::write(&secret, "short\n").unwrap();
    for (mode, listen, words) in [
        (0o644, "127.0.0.1:0", "chmod 600"),
        (0o600, "127.0.0.1:0", "fewer than 16 characters"),
    ] {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
        refused(&world, &secret, listen, words);
    }
    fs::write(&secret, "long enough, as secrets go\n").unwrap();
    refused(&world, &secret, "0.0.0.0:0", "can be reached from elsewhere");
}

fn refused(world: &World, secret: &Path, listen: &str, words: &str) {
    let secret = secret.to_str().unwrap();
    let arguments = ["policy", "serve", "--secret", secret, "--listen", listen];
    let mut serve = Process::spawn(Process::command(world.folder(), &arguments, &[]));
    let ended = serve.ended(Duration::from_secs(20)).expect("it ends");
    let log = serve.ready(Duration::from_secs(20)).unwrap_err();
    assert_eq!(ended.code(), Some(2), "{log}");
    assert!(log.contains(words), "{log}");
}
