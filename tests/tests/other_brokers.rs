//! The policy as Mosquitto keeps it: the broker itself, with what `muster policy export mosquitto` wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use contract::{
    ServiceName,
    v1::{self, Changed},
};
use world::{Person, World, free_port, muster, signal};

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
                begun.elapsed() < Duration::from_secs(10),
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

    /// Whether this principal gets what somebody publishes on the topic.
    fn delivers(&self, identity: &Path, topic: &str) -> bool {
        let mut listener = self.client("mosquitto_sub", identity);
        let listener = listener
            .args(["-q", "1", "-C", "1", "-W", "3", "-t", "#"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(400));
            let mut eyes = Command::new("mosquitto_pub");
            eyes.args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.plain.to_string(),
                "-q",
                "1",
                "-m",
                "word",
                "-t",
                topic,
            ]);
            assert!(eyes.status().unwrap().success());
        }
        let output = listener.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).contains("word")
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
    revoke(&admin, "pump-3").await;
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
    for (who, topic, expected) in [
        (&pump, "devices/pump-1/down/registry/retire", true),
        (&pump, "devices/pump-2/down/registry/retire", false),
        (&erp, "events/registry/devices/pump-1/moved", true),
        (&erp, "events/provisioning/certificates/00/issued", false),
        (&operator, "events/provisioning/certificates/00/issued", true),
        (&operator, "facts/registry/device/pump-1", false),
    ] {
        let topic = format!("muster/v1/{topic}");
        assert_eq!(
            mosquitto.delivers(who, &topic),
            expected,
            "{} {topic}",
            who.display()
        );
    }

    // Export and SIGHUP again: what was decided since holds.
    revoke(&admin, "pump-1").await;
    export(&world, &world.folder().join("mosquitto"), mosquitto.port);
    signal(mosquitto.broker.id(), "HUP");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!mosquitto.lets_in(&pump), "revoked since");
    assert!(mosquitto.lets_in(&erp));
}

async fn revoke(admin: &Person, device: &str) {
    let revoke = v1::Revoke {
        kind: "devices".into(),
        id: device.into(),
        reason: "keyCompromise".into(),
        ..v1::Revoke::default()
    };
    let _: v1::Revoked = admin.ask(ServiceName::Provisioning, "revoke", &revoke).await;
    // The list with it is made within the second.
    tokio::time::sleep(Duration::from_secs(2)).await;
}
