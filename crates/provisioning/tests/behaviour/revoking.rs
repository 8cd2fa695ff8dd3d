//! What is revoked does not count any more, anywhere.

use contract::v1::{self, CertificateStatus, Stage};

use crate::world::{ADA, World, key_and_csr};

fn with_device() -> (World, String) {
    let mut world = World::new();
    world.claim("lot", 99);
    let signed = world.sign("pump-7", "lot").unwrap();
    world.used(&signed.serial);
    world.wait(1_000);
    (world, signed.serial)
}

fn revoke(world: &mut World, request: &v1::Revoke) -> Option<Result<v1::Revoked, v1::Rejection>> {
    world.ask_as("revoke-1", ADA, "", "", "revoke", request)
}

fn by_serial(serial: &str) -> v1::Revoke {
    v1::Revoke {
        serial: serial.into(),
        reason: "keyCompromise".into(),
        ..Default::default()
    }
}

fn kicked(world: &mut World, serial: &str, sessions: u32) {
    let request = v1::ShowCertificate {
        serial: serial.into(),
        ..Default::default()
    };
    let _: v1::CertificateShown = world.ask(ADA, "show", &request).unwrap();
    let revocation = world
        .frames
        .iter()
        .filter(|f| f.topic.contains("/facts/provisioning/certificate/"))
        .filter_map(|f| prost::Message::decode(f.payload.as_ref()).ok())
        .map(|f: v1::Fact| <v1::CertificateFact as prost::Message>::decode(f.value.as_slice()).unwrap())
        .rfind(|f| f.serial == serial && !f.revocation.is_empty())
        .unwrap()
        .revocation;
    let receipt = v1::Kicked {
        revocation,
        serial: serial.into(),
        sessions,
        ..Default::default()
    };
    world
        .ask::<v1::Done>("services/front-door", "kicked", &receipt)
        .unwrap();
}

#[test]
fn a_revocation_is_answered_when_the_sessions_are_closed() {
    let (mut world, serial) = with_device();
    let before = world.frames.len();
    assert!(revoke(&mut world, &by_serial(&serial)).is_none());
    assert_eq!(world.status(&serial), CertificateStatus::Revoked);
    world.wait(40);
    kicked(&mut world, &serial, 2);
    let revoked = world
        .answer_since::<v1::Revoked>(before, "revoke-1")
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            revoked.sessions_closed,
            revoked.closed_after_ms,
            revoked.receipt_missing
        ),
        (2, 40, false)
    );
    assert_eq!(revoked.serials, std::slice::from_ref(&serial));
    for event in ["revoked", "closed"] {
        assert!(
            world.events().contains(&format!("certificates/{serial} {event}")),
            "{event}"
        );
    }
    let again = world
        .ask_over::<v1::Revoked>(ADA, "", "", "revoke", &by_serial(&serial))
        .unwrap();
    assert_eq!(again.unwrap_err().code, "not-allowed");
}

#[test]
fn a_front_door_that_is_away_is_not_waited_for_for_ever() {
    let (mut world, serial) = with_device();
    let before = world.frames.len();
    revoke(&mut world, &by_serial(&serial));
    world.wait(5_000);
    assert!(
        world
            .answer_since::<v1::Revoked>(before, "revoke-1")
            .unwrap()
            .unwrap()
            .receipt_missing
    );
}

#[test]
fn everything_of_a_party_is_revoked_at_once_and_nothing_is_not_found() {
    let (mut world, first) = with_device();
    let (_, csr) = key_and_csr("pump-7");
    let next: v1::Signed = world
        .ask_over(
            "devices/pump-7",
            &first,
            "",
            "renew",
            &v1::Sign {
                csr,
                ..Default::default()
            },
        )
        .unwrap()
        .unwrap();
    let all = v1::Revoke {
        kind: "devices".into(),
        id: "pump-7".into(),
        ..Default::default()
    };
    let before = world.frames.len();
    revoke(&mut world, &all);
    kicked(&mut world, &first, 1);
    assert!(
        world.answer_since::<v1::Revoked>(before, "revoke-1").is_none(),
        "one is still open"
    );
    kicked(&mut world, &next.serial, 0);
    assert_eq!(
        world
            .answer_since::<v1::Revoked>(before, "revoke-1")
            .unwrap()
            .unwrap()
            .serials
            .len(),
        2
    );
    let nobody = v1::Revoke {
        kind: "devices".into(),
        id: "pump-8".into(),
        ..Default::default()
    };
    assert_eq!(
        world.ask::<v1::Revoked>(ADA, "revoke", &nobody).unwrap_err().code,
        "not-found"
    );
    let both = v1::Revoke {
        serial: "ab".into(),
        ..nobody
    };
    assert_eq!(
        world.ask::<v1::Revoked>(ADA, "revoke", &both).unwrap_err().code,
        "invalid"
    );
}

