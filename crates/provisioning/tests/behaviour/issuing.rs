//! From a request to a certificate, and who gets none.

use contract::v1::{self, CertificateStatus, Criticality, Restriction, Stage};
use pki::{ClientCertificate, KeyKind};
use provisioning::{DeviceProfile, Settings};

use crate::world::{ADA, World, key_and_csr};

#[test]
fn a_device_of_a_batch_gets_a_certificate_that_fits_its_key_and_names_it() {
    let mut world = World::new();
    world.claim("lot", 2);
    let signed = world.sign("pump-7", "lot").unwrap();
    let read = ClientCertificate::parse_pem(&signed.certificate).unwrap();
    assert_eq!(read.subject.to_string(), "urn:muster:hq:devices:pump-7");
    assert_eq!(read.serial_hex, signed.serial);
    assert_eq!(
        signed.certificate.matches("BEGIN CERTIFICATE").count(),
        2,
        "with the CA above it"
    );
    assert_eq!(signed.roots, world.root_pem);
    assert_eq!(world.status(&signed.serial), CertificateStatus::Issued);
    world.used(&signed.serial);
    assert_eq!(world.status(&signed.serial), CertificateStatus::Active);
    let claims: v1::ClaimsListed = world.ask(ADA, "claims", &v1::ListClaims::default()).unwrap();
    assert_eq!((claims.claims[0].used, claims.claims[0].uses), (1, 2));
}

#[test]
fn whoever_may_not_gets_none_and_it_is_told() {
    let mut world = World::new();
    world.claim("lot", 9);
    world.tell_device("fan-1", Stage::Registered);
    world.tell_device("pump-1", Stage::Planned);
    world.tell_device("pump-2", Stage::Retired);
    world.tell_restricted("pump-3", Stage::Active, Restriction::Suspended);
    world.tell_restricted("pump-4", Stage::Active, Restriction::Quarantined);
    for (device, batch, code) in [
        ("pump-9", "lot", "precondition"),
        ("pump-1", "lot", "precondition"),
        ("pump-2", "lot", "precondition"),
        ("pump-3", "lot", "precondition"),
        ("pump-4", "lot", "precondition"),
        ("fan-1", "lot", "denied"),
        ("pump-7", "other", "denied"),
        ("pump-7", "", "denied"),
    ] {
        assert_eq!(
            world.sign(device, batch).unwrap_err().code,
            code,
            "{device} {batch}"
        );
        // A subject lasts for ever, so an id that somebody made up gets none of its own.
        let subject = if device == "pump-9" { "unknown" } else { device };
        let told = format!("certificates/{subject} refused");
        assert_eq!(world.events().last(), Some(&told));
    }
}

#[test]
fn another_key_than_the_announced_one_gets_no_certificate() {
    let mut world = World::new();
    world.claim("lot", 9);
    let device = v1::DeviceFact {
        device_id: "pump-7".into(),
        stage: Stage::Registered as i32,
        restriction: Restriction::None as i32,
        key_fingerprint: "ab".repeat(32),
        ..Default::default()
    };
    world.tell_bytes("device", "pump-7", Some(prost::Message::encode_to_vec(&device)));
    assert_eq!(world.sign("pump-7", "lot").unwrap_err().code, "untrusted");
}

#[test]
fn a_batch_is_used_as_often_as_it_may_and_until_it_ends() {
    let mut world = World::new();
    world.claim("lot", 1);
    world.tell_device("pump-8", Stage::Registered);
    world.sign("pump-7", "lot").unwrap();
    assert_eq!(world.sign("pump-8", "lot").unwrap_err().code, "limit");
    world.claim("next", 5);
    world.wait(3_600_001);
    assert_eq!(world.sign("pump-8", "next").unwrap_err().code, "denied");
}

#[test]
fn a_device_that_works_cannot_be_claimed_by_whoever_holds_the_batch() {
    let mut world = World::new();
    world.claim("lot", 9);
    let first = world.sign("pump-7", "lot").unwrap();
    let second = world
        .sign("pump-7", "lot")
        .expect("what was never used does not count");
    world.used(&second.serial);
    assert_eq!(world.sign("pump-7", "lot").unwrap_err().code, "precondition");
    world.wait(3_600_000);
    assert_eq!(
        world.status(&first.serial),
        CertificateStatus::Retired,
        "after the overlap"
    );
}

