//! A device in a process of its own, killed with SIGKILL: nothing of it can tidy up.

use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
    time::Duration,
};

use contract::v1::UpdateState as U;
use device::{Device, Endpoint, Settings};

use crate::{
    pump::Watch,
    world::{World, image, public_release_key, release},
};

/// Runs this very program as the device.
fn spawn(settings: &Settings) -> Child {
    let claim = settings.claim.as_ref().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["killed::the_device", "--exact", "--ignored"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let parts = [
        settings.folder.to_str().unwrap(),
        &settings.server.port.to_string(),
        &settings.roots_pem,
        &claim.certificate_pem,
        &claim.key_pem,
    ];
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(parts.join("\0").as_bytes()).unwrap();
    child
}

#[tokio::test]
#[ignore = "the other half of the test below"]
async fn the_device() {
    let mut parts = String::new();
    std::io::stdin().read_to_string(&mut parts).unwrap();
    let parts: Vec<&str> = parts.split('\0').collect();
    let [folder, port, roots, certificate, key] = parts[..] else {
        panic!("nobody says who it is");
    };
    let server = Endpoint {
        host: "127.0.0.1".into(),
        port: port.parse().unwrap(),
    };
    let mut settings = Settings::new(folder, "pump-7".parse().unwrap(), server, roots);
    settings.claim = Some(device::Claim {
        certificate_pem: certificate.into(),
        key_pem: key.into(),
        secret: None,
    });
    settings.release_keys = vec![public_release_key()];
    settings.about.model = "pump".into();
    let device = Device::open(settings, Watch::default()).unwrap();
    device.run(Default::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_forty_points_from_claim_to_confirmation_it_ends_well() {
    let world = World::new().await;
    let settings = world.settings("pump-7");
    let image = image(3, 200 * 1024);
    world.state.lock().slow = Duration::from_millis(10);
    world.assign("pump-7", &release("r1", 3, &image), &image);
    let is_over = || {
        world
            .updates("pump-7")
            .last()
            .is_some_and(|s| *s as i32 >= U::Succeeded as i32)
    };
    let mut kills = 0;
    while kills < 40 && !is_over() {
        let mut child = spawn(&settings);
        tokio::time::sleep(Duration::from_millis(20 + kills * 37 % 150)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    let mut child = spawn(&settings);
    while !is_over() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(kills > 10, "{kills} kills");
    assert_eq!(world.updates("pump-7").last(), Some(&U::Succeeded));
    assert_eq!(world.state.lock().serials, 1);
    assert_eq!(std::fs::read(settings.folder.join("slot-b")).unwrap(), image);
    let running = Device::open(settings, Watch::default()).unwrap().image().unwrap();
    assert_eq!(running.version, "1.3.0");
}