#[test]
fn a_retired_device_leaves_no_certificate_and_its_key_is_nobodys() {
    let (mut world, serial) = with_device();
    world.tell_device("pump-7", Stage::Retired);
    assert_eq!(world.status(&serial), CertificateStatus::Revoked);
}

#[test]
fn a_revoked_claim_opens_nothing() {
    let (mut world, _) = with_device();
    world.tell_device("pump-8", Stage::Registered);
    let batch = v1::Revoke {
        kind: "claims".into(),
        id: "lot".into(),
        ..Default::default()
    };
    revoke(&mut world, &batch);
    assert_eq!(world.sign("pump-8", "lot").unwrap_err().code, "denied");
}

#[test]
fn the_revocation_list_grows_in_number_and_names_what_is_revoked() {
    let (mut world, serial) = with_device();
    let authorities = |world: &mut World| -> v1::Authorities {
        world
            .ask(ADA, "authorities", &v1::GetAuthorities::default())
            .unwrap()
    };
    revoke(&mut world, &by_serial(&serial));
    world.wait(600);
    let first = authorities(&mut world);
    assert!(first.crl.contains("BEGIN X509 CRL") && first.crl_number == 1);
    assert!(
        openssl(&first.crl).to_lowercase().contains(&serial),
        "{}",
        openssl(&first.crl)
    );
    assert!(openssl(&first.crl).contains("Key Compromise"));
    // It is made anew well before it ends.
    world.wait(7 * 86_400_000 / 2);
    assert_eq!(authorities(&mut world).crl_number, 2);
    // What has ended by itself is in one more list (RFC 5280, section 3.3), and left out of the next.
    world.wait(91 * 86_400_000);
    world.wait(1);
    let last = authorities(&mut world);
    assert!(last.crl_number == 3 && openssl(&last.crl).to_lowercase().contains(&serial));
    world.wait(7 * 86_400_000 / 2);
    let last = authorities(&mut world);
    assert!(last.crl_number == 4 && !openssl(&last.crl).to_lowercase().contains(&serial));
}

fn publish(world: &mut World, name: &str) {
    let request = v1::PublishLists::default();
    let _: Option<Result<v1::ListsPublished, v1::Rejection>> =
        world.ask_as(name, ADA, "", "", "publish-lists", &request);
}

/// The answer, but for whose it is.
fn published(world: &World, name: &str) -> Option<Result<v1::ListsPublished, v1::Rejection>> {
    let answer: Result<v1::ListsPublished, _> = world.answer_since(0, name)?;
    Some(answer.map(|published| v1::ListsPublished {
        request_id: String::new(),
        ..published
    }))
}

#[test]
fn lists_are_made_when_somebody_asks_and_whoever_asks_meanwhile_waits_for_the_same() {
    let (mut world, serial) = with_device();
    revoke(&mut world, &by_serial(&serial));
    world.wait(600);
    let before = listed(&mut world).0;
    world.hold_effects = true;
    for name in ["p-1", "p-2"] {
        publish(&mut world, name);
        world.wait(1);
        assert!(published(&world, name).is_none(), "it is made first");
    }
    world.hold_effects = false;
    world.wait(1);
    let first = published(&world, "p-1").unwrap().unwrap();
    assert_eq!(published(&world, "p-2").unwrap().unwrap(), first);
    assert_eq!((first.number, first.lists.len()), (before + 1, 1));
    assert_eq!(
        (first.lists[0].issuer.clone(), first.lists[0].entries),
        (world.authority.id(), 1)
    );
    assert_eq!(first.next_update_ms - first.this_update_ms, 7 * 86_400_000);
    assert_eq!(listed(&mut world), (before + 1, 1));
    publish(&mut world, "p-3");
    world.wait(1);
    world.wait(1);
    assert_eq!(published(&world, "p-3").unwrap().unwrap().number, before + 2);

    // What is revoked while a list is made may be missing in it: who asks after that waits for the next.
    let second = world.sign("pump-7", "lot").unwrap().serial;
    world.hold_effects = true;
    publish(&mut world, "p-4");
    world.wait(1);
    publish(&mut world, "p-5");
    let _: Option<Result<v1::Revoked, v1::Rejection>> =
        world.ask_over(ADA, "", "", "revoke", &by_serial(&second));
    publish(&mut world, "p-6");
    world.hold_effects = false;
    world.wait(1);
    let fourth = published(&world, "p-4").unwrap().unwrap();
    assert_eq!(published(&world, "p-5").unwrap().unwrap(), fourth);
    assert_eq!((fourth.number, fourth.lists[0].entries), (before + 3, 1));
    assert!(published(&world, "p-6").is_none());
    world.wait(700);
    world.wait(1);
    let last = published(&world, "p-6").unwrap().unwrap();
    assert_eq!((last.number, last.lists[0].entries), (before + 4, 2));
}

