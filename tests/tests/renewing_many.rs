//! A mass renewal, as an operator types it: devices that are there, one that is away, and a server that is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{process::Command, time::Duration};

use client::Identity;
use contract::{ServiceName, v1};
use serde_json::Value;
use world::{Person, Process, World, agent, cargo_output, muster};

fn asked(world: &World, arguments: &[&str]) -> (Option<i32>, String, String) {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let output = Command::new(cargo_output("muster"))
        .arg("--dir")
        .arg(world.folder())
        .args(["--json", "--server", &server])
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn told(world: &World, arguments: &[&str]) -> Value {
    let (code, said, errors) = asked(world, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {errors}");
    serde_json::from_str(&said).unwrap()
}

/// What the front door has for a device, or sends it.
async fn order(device: &mut Person) -> v1::RenewOrder {
    loop {
        let delivery = tokio::time::timeout(Duration::from_secs(60), device.inbox.recv());
        let delivery = delivery.await.expect("an order").unwrap();
        if delivery.topic.ends_with("/down/provisioning/renew") {
            return contract::wire::decode(&delivery.payload, "").unwrap();
        }
    }
}

/// A device does as it was told, and comes back with its next certificate.
async fn renewed(world: &World, device: &Person, id: &str) -> Identity {
    let key = pki::generate_key(pki::KeyKind::P256).unwrap();
    let request = v1::Sign {
        csr: pki::csr_for(&key, id).unwrap(),
        ..v1::Sign::default()
    };
    let signed: v1::Signed = device.ask(ServiceName::Provisioning, "renew", &request).await;
    device.client.disconnect().await;
    Identity::from_pem(&signed.certificate, &key, &world.roots()).unwrap()
}

/// Waits until one device of two has come back with its next certificate, and the other one has its order.
async fn until_one_is_renewed(world: &World, id: &str) {
    for _ in 0..600 {
        let shown = told(world, &["cert", "renewals", "show", id]);
        if shown["renewed"] == 1 && shown["told"] == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{id}: {}", told(world, &["cert", "renewals", "show", id]));
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_renew_when_they_are_told_also_after_a_kill_and_also_one_that_was_away() {
    let mut world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-1", "pump-2", "pump-3"]).await;
    let claim = world.claim(&admin, "lot", 3).await;
    let one = world.provision(&claim, "pump-1").await;
    let two = world.provision(&claim, "pump-2").await;
    admin.client.disconnect().await;
    for (identity, id) in [(&one, "pump-1"), (&two, "pump-2")] {
        let device = world.connect(identity, "").await;
        assert_eq!(device.client.who().id.as_str(), id);
        device.client.disconnect().await;
    }
    let mut there = world.connect(&one, "").await;
    let begun = told(
        &world,
        &[
            "cert",
            "renew-all",
            "--batch",
            "lot",
            "--rate",
            "20/s",
            "--reason",
            "a scare",
            "--yes",
        ],
    );
    let id = begun["id"].as_str().unwrap().to_owned();
    let first = order(&mut there).await;
    assert_eq!(first.renewal_id, id);
    let next = renewed(&world, &there, "pump-1").await;
    let _there = world.connect(&next, "").await;
    // Provisioning hears from the front door that the new certificate is in use; nobody waits for that.
    until_one_is_renewed(&world, &id).await;

    world.kill();
    world.start().await;
    let shown = told(&world, &["cert", "renewals", "show", &id]);
    assert_eq!(
        (&shown["devices"], &shown["renewed"], &shown["told"]),
        (&2.into(), &1.into(), &1.into()),
        "{shown}"
    );
    assert_eq!(shown["reason"], "a scare");
    let left = told(&world, &["cert", "renewals", "devices", &id, "--state", "told"]);
    assert_eq!(left["device_id"], "pump-2");
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let watching = {
        let (folder, id) = (world.folder().to_owned(), id.clone());
        std::thread::spawn(move || {
            muster(
                &folder,
                &["--server", &server, "cert", "renewals", "show", &id, "--watch"],
            )
        })
    };
    // The one that is away renews over the certificate that it has, told or not.
    let late = world.connect(&two, "").await;
    let next = renewed(&world, &late, "pump-2").await;
    let _late = world.connect(&next, "").await;
    let said = watching.join().unwrap();
    assert!(said.contains("2 renewed") && said.contains("succeeded"), "{said}");
    // The log of the service tells who began it.
    let entry = told(&world, &["audit", "show", "--verb", "provisioning/renew-many"]);
    assert_eq!(entry["who"], "operators/admin", "{entry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_one_group_has_its_devices_renew_and_no_others() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-1", "pump-2"]).await;
    let claim = world.claim(&admin, "lot", 2).await;
    for id in ["pump-1", "pump-2"] {
        let identity = world.provision(&claim, id).await;
        world.connect(&identity, "").await.client.disconnect().await;
    }
    admin.client.disconnect().await;
    for arguments in [
        "group put berlin",
        "group join berlin pump-1",
        "operator add eve --role security-officer --group berlin",
        "cert issue operator eve",
    ] {
        let arguments: Vec<_> = arguments.split(' ').collect();
        let (code, _, errors) = asked(&world, &arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {errors}");
    }
    let eve = ["--as", "eve", "cert", "renew-all", "--yes"];
    let (code, _, errors) = asked(&world, &[&eve[..], &["--device", "pump-2"]].concat());
    assert!(code == Some(5) && errors.contains("pump-2"), "{code:?} {errors}");
    let begun = told(&world, &[&eve[..], &["--type", "valve"]].concat());
    let (code, _, errors) = asked(
        &world,
        &[
            "cert",
            "renewals",
            "show",
            begun["id"].as_str().unwrap(),
            "--watch",
        ],
    );
    assert!(code == Some(3) && errors.contains("no device fits"), "{errors}");
    let begun = told(&world, &eve);
    let id = begun["id"].as_str().unwrap();
    for _ in 0..600 {
        if told(&world, &["--as", "eve", "cert", "renewals", "show", id])["told"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rows = told(&world, &["--as", "eve", "cert", "renewals", "devices", id]);
    assert_eq!(rows["device_id"], "pump-1", "{rows}");
    told(&world, &["--as", "eve", "cert", "renewals", "abort", id, "--yes"]);
}

async fn says(agent: &Process, what: &str) {
    for _ in 0..600 {
        if agent.log().contains(what) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never says {what}: {}", agent.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_away_renews_when_it_is_back() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-1"]).await;
    let claim = world.claim(&admin, "lot", 1).await;
    admin.client.disconnect().await;
    let mut device = agent(&world, "pump-1", &claim);
    says(&device, "reported").await;
    device.kill();
    let begun = told(&world, &["cert", "renew-all", "--device", "pump-1", "--yes"]);
    let id = begun["id"].as_str().unwrap().to_owned();
    for _ in 0..600 {
        if told(&world, &["cert", "renewals", "show", &id])["told"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut device = agent(&world, "pump-1", &claim);
    says(&device, "renewed").await;
    let (code, said, errors) = asked(&world, &["cert", "renewals", "show", &id, "--watch"]);
    assert!(code == Some(0) && said.contains("SUCCEEDED"), "{said} {errors}");
    device.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_comes_back_finds_its_order_until_it_is_taken_back() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-1", "pump-2"]).await;
    let claim = world.claim(&admin, "lot", 2).await;
    let one = world.provision(&claim, "pump-1").await;
    admin.client.disconnect().await;
    world.connect(&one, "").await.client.disconnect().await;
    let (code, _, errors) = asked(
        &world,
        &["cert", "renew-all", "--where", "model = 'none'", "--yes"],
    );
    assert_eq!(code, Some(3), "{errors}");
    let begun = told(
        &world,
        &["cert", "renew-all", "--where", "model = 'pump'", "--yes"],
    );
    let id = begun["id"].as_str().unwrap().to_owned();
    for _ in 0..600 {
        let shown = told(&world, &["cert", "renewals", "show", &id]);
        // The other one has no certificate that could be renewed.
        if shown["told"] == 1 && shown["failed"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut back = world.connect(&one, "").await;
    assert_eq!(order(&mut back).await.renewal_id, id);
    back.client.disconnect().await;
    told(&world, &["cert", "renewals", "abort", &id, "--yes"]);
    let (code, said, errors) = asked(&world, &["cert", "renewals", "show", &id, "--watch"]);
    assert!(
        code == Some(1) && errors.contains("aborted"),
        "{code:?} {said} {errors}"
    );
    let mut back = world.connect(&one, "").await;
    let heard = tokio::time::timeout(Duration::from_secs(1), order(&mut back)).await;
    assert!(heard.is_err(), "{heard:?}");
}
