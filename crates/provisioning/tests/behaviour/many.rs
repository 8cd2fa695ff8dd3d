//! Certificates that are revoked in bulk: those of a batch, of an issuing authority, of a key.

use contract::v1::{self, CertificateStatus, Stage};

use crate::world::{ADA, Answered, World, key_and_csr};

/// More than one page.
const DEVICES: usize = 260;

fn device(n: usize) -> String {
    format!("pump-{n:03}")
}

/// Devices of a batch, each with a certificate in use; their serials.
fn devices(world: &mut World, batch: &str, numbers: impl Iterator<Item = usize>) -> Vec<String> {
    let mut serials = Vec::new();
    for n in numbers {
        world.tell_device(&device(n), Stage::Registered);
        let signed = world.sign(&device(n), batch).unwrap();
        world.used(&signed.serial);
        serials.push(signed.serial);
    }
    serials
}

fn renew(world: &mut World, n: usize, over: &str) -> Answered<v1::Signed> {
    let request = v1::Sign {
        csr: key_and_csr(&device(n)).1,
        ..Default::default()
    };
    let who = format!("devices/{}", device(n));
    world.ask_over(&who, over, "", "renew", &request).unwrap()
}

fn ask(world: &mut World, request: &v1::RevokeMany) -> Option<Answered<v1::ManyRevoked>> {
    world.ask_as("many-1", ADA, "", "", "revoke-many", request)
}

fn of_batch(batch: &str) -> v1::RevokeMany {
    v1::RevokeMany {
        batch: batch.into(),
        reason: "keyCompromise".into(),
        ..Default::default()
    }
}

/// The front door closes one session for each revocation that it was told of.
fn receipts(world: &mut World) -> usize {
    let facts = world
        .frames
        .iter()
        .filter(|f| f.topic.contains("/facts/provisioning/certificate/"))
        .filter_map(|f| <v1::Fact as prost::Message>::decode(f.payload.as_ref()).ok())
        .filter_map(|f| <v1::CertificateFact as prost::Message>::decode(f.value.as_slice()).ok());
    let open: Vec<_> = facts.filter(|fact| !fact.revocation.is_empty()).collect();
    for fact in &open {
        let receipt = v1::Kicked {
            revocation: fact.revocation.clone(),
            serial: fact.serial.clone(),
            sessions: 1,
            ..Default::default()
        };
        world
            .ask::<v1::Done>("services/front-door", "kicked", &receipt)
            .unwrap();
    }
    open.len()
}

fn revoked(world: &mut World, serials: &[String]) -> usize {
    let is_revoked = |serial: &&String| world.status(serial) == CertificateStatus::Revoked;
    serials.iter().filter(is_revoked).count()
}

#[test]
fn the_devices_of_a_batch_are_revoked_page_after_page_and_the_receipt_comes_last() {
    let mut world = World::new();
    world.claim("lot", 999);
    world.claim("other", 9);
    let mut mine = devices(&mut world, "lot", 0..DEVICES);
    let others = devices(&mut world, "other", 900..903);
    // A device that has renewed since came by the batch all the same.
    let next = renew(&mut world, 0, &mine[0]).unwrap().serial;
    world.used(&next);
    mine.push(next.clone());
    world.tell_device("pump-999", Stage::Registered);
    let last = (1..DEVICES).max_by_key(|n| mine[*n].clone()).unwrap();
    let told = |world: &World| {
        let events = world.events().into_iter();
        events.filter(|event| event.ends_with(" revoked")).count()
    };
    let before = world.frames.len();
    assert!(ask(&mut world, &of_batch("lot")).is_none());
    assert_eq!(told(&world), 0);
    // The first page; nobody slips through behind it, and the batch is closed.
    let refused = renew(&mut world, last, &mine[last]).unwrap_err();
    assert_eq!(refused.code, "conflict");
    assert!(refused.retry_after_ms > 0);
    let first = told(&world);
    assert!(0 < first && first <= 250, "a commit is bounded: {first}");
    world.restart();
    assert_eq!(world.sign("pump-999", "lot").unwrap_err().code, "denied");
    assert_eq!(told(&world), mine.len() + 1, "with the claim's own");
    assert!(world.answer_since::<v1::ManyRevoked>(before, "many-1").is_none());
    let under_way = |world: &mut World| -> Vec<v1::BulkRevocation> {
        let listed: v1::RevocationsListed = world
            .ask(ADA, "revocations", &v1::ListRevocations::default())
            .unwrap();
        listed.revocations
    };
    let standing = under_way(&mut world);
    let all = mine.len() as u64 + 1;
    assert_eq!(standing.len(), 1);
    assert_eq!(
        (standing[0].batch.as_str(), standing[0].revoked, standing[0].open),
        ("lot", all, all)
    );
    assert!(standing[0].complete && standing[0].sessions_closed == 0);
    receipts(&mut world);
    assert_eq!(under_way(&mut world), []);
    assert_eq!(
        world.counted("certificates_revoked_total", &["keyCompromise"]),
        all
    );
    assert_eq!(world.counted("time_to_kick_seconds", &[]), all);
    let answer = world
        .answer_since::<v1::ManyRevoked>(before, "many-1")
        .unwrap()
        .unwrap();
    assert_eq!(answer.revoked, mine.len() as u64 + 1);
    assert_eq!(u64::from(answer.sessions_closed), answer.revoked);
    assert!(!answer.receipt_missing);
    assert_eq!(revoked(&mut world, &mine), mine.len());
    assert_eq!(revoked(&mut world, &others), 0);
    assert!(renew(&mut world, 900, &others[0]).is_ok());
    assert!(renew(&mut world, 0, &next).is_err());
}

