//! Factory certificates: whose they may be, which device each opens, and what takes that back.

use contract::v1::{self, CertificateStatus, FactoryCertificate, FactoryIdentity, Manufacturer, Stage};
use pki::{Charter, KeyKind, Serial};

use crate::world::{ADA, Answered, START, World, key_and_csr};

/// A manufacturer's CA, PEM.
fn ca(n: u8) -> String {
    let charter = Charter {
        site: "works",
        key: KeyKind::P256,
        serial: Serial::from_random([n; 16]),
        now_ms: START,
        lifetime_ms: 1_000_000_000_000,
    };
    pki::create_root(&charter).unwrap().chain_pem
}

fn put(world: &mut World, request: v1::PutManufacturer) -> Answered<v1::Changed> {
    world.ask(ADA, "put-manufacturer", &request)
}

fn acme() -> v1::PutManufacturer {
    v1::PutManufacturer {
        name: "acme".into(),
        ca: ca(50),
        ..Default::default()
    }
}

fn certificate(serial_number: &str) -> FactoryCertificate {
    FactoryCertificate {
        manufacturer: "acme".into(),
        serial_number: serial_number.into(),
        common_name: "Pump".into(),
        fingerprint: format!("print-of-{serial_number}"),
        key_fingerprint: format!("key-of-{serial_number}"),
        crl_version: 0,
    }
}

/// A device asks with a factory certificate.
fn sign(world: &mut World, device: &str, shown: &FactoryCertificate) -> Answered<v1::Signed> {
    sign_csr(world, device, shown, &key_and_csr(device).1)
}

fn sign_csr(world: &mut World, device: &str, shown: &FactoryCertificate, csr: &str) -> Answered<v1::Signed> {
    world.shown = Some(shown.clone());
    let request = v1::Sign {
        csr: csr.into(),
        ..Default::default()
    };
    let answer = world.ask_over(&format!("claims/{device}"), "", "", "sign", &request);
    world.shown = None;
    answer.unwrap()
}

fn refuse(world: &mut World, serial_number: &str, lift: bool) -> v1::FactoryRefused {
    let request = v1::RefuseFactory {
        manufacturer: "acme".into(),
        serial_number: serial_number.into(),
        lift,
        ..Default::default()
    };
    world.ask(ADA, "refuse-factory", &request).unwrap()
}

fn remove(world: &mut World) -> Answered<v1::Done> {
    let request = v1::RemoveManufacturer {
        name: "acme".into(),
        ..Default::default()
    };
    world.ask(ADA, "remove-manufacturer", &request)
}

fn listed(world: &mut World) -> Vec<Manufacturer> {
    let all: v1::ManufacturersListed = world
        .ask(ADA, "manufacturers", &v1::ListManufacturers::default())
        .unwrap();
    all.manufacturers
}

/// A manufacturer, and a pump of its that is registered.
fn world() -> World {
    let mut world = World::new();
    world.tell_built("pump-1", Stage::Registered, "SN-0001", "pump");
    put(&mut world, acme()).unwrap();
    world
}

#[test]
fn it_opens_the_device_of_its_serial_number_once() {
    let mut world = world();
    let signed = sign(&mut world, "pump-1", &certificate("SN-0001")).unwrap();
    let events = world.events();
    for event in ["manufacturers/acme changed", "manufacturers/acme used"] {
        assert!(events.iter().any(|e| e == event), "{events:?}");
    }
    let told = world.event_data("manufacturers/acme", "used");
    assert_eq!(
        (&told["device_id"], &told["serial_number"], &told["serial"]),
        (&"pump-1".into(), &"SN-0001".into(), &signed.serial.clone().into())
    );
    // Cut off before the certificate was kept: it asks again. Once it works, nobody does in its name.
    let again = sign(&mut world, "pump-1", &certificate("SN-0001")).unwrap();
    world.used(&again.serial);
    assert_eq!(world.status(&signed.serial), CertificateStatus::Retired);
    let refused = sign(&mut world, "pump-1", &certificate("SN-0001")).unwrap_err();
    assert_eq!(refused.code, "precondition");
}

#[test]
fn whatever_does_not_fit_gets_one_answer() {
    let mut world = world();
    world.tell_built("pump-2", Stage::Registered, "SN-0002", "pump");
    world.tell_built("bare", Stage::Registered, "", "pump");
    let nameless = FactoryCertificate {
        serial_number: String::new(),
        ..certificate("")
    };
    let of_another = FactoryCertificate {
        manufacturer: "other".into(),
        ..certificate("SN-0001")
    };
    let mut refusals = vec![
        sign(&mut world, "pump-2", &certificate("SN-0001")).unwrap_err(),
        sign(&mut world, "pump-99", &certificate("SN-0001")).unwrap_err(),
        sign(&mut world, "bare", &nameless).unwrap_err(),
        sign(&mut world, "pump-1", &nameless).unwrap_err(),
        sign(&mut world, "pump-1", &of_another).unwrap_err(),
        sign(&mut world, "pump-1", &certificate("SN-00011")).unwrap_err(),
    ];
    refuse(&mut world, "sn-0001", false);
    refusals.push(sign(&mut world, "pump-1", &certificate("SN-0001")).unwrap_err());
    for refusal in &mut refusals {
        refusal.request_id.clear();
    }
    assert!(refusals.iter().all(|one| *one == refusals[0]), "{refusals:?}");
    assert_eq!(refusals[0].code, "denied");
    assert_eq!(
        world.event_data("certificates/pump-1", "refused")["batch"],
        "acme"
    );
}

