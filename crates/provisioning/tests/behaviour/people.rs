//! Operators and integrators: what the registry says of them, and the last admin.

use contract::v1::{self, CertificateStatus, Role};

use crate::world::{ADA, World};

fn revoke(world: &mut World, serial: &str, reason: &str) -> Option<Result<v1::Revoked, v1::Rejection>> {
    let request = v1::Revoke {
        serial: serial.into(),
        reason: reason.into(),
        ..Default::default()
    };
    world.ask_over(ADA, "", "", "revoke", &request)
}

#[test]
fn a_person_that_is_disabled_leaves_no_certificate_and_one_that_nobody_knows_keeps_it() {
    let mut world = World::new();
    world.tell_person("integrators", "erp.main", false);
    let bob = world.issue("operators", "bob").serial;
    let erp = world.issue("integrators", "erp.main").serial;
    world.tell_person("operators", "bob", false);
    assert_eq!(world.status(&bob), CertificateStatus::Issued, "nothing changed");
    world.tell_person("operators", "bob", true);
    assert_eq!(world.status(&bob), CertificateStatus::Revoked);
    // A registry that was restored from an old backup knows less; that cannot be told from a removal.
    world.tell_bytes("principal", "integrators.erp.main", None);
    assert_eq!(world.status(&erp), CertificateStatus::Issued);
}

#[test]
fn a_fact_that_cannot_be_read_revokes_nothing() {
    let mut world = World::new();
    world.claim("lot", 9);
    let device = world.sign("pump-7", "lot").unwrap().serial;
    let bob = world.issue("operators", "bob").serial;
    world.tell_bytes("device", "pump-7", Some(vec![0xff]));
    world.tell_bytes("principal", "operators.bob", Some(vec![0xff]));
    assert_eq!(world.status(&device), CertificateStatus::Issued);
    assert_eq!(world.status(&bob), CertificateStatus::Issued);
}

#[test]
fn the_last_admin_certificate_goes_only_if_its_key_is_lost() {
    let mut world = World::new();
    world.tell_role("operators", "ada", Role::Admin, false);
    let first = world.issue("operators", "ada").serial;
    let second = world.issue("operators", "ada").serial;
    assert!(revoke(&mut world, &first, "").is_none(), "there is another");
    let refused = revoke(&mut world, &second, "superseded").unwrap().unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("precondition", "serial")
    );
    assert_eq!(world.status(&second), CertificateStatus::Issued);
    world.tell_role("operators", "eve", Role::Admin, true);
    world.tell_role("operators", "kim", Role::Viewer, false);
    world.issue("operators", "kim");
    assert!(
        revoke(&mut world, &second, "").unwrap().is_err(),
        "neither may put it right"
    );
    assert!(
        revoke(&mut world, &second, "keyCompromise").is_none(),
        "worse to leave it"
    );
    assert_eq!(world.status(&second), CertificateStatus::Revoked);
}