#[test]
fn renewal_needs_a_certificate_that_counts_and_retires_it_after_the_next_was_used() {
    let mut world = World::new();
    world.claim("lot", 9);
    let first = world.sign("pump-7", "lot").unwrap();
    world.used(&first.serial);
    let renew = |world: &mut World, over: &str| {
        let (_, csr) = key_and_csr("pump-7");
        world
            .ask_over::<v1::Signed>(
                "devices/pump-7",
                over,
                "",
                "renew",
                &v1::Sign {
                    csr,
                    ..Default::default()
                },
            )
            .unwrap()
    };
    assert_eq!(renew(&mut world, "00").unwrap_err().code, "denied");
    let next = renew(&mut world, &first.serial).unwrap();
    world.wait(4_000_000);
    assert_eq!(
        world.status(&first.serial),
        CertificateStatus::Active,
        "the next was not used yet"
    );
    world.used(&next.serial);
    world.wait(3_599_000);
    assert_eq!(world.status(&first.serial), CertificateStatus::Active);
    world.wait(1_000);
    assert_eq!(world.status(&first.serial), CertificateStatus::Retired);
    assert_eq!(world.status(&next.serial), CertificateStatus::Active);
}

#[test]
fn going_back_to_an_older_certificate_leaves_the_device_one() {
    let mut world = World::new();
    world.claim("lot", 9);
    let old = world.sign("pump-7", "lot").unwrap();
    world.wait(10);
    let new = world.sign("pump-7", "lot").unwrap();
    world.used(&new.serial);
    world.wait(10);
    world.used(&old.serial);
    world.wait(3_600_001);
    assert_eq!(world.status(&new.serial), CertificateStatus::Active);
    assert_eq!(world.status(&old.serial), CertificateStatus::Retired);
}

#[test]
fn what_is_never_used_is_withdrawn() {
    let mut world = World::new();
    world.claim("lot", 9);
    let signed = world.sign("pump-7", "lot").unwrap();
    world.wait(7 * 86_400_000);
    assert_eq!(world.status(&signed.serial), CertificateStatus::Retired);
}

#[test]
fn what_could_not_be_used_while_the_service_was_away_has_another_day() {
    let mut world = World::new();
    world.claim("lot", 9);
    let signed = world.sign("pump-7", "lot").unwrap();
    world.wait(9 * 86_400_000);
    assert_eq!(world.status(&signed.serial), CertificateStatus::Issued);
    world.wait(86_399_999);
    assert_eq!(world.status(&signed.serial), CertificateStatus::Issued);
    world.wait(1);
    assert_eq!(world.status(&signed.serial), CertificateStatus::Retired);
}

#[test]
fn a_key_of_somebody_else_or_a_request_for_another_name_is_refused() {
    let mut world = World::new();
    world.tell_device("pump-8", Stage::Registered);
    let claim_key = world.claim("lot", 9);
    let ask = |world: &mut World, device: &str, csr: String| {
        let request = v1::Sign {
            csr,
            ..Default::default()
        };
        world
            .ask_over::<v1::Signed>(&format!("claims/{device}"), "", "lot", "sign", &request)
            .unwrap()
    };
    let (key, csr) = key_and_csr("pump-7");
    ask(&mut world, "pump-7", csr).unwrap();
    for csr in [
        pki::csr_for(&key, "pump-8").unwrap(),
        pki::csr_for(&claim_key, "pump-8").unwrap(),
        key_and_csr("pump-9").1,
        "nonsense".into(),
        include_str!("../../../pki/testdata/csr/asks-to-be-an-authority.pem").into(),
        include_str!("../../../pki/testdata/csr/rsa-2048.pem").into(),
    ] {
        let refused = ask(&mut world, "pump-8", csr).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_str()),
            ("untrusted", "csr")
        );
    }
}

#[test]
fn people_are_certified_if_they_are_known() {
    let mut world = World::new();
    world.tell_person("integrators", "erp", true);
    let issue = |world: &mut World, kind: &str, id: &str| {
        let request = v1::Issue {
            kind: kind.into(),
            id: id.into(),
            csr: key_and_csr(id).1,
            ..Default::default()
        };
        world.ask::<v1::Signed>(ADA, "issue", &request)
    };
    let signed = issue(&mut world, "operators", "bob").unwrap();
    let read = ClientCertificate::parse_pem(&signed.certificate).unwrap();
    assert_eq!(read.subject.to_string(), "urn:muster:hq:operators:bob");
    assert_eq!(
        issue(&mut world, "operators", "eve").unwrap_err().code,
        "precondition"
    );
    assert_eq!(
        issue(&mut world, "integrators", "erp").unwrap_err().code,
        "precondition"
    );
    assert_eq!(issue(&mut world, "devices", "pump-7").unwrap_err().field, "kind");
}

