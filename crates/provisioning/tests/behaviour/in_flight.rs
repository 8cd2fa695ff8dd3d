//! What happens between a plan and its signature.

use contract::v1::{self, CertificateStatus, Stage};

use crate::world::{ADA, World, key_and_csr};

/// A device's request whose plan is on disk and whose signature is not made yet.
fn asked() -> (World, usize) {
    let mut world = World::new();
    world.claim("lot", 99);
    world.hold_effects = true;
    let before = world.frames.len();
    let request = v1::Sign {
        csr: key_and_csr("pump-7").1,
        ..Default::default()
    };
    let answer = world.ask_as::<v1::Signed>("sign-1", "claims/pump-7", "", "lot", "sign", &request);
    assert!(answer.is_none(), "it is promised");
    (world, before)
}

fn go_on(world: &mut World) {
    world.hold_effects = false;
    world.wait(1);
}

fn statuses(world: &mut World, kind: &str, id: &str) -> Vec<CertificateStatus> {
    let request = v1::ListCertificates {
        kind: kind.into(),
        id: id.into(),
        ..Default::default()
    };
    let listed: v1::CertificatesListed = world.ask(ADA, "list", &request).unwrap();
    listed.certificates.iter().map(v1::Certificate::status).collect()
}

#[test]
fn an_executor_that_fails_is_answered_for_and_leaves_nothing() {
    let (mut world, before) = asked();
    world.fail_effects();
    let refused = world.answer_since::<v1::Signed>(before, "sign-1").unwrap();
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, "internal");
    assert!(refused.message.contains("log"), "{}", refused.message);
    assert_eq!(statuses(&mut world, "devices", "pump-7"), []);
    world.sign("pump-7", "lot").unwrap();
}

#[test]
fn a_revocation_list_whose_executor_fails_is_made_again() {
    let mut world = World::new();
    world.claim("lot", 9);
    let serial = world.sign("pump-7", "lot").unwrap().serial;
    let request = v1::Revoke {
        serial,
        ..Default::default()
    };
    world.ask_over::<v1::Revoked>(ADA, "", "", "revoke", &request);
    world.hold_effects = true;
    world.wait(600);
    world.fail_effects();
    world.wait(60_000);
    let authorities: v1::Authorities = world
        .ask(ADA, "authorities", &v1::GetAuthorities::default())
        .unwrap();
    assert_eq!(authorities.crl_number, 2);
}

#[test]
fn a_device_that_is_retired_before_the_signature_gets_no_certificate() {
    let (mut world, before) = asked();
    world.tell_device("pump-7", Stage::Retired);
    go_on(&mut world);
    assert_eq!(
        statuses(&mut world, "devices", "pump-7"),
        [CertificateStatus::Revoked]
    );
    let answer = world
        .answer_since::<v1::Signed>(before, "sign-1")
        .expect("an answer");
    assert_eq!(answer.unwrap_err().code, "not-allowed");
}

#[test]
fn revoking_everything_of_a_party_takes_what_is_being_signed_too() {
    let (mut world, before) = asked();
    let all = v1::Revoke {
        kind: "devices".into(),
        id: "pump-7".into(),
        ..Default::default()
    };
    assert!(
        world
            .ask_over::<v1::Revoked>(ADA, "", "", "revoke", &all)
            .is_none()
    );
    go_on(&mut world);
    assert_eq!(
        statuses(&mut world, "devices", "pump-7"),
        [CertificateStatus::Revoked]
    );
    let answer = world
        .answer_since::<v1::Signed>(before, "sign-1")
        .expect("an answer");
    assert!(answer.is_err());
}

#[test]
fn plans_count_against_what_a_device_may_have() {
    let (mut world, _) = asked();
    let mut refused = 0;
    for n in 0..12 {
        let request = v1::Sign {
            csr: key_and_csr("pump-7").1,
            ..Default::default()
        };
        let name = format!("more-{n}");
        let answer = world.ask_as::<v1::Signed>(&name, "claims/pump-7", "", "lot", "sign", &request);
        refused += usize::from(answer.is_some_and(|a| a.is_err_and(|r| r.code == "limit")));
    }
    assert!(refused >= 4, "{refused}");
}

#[test]
fn a_signature_that_fails_frees_no_key_that_another_certificate_has() {
    let mut world = World::new();
    world.claim("lot", 9);
    world.tell_device("pump-8", Stage::Registered);
    let (key, csr) = key_and_csr("pump-7");
    let sign = v1::Sign {
        csr,
        ..Default::default()
    };
    let first: v1::Signed = world
        .ask_over("claims/pump-7", "", "lot", "sign", &sign)
        .unwrap()
        .unwrap();
    world.used(&first.serial);
    world.hold_effects = true;
    world.ask_as::<v1::Signed>("renew-1", "devices/pump-7", &first.serial, "", "renew", &sign);
    world.spoil_effects();
    let stolen = v1::Sign {
        csr: pki::csr_for(&key, "pump-8").unwrap(),
        ..Default::default()
    };
    let answer = world.ask_over::<v1::Signed>("claims/pump-8", "", "lot", "sign", &stolen);
    assert_eq!(answer.unwrap().unwrap_err().code, "untrusted");
}

#[test]
fn a_promised_answer_is_kept_from_the_moment_it_is_given() {
    const HOUR: u64 = 3_600_000;
    let mut world = World::new();
    let request = v1::Issue {
        kind: "operators".into(),
        id: "ada".into(),
        csr: key_and_csr("ada").1,
        ..Default::default()
    };
    let ask = |world: &mut World| world.ask_as::<v1::Signed>("issue-1", ADA, "", "", "issue", &request);
    world.hold_effects = true;
    assert!(ask(&mut world).is_none(), "it is promised");
    world.wait(23 * HOUR);
    world.hold_effects = false;
    world.wait(1);
    let first = ask(&mut world).unwrap().unwrap();
    world.wait(2 * HOUR);
    world.wait(20 * HOUR);
    assert_eq!(ask(&mut world).unwrap().unwrap(), first);
}
