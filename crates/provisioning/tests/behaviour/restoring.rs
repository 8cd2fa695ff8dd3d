//! A state that is brought back from a backup is told what was revoked since.

use contract::v1::{self, CertificateStatus};

use crate::world::{ADA, World};

const RESTORE: &str = "services/restore";
const UNKNOWN: &str = "4f000000000000000000000000000001";

fn line(world: &World, serial: &str, at_ms: i64) -> v1::RevokedLine {
    v1::RevokedLine {
        serial: serial.into(),
        at_ms,
        reason: "keyCompromise".into(),
        issuer: world.authority.id(),
    }
}

fn authorities(world: &mut World) -> v1::Authorities {
    world
        .ask(ADA, "authorities", &v1::GetAuthorities::default())
        .unwrap()
}

fn take(world: &mut World, number: u64, revoked: Vec<v1::RevokedLine>) -> Result<v1::Done, v1::Rejection> {
    let request = v1::TakeRevocations {
        number,
        revoked,
        ..Default::default()
    };
    world.ask(RESTORE, "take-revocations", &request)
}

#[test]
fn what_is_known_is_revoked_as_of_when_it_was_and_what_is_not_stays_listed() {
    let mut world = World::new();
    world.claim("lot", 99);
    let signed = world.sign("pump-7", "lot").unwrap();
    world.used(&signed.serial);
    world.wait(1_000);
    let before = authorities(&mut world).crl_number;
    let at_ms = world.now_ms - 500_000;
    let lines = vec![line(&world, &signed.serial, at_ms), line(&world, UNKNOWN, at_ms)];
    take(&mut world, 5_000, lines.clone()).unwrap();
    assert_eq!(world.status(&signed.serial), CertificateStatus::Revoked);
    let fact: v1::CertificateFact = world.fact("certificate", &signed.serial).unwrap();
    assert_eq!(fact.status(), CertificateStatus::Revoked);
    world.wait(1_000);
    let published = authorities(&mut world);
    assert!(
        before < 5_000 && published.crl_number == 5_001,
        "{}",
        published.crl_number
    );
    let chain = format!("{}{}", published.issuing, world.root_pem);
    let issuing = pki::IssuingCertificate::read(&chain, &world.root_pem).unwrap();
    let lists = pki::PublishedList::read_all(published.crl.as_bytes(), &[issuing]).unwrap();
    let listed: Vec<_> = lists[0].revoked.iter().map(|one| one.serial.to_hex()).collect();
    assert!(
        listed.contains(&signed.serial) && listed.contains(&UNKNOWN.to_owned()),
        "{listed:?}"
    );
    assert!(
        lists[0]
            .revoked
            .iter()
            .all(|one| one.at_ms == at_ms / 1000 * 1000)
    );
    assert_eq!(lists[0].number, 5_001);

    // Once more changes nothing, and no number goes back.
    let events = world.events().len();
    take(&mut world, 7, lines).unwrap();
    assert_eq!(world.events().len(), events);
    world.wait(1_000);
    assert_eq!(authorities(&mut world).crl_number, 5_002);
}

#[test]
fn a_list_that_was_being_made_does_not_come_after_all() {
    let mut world = World::new();
    world.claim("lot", 99);
    world.wait(1_000);
    let signed = world.sign("pump-7", "lot").unwrap();
    world.used(&signed.serial);
    world.hold_effects = true;
    let revoke = v1::Revoke {
        serial: signed.serial,
        ..Default::default()
    };
    world.ask_as::<v1::Revoked>("revoke-1", ADA, "", "", "revoke", &revoke);
    world.wait(1_000);
    take(&mut world, 9_000, Vec::new()).unwrap();
    // The process that was making it is not there any more.
    world.effects.clear();
    world.hold_effects = false;
    world.restart();
    world.wait(1_000);
    assert_eq!(authorities(&mut world).crl_number, 9_001);
}

#[test]
fn too_many_lines_and_nonsense_are_refused() {
    let mut world = World::new();
    let many = vec![line(&world, UNKNOWN, 1); 501];
    assert_eq!(take(&mut world, 1, many).unwrap_err().field, "revoked");
    let odd = v1::RevokedLine {
        reason: "boredom".into(),
        ..line(&world, UNKNOWN, 1)
    };
    assert_eq!(take(&mut world, 1, vec![odd]).unwrap_err().field, "reason");
}
