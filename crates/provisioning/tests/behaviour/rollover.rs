//! One issuing authority follows the other: both are trusted, one signs, each has its revocation list.

use std::{path::Path, process::Command, sync::Arc};

use contract::v1::{self, CertificateStatus, Stage};
use pki::Authority;

use crate::world::{ADA, Answered, World, key_and_csr};

fn renew(world: &mut World, device: &str, over: &str) -> Answered<v1::Signed> {
    let request = v1::Sign {
        csr: key_and_csr(device).1,
        ..Default::default()
    };
    let who = format!("devices/{device}");
    world.ask_over(&who, over, "", "renew", &request).unwrap()
}

fn revoke(world: &mut World, serial: &str) {
    let request = v1::Revoke {
        serial: serial.into(),
        ..Default::default()
    };
    let _: Option<Answered<v1::Revoked>> = world.ask_over(ADA, "", "", "revoke", &request);
    assert_eq!(world.status(serial), CertificateStatus::Revoked);
}

fn listed(world: &mut World, issuer: &Authority) -> Vec<String> {
    let request = v1::ListCertificates {
        issuer: issuer.id(),
        kind: "devices".into(),
        ..Default::default()
    };
    let page: v1::CertificatesListed = world.ask(ADA, "list", &request).unwrap();
    page.certificates.into_iter().map(|c| c.serial).collect()
}

/// A world with `pump-1` and `pump-2`, each with a certificate in use; and these.
fn world() -> (World, v1::Signed, v1::Signed) {
    let mut world = World::new();
    world.claim("lot", 9);
    let [one, two] = ["pump-1", "pump-2"].map(|device| {
        world.tell_device(device, Stage::Registered);
        let signed = world.sign(device, "lot").unwrap();
        world.used(&signed.serial);
        signed
    });
    (world, one, two)
}

#[test]
fn certificates_come_from_the_new_one_and_those_of_the_old_one_go_on() {
    let (mut world, one, two) = world();
    let (old, new) = (world.authority.clone(), world.another(7));
    // Published: it is told, and signs nothing.
    world.go_on_under(&old, &[&new]);
    let authorities: v1::Authorities = world
        .ask(ADA, "authorities", &v1::GetAuthorities::default())
        .unwrap();
    let signs: Vec<_> = authorities
        .authorities
        .iter()
        .map(|a| (a.id.clone(), a.signs))
        .collect();
    assert_eq!(signs, [(old.id(), true), (new.id(), false)]);
    assert_eq!(
        authorities.issuing,
        old.certificate_pem() + &new.certificate_pem()
    );
    let again = renew(&mut world, "pump-1", &one.serial).unwrap();
    assert!(pki::issued_by(&again.certificate, &old.certificate_pem()).is_ok());
    // Active: the next ones are its.
    world.go_on_under(&new, &[&old]);
    let next = renew(&mut world, "pump-2", &two.serial).unwrap();
    assert!(pki::issued_by(&next.certificate, &new.certificate_pem()).is_ok());
    assert!(
        next.certificate.ends_with(&new.certificate_pem()),
        "with the CA above it"
    );
    world.used(&next.serial);
    assert_eq!(listed(&mut world, &new), std::slice::from_ref(&next.serial));
    let mut olds = vec![one.serial, two.serial, again.serial];
    olds.sort();
    assert_eq!(listed(&mut world, &old), olds);
    assert!(
        !olds.contains(&next.serial),
        "a serial stands for one certificate over both"
    );
}

#[test]
fn each_issuing_ca_is_told_with_what_counts_of_it() {
    let (mut world, one, _) = world();
    let (old, new) = (world.authority.clone(), world.another(7));
    let counted = |world: &World| provisioning::survey(&world.store, world.now_ms).unwrap().issuers;
    world.go_on_under(&old, &[]);
    // The claim's, and those of two devices.
    assert_eq!(counted(&world), [(old.id(), 3)].into());
    world.go_on_under(&new, &[&old]);
    assert_eq!(counted(&world), [(new.id(), 0), (old.id(), 3)].into());
    let next = renew(&mut world, "pump-1", &one.serial).unwrap();
    world.used(&next.serial);
    world.wait(3_600_000);
    assert_eq!(
        counted(&world),
        [(new.id(), 1), (old.id(), 1)].into(),
        "the claim has ended, one is retired"
    );
}

