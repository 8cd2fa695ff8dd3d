//! The server's own certificate: renewed in time by itself, and when an admin asks.

use std::sync::atomic::Ordering;

use contract::v1::{self, CertificateStatus};
use pki::{Host, Plan, Profile, PublicKey, Serial, ServerCertificate, Subject, SubjectKind, Validity};
use provisioning::Settings;

use crate::world::{ADA, Answered, START, World};

const DAY_MS: u64 = 86_400_000;

/// A world whose set-up left the server a certificate of ninety days; its serial.
fn world(settings: Settings) -> (World, String) {
    let mut world = World::with(settings);
    let key = pki::generate_key(pki::KeyKind::P256).unwrap();
    let hosts = ["localhost", "192.0.2.7"].map(|host| Host::parse(host).unwrap());
    let profile = Profile::Server { hosts: hosts.into() };
    let subject = Subject::new("hq", SubjectKind::Service, "front-door").unwrap();
    let validity = Validity::within(world.authority.validity(), START, 90 * DAY_MS).unwrap();
    let key = PublicKey::of_private(&key).unwrap();
    let plan = Plan::new(Serial::from_random([11; 16]), profile, subject, &key, validity);
    let issued = world.authority.sign(&plan).unwrap();
    *world.server.chain.lock().unwrap() = issued.pem.clone();
    world.bootstrap(&[v1::RecordCertificate {
        kind: "services".into(),
        id: "front-door".into(),
        certificate: issued.pem,
        ..Default::default()
    }]);
    (world, issued.serial_hex)
}

fn renew(world: &mut World, hosts: &[&str]) -> Answered<v1::ServerRenewed> {
    let request = v1::RenewServer {
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        ..Default::default()
    };
    world.ask(ADA, "renew-server", &request)
}

/// Begins one, as `r-x`, of which the effects wait; how many frames there were before.
fn begun(world: &mut World) -> usize {
    world.hold_effects = true;
    let before = world.frames.len();
    let request = v1::RenewServer::default();
    let promised = world.ask_as::<v1::ServerRenewed>("r-x", ADA, "", "", "renew-server", &request);
    assert!(promised.is_none());
    before
}

/// What the server serves with.
fn served(world: &World) -> ServerCertificate {
    ServerCertificate::parse_pem(&world.server.chain.lock().unwrap()).unwrap()
}

fn hosts(world: &World) -> Vec<String> {
    served(world).hosts.iter().map(Host::to_string).collect()
}