#[test]
fn it_lets_no_second_device_in_while_the_first_lives() {
    let mut world = world();
    sign(&mut world, "pump-1", &certificate("SN-0001")).unwrap();
    // The registry frees a serial number when its device is retired, or an operator corrects it.
    world.tell_built("pump-1", Stage::Registered, "SN-0009", "pump");
    world.tell_built("pump-2", Stage::Registered, "SN-0001", "pump");
    let refused = sign(&mut world, "pump-2", &certificate("sn-0001")).unwrap_err();
    assert_eq!(refused.code, "denied");
    world.tell_built("pump-1", Stage::Retired, "SN-0009", "pump");
    sign(&mut world, "pump-2", &certificate("SN-0001")).unwrap();
}

#[test]
fn of_many_devices_that_race_with_one_certificate_one_wins() {
    let mut world = world();
    let mut won = 0;
    for n in 0..50 {
        let id = format!("pump-r{n}");
        world.tell_built(&id, Stage::Registered, "SN-0007", "pump");
        won += usize::from(sign(&mut world, &id, &certificate("SN-0007")).is_ok());
    }
    assert_eq!(won, 1);
}

#[test]
fn types_stages_and_keys_are_looked_at() {
    let mut world = world();
    let narrow = v1::PutManufacturer {
        types: vec!["fan".into(), "pump".into()],
        replace: true,
        ..acme()
    };
    put(&mut world, narrow).unwrap();
    world.tell_built("valve-1", Stage::Registered, "SN-0003", "valve");
    let refused = sign(&mut world, "valve-1", &certificate("SN-0003")).unwrap_err();
    assert!(refused.message.contains("other types"), "{refused:?}");
    world.tell_built("pump-3", Stage::Planned, "SN-0004", "pump");
    let refused = sign(&mut world, "pump-3", &certificate("SN-0004")).unwrap_err();
    assert_eq!(refused.code, "precondition");
    // The manufacturer's key is not the device's own.
    let (key, csr) = key_and_csr("pump-1");
    let own = FactoryCertificate {
        key_fingerprint: pki::PublicKey::of_private(&key).unwrap().fingerprint_sha256(),
        ..certificate("SN-0001")
    };
    let refused = sign_csr(&mut world, "pump-1", &own, &csr).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("untrusted", "csr")
    );
    sign(&mut world, "pump-1", &certificate("SN-0001")).unwrap();
}

#[test]
fn the_common_name_counts_where_the_manufacturer_says_so() {
    let mut world = world();
    let by_name = v1::PutManufacturer {
        identity: FactoryIdentity::CommonName.into(),
        replace: true,
        ..acme()
    };
    put(&mut world, by_name).unwrap();
    assert!(sign(&mut world, "pump-1", &certificate("SN-0001")).is_err());
    let shown = FactoryCertificate {
        common_name: "SN-0001".into(),
        serial_number: "PID:P200".into(),
        ..certificate("")
    };
    sign(&mut world, "pump-1", &shown).unwrap();
}

#[test]
fn what_is_removed_or_refused_opens_nothing_and_comes_back_as_it_was() {
    let mut world = world();
    let signed = sign(&mut world, "pump-1", &certificate("SN-0001")).unwrap();
    assert_eq!(refuse(&mut world, "SN-0001", false).device_id, "pump-1");
    assert_eq!(refuse(&mut world, "SN-0055", false).device_id, "");
    let told: Manufacturer = world.fact("manufacturer", "acme").unwrap();
    assert_eq!(told.refused, ["sn-0001", "sn-0055"]);
    // To replace it lifts nothing.
    put(
        &mut world,
        v1::PutManufacturer {
            replace: true,
            ..acme()
        },
    )
    .unwrap();
    assert!(sign(&mut world, "pump-1", &certificate("SN-0001")).is_err());
    refuse(&mut world, "sn-0001", true);
    refuse(&mut world, "sn-0001", true);
    sign(&mut world, "pump-1", &certificate("SN-0001")).unwrap();

    remove(&mut world).unwrap();
    assert_eq!(world.fact::<Manufacturer>("manufacturer", "acme"), None);
    assert!(sign(&mut world, "pump-1", &certificate("SN-0001")).is_err());
    assert_eq!(remove(&mut world).unwrap_err().code, "not-found");
    assert_eq!(
        world.status(&signed.serial),
        CertificateStatus::Issued,
        "what it got is another thing"
    );
    // What a certificate has opened is not forgotten with its manufacturer.
    put(&mut world, acme()).unwrap();
    world.tell_built("pump-1", Stage::Registered, "", "pump");
    world.tell_built("pump-2", Stage::Registered, "SN-0001", "pump");
    assert!(sign(&mut world, "pump-2", &certificate("SN-0001")).is_err());
}

