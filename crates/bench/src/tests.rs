//! The load client against the real peer, with certificates as Muster makes them. Without Mosquitto on the
//! machine there is nobody to talk to, and the tests say so.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use pki::{
    Authority, Charter, Host, KeyKind, Plan, Profile, PublicKey, Serial, Subject, SubjectKind, Validity,
};
use tokio::task::LocalSet;

use crate::{
    fleet::{Device, Fleet, Transport},
    load::{Crowd, Span, Subscriber, arrivals, arrivals::Storm, fan},
    measures::requests::{UP, listener},
    programs::usual_mosquitto,
    servers::{Mosquitto, mosquitto, muster::tls_files},
    wire::Login,
};

/// November 2023: the certificates hold on any clock until 2063.
const NOW_MS: i64 = 1_700_000_000_000;
const LIFETIME_MS: u64 = 40 * 365 * 24 * 3_600_000;
const SPAN: Span = Span {
    warm_up: Duration::from_millis(50),
    measured: Duration::from_millis(300),
};

#[test]
fn windows_are_kept_full_and_drained_over_both_transports() {
    against_mosquitto(async |fleet, peer| {
        let subscriber = Subscriber::start(&listener(peer.place.plain), UP).await.unwrap();
        let mut sent = 0;
        for transport in [Transport::Plain, Transport::Mtls] {
            let crowd = Crowd::connect(fleet.first(5, transport, peer.place).unwrap())
                .await
                .unwrap();
            let figures = crowd.rush(16, SPAN, &peer.process).await.unwrap().figures;
            assert!(figures.acknowledged >= figures.measured + 5 * 16, "{figures:?}");
            sent += figures.acknowledged;
        }
        let begun = Instant::now();
        while subscriber.heard() < sent && begun.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(subscriber.heard(), sent);
    });
}

#[test]
fn devices_arrive_and_leave_in_turns_and_in_a_storm() {
    against_mosquitto(async |fleet, peer| {
        let logins = fleet.logins(5, Transport::Mtls, peer.place);
        let load = arrivals::rush(logins.clone(), 2, SPAN, &peer.process)
            .await
            .unwrap();
        assert!(
            load.figures.measured > 0 && load.figures.p50_ms > 0.0,
            "{:?}",
            load.figures
        );
        let (begun, mut arrived) = (Instant::now(), 0);
        while arrived == 0 && begun.elapsed() < Duration::from_secs(60) {
            let storm = Storm::begin(logins.clone(), 50.0);
            tokio::time::sleep(Duration::from_millis(500)).await;
            let failed;
            (arrived, failed) = storm.end();
            assert_eq!(failed, 0);
        }
        assert!(arrived > 0);
    });
}

#[test]
fn what_some_say_is_heard_by_all() {
    against_mosquitto(async |fleet, peer| {
        for quality in [0, 1] {
            let mut logins = fleet.logins(5, Transport::Mtls, peer.place);
            let listeners = logins.split_off(3);
            let topic = |login: &Login| format!("muster/v1/devices/{}/up/front-door/data", login.client_id);
            let fan = fan::Fan {
                speakers: logins
                    .into_iter()
                    .map(|login| (login.clone(), topic(&login)))
                    .collect(),
                listeners,
                filter: "muster/v1/devices/+/up/front-door/data",
                quality,
                window: 4,
            };
            let figures = fan.blow(SPAN, &peer.process).await.unwrap().figures;
            assert!(
                figures.measured > 0 && figures.acknowledged % 2 == 0,
                "{figures:?}"
            );
        }
    });
}

#[test]
fn a_pace_is_held() {
    against_mosquitto(async |fleet, peer| {
        let crowd = Crowd::connect(fleet.first(5, Transport::Mtls, peer.place).unwrap())
            .await
            .unwrap();
        let load = crowd.stroll(100.0, SPAN, &peer.process).await.unwrap();
        assert!((20..=40).contains(&load.figures.measured), "{:?}", load.figures);
        assert!(load.cpu.server < SPAN.measured);
    });
}

fn against_mosquitto(test: impl AsyncFnOnce(&Fleet, &Mosquitto)) {
    let program = usual_mosquitto();
    if let Err(missing) = mosquitto::version(&program) {
        eprintln!("not tested: {missing:#}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let fleet = found(folder.path());
    let peer = Mosquitto::start(&program, &folder.path().join("peer"), &tls_files(folder.path())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test(&fleet, &peer));
}

/// A site with five devices.
fn found(folder: &Path) -> Fleet {
    let charter = |serial| Charter {
        site: "test",
        key: KeyKind::P256,
        serial: Serial::from_random([serial; 16]),
        now_ms: NOW_MS,
        lifetime_ms: LIFETIME_MS,
    };
    let root = pki::create_root(&charter(1)).unwrap();
    let above = Authority::open(&root.chain_pem, &root.key_pem, NOW_MS).unwrap();
    let issuing = pki::create_issuing(&above, &charter(2)).unwrap();
    let issuing = Authority::open(&issuing.chain_pem, &issuing.key_pem, NOW_MS).unwrap();
    let hosts = vec![Host::parse("127.0.0.1").unwrap()];
    let subject = Subject::new("test", SubjectKind::Service, "front-door").unwrap();
    let (chain_pem, key_pem) = certify(&issuing, Profile::Server { hosts }, subject, 3);
    fs::create_dir(folder.join("pki")).unwrap();
    let files = [
        ("server.pem", &chain_pem),
        ("server.key", &key_pem),
        ("root.pem", &root.chain_pem),
    ];
    for (name, text) in files {
        fs::write(folder.join("pki").join(name), text).unwrap();
    }
    let devices = (0..5).map(|n| device(&issuing, n)).collect();
    Fleet::new(folder.to_owned(), devices, &root.chain_pem).unwrap()
}

fn device(issuing: &Authority, n: u8) -> Device {
    let id = format!("d-{n}");
    let subject = Subject::new("test", SubjectKind::Device, &id).unwrap();
    let (chain_pem, key_pem) = certify(issuing, Profile::Client, subject, 10 + n);
    Device {
        id,
        key_pem,
        chain_pem,
    }
}

fn certify(issuing: &Authority, profile: Profile, subject: Subject, serial: u8) -> (String, String) {
    let key_pem = pki::generate_key(KeyKind::P256).unwrap().to_string();
    let public = PublicKey::of_private(&key_pem).unwrap();
    let validity = Validity::within(issuing.validity(), NOW_MS, LIFETIME_MS).unwrap();
    let plan = Plan::new(
        Serial::from_random([serial; 16]),
        profile,
        subject,
        &public,
        validity,
    );
    let issued = issuing.sign(&plan).unwrap();
    (format!("{}{}", issued.pem, issuing.certificate_pem()), key_pem)
}
