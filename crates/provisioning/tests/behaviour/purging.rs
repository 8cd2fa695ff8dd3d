//! What ended long ago is forgotten, and not before.

use contract::v1::{self, CertificateStatus, Stage};

use crate::world::{ADA, World, key_and_csr};

fn is_known(world: &mut World, serial: &str) -> bool {
    let request = v1::ShowCertificate {
        serial: serial.into(),
        ..Default::default()
    };
    match world.ask::<v1::CertificateShown>(ADA, "show", &request) {
        Ok(_) => true,
        Err(refusal) => {
            assert_eq!(refusal.code, "not-found");
            false
        }
    }
}

fn count(world: &mut World) -> usize {
    let request = v1::ListCertificates {
        page_size: 500,
        ..Default::default()
    };
    let listed: v1::CertificatesListed = world.ask(ADA, "list", &request).unwrap();
    listed.certificates.len()
}

fn sign_with(world: &mut World, csr: String) -> Result<v1::Signed, v1::Rejection> {
    let request = v1::Sign {
        csr,
        ..Default::default()
    };
    world
        .ask_over("claims/pump-7", "", "lot", "sign", &request)
        .unwrap()
}

#[test]
fn a_certificate_is_forgotten_ninety_days_after_its_end_with_its_fact_and_its_batch() {
    let mut world = World::new();
    world.claim("lot", 9);
    let serial = world.sign("pump-7", "lot").unwrap().serial;
    world.used(&serial);
    // The claim's certificate ended after an hour.
    world.days(90);
    assert_eq!(count(&mut world), 2);
    world.days(1);
    assert_eq!(count(&mut world), 1);
    assert_eq!(world.fact::<v1::Claim>("claim", "lot"), None);
    let claims: v1::ClaimsListed = world.ask(ADA, "claims", &v1::ListClaims::default()).unwrap();
    assert_eq!(claims.claims, []);
    world.claim("lot", 9);
    world.days(88);
    assert!(is_known(&mut world, &serial));
    world.days(2);
    assert!(!is_known(&mut world, &serial));
    assert_eq!(world.fact::<v1::CertificateFact>("certificate", &serial), None);
    let data = world.event_data(&format!("certificates/{serial}"), "forgotten");
    assert_eq!(data["id"], "pump-7");
}

#[test]
fn a_key_is_free_again_but_one_that_was_revoked_never() {
    let mut world = World::new();
    world.tell_device("pump-8", Stage::Registered);
    world.claim("lot", 9);
    let (_, plain) = key_and_csr("pump-7");
    let (_, burnt) = key_and_csr("pump-7");
    let kept = sign_with(&mut world, plain.clone()).unwrap().serial;
    let revoked = sign_with(&mut world, burnt.clone()).unwrap().serial;
    let request = v1::Revoke {
        serial: revoked.clone(),
        reason: "keyCompromise".into(),
        ..Default::default()
    };
    world.ask_over::<v1::Revoked>(ADA, "", "", "revoke", &request);
    world.days(182);
    assert!(!is_known(&mut world, &kept) && !is_known(&mut world, &revoked));
    world.claim("lot", 9);
    assert_eq!(sign_with(&mut world, burnt).unwrap_err().code, "untrusted");
    sign_with(&mut world, plain).unwrap();
}

#[test]
fn a_key_stays_its_partys_while_another_certificate_of_it_is_known() {
    let mut world = World::new();
    world.claim("lot", 9);
    let (key, csr) = key_and_csr("pump-7");
    let first = sign_with(&mut world, csr.clone()).unwrap().serial;
    world.used(&first);
    world.days(60);
    let renewal = v1::Sign {
        csr,
        ..Default::default()
    };
    let second: v1::Signed = world
        .ask_over("devices/pump-7", &first, "", "renew", &renewal)
        .unwrap()
        .unwrap();
    world.used(&second.serial);
    world.days(122);
    assert!(!is_known(&mut world, &first));
    assert_eq!(world.status(&second.serial), CertificateStatus::Active);
    world.tell_device("pump-8", Stage::Registered);
    world.claim("next", 9);
    let request = v1::Sign {
        csr: pki::csr_for(&key, "pump-8").unwrap(),
        ..Default::default()
    };
    let theft = world.ask_over::<v1::Signed>("claims/pump-8", "", "next", "sign", &request);
    assert_eq!(theft.unwrap().unwrap_err().code, "untrusted");
}

#[test]
fn a_clock_that_leaps_leaves_a_day_to_set_it_right() {
    let mut world = World::new();
    world.claim("lot", 9);
    let serial = world.sign("pump-7", "lot").unwrap().serial;
    world.used(&serial);
    let leap = 1_000 * 86_400_000;
    world.wait(leap);
    world.wait(86_399_999);
    assert!(is_known(&mut world, &serial));
    world.now_ms -= leap as i64 + 86_399_999;
    world.wait(1);
    assert_eq!(world.status(&serial), CertificateStatus::Active);
    world.now_ms += leap as i64;
    world.days(2);
    assert!(!is_known(&mut world, &serial));
}

#[test]
fn more_than_a_page_is_forgotten_page_by_page() {
    let mut world = World::new();
    world.claim("lot", 1_000);
    for n in 0..501 {
        let device = format!("pump-{n}");
        world.tell_device(&device, Stage::Registered);
        world.sign(&device, "lot").unwrap();
    }
    world.days(180);
    assert_eq!(count(&mut world), 500);
    let before = world.frames.len();
    world.days(1);
    let facts = world.frames[before..]
        .iter()
        .filter(|f| f.topic.contains("/facts/provisioning/certificate/"));
    assert_eq!(facts.count(), 500, "a page");
    world.wait(0);
    assert_eq!(count(&mut world), 0);
}