#[test]
fn after_a_crash_at_any_point_there_is_no_certificate_that_is_not_known() {
    let mut world = World::new();
    world.claim("lot", 9);
    world.hold_effects = true;
    let (_, csr) = key_and_csr("pump-7");
    let request = v1::Sign {
        csr,
        ..Default::default()
    };
    let before = world.frames.len();
    let promised = world.ask_as::<v1::Signed>("once", "claims/pump-7", "", "lot", "sign", &request);
    assert!(promised.is_none(), "the plan is on disk, the answer comes later");
    world.hold_effects = false;
    world.restart();
    let signed = world
        .answer_since::<v1::Signed>(before, "once")
        .expect("the plan is signed at the next start")
        .unwrap();
    assert_eq!(world.status(&signed.serial), CertificateStatus::Issued);
    let again = world
        .ask_as::<v1::Signed>("once", "claims/pump-7", "", "lot", "sign", &request)
        .unwrap()
        .unwrap();
    assert_eq!(again, signed, "a repeat gets the first answer");
}

#[test]
fn a_clock_that_went_back_issues_nothing() {
    let mut world = World::new();
    world.claim("lot", 9);
    world.sign("pump-7", "lot").unwrap();
    world.now_ms -= 3_600_000;
    let refused = world.sign("pump-7", "lot").unwrap_err();
    assert!(refused.message.contains("clock"), "{}", refused.message);
}

#[test]
fn certificates_are_listed_by_owner_status_and_end() {
    let mut world = World::new();
    world.claim("lot", 9);
    for n in 10..14 {
        world.tell_device(&format!("pump-{n}"), Stage::Registered);
        world.sign(&format!("pump-{n}"), "lot").unwrap();
    }
    let list = |world: &mut World, request: v1::ListCertificates| {
        let listed: v1::CertificatesListed = world.ask(ADA, "list", &request).unwrap();
        (
            listed
                .certificates
                .iter()
                .map(|c| c.id.clone())
                .collect::<Vec<_>>(),
            listed.next_page,
        )
    };
    let owner = v1::ListCertificates {
        kind: "devices".into(),
        id: "pump-11".into(),
        ..Default::default()
    };
    assert_eq!(list(&mut world, owner), (vec!["pump-11".into()], String::new()));
    let soon = v1::ListCertificates {
        expires_before_ms: world.now_ms + 7_200_000,
        ..Default::default()
    };
    assert_eq!(list(&mut world, soon).0, ["lot"], "the claim ends first");
    let mut all = Vec::new();
    let mut page = String::new();
    loop {
        let request = v1::ListCertificates {
            kind: "devices".into(),
            page_size: 3,
            page,
            ..Default::default()
        };
        let (rows, next) = list(&mut world, request);
        all.extend(rows);
        if next.is_empty() {
            break;
        }
        page = next;
    }
    all.sort();
    assert_eq!(all, ["pump-10", "pump-11", "pump-12", "pump-13"]);
}

#[test]
fn a_few_operators_are_one_page_among_many_devices() {
    let mut world = World::new();
    world.claim("lot", 99);
    for n in 10..30 {
        world.tell_device(&format!("pump-{n}"), Stage::Registered);
        world.sign(&format!("pump-{n}"), "lot").unwrap();
    }
    let serial = world.issue("operators", "bob").serial;
    let request = v1::ListCertificates {
        kind: "operators".into(),
        page_size: 2,
        ..Default::default()
    };
    let listed: v1::CertificatesListed = world.ask(ADA, "list", &request).unwrap();
    assert_eq!(
        (listed.certificates[0].serial.as_str(), listed.next_page.as_str()),
        (serial.as_str(), "")
    );
}

#[test]
fn what_a_batch_got_for_a_device_and_never_used_goes_when_the_device_is_there() {
    let mut world = World::new();
    world.claim("lot", 9);
    let stolen = world.sign("pump-7", "lot").unwrap();
    let own = world.sign("pump-7", "lot").unwrap();
    world.used(&own.serial);
    assert_eq!(
        world.status(&stolen.serial),
        CertificateStatus::Retired,
        "at once, not after the overlap"
    );
    world.used(&stolen.serial);
    assert_eq!(world.status(&stolen.serial), CertificateStatus::Retired);
}

