//! What a device needs besides its claim: a one-time secret, an operator's word; and how many may come at once.

use contract::v1::{self, Admission, AdmissionStatus, Stage};
use sha2::{Digest, Sha256};

use crate::world::{ADA, Answered, World, key_and_csr};

const SECRET: &str = "correct horse battery staple";
const MINUTE: u64 = 60_000;

fn batch(admission: Admission) -> v1::PutClaim {
    v1::PutClaim {
        uses: 99,
        admission: admission.into(),
        ..Default::default()
    }
}

fn give_secret(world: &mut World, device: &str, secret: &str) {
    let request = v1::PutSecret {
        device_id: device.into(),
        sha256: hex::encode(Sha256::digest(secret)),
        expires_ms: world.now_ms + 3_600_000,
        ..Default::default()
    };
    world.ask::<v1::Done>(ADA, "put-secret", &request).unwrap();
}

fn sign_with(world: &mut World, device: &str, secret: &str) -> Answered<v1::Signed> {
    let request = v1::Sign {
        csr: key_and_csr(device).1,
        secret: secret.into(),
        ..Default::default()
    };
    world.sign_with(device, "lot", &request)
}

#[test]
fn a_secret_opens_its_device_once() {
    let mut world = World::new();
    world.claim_as("lot", batch(Admission::Secret));
    give_secret(&mut world, "pump-7", SECRET);
    let events = world.events();
    assert_eq!(events.last().map(String::as_str), Some("secrets/pump-7 made"));
    sign_with(&mut world, "pump-7", SECRET).unwrap();
    assert_eq!(
        sign_with(&mut world, "pump-7", SECRET).unwrap_err().code,
        "denied"
    );
}

#[test]
fn of_many_who_race_with_one_secret_one_wins() {
    let mut world = World::new();
    world.claim_as("lot", batch(Admission::Secret));
    give_secret(&mut world, "pump-7", SECRET);
    let won = (0..100).filter(|_| sign_with(&mut world, "pump-7", SECRET).is_ok());
    assert_eq!(won.count(), 1);
}

#[test]
fn whatever_is_wrong_with_a_secret_the_answer_is_the_same() {
    let mut world = World::new();
    world.claim_as("lot", batch(Admission::Secret));
    for device in ["pump-1", "pump-2"] {
        world.tell_device(device, Stage::Registered);
    }
    give_secret(&mut world, "pump-7", SECRET);
    give_secret(&mut world, "pump-2", "another one");
    let mut refusals = vec![
        sign_with(&mut world, "pump-7", "wrong").unwrap_err(),
        sign_with(&mut world, "pump-7", "").unwrap_err(),
        sign_with(&mut world, "pump-7", &SECRET[..8]).unwrap_err(),
        // Another's, one that has none, one that does not exist, a batch of somebody else.
        sign_with(&mut world, "pump-2", SECRET).unwrap_err(),
        sign_with(&mut world, "pump-1", SECRET).unwrap_err(),
        sign_with(&mut world, "pump-99", SECRET).unwrap_err(),
        sign_with(&mut world, "fan-1", SECRET).unwrap_err(),
    ];
    world.wait(3_600_000);
    refusals.push(sign_with(&mut world, "pump-7", SECRET).unwrap_err());
    for refusal in &mut refusals {
        refusal.request_id.clear();
    }
    assert!(
        refusals.iter().all(|refusal| *refusal == refusals[0]),
        "{refusals:?}"
    );
    assert_eq!(refusals[0].code, "denied");
}

#[test]
fn whoever_guesses_is_locked_out_for_a_while() {
    let mut world = World::new();
    world.claim_as("lot", batch(Admission::Secret));
    give_secret(&mut world, "pump-7", SECRET);
    for guess in ["a", "b", "c", "d", "e"] {
        sign_with(&mut world, "pump-7", guess).unwrap_err();
    }
    assert_eq!(
        sign_with(&mut world, "pump-7", SECRET).unwrap_err().code,
        "denied"
    );
    world.wait(14 * MINUTE);
    assert_eq!(
        sign_with(&mut world, "pump-7", SECRET).unwrap_err().code,
        "denied"
    );
    world.wait(MINUTE);
    sign_with(&mut world, "pump-7", SECRET).unwrap();
}