#[test]
fn what_was_planned_before_is_signed_by_the_one_that_it_was_planned_for_or_by_nobody() {
    for (is_removed, restarts) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut world, one, _) = world();
        let (old, new) = (world.authority.clone(), world.another(7));
        world.hold_effects = true;
        let before = world.frames.len();
        let request = v1::Sign {
            csr: key_and_csr("pump-1").1,
            ..Default::default()
        };
        let promised =
            world.ask_as::<v1::Signed>("r-x", "devices/pump-1", &one.serial, "", "renew", &request);
        assert!(promised.is_none());
        world.hold_effects = false;
        let others = if is_removed { &[][..] } else { &[&old] };
        match restarts {
            true => world.restart_under(&new, others),
            false => world.go_on_under(&new, others),
        }
        let answer = world.answer_since::<v1::Signed>(before, "r-x").unwrap();
        match answer {
            Ok(signed) => {
                assert!(!is_removed);
                assert!(pki::issued_by(&signed.certificate, &old.certificate_pem()).is_ok());
                assert!(signed.certificate.ends_with(&old.certificate_pem()));
            }
            Err(rejection) => {
                assert!(
                    is_removed && rejection.message.contains("was removed"),
                    "{rejection:?}"
                );
            }
        }
        assert!(renew(&mut world, "pump-1", &one.serial).is_ok());
    }
}

#[test]
fn each_change_is_told_once_and_the_lists_are_made_at_once() {
    let (mut world, _, _) = world();
    let (old, new) = (world.authority.clone(), world.another(7));
    // What it begins with is no change.
    world.go_on_under(&old, &[]);
    let told = |world: &World| {
        let all = world.events().into_iter();
        all.filter(|event| event.starts_with("authorities/")).count()
    };
    assert_eq!(told(&world), 0);
    let state = |world: &World, one: &Authority| {
        world.event_data(&format!("authorities/{}", one.id()), "changed")["state"].clone()
    };
    use service::store::Blobs;
    let list = format!("crl-{}.pem", new.id());
    assert!(world.blobs.read(&list, 0, 1 << 20).unwrap().is_none());
    world.go_on_under(&old, &[&new]);
    world.wait(0);
    assert_eq!((told(&world), state(&world, &new)), (1, "trusted".into()));
    assert!(world.blobs.read(&list, 0, 1 << 20).unwrap().is_some());
    world.go_on_under(&new, &[&old]);
    assert_eq!(state(&world, &new), "signs");
    assert_eq!((told(&world), state(&world, &old)), (3, "trusted".into()));
    // Nothing more, however often it is woken or started.
    world.go_on_under(&new, &[&old]);
    world.restart_under(&new, &[&old]);
    assert_eq!(told(&world), 3);
    // While it did not run.
    world.restart_under(&new, &[]);
    assert_eq!((told(&world), state(&world, &old)), (4, "removed".into()));
}

/// What openssl says of a certificate under these roots, authorities and lists.
fn verifies(folder: &Path, world: &World, name: &str, certificate: &str) -> bool {
    std::fs::write(folder.join(name), certificate).unwrap();
    let at = (world.now_ms / 1000).to_string();
    let output = Command::new("openssl")
        .args(["verify", "-crl_check", "-attime", &at, "-CAfile", "roots.pem"])
        .args(["-untrusted", "issuing.pem", "-CRLfile", "crl.pem", name])
        .current_dir(folder)
        .output()
        .unwrap();
    output.status.success()
}

#[test]
fn each_has_its_revocation_list_and_openssl_believes_both() {
    let (mut world, one, two) = world();
    let (old, new): (Arc<Authority>, _) = (world.authority.clone(), world.another(7));
    world.restart_under(&new, &[&old]);
    let [three, four] = ["pump-3", "pump-4"].map(|device| {
        world.tell_device(device, Stage::Registered);
        world.sign(device, "lot").unwrap()
    });
    revoke(&mut world, &two.serial);
    revoke(&mut world, &four.serial);
    world.wait(600);
    let authorities: v1::Authorities = world
        .ask(ADA, "authorities", &v1::GetAuthorities::default())
        .unwrap();
    assert_eq!(authorities.crl.matches("BEGIN X509 CRL").count(), 2);
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("roots.pem", &authorities.roots),
        ("issuing.pem", &authorities.issuing),
        ("crl.pem", &authorities.crl),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    for (name, signed, good) in [
        ("one.pem", &one, true),
        ("two.pem", &two, false),
        ("three.pem", &three, true),
        ("four.pem", &four, false),
    ] {
        assert_eq!(
            verifies(folder.path(), &world, name, &signed.certificate),
            good,
            "{name}"
        );
    }
    // Each also as files of its own, which name what it has revoked and nothing else.
    use service::store::Blobs;
    for (authority, revoked, other) in [(&old, &two, &four), (&new, &four, &two)] {
        for ending in ["der", "pem"] {
            let name = format!("crl-{}.{ending}", authority.id());
            let file = world.blobs.read(&name, 0, 1 << 20).unwrap().unwrap();
            std::fs::write(folder.path().join(&name), file).unwrap();
            let output = Command::new("openssl")
                .args(["crl", "-noout", "-text", "-inform", ending, "-in", &name])
                .current_dir(folder.path())
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
            assert!(
                text.contains(&revoked.serial) && !text.contains(&other.serial),
                "{name}: {text}"
            );
        }
    }
}