#[test]
fn all_that_came_of_it_is_revoked_as_of_a_batch() {
    let mut world = world();
    let signed = sign(&mut world, "pump-1", &certificate("SN-0001")).unwrap();
    world.used(&signed.serial);
    let request = v1::RevokeMany {
        batch: "acme".into(),
        reason: "keyCompromise".into(),
        ..Default::default()
    };
    let promised = world.ask_over::<v1::ManyRevoked>(ADA, "", "", "revoke-many", &request);
    assert_eq!(promised, None, "the front door has said nothing yet");
    world.wait(1);
    assert_eq!(world.status(&signed.serial), CertificateStatus::Revoked);
    assert!(sign(&mut world, "pump-1", &certificate("SN-0001")).is_err());
    assert!(world.events().iter().any(|e| e == "manufacturers/acme removed"));
}

#[test]
fn a_manufacturer_has_a_name_and_cas_of_its_own() {
    let mut world = world();
    world.claim("lot", 3);
    let acmes = listed(&mut world).remove(0).ca;
    let refused = |world: &mut World, request| put(world, request).unwrap_err();
    let named = |name: &str, ca: String| v1::PutManufacturer {
        name: name.into(),
        ca,
        ..Default::default()
    };
    for (request, code, field) in [
        (named("lot", ca(51)), "exists", "name"),
        (named("LOT", ca(51)), "exists", "name"),
        (named("acme", ca(51)), "exists", "name"),
        (named("Acme", ca(51)), "exists", "name"),
        (named("a/b", ca(51)), "invalid", "name"),
        (named("b", acmes), "invalid", "ca"),
        (named("b", String::new()), "invalid", "ca"),
        (named("b", "x".repeat(20_000)), "invalid", "ca"),
    ] {
        let refusal = refused(&mut world, request);
        assert_eq!(
            (refusal.code.as_str(), refusal.field.as_str()),
            (code, field),
            "{refusal:?}"
        );
    }
    // Ours are nobody else's.
    for ours in [world.root_pem.clone(), world.authority.certificate_pem()] {
        assert_eq!(refused(&mut world, named("b", ours)).field, "ca");
    }
    let many = v1::PutManufacturer {
        types: vec!["t".into(); 65],
        ..named("b", ca(51))
    };
    assert_eq!(refused(&mut world, many).field, "types");
    // And a batch does not take a manufacturer's name.
    let (_, csr) = key_and_csr("ACME");
    let claim = v1::PutClaim {
        batch: "ACME".into(),
        csr,
        uses: 1,
        expires_ms: world.now_ms + 3_600_000,
        ..Default::default()
    };
    let refusal = world.ask::<v1::ClaimMade>(ADA, "put-claim", &claim).unwrap_err();
    assert_eq!(
        (refusal.code.as_str(), refusal.field.as_str()),
        ("exists", "batch")
    );
    assert_eq!(listed(&mut world).len(), 1);
}

#[test]
fn a_restart_forgets_nothing_of_it() {
    let mut world = world();
    world.hold_effects = true;
    let shown = certificate("SN-0001");
    world.shown = Some(shown.clone());
    let request = v1::Sign {
        csr: key_and_csr("pump-1").1,
        ..Default::default()
    };
    let promised = world.ask_as::<v1::Signed>("r-cut", "claims/pump-1", "", "", "sign", &request);
    assert_eq!(promised, None);
    world.shown = None;
    world.hold_effects = false;
    let before = world.frames.len();
    world.restart();
    let answer = world.answer_since::<v1::Signed>(before, "r-cut");
    assert!(answer.is_none_or(|answer| answer.is_ok()));
    world.tell_built("pump-2", Stage::Registered, "SN-0001", "pump");
    assert!(sign(&mut world, "pump-2", &shown).is_err(), "the use is on disk");
    refuse(&mut world, "SN-0001", false);
    world.restart();
    assert!(sign(&mut world, "pump-1", &shown).is_err());
}

#[test]
fn its_pace_is_its_own() {
    let mut world = world();
    let slow = v1::PutManufacturer {
        per_minute: 1,
        replace: true,
        ..acme()
    };
    put(&mut world, slow).unwrap();
    world.tell_built("pump-2", Stage::Registered, "SN-0002", "pump");
    sign(&mut world, "pump-1", &certificate("SN-0001")).unwrap();
    let refused = sign(&mut world, "pump-2", &certificate("SN-0002")).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.retry_after_ms > 50_000),
        ("limit", true)
    );
    world.wait(refused.retry_after_ms);
    sign(&mut world, "pump-2", &certificate("SN-0002")).unwrap();
}