#[test]
fn a_refusal_for_another_reason_leaves_the_secret_unused() {
    let mut world = World::new();
    world.claim_as("lot", batch(Admission::Secret));
    give_secret(&mut world, "pump-7", SECRET);
    let bad = v1::Sign {
        csr: "no request".into(),
        secret: SECRET.into(),
        ..Default::default()
    };
    assert_eq!(
        world.sign_with("pump-7", "lot", &bad).unwrap_err().code,
        "untrusted"
    );
    sign_with(&mut world, "pump-7", SECRET).unwrap();
}

fn waiting(world: &mut World) -> Vec<v1::WaitingDevice> {
    let listed: v1::AdmissionsListed = world
        .ask(ADA, "admissions", &v1::ListAdmissions::default())
        .unwrap();
    listed.devices
}

fn decide(world: &mut World, verb: &str, device: &str, fingerprint: &str) -> Answered<v1::Done> {
    let request = v1::DecideAdmission {
        device_id: device.into(),
        fingerprint: fingerprint.into(),
        ..Default::default()
    };
    world.ask(ADA, verb, &request)
}

#[test]
fn a_key_waits_until_an_operator_admits_it_and_no_other_gets_in_for_it() {
    let mut world = World::new();
    world.tell_built("pump-7", Stage::Registered, "SN-7", "pump");
    world.claim_as("lot", batch(Admission::Manual));
    let honest = v1::Sign {
        csr: key_and_csr("pump-7").1,
        ..Default::default()
    };
    for _ in 0..3 {
        let refusal = world.sign_with("pump-7", "lot", &honest).unwrap_err();
        assert_eq!(
            (refusal.code.as_str(), refusal.retry_after_ms),
            ("precondition", 30_000)
        );
    }
    let keys = waiting(&mut world);
    assert_eq!(keys.len(), 1, "asking again changes nothing");
    assert_eq!(keys[0].status(), AdmissionStatus::Waiting);
    assert_eq!(
        (keys[0].serial_number.as_str(), keys[0].device_type.as_str()),
        ("SN-7", "pump"),
        "the operator sees whose key it claims to be"
    );
    let other = world.sign("pump-7", "lot").unwrap_err();
    assert_eq!(other.code, "precondition");
    decide(&mut world, "admit", "pump-7", &keys[0].fingerprint).unwrap();
    assert_eq!(
        world.sign("pump-7", "lot").unwrap_err().code,
        "precondition",
        "another key"
    );
    let signed = world.sign_with("pump-7", "lot", &honest).unwrap();
    let read = pki::ClientCertificate::parse_pem(&signed.certificate).unwrap();
    assert_eq!(read.key_fingerprint_sha256, keys[0].fingerprint);
    assert_eq!(waiting(&mut world), [], "nobody waits for a device that has one");
    let events = world.events();
    for name in ["asked", "admitted"] {
        assert!(
            events.contains(&format!("admissions/pump-7 {name}")),
            "{events:?}"
        );
    }
}

#[test]
fn a_key_that_was_turned_away_stays_out_and_the_list_cannot_be_filled() {
    let mut world = World::new();
    world.claim_as("lot", batch(Admission::Manual));
    let stranger = v1::Sign {
        csr: key_and_csr("pump-7").1,
        ..Default::default()
    };
    world.sign_with("pump-7", "lot", &stranger).unwrap_err();
    let fingerprint = waiting(&mut world)[0].fingerprint.clone();
    decide(&mut world, "turn-away", "pump-7", &fingerprint).unwrap();
    assert_eq!(
        world.sign_with("pump-7", "lot", &stranger).unwrap_err().code,
        "denied"
    );
    for _ in 0..3 {
        assert_eq!(world.sign("pump-7", "lot").unwrap_err().code, "precondition");
    }
    assert_eq!(world.sign("pump-7", "lot").unwrap_err().code, "limit");
    assert_eq!(waiting(&mut world).len(), 4);
    world.wait(11 * 24 * 60 * MINUTE);
    assert_eq!(waiting(&mut world), [], "after a while they are forgotten");
}

