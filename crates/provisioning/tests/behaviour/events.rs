//! What is told of a certificate's life: each step once, in its order; and why somebody was refused, who heard less.

use contract::v1::{self, Admission, Stage};
use sha2::{Digest, Sha256};

use crate::world::{ADA, World, key_and_csr};

/// The events about these subjects, in their order; serials are their own.
fn told(world: &World, subjects: &[&str]) -> Vec<String> {
    let events = world.events();
    let about = |event: &String| subjects.iter().any(|subject| event.starts_with(subject));
    events.into_iter().filter(about).collect()
}

fn revoke(world: &mut World, request: &v1::Revoke) {
    let answered = world.ask_over::<v1::Revoked>(ADA, "", "", "revoke", request);
    assert!(
        answered.is_none(),
        "the sessions' end is waited for: {answered:?}"
    );
}

#[test]
fn each_step_of_a_certificate_s_life_is_told() {
    let mut world = World::new();
    world.claim("lot", 2);
    world.tell_device("pump-7", Stage::Registered);
    let first = world.sign("pump-7", "lot").unwrap().serial;
    world.used(&first);
    let (_, csr) = key_and_csr("pump-7");
    let renew = v1::Sign {
        csr,
        ..Default::default()
    };
    let next: v1::Signed = world
        .ask_over("devices/pump-7", &first, "", "renew", &renew)
        .unwrap()
        .unwrap();
    world.used(&next.serial);
    world.tell_device("pump-8", Stage::Registered);
    let never = world.sign("pump-8", "lot").unwrap().serial;
    revoke(
        &mut world,
        &v1::Revoke {
            kind: "claims".into(),
            id: "lot".into(),
            ..Default::default()
        },
    );
    world.days(8);
    revoke(
        &mut world,
        &v1::Revoke {
            serial: next.serial.clone(),
            ..Default::default()
        },
    );
    world.wait(60_000);
    let steps = |serial: &str| told(&world, &[&format!("certificates/{serial}")]);
    let expected = |serial: &str, names: &[&str]| -> Vec<String> {
        names
            .iter()
            .map(|name| format!("certificates/{serial} {name}"))
            .collect()
    };
    assert_eq!(
        steps(&first),
        expected(&first, &["issued", "activated", "retired"])
    );
    assert_eq!(steps(&never), expected(&never, &["issued", "retired"]));
    assert_eq!(
        steps(&next.serial),
        expected(&next.serial, &["issued", "activated", "revoked"])
    );
    let why = |serial: &str| world.event_data(&format!("certificates/{serial}"), "retired")["why"].clone();
    assert_eq!((why(&first), why(&never)), ("superseded".into(), "unused".into()));
    assert_eq!(
        told(&world, &["claims/lot"]),
        ["claims/lot made", "claims/lot used-up", "claims/lot closed"]
    );
    let lists = told(&world, &["lists/crl"]);
    assert!(lists.len() >= 2 && lists[0] == "lists/crl published", "{lists:?}");
}

#[test]
fn a_secret_s_life_is_told_and_what_was_wrong_is_told_to_operators_alone() {
    let mut world = World::new();
    world.claim_as(
        "field",
        v1::PutClaim {
            uses: 9,
            per_minute: 1_000_000,
            admission: Admission::Secret.into(),
            ..Default::default()
        },
    );
    world.tell_device("pump-7", Stage::Registered);
    let sign = |world: &mut World, secret: &str| {
        let request = v1::Sign {
            csr: key_and_csr("pump-7").1,
            secret: secret.into(),
            ..Default::default()
        };
        world.sign_with("pump-7", "field", &request)
    };
    let why = |world: &World| world.event_data("certificates/pump-7", "refused")["why"].clone();
    let none = sign(&mut world, "mist").unwrap_err();
    assert!(why(&world).as_str().unwrap().contains("has no one-time secret"));
    let put = v1::PutSecret {
        device_id: "pump-7".into(),
        sha256: hex::encode(Sha256::digest("mist")),
        expires_ms: world.now_ms + 86_400_000,
        ..Default::default()
    };
    world.ask::<v1::Done>(ADA, "put-secret", &put).unwrap();
    for n in 1..=5 {
        world.wait(120_000);
        let wrong = sign(&mut world, "dew").unwrap_err();
        assert_eq!(
            (&wrong.code, &wrong.message),
            (&none.code, &none.message),
            "one answer"
        );
        let said = why(&world);
        let expected = ["1 of 5", "2 of 5", "3 of 5", "4 of 5", "the 5th"][n - 1];
        assert!(said.as_str().unwrap().contains(expected), "{said}");
    }
    world.wait(120_000);
    sign(&mut world, "mist").unwrap_err();
    assert!(why(&world).as_str().unwrap().contains("locked"));
    world.wait(15 * 60_000);
    sign(&mut world, "mist").unwrap();
    assert_eq!(
        told(&world, &["secrets/pump-7"]),
        [
            "secrets/pump-7 made",
            "secrets/pump-7 locked",
            "secrets/pump-7 used"
        ]
    );
}

#[test]
fn whose_key_it_is_is_told_to_operators_alone() {
    let mut world = World::new();
    world.claim("lot", 9);
    let (key, _) = key_and_csr("pump-7");
    let mut sign = |id: &str| {
        world.tell_device(id, Stage::Registered);
        let request = v1::Sign {
            csr: pki::csr_for(&key, id).unwrap(),
            ..Default::default()
        };
        world.sign_with(id, "lot", &request)
    };
    sign("pump-7").unwrap();
    let refused = sign("pump-8").unwrap_err();
    assert!(!refused.message.contains("pump-7"), "{refused:?}");
    let data = world.event_data("certificates/pump-8", "refused");
    assert_eq!(data["why"], "it is the key of devices/pump-7");
    // Nothing that opens nothing says which it was.
    let other = world.sign("fan-7", "lot").unwrap_err();
    assert_eq!(other.message, "this claim does not open this device");
    let data = world.event_data("certificates/unknown", "refused");
    assert_eq!(data["why"], "the claim is for other ids");
}