#[test]
fn how_long_a_certificate_lasts_is_decided_by_how_critical_its_device_is() {
    const DAY: i64 = 86_400_000;
    let lifetimes_ms = vec![
        (Criticality::Critical, 14 * DAY as u64),
        (Criticality::Low, 180 * DAY as u64),
    ];
    let mut world = World::with(Settings {
        lifetimes_ms,
        ..Settings::default()
    });
    world.claim("lot", 9);
    for (criticality, days) in [
        (Criticality::Critical, 14),
        (Criticality::High, 90),
        (Criticality::Unspecified, 90),
        (Criticality::Low, 180),
    ] {
        let device = format!("pump-{}", criticality as i32);
        world.tell_critical(&device, criticality);
        let signed = world.sign(&device, "lot").unwrap();
        assert_eq!(signed.not_after_ms - world.now_ms, days * DAY, "{criticality:?}");
    }
    // A device that becomes critical has its next certificate shorter.
    let signed = world.sign("pump-7", "lot").unwrap();
    world.used(&signed.serial);
    world.tell_critical("pump-7", Criticality::Critical);
    let request = v1::Sign {
        csr: key_and_csr("pump-7").1,
        ..Default::default()
    };
    let renewed = world.ask_over::<v1::Signed>("devices/pump-7", &signed.serial, "", "renew", &request);
    assert_eq!(renewed.unwrap().unwrap().not_after_ms - world.now_ms, 14 * DAY);
}

#[test]
fn which_kinds_of_key_a_device_may_have_is_decided_by_its_profile_and_a_renewal_may_change_it() {
    let rule = |criticality, key_kinds: &[KeyKind]| DeviceProfile {
        criticality: Some(criticality),
        key_kinds: key_kinds.into(),
        lifetime_ms: Some(86_400_000),
        crl_url: Some("http://muster.example/crl/{issuer}.der".into()),
        issuer_url: Some("http://muster.example/ca/{issuer}.der".into()),
        ..DeviceProfile::default()
    };
    let profiles = vec![
        rule(Criticality::Critical, &[KeyKind::P384]),
        rule(Criticality::High, &[KeyKind::P384, KeyKind::Ed25519]),
    ];
    let mut world = World::with(Settings {
        profiles,
        ..Settings::default()
    });
    world.claim("lot", 9);
    world.tell_critical("pump-7", Criticality::Critical);
    let with = |kind| v1::Sign {
        csr: pki::csr_for(&pki::generate_key(kind).unwrap(), "pump-7").unwrap(),
        ..Default::default()
    };
    for kind in [KeyKind::P256, KeyKind::Ed25519] {
        let refused = world.sign_with("pump-7", "lot", &with(kind)).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_str()),
            ("untrusted", "csr")
        );
        assert!(
            refused.message.contains("must be of the kind p384"),
            "{refused:?}"
        );
        assert_eq!(refused.allowed, ["p384"]);
    }
    let first = world.sign_with("pump-7", "lot", &with(KeyKind::P384)).unwrap();
    assert_eq!(pki::key_kind_of(&first.certificate), Some(KeyKind::P384));
    assert_eq!(first.not_after_ms - world.now_ms, 86_400_000);
    world.used(&first.serial);
    // It matters less from now on: its next key may be of another kind, but not of any.
    world.tell_critical("pump-7", Criticality::High);
    let mut renew = |kind| {
        let asked = world.ask_over::<v1::Signed>("devices/pump-7", &first.serial, "", "renew", &with(kind));
        asked.unwrap()
    };
    assert!(
        renew(KeyKind::P256)
            .unwrap_err()
            .message
            .contains("p384 or ed25519")
    );
    let next = renew(KeyKind::Ed25519).unwrap();
    assert_eq!(pki::key_kind_of(&next.certificate), Some(KeyKind::Ed25519));
    // Whoever else verifies finds the list by it.
    let at = tempfile::tempdir().unwrap();
    let file = at.path().join("next.pem");
    std::fs::write(&file, &next.certificate).unwrap();
    let mut openssl = std::process::Command::new("openssl");
    let shown = openssl
        .args([
            "x509",
            "-noout",
            "-ext",
            "crlDistributionPoints,authorityInfoAccess",
            "-in",
        ])
        .arg(&file)
        .output();
    let Ok(shown) = shown else { return };
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for place in ["crl", "ca"] {
        let expected = format!("URI:http://muster.example/{place}/{}.der", world.authority.id());
        assert!(shown.contains(&expected), "{shown}");
    }
}