#[test]
fn an_admin_renews_it_and_the_one_before_is_retired() {
    let (mut world, former) = world(Settings::default());
    let renewed = renew(&mut world, &[]).unwrap();
    assert_eq!(renewed.replaced, std::slice::from_ref(&former));
    assert_eq!(renewed.hosts, ["localhost", "192.0.2.7"]);
    assert_eq!(served(&world).serial_hex, renewed.serial);
    assert_eq!(hosts(&world), renewed.hosts);
    assert!(
        world
            .server
            .chain
            .lock()
            .unwrap()
            .ends_with(&world.authority.certificate_pem()),
        "with the CA above it"
    );
    assert_eq!(world.status(&former), CertificateStatus::Retired);
    assert_eq!(world.status(&renewed.serial), CertificateStatus::Active);
    let told = world.event_data(&format!("certificates/{}", renewed.serial), "installed");
    assert_eq!(told["replaced"][0], former);
    // And for other names, which the next ones keep. The machine's own stay: its command line asks under them.
    let moved = renew(
        &mut world,
        &["Muster.example", "2001:db8::7", "127.0.0.1", "muster.example"],
    )
    .unwrap();
    let named = ["muster.example", "2001:db8::7", "127.0.0.1", "localhost", "::1"];
    assert_eq!(hosts(&world), named);
    assert_eq!(moved.replaced, [renewed.serial]);
    renew(&mut world, &[]).unwrap();
    assert_eq!(hosts(&world), named);
    // As many as there may be, and the machine's own.
    let many: Vec<_> = (0..32).map(|n| format!("m{n}.example")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(renew(&mut world, &many).unwrap().hosts.len(), 35);
}

/// The keys that clients may pin.
fn keys(world: &mut World) -> Vec<String> {
    let asked = v1::GetAuthorities::default();
    world
        .ask::<v1::Authorities>(ADA, "authorities", &asked)
        .unwrap()
        .server_keys
}

#[test]
fn whoever_pins_the_servers_key_knows_the_next_one_long_before() {
    let (mut world, _) = world(Settings::default());
    for _ in 0..3 {
        let [now, next] = <[String; 2]>::try_from(keys(&mut world)).unwrap();
        assert_eq!(served(&world).key_fingerprint_sha256, now);
        assert_eq!(
            world.event_data("certificates/front-door", "announced")["key"],
            next
        );
        world.days(3);
        world.restart();
        assert_eq!(keys(&mut world), [now, next.clone()], "it stays what was told");
        renew(&mut world, &[]).unwrap();
        assert_eq!(served(&world).key_fingerprint_sha256, next);
    }
    let told = world
        .events()
        .iter()
        .filter(|event| event.ends_with(" announced"))
        .count();
    assert_eq!(told, 4, "each once");
}

#[test]
fn an_issuing_ca_with_name_constraints_names_no_other_host() {
    let (mut world, former) = world(Settings::default());
    let narrow = world.narrow(3, &["example.com", "192.0.2.0/24"]);
    let old = world.authority.clone();
    world.go_on_under(&narrow, &[&old]);
    let refused = renew(&mut world, &["muster.example.com", "other.org"]).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("precondition", "hosts")
    );
    assert!(refused.message.contains("`other.org`"), "{refused:?}");
    assert_eq!(refused.allowed, ["example.com", "192.0.2.0/24"]);
    assert!(renew(&mut world, &[]).is_err(), "localhost is not among them");
    assert_eq!(world.status(&former), CertificateStatus::Active);
    renew(&mut world, &["muster.example.com", "192.0.2.7"]).unwrap();
    assert_eq!(hosts(&world), ["muster.example.com", "192.0.2.7"]);
}

#[test]
fn it_renews_itself_when_two_thirds_of_its_life_are_over() {
    let (mut world, former) = world(Settings {
        server_lifetime_ms: 30 * DAY_MS,
        ..Settings::default()
    });
    world.days(59);
    assert_eq!(served(&world).serial_hex, former);
    world.days(1);
    let second = served(&world).serial_hex;
    assert_ne!(second, former);
    assert_eq!(world.status(&former), CertificateStatus::Retired);
    assert_eq!(world.status(&second), CertificateStatus::Active);
    assert_eq!(hosts(&world), ["localhost", "192.0.2.7"]);
    world.days(19);
    assert_eq!(served(&world).serial_hex, second);
    world.days(1);
    assert_ne!(served(&world).serial_hex, second);
}

#[test]
fn when_is_a_setting_and_never_is_one_too() {
    for (before_ms, days) in [(Some(10 * DAY_MS), 80), (Some(900 * DAY_MS), 45), (Some(0), 200)] {
        let (mut world, former) = world(Settings {
            server_renew_before_ms: before_ms,
            ..Settings::default()
        });
        world.days(days - 1);
        assert_eq!(served(&world).serial_hex, former, "{before_ms:?}");
        world.days(1);
        let is_renewed = served(&world).serial_hex != former;
        assert_eq!(is_renewed, before_ms != Some(0), "{before_ms:?}");
    }
}

