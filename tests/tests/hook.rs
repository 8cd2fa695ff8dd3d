//! Mosquitto's programs stand for the system that answers for devices: question and answer over MQTT.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// Shared with tests that use all of it.
#[allow(dead_code)]
#[path = "../strangers/mosquitto.rs"]
mod mosquitto;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use contract::v1::Stage;
use mosquitto::Mosquitto;
use serde_json::{Value, json};
use world::{World, muster_program};

fn muster(world: &World, arguments: &[&str]) -> String {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    world::muster(world.folder(), &[&["--server", &server], arguments].concat())
}

/// The system that answers.
struct Hook {
    identity: PathBuf,
    port: String,
    plant: Mosquitto,
}

impl Hook {
    fn program(&self, name: &str, client_id: &str, more: &[&str]) -> Command {
        let mut command = Command::new(name);
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port,
            "-V",
            "5",
            "-q",
            "1",
            "-i",
            client_id,
        ]);
        for (flag, file) in [
            ("--cafile", "roots.pem"),
            ("--cert", "certificate.pem"),
            ("--key", "key.pem"),
        ] {
            command.arg(flag).arg(self.identity.join(file));
        }
        command.args(more);
        command
    }

    /// The next question, heard by mosquitto_sub.
    fn next(&self) -> Value {
        let topic = "muster/v1/integrators/plant/down/provisioning/admission";
        let output = self
            .program(
                "mosquitto_sub",
                "plant:hook",
                &["-t", topic, "-C", "1", "-W", "60"],
            )
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Answers by mosquitto_pub; what came back.
    fn answer(&self, request: &str, question: &Value, admit: bool) -> Value {
        let listener = self
            .plant
            .listen(&[&self.plant.down("provisioning/answer-admission/+")]);
        let message = json!({
            "request_id": request, "question": question["question"], "device_id": question["device_id"],
            "fingerprint": question["fingerprint"], "admit": admit, "reason": "looked up",
        });
        self.plant.publish(
            &self.plant.up("provisioning/answer-admission"),
            &message.to_string(),
        );
        listener.next("")
    }
}

fn agent(world: &World, id: &str, claim: &Path) -> Child {
    Command::new(muster_program())
        .arg("--dir")
        .arg(world.folder())
        .args(["--server", &format!("127.0.0.1:{}", world.endpoint().port)])
        .args(["agent", id, "--claim", claim.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn end(mut running: Child) {
    let _ = running.kill();
    let _ = running.wait();
}

fn until_event(world: &World, name: &str) {
    let begun = Instant::now();
    loop {
        let arguments = ["events", "--service", "provisioning", "--filter", "admissions/#"];
        let said = muster(world, &[&arguments[..], &["--replay-only"]].concat());
        if said.contains(name) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no {name}: {said}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto-clients; tests/run installs them"]
async fn mosquitto_answers_for_devices() {
    let mut world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-1", "pump-2", "pump-3"]).await;
    let identity = world.integrator(&admin, "plant", &[]).await;
    let hook = Hook {
        plant: Mosquitto::new(&world, "integrators/plant", &identity, "mqttv5"),
        identity,
        port: world.endpoint().port.to_string(),
    };
    let claim = |world: &World, batch: &str, within: &str| {
        let arguments = ["cert", "claim", batch, "--uses", "9", "--admission", "hook"];
        let more = ["--approver", "integrator/plant", "--answer-within", within];
        muster(world, &[&arguments[..], &more].concat());
        world.folder().join("claims").join(batch)
    };
    let dock = claim(&world, "dock", "10m");

    // Nobody is there to answer at first: the device waits, and is asked for again.
    let first = agent(&world, "pump-1", &dock);
    until_event(&world, "asked");
    let question = hook.next();
    assert_eq!(
        (&question["device_id"], &question["batch"]),
        (&json!("pump-1"), &json!("dock"))
    );

    // The server dies between the question and the answer.
    admin.client.disconnect().await;
    world.kill();
    world.start().await;
    let admin = world.admin().await;
    let said = hook.answer("a-1", &question, true);
    assert_eq!(said, json!({"request_id": "a-1"}));
    world.until_stage(&admin, "pump-1", Stage::Active).await;
    // A second answer that says otherwise, and one to a question that nobody asked.
    let said = hook.answer("a-2", &question, false);
    assert!(
        said["code"] == "not-allowed" || said["code"] == "not-found",
        "{said}"
    );
    let mut forged = question.clone();
    forged["question"] = json!("0000000000000000");
    assert_eq!(hook.answer("a-3", &forged, true)["code"], "not-found");
    end(first);

    // No, and no answer in time.
    let second = agent(&world, "pump-2", &dock);
    let question = hook.next();
    hook.answer("a-4", &question, false);
    until_event(&world, "turned-away");
    end(second);
    let hasty = claim(&world, "hasty", "2s");
    let third = agent(&world, "pump-3", &hasty);
    let question = hook.next();
    // Its device asks no more: what is answered next is that very question, after its time.
    end(third);
    until_event(&world, "expired");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(hook.answer("a-5", &question, true)["code"], "not-found");
    for id in ["pump-2", "pump-3"] {
        assert_eq!(world.shown(&admin, id).await.stage(), Stage::Registered, "{id}");
    }
}
