//! A device whose certificate ended while it was away.

use contract::v1::{self, CertificateStatus, Restriction, Stage};

use crate::world::{ADA, Answered, World, key_and_csr};

const DAY: u64 = 86_400_000;
/// A device's certificate lasts 90 days, and renews for 30 days more.
const LIFETIME: u64 = 90 * DAY;
const GRACE: u64 = 30 * DAY;

fn renew(world: &mut World, device: &str, over: &str) -> Answered<v1::Signed> {
    let (_, csr) = key_and_csr(device);
    let request = v1::Sign {
        csr,
        ..Default::default()
    };
    let who = format!("devices/{device}");
    world.ask_over(&who, over, "", "renew", &request).unwrap()
}

/// A world with a device whose certificate was used, and its serial.
fn world() -> (World, String) {
    let mut world = World::new();
    world.claim("lot", 9);
    let first = world.sign("pump-7", "lot").unwrap();
    world.used(&first.serial);
    (world, first.serial)
}

#[test]
fn within_the_grace_it_gets_its_next_certificate_and_it_is_told() {
    for late in [0, 1_000, GRACE - 1_000] {
        let (mut world, first) = world();
        world.wait(LIFETIME + late);
        let next = renew(&mut world, "pump-7", &first).unwrap();
        assert_eq!(world.status(&next.serial), CertificateStatus::Issued);
        let told = world.event_data(&format!("certificates/{first}"), "renewed-late");
        assert_eq!(
            (told["id"].as_str(), told["next"].as_str()),
            (Some("pump-7"), Some(next.serial.as_str()))
        );
        // Once used, it is the newest, and the one that ended renews no more.
        world.used(&next.serial);
        assert_eq!(renew(&mut world, "pump-7", &first).unwrap_err().code, "denied");
    }
}

#[test]
fn after_the_grace_it_needs_a_claim() {
    let (mut world, first) = world();
    world.wait(LIFETIME + GRACE + 1_000);
    assert_eq!(renew(&mut world, "pump-7", &first).unwrap_err().code, "denied");
    assert!(!world.events().iter().any(|event| event.ends_with("renewed-late")));
}

#[test]
fn a_certificate_that_was_never_used_renews_nothing_after_its_end() {
    let mut world = World::new();
    world.claim("lot", 9);
    let unused = world.sign("pump-7", "lot").unwrap().serial;
    world.wait(LIFETIME + 1_000);
    assert_eq!(renew(&mut world, "pump-7", &unused).unwrap_err().code, "denied");
}

#[test]
fn only_the_newest_in_use_renews_and_only_for_its_own_device() {
    let (mut world, first) = world();
    world.tell_device("pump-8", Stage::Registered);
    world.wait(LIFETIME - 1_000);
    let second = renew(&mut world, "pump-7", &first).unwrap().serial;
    world.used(&second);
    // The first ended before its overlap was over.
    world.wait(2_000);
    assert_eq!(renew(&mut world, "pump-7", &first).unwrap_err().code, "denied");
    assert_eq!(renew(&mut world, "pump-8", &second).unwrap_err().code, "denied");
    world.wait(LIFETIME);
    assert_eq!(renew(&mut world, "pump-8", &second).unwrap_err().code, "denied");
    assert!(renew(&mut world, "pump-7", &second).is_ok());
}

#[test]
fn whom_the_registry_shut_out_does_not_come_back_late() {
    for (stage, restriction, expected) in [
        (Stage::Active, Restriction::None, None),
        (Stage::Active, Restriction::Quarantined, None),
        (Stage::Active, Restriction::Suspended, Some("precondition")),
        (Stage::Retiring, Restriction::None, Some("precondition")),
        (Stage::Retired, Restriction::None, Some("precondition")),
    ] {
        let (mut world, first) = world();
        world.wait(LIFETIME + DAY);
        world.tell_restricted("pump-7", stage, restriction);
        let code = renew(&mut world, "pump-7", &first)
            .err()
            .map(|rejection| rejection.code);
        assert_eq!(code.as_deref(), expected, "{stage:?} {restriction:?}");
    }
}

#[test]
fn a_certificate_that_has_ended_can_still_be_revoked_and_renews_no_more() {
    for by_serial in [true, false] {
        let (mut world, first) = world();
        world.wait(LIFETIME + DAY);
        let request = if by_serial {
            v1::Revoke {
                serial: first.clone(),
                ..Default::default()
            }
        } else {
            v1::Revoke {
                kind: "devices".into(),
                id: "pump-7".into(),
                ..Default::default()
            }
        };
        let answer = world.ask_over::<v1::Revoked>(ADA, "", "", "revoke", &request);
        assert!(answer.is_none_or(|answer| answer.is_ok()));
        assert_eq!(world.status(&first), CertificateStatus::Revoked);
        assert_eq!(renew(&mut world, "pump-7", &first).unwrap_err().code, "denied");
    }
}

#[test]
fn where_the_settings_say_so_an_operator_looks_at_it_first() {
    let mut world = World::with(provisioning::Settings {
        renew_after_admitted: true,
        ..provisioning::Settings::default()
    });
    world.claim("lot", 9);
    let first = world.sign("pump-7", "lot").unwrap().serial;
    world.used(&first);
    // Before its end nobody is asked.
    world.wait(LIFETIME - 1_000);
    assert!(renew(&mut world, "pump-7", &first).is_ok());
    world.wait(2_000);
    let (_, csr) = key_and_csr("pump-7");
    let request = |csr: &str| v1::Sign {
        csr: csr.into(),
        ..Default::default()
    };
    let ask = |world: &mut World, csr: &str| {
        let answer = world.ask_over::<v1::Signed>("devices/pump-7", &first, "", "renew", &request(csr));
        answer.unwrap()
    };
    let refused = ask(&mut world, &csr).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.retry_after_ms),
        ("precondition", 30_000)
    );
    let waiting = |world: &mut World| -> Vec<v1::WaitingDevice> {
        let listed: v1::AdmissionsListed = world
            .ask(ADA, "admissions", &v1::ListAdmissions::default())
            .unwrap();
        listed.devices
    };
    let one = waiting(&mut world).remove(0);
    assert_eq!((one.device_id.as_str(), one.batch.as_str()), ("pump-7", ""));
    let admit = v1::DecideAdmission {
        device_id: "pump-7".into(),
        fingerprint: one.fingerprint,
        ..Default::default()
    };
    world.ask::<v1::Done>(ADA, "admit", &admit).unwrap();
    // Another key is another question.
    let (_, other) = key_and_csr("pump-7");
    assert_eq!(ask(&mut world, &other).unwrap_err().code, "precondition");
    let next = ask(&mut world, &csr).unwrap();
    assert_eq!(world.status(&next.serial), CertificateStatus::Issued);
    assert_eq!(waiting(&mut world), []);
    let told = world.event_data(&format!("certificates/{first}"), "renewed-late");
    assert_eq!(told["next"].as_str(), Some(next.serial.as_str()));
}