#[test]
fn only_a_key_that_asked_can_be_decided_about() {
    let mut world = World::new();
    world.claim_as("lot", batch(Admission::Manual));
    let unknown = "0".repeat(64);
    assert_eq!(
        decide(&mut world, "admit", "pump-7", &unknown).unwrap_err().code,
        "not-found"
    );
    assert_eq!(
        decide(&mut world, "admit", "pump-7", "ab").unwrap_err().code,
        "invalid"
    );
}

#[test]
fn a_batch_gives_so_many_a_minute_and_says_when_to_come_again() {
    let mut world = World::new();
    let slow = v1::PutClaim {
        uses: 99,
        per_minute: 2,
        ..Default::default()
    };
    world.claim_as("lot", slow);
    world.tell_device("pump-8", Stage::Registered);
    world.sign("pump-7", "lot").unwrap();
    let request = v1::Sign {
        request_id: "mine".into(),
        csr: key_and_csr("pump-8").1,
        ..Default::default()
    };
    let early = world.sign_with("pump-8", "lot", &request).unwrap_err();
    assert_eq!(early.code, "limit");
    assert!((29_000..=31_000).contains(&early.retry_after_ms), "{early:?}");
    world.wait(early.retry_after_ms);
    // The very same request: an answer that says when to come again is not the last word.
    world.sign_with("pump-8", "lot", &request).unwrap();
}

#[test]
fn an_announced_key_opens_its_device_and_nothing_else_is_learnt() {
    let mut world = World::new();
    world.claim_as("lot", batch(Admission::Announced));
    let (key, csr) = key_and_csr("pump-8");
    let fingerprint = pki::PublicKey::of_private(&key).unwrap().fingerprint_sha256();
    world.tell_announced("pump-8", &fingerprint);
    let sign = |world: &mut World, device: &str, csr: String| {
        let request = v1::Sign {
            csr,
            ..Default::default()
        };
        world.sign_with(device, "lot", &request)
    };
    let mut refusals = vec![
        // Another key, a device without an announced one, one that nobody has registered.
        sign(&mut world, "pump-8", key_and_csr("pump-8").1).unwrap_err(),
        sign(&mut world, "pump-7", key_and_csr("pump-7").1).unwrap_err(),
        sign(&mut world, "pump-99", key_and_csr("pump-99").1).unwrap_err(),
    ];
    refusals.iter_mut().for_each(|refusal| refusal.request_id.clear());
    assert!(
        refusals
            .iter()
            .all(|refusal| *refusal == refusals[0] && refusal.code == "denied"),
        "{refusals:?}"
    );
    sign(&mut world, "pump-8", csr).unwrap();
}

#[test]
fn a_batch_is_for_some_types_and_ids_only() {
    let mut world = World::new();
    let asked = v1::PutClaim {
        types: vec!["valve".into(), "meter".into()],
        ..batch(Admission::Automatic)
    };
    world.claim_as("lot", asked.clone());
    world.tell_built("pump-1", Stage::Registered, "", "pump");
    world.tell_built("pump-2", Stage::Registered, "", "meter");
    assert_eq!(world.sign("pump-1", "lot").unwrap_err().code, "denied");
    assert_eq!(
        world.sign("pump-7", "lot").unwrap_err().code,
        "denied",
        "of no type"
    );
    assert_eq!(world.sign("pump-99", "lot").unwrap_err().code, "precondition");
    world.sign("pump-2", "lot").unwrap();
    let listed: v1::ClaimsListed = world.ask(ADA, "claims", &v1::ListClaims::default()).unwrap();
    assert_eq!(listed.claims[0].types, asked.types);
    for wrong in [
        v1::PutClaim {
            id_pattern: "pump-[0-9]".into(),
            ..asked.clone()
        },
        v1::PutClaim {
            types: vec!["no type".into()],
            ..asked
        },
    ] {
        let request = v1::PutClaim {
            batch: "other".into(),
            csr: key_and_csr("other").1,
            expires_ms: world.now_ms + 3_600_000,
            ..wrong
        };
        let refusal = world
            .ask::<v1::ClaimMade>(ADA, "put-claim", &request)
            .unwrap_err();
        assert_eq!(refusal.code, "invalid");
    }
}
