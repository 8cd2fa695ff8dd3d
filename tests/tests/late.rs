//! A device whose certificate ended while it was away comes back by itself, and nobody else does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use client::{Client, Identity};
use contract::{Code, Root, ServiceName, v1};
use world::{Person, World};

/// Enough for whoever uses it at once on a busy machine.
const LIFETIME: Duration = Duration::from_secs(6);

/// Waits until a certificate has ended that was issued before `since`.
async fn ended(since: Instant) {
    tokio::time::sleep_until((since + LIFETIME + Duration::from_secs(1)).into()).await;
}

/// A server whose devices' certificates last six seconds, its admin, and a device whose certificate has ended.
async fn scene(renew_after: &str) -> (World, Person, Identity) {
    scene_where(renew_after, "false").await
}

/// The same, where an operator must admit such a device, or not.
async fn scene_where(renew_after: &str, admitted: &str) -> (World, Person, Identity) {
    let settings = [
        ("MUSTER_PKI__DEVICE_LIFETIME", "6s"),
        ("MUSTER_PKI__RENEW_AFTER", renew_after),
        ("MUSTER_PKI__RENEW_AFTER_ADMITTED", admitted),
    ];
    let world = World::with(&settings).await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let claim = world.claim(&admin, "for-pump-7", 1).await;
    let identity = world.provision(&claim, "pump-7").await;
    let issued = Instant::now();
    let pump = world.connect(&identity, "").await;
    let _: v1::Changed = pump
        .ask(ServiceName::Registry, "report", &v1::Report::default())
        .await;
    pump.client.disconnect().await;
    ended(issued).await;
    (world, admin, identity)
}

/// Within TLS the reason is often lost with the connection: that there is none must be enough.
async fn refused(world: &World, identity: &Identity) -> bool {
    let connected = Client::connect(&world.endpoint(), identity, Root::default(), "").await;
    connected.is_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_certificate_that_ended_a_device_renews_and_does_nothing_else() {
    let (world, admin, ended) = scene("1h").await;
    let pump = world.connect(&ended, "").await;
    let report = v1::Report::default();
    let refusal = pump.refused(ServiceName::Registry, "report", &report).await;
    assert_eq!(refusal.code, Code::Denied, "{refusal}");
    let asked = v1::GetAuthorities::default();
    let authorities: v1::Authorities = pump.ask(ServiceName::Provisioning, "authorities", &asked).await;
    assert!(authorities.roots.contains("BEGIN CERTIFICATE"));
    // A suspended one loses even that, at once.
    let restrict = v1::RestrictDevice {
        device_id: "pump-7".into(),
        reason: "odd".into(),
        ..Default::default()
    };
    let _: v1::Changed = admin.ask(ServiceName::Registry, "suspend", &restrict).await;
    assert!(refused(&world, &ended).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_an_operator_must_admit_it_the_key_waits_for_that() {
    let (world, admin, ended) = scene_where("1h", "true").await;
    let key = pki::generate_key(pki::KeyKind::P256).unwrap();
    let request = v1::Sign {
        csr: pki::csr_for(&key, "pump-7").unwrap(),
        ..v1::Sign::default()
    };
    let pump = world.connect(&ended, "").await;
    let refusal = pump.refused(ServiceName::Provisioning, "renew", &request).await;
    assert_eq!(refusal.code, Code::Precondition, "{refusal}");
    assert!(refusal.retry_after_ms > 0);
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let fingerprint = pki::PublicKey::of_private(&key).unwrap().fingerprint_sha256();
    let listed = world::muster(world.folder(), &["--server", &server, "cert", "admissions"]);
    assert!(listed.contains(&fingerprint), "{listed}");
    world::muster(
        world.folder(),
        &["--server", &server, "cert", "admit", "pump-7", "--yes"],
    );
    let signed: v1::Signed = pump.ask(ServiceName::Provisioning, "renew", &request).await;
    pump.client.disconnect().await;
    let next = Identity::from_pem(&signed.certificate, &key, &world.roots()).unwrap();
    let pump = world.connect(&next, "").await;
    let report = v1::Report::default();
    let _: v1::Changed = pump.ask(ServiceName::Registry, "report", &report).await;
    admin.client.disconnect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_comes_back_without_a_claim() {
    let (world, admin, ended) = scene("1h").await;
    let folder = world.folder().join("pump-7");
    std::fs::create_dir_all(&folder).unwrap();
    let read =
        |name: &str| std::fs::read_to_string(world.folder().join("identities/pump-7").join(name)).unwrap();
    std::fs::write(
        folder.join("identity.pem"),
        read("key.pem") + &read("certificate.pem"),
    )
    .unwrap();
    let config = agent::Config::new(
        &folder,
        "pump-7".parse().unwrap(),
        world.endpoint(),
        world.roots(),
    );
    let (events, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(agent::run(config, stop.clone(), events));
    let renewed = tokio::time::timeout(Duration::from_secs(60), async {
        let mut renewed = None;
        while let Some(heard) = heard.recv().await {
            match heard.event {
                agent::Event::Renewed { serial, .. } => renewed = Some(serial),
                agent::Event::Connected { serial } if renewed.as_ref() == Some(&serial) => return serial,
                _ => {}
            }
        }
        panic!("it has stopped");
    });
    let next = renewed.await.expect("it comes back");
    assert_ne!(next, ended.serial);
    stop.cancel();
    running.await.unwrap().unwrap();
    let log = world::muster(
        world.folder(),
        &[
            "--json",
            "--server",
            &format!("127.0.0.1:{}", world.endpoint().port),
            "events",
            "--service",
            "provisioning",
            "--filter",
            "certificates/+/renewed-late",
            "--from-start",
            "--count",
            "1",
        ],
    );
    assert!(log.contains(&ended.serial), "{log}");
    admin.client.disconnect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_grace_or_without_one_nobody_comes_in_and_people_never_do() {
    // Side by side: each waits until its certificate has ended.
    let over = async |renew_after: &str| {
        let (world, admin, ended) = scene(renew_after).await;
        assert!(refused(&world, &ended).await, "{renew_after}");
        admin.client.disconnect().await;
    };
    tokio::join!(over("500ms"), over("0s"), no_person_comes_in_late());
}

async fn no_person_comes_in_late() {
    let (world, admin, ended) = scene("1h").await;
    let person = v1::PutPerson {
        id: "bob".into(),
        kind: "operators".into(),
        role: v1::Role::Viewer.into(),
        ..v1::PutPerson::default()
    };
    let _: v1::Changed = admin.ask(ServiceName::Registry, "put-person", &person).await;
    let key = pki::generate_key(pki::KeyKind::P256).unwrap();
    let request = v1::Issue {
        kind: "operators".into(),
        id: "bob".into(),
        csr: pki::csr_for(&key, "bob").unwrap(),
        lifetime_ms: LIFETIME.as_millis() as u64,
        ..v1::Issue::default()
    };
    let signed: v1::Signed = admin.ask(ServiceName::Provisioning, "issue", &request).await;
    let issued = Instant::now();
    let bob = Identity::from_pem(&signed.certificate, &key, &world.roots()).unwrap();
    let connected = world.connect(&bob, "").await;
    connected.client.disconnect().await;
    self::ended(issued).await;
    assert!(refused(&world, &bob).await);
    assert!(!refused(&world, &ended).await);
}