#[test]
fn what_fails_is_told_and_tried_again_and_what_served_serves_on() {
    let (mut world, former) = world(Settings::default());
    world.server.is_full.store(true, Ordering::Relaxed);
    let refused = renew(&mut world, &[]).unwrap_err();
    assert!(refused.message.contains("no space left"), "{refused:?}");
    world.days(60);
    assert_eq!(served(&world).serial_hex, former);
    assert_eq!(world.status(&former), CertificateStatus::Active);
    let told = world.event_data("certificates/front-door", "refused");
    assert!(told["message"].as_str().unwrap().contains("no space left"));
    world.server.is_full.store(false, Ordering::Relaxed);
    world.wait(3_600_000);
    assert_ne!(served(&world).serial_hex, former);
    assert_eq!(world.status(&former), CertificateStatus::Retired);
}

#[test]
fn a_restart_goes_on_where_it_was_and_a_second_one_waits() {
    let (mut world, former) = world(Settings::default());
    let before = begun(&mut world);
    assert_eq!(renew(&mut world, &[]).unwrap_err().code, "conflict");
    world.hold_effects = false;
    world.restart();
    let renewed = world
        .answer_since::<v1::ServerRenewed>(before, "r-x")
        .unwrap()
        .unwrap();
    assert_eq!(renewed.replaced, [former]);
    assert_eq!(served(&world).serial_hex, renewed.serial);
}

#[test]
fn one_that_comes_to_nothing_stands_in_the_way_of_no_other() {
    let (mut world, former) = world(Settings::default());
    let before = begun(&mut world);
    world.effects.clear();
    world.hold_effects = false;
    world.wait(600_000);
    let renewed = renew(&mut world, &[]).unwrap();
    assert_eq!(renewed.replaced, [former]);
    let lost = world.answer_since::<v1::ServerRenewed>(before, "r-x").unwrap();
    assert_eq!(lost.unwrap_err().code, "internal");
}

#[test]
fn an_executor_that_fails_is_no_success() {
    let (mut world, former) = world(Settings::default());
    let before = begun(&mut world);
    world.fail_effects();
    let failed = world.answer_since::<v1::ServerRenewed>(before, "r-x").unwrap();
    assert!(failed.unwrap_err().message.contains("log says more"));
    assert_eq!(served(&world).serial_hex, former);
}

#[test]
fn a_certificate_that_is_not_ours_is_left_alone_until_an_admin_asks() {
    let (mut world, former) = world(Settings::default());
    world.server.chain.lock().unwrap().clear();
    world.days(70);
    assert!(world.server.chain.lock().unwrap().is_empty());
    assert_eq!(world.status(&former), CertificateStatus::Active);
    let told = world.event_data("certificates/front-door", "refused");
    assert!(told["message"].as_str().unwrap().contains("left alone"));
    let renewed = renew(&mut world, &[]).unwrap();
    assert_eq!(served(&world).serial_hex, renewed.serial);
}

#[test]
fn one_that_was_revoked_gets_a_successor_by_itself() {
    let (mut world, former) = world(Settings::default());
    let request = v1::Revoke {
        serial: former.clone(),
        reason: "keyCompromise".into(),
        ..Default::default()
    };
    let _: Option<Answered<v1::Revoked>> = world.ask_over(ADA, "", "", "revoke", &request);
    assert_eq!(world.status(&former), CertificateStatus::Revoked);
    world.days(1);
    assert_ne!(served(&world).serial_hex, former);
    assert_eq!(world.status(&former), CertificateStatus::Revoked);
}

#[test]
fn names_that_are_none_are_refused() {
    let (mut world, former) = world(Settings::default());
    let many: Vec<String> = (0..33).map(|n| format!("host-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for bad in [&["a b"][..], &["*.example"], &[""], &many] {
        assert_eq!(renew(&mut world, bad).unwrap_err().code, "invalid", "{bad:?}");
    }
    assert_eq!(served(&world).serial_hex, former);
    let mut unknown = World::new();
    assert_eq!(renew(&mut unknown, &[]).unwrap_err().code, "precondition");
    let made = renew(&mut unknown, &["localhost"]).unwrap();
    assert!(made.replaced.is_empty());
}