#[test]
fn a_list_that_fails_is_told_to_whoever_waits_and_no_more_wait_than_may() {
    let (mut world, serial) = with_device();
    world.hold_effects = true;
    revoke(&mut world, &by_serial(&serial));
    for n in 0..64 {
        publish(&mut world, &format!("p-{n}"));
    }
    let request = v1::PublishLists::default();
    let busy = world.ask::<v1::ListsPublished>(ADA, "publish-lists", &request);
    let busy = busy.unwrap_err();
    assert!(busy.code == "busy" && busy.retry_after_ms > 0, "{busy:?}");
    world.wait(1);
    // Of what the list is to say nothing has reached the disk.
    world.effects.retain(|effect| effect.kind != "crl-part");
    world.blobs.lose_parts();
    world.hold_effects = false;
    world.wait(1);
    for name in ["p-0", "p-63"] {
        let refused = published(&world, name).unwrap().unwrap_err();
        assert!(
            refused.code == "internal" && refused.message.contains("tried in a minute"),
            "{refused:?}"
        );
    }
    world.wait(60_000);
    world.wait(1);
    assert_eq!(listed(&mut world).1, 1);
    publish(&mut world, "q-1");
    world.wait(1);
    world.wait(1);
    assert_eq!(published(&world, "q-1").unwrap().unwrap().lists[0].entries, 1);
}

/// The number of the last list, and its lines.
fn listed(world: &mut World) -> (u64, usize) {
    let authorities: v1::Authorities = world
        .ask(ADA, "authorities", &v1::GetAuthorities::default())
        .unwrap();
    let chain = format!("{}{}", authorities.issuing, world.root_pem);
    let issuing = pki::IssuingCertificate::read(&chain, &world.root_pem).unwrap();
    let lists = pki::PublishedList::read_all(authorities.crl.as_bytes(), &[issuing]).unwrap();
    assert_eq!(lists[0].number, authorities.crl_number);
    (lists[0].number, lists[0].revoked.len())
}

/// Parts of the list with the highest number that were ordered.
fn parts(world: &World) -> usize {
    let ids = || world.effects.iter().filter(|e| e.kind == "crl-part");
    let number = |id: &str| id.rsplit_once('-').unwrap().0.to_owned();
    let last = ids().map(|e| number(&e.id)).max().unwrap_or_default();
    ids().filter(|e| number(&e.id) == last).count()
}

#[test]
fn a_long_list_is_gathered_page_by_page_over_restarts_and_others_are_served_meanwhile() {
    const LINES: usize = 2_300;
    let (mut world, serial) = with_device();
    let issuer = world.authority.id();
    let lines: Vec<_> = (0..LINES)
        .map(|n| v1::RevokedLine {
            serial: format!("4f{n:030x}"),
            at_ms: world.now_ms,
            reason: "keyCompromise".into(),
            issuer: issuer.clone(),
        })
        .collect();
    world.hold_effects = true;
    for (n, page) in lines.chunks(500).enumerate() {
        let request = v1::TakeRevocations {
            request_id: format!("take-{n}"),
            number: 40,
            revoked: page.to_vec(),
        };
        world
            .ask::<v1::Done>("services/restore", "take-revocations", &request)
            .unwrap();
    }
    world.wait(1);
    let first = parts(&world);
    // Revoked while the list is gathered: too late for it maybe, and in the next one.
    revoke(&mut world, &by_serial(&serial));
    world.restart();
    world.wait(1);
    let all = parts(&world);
    assert!(0 < first && first < all, "a page each round: {first} of {all}");
    world.hold_effects = false;
    world.restart();
    let (number, lines) = listed(&mut world);
    assert!((LINES..=LINES + 1).contains(&lines), "{lines}");
    world.wait(600);
    for _ in 0..4 {
        world.wait(1);
    }
    assert_eq!(listed(&mut world), (number + 1, LINES + 1));
}