#[test]
fn a_front_door_that_is_away_is_told_of_and_not_waited_for() {
    let mut world = World::new();
    world.claim("lot", 999);
    let mine = devices(&mut world, "lot", 0..3);
    let before = world.frames.len();
    assert!(ask(&mut world, &of_batch("lot")).is_none());
    world.wait(1);
    assert_eq!(revoked(&mut world, &mine), 3);
    world.wait(5_000);
    let answer = world
        .answer_since::<v1::ManyRevoked>(before, "many-1")
        .unwrap()
        .unwrap();
    assert!(answer.receipt_missing && answer.sessions_closed == 0 && answer.revoked == 4);
    // Receipts that come late are taken, and another try finds nothing more.
    receipts(&mut world);
    let before = world.frames.len();
    let again = world.ask_as::<v1::ManyRevoked>("again", ADA, "", "", "revoke-many", &of_batch("lot"));
    assert!(again.is_none());
    world.wait(1);
    let answer = world.answer_since::<v1::ManyRevoked>(before, "again").unwrap();
    assert_eq!(answer.unwrap_err().code, "not-found");
}

#[test]
fn all_of_an_issuing_authority_go_when_another_signs() {
    let mut world = World::new();
    world.claim("lot", 99);
    let olds = devices(&mut world, "lot", 0..3);
    let (old, new) = (world.authority.clone(), world.another(7));
    let of_old = v1::RevokeMany {
        issuer: old.id(),
        reason: "cACompromise".into(),
        ..Default::default()
    };
    let refused = ask(&mut world, &of_old).unwrap().unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("precondition", "issuer")
    );
    world.go_on_under(&new, &[&old]);
    let next = renew(&mut world, 0, &olds[0]).unwrap().serial;
    world.used(&next);
    let before = world.frames.len();
    assert!(
        world
            .ask_as::<v1::ManyRevoked>("many-2", ADA, "", "", "revoke-many", &of_old)
            .is_none()
    );
    world.wait(1);
    receipts(&mut world);
    let answer = world
        .answer_since::<v1::ManyRevoked>(before, "many-2")
        .unwrap()
        .unwrap();
    assert_eq!(answer.revoked, 4, "three devices and the claim");
    assert_eq!(revoked(&mut world, &olds), 3);
    assert_eq!(world.status(&next), CertificateStatus::Active);
}

#[test]
fn what_names_nothing_or_two_things_is_refused_and_nothing_found_is_said() {
    let mut world = World::new();
    let both = v1::RevokeMany {
        issuer: "4a000001".into(),
        ..of_batch("lot")
    };
    for request in [v1::RevokeMany::default(), both] {
        let refused = world
            .ask::<v1::ManyRevoked>(ADA, "revoke-many", &request)
            .unwrap_err();
        assert_eq!(refused.code, "invalid");
    }
    let before = world.frames.len();
    let request = of_batch("nowhere");
    assert!(
        world
            .ask_as::<v1::ManyRevoked>("many-3", ADA, "", "", "revoke-many", &request)
            .is_none()
    );
    world.wait(1);
    let answer = world.answer_since::<v1::ManyRevoked>(before, "many-3").unwrap();
    assert_eq!(answer.unwrap_err().code, "not-found");
}

#[test]
fn a_key_is_revoked_with_all_that_it_has() {
    let mut world = World::new();
    world.claim("lot", 99);
    let (key, csr) = key_and_csr("pump-7");
    let request = v1::Sign {
        csr: csr.clone(),
        ..Default::default()
    };
    let first = world.sign_with("pump-7", "lot", &request).unwrap().serial;
    world.used(&first);
    let over =
        |world: &mut World| world.ask_over::<v1::Signed>("devices/pump-7", &first, "", "renew", &request);
    let second = over(&mut world).unwrap().unwrap().serial;
    let key = pki::PublicKey::of_private(&key).unwrap().fingerprint_sha256();
    let by_key = |key: &str| v1::Revoke {
        key: key.into(),
        reason: "keyCompromise".into(),
        ..Default::default()
    };
    for (wrong, code) in [("4a", "invalid"), (&"4a".repeat(32)[..], "not-found")] {
        let refused = world
            .ask::<v1::Revoked>(ADA, "revoke", &by_key(wrong))
            .unwrap_err();
        assert_eq!((refused.code.as_str(), refused.field.as_str()), (code, "key"));
    }
    let before = world.frames.len();
    assert!(
        world
            .ask_as::<v1::Revoked>("key-1", ADA, "", "", "revoke", &by_key(&key))
            .is_none()
    );
    receipts(&mut world);
    let answer = world
        .answer_since::<v1::Revoked>(before, "key-1")
        .unwrap()
        .unwrap();
    assert_eq!(answer.serials.len(), 2);
    assert_eq!(revoked(&mut world, &[first.clone(), second]), 2);
    assert!(over(&mut world).unwrap().is_err());
}