#[test]
fn a_list_whose_parts_were_lost_in_a_crash_is_made_again() {
    let (mut world, serial) = with_device();
    world.hold_effects = true;
    revoke(&mut world, &by_serial(&serial));
    world.wait(600);
    assert!(!world.effects.is_empty());
    world.hold_effects = false;
    world.blobs.lose_parts();
    world.restart();
    world.wait(60_000);
    world.wait(1);
    let authorities: v1::Authorities = world
        .ask(ADA, "authorities", &v1::GetAuthorities::default())
        .unwrap();
    assert!(openssl(&authorities.crl).to_lowercase().contains(&serial));
}

#[test]
fn a_receipt_that_comes_late_is_still_told() {
    let (mut world, serial) = with_device();
    let closed = format!("certificates/{serial} closed");
    revoke(&mut world, &by_serial(&serial));
    world.wait(5_000);
    assert!(!world.events().contains(&closed));
    kicked(&mut world, &serial, 1);
    assert!(world.events().contains(&closed), "the front door was away");
    kicked(&mut world, &serial, 1);
    assert_eq!(world.events().iter().filter(|e| **e == closed).count(), 1);
}

#[test]
fn a_fact_names_its_revocation_until_the_receipt_came() {
    let (mut world, first) = with_device();
    let revocation = |world: &World, serial: &str| {
        let fact: v1::CertificateFact = world.fact("certificate", serial).unwrap();
        assert_eq!(fact.status(), CertificateStatus::Revoked);
        fact.revocation
    };
    revoke(&mut world, &by_serial(&first));
    assert!(!revocation(&world, &first).is_empty());
    kicked(&mut world, &first, 1);
    assert_eq!(revocation(&world, &first), "");
    // The front door was away for longer than the receipt is waited for.
    world.wait(1_000);
    let second = world.sign("pump-7", "lot").unwrap().serial;
    let _: Option<Result<v1::Revoked, v1::Rejection>> =
        world.ask_over(ADA, "", "", "revoke", &by_serial(&second));
    world.wait(5_000);
    world.wait(86_400_000);
    assert!(!revocation(&world, &second).is_empty());
    kicked(&mut world, &second, 0);
    assert_eq!(revocation(&world, &second), "");
    let closed = format!("certificates/{second} closed");
    assert!(!world.events().contains(&closed), "too late to be news");
}

#[test]
fn the_front_door_is_told_what_a_batch_opens_until_it_is_revoked() {
    let (mut world, _) = with_device();
    let claim = |world: &World| -> v1::Claim { world.fact("claim", "lot").unwrap() };
    let told = claim(&world);
    assert_eq!((told.id_pattern.as_str(), told.revoked), ("pump-*", false));
    let facts = world
        .frames
        .iter()
        .filter(|f| f.topic.contains("/provisioning/claim/"));
    assert_eq!(facts.count(), 1, "a signature changes nothing of it");
    let batch = v1::Revoke {
        kind: "claims".into(),
        id: "lot".into(),
        ..Default::default()
    };
    revoke(&mut world, &batch);
    assert!(claim(&world).revoked);
}

#[test]
fn a_number_that_may_have_been_published_is_not_given_again() {
    let (mut world, serial) = with_device();
    revoke(&mut world, &by_serial(&serial));
    world.hold_effects = true;
    world.wait(600);
    // The list fails, maybe after the disk had taken it in one of its two forms.
    world.spoil_effects();
    world.wait(60_000);
    world.wait(1);
    let authorities: v1::Authorities = world
        .ask(ADA, "authorities", &v1::GetAuthorities::default())
        .unwrap();
    assert_eq!(authorities.crl_number, 2);
    assert!(openssl(&authorities.crl).to_lowercase().contains(&serial));
}

/// What openssl reads in a list.
fn openssl(crl: &str) -> String {
    use std::io::Write;
    let mut child = std::process::Command::new("openssl")
        .args(["crl", "-noout", "-text"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(crl.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}
