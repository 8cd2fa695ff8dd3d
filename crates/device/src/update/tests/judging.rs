//! Attacks on a device: each is refused, with a reason that names it.

use super::*;

fn why(journal: &Journal, assignment: &Assignment, now: Option<i64>) -> String {
    match judge(&bounds(), journal, assignment, now) {
        Offer::Fit(_) => String::new(),
        Offer::Unfit { why, .. } => why,
    }
}

#[test]
fn an_honest_release_fits() {
    assert_eq!(
        why(&Journal::default(), &assignment("r1", &manifest(1)), Some(1)),
        ""
    );
}

#[test]
fn what_is_not_signed_as_it_must_be() {
    let payload = manifest(1).encode_to_vec();
    let good = signed(TYPE, payload.clone(), &key(1));
    let mut flipped = good.clone();
    flipped.payload[10] ^= 1;
    let mut trailing = good.clone();
    trailing.payload.push(0);
    let mut bad_signature = good.clone();
    bad_signature.signatures[0].signature[5] ^= 1;
    let mut stripped = good.clone();
    stripped.signatures.clear();
    let mut borrowed = signed(TYPE, payload.clone(), &key(3));
    borrowed.signatures[0].key_id = good.signatures[0].key_id.clone();
    let mut retyped = signed("text/plain", payload.clone(), &key(1));
    retyped.payload_type = TYPE.into();
    for (signed, expected) in [
        (flipped, "does not match"),
        (trailing, "does not match"),
        (bad_signature, "does not match"),
        (stripped, "0 valid signatures of 1"),
        (borrowed, "does not match"),
        (retyped, "does not match"),
        (signed("text/plain", payload.clone(), &key(1)), "expected type"),
        (signed(TYPE, payload.clone(), &key(2)), "is retired"),
        (signed(TYPE, payload.clone(), &key(3)), "is unknown"),
        (SignedManifest::default(), "is empty"),
        (signed(TYPE, vec![0xFF; 40], &key(1)), "no manifest"),
    ] {
        let assignment = Assignment {
            signed: Some(signed),
            ..assignment("r1", &manifest(1))
        };
        let why = why(&Journal::default(), &assignment, None);
        assert!(why.contains(expected), "{why} does not say {expected}");
    }
    let unsigned = Assignment {
        signed: None,
        ..assignment("r1", &manifest(1))
    };
    assert!(!why(&Journal::default(), &unsigned, None).is_empty());
}

#[test]
fn what_a_manifest_may_not_say() {
    type Change = fn(&mut Manifest);
    let cases: [(Change, &str); 10] = [
        (|m| m.schema = 2, "schema"),
        (|m| m.version = "a\u{1b}[31m".into(), "printable"),
        (|m| m.name = String::new(), "printable"),
        (|m| m.size = 0, "empty"),
        (|m| m.size = 1 << 40, "more than"),
        (|m| m.block_size = 1, "block"),
        (|m| m.models = vec!["valve".into()], "not for model"),
        (|m| m.models.clear(), "not for model"),
        (|m| m.expires_ms = 5, "no longer be installed"),
        (|m| m.sequence = u64::MAX, "absurdly far"),
    ];
    for (change, expected) in cases {
        let mut manifest = manifest(1);
        change(&mut manifest);
        let why = why(&Journal::default(), &assignment("r1", &manifest), Some(10));
        assert!(why.contains(expected), "{why} does not say {expected}");
    }
}

#[test]
fn a_manifest_of_one_image_does_not_pass_for_another() {
    let mixed = Assignment {
        artifact_id: hex::encode(manifest(2).sha256),
        ..assignment("r1", &manifest(1))
    };
    assert!(why(&Journal::default(), &mixed, None).contains("another image"));
}

#[test]
fn what_was_once_confirmed_is_never_undercut() {
    let confirmed = Journal {
        floor: 7,
        ..Journal::default()
    };
    for (sequence, fits) in [(6, false), (7, false), (8, true)] {
        let why = why(&confirmed, &assignment("r1", &manifest(sequence)), None);
        assert_eq!(why.is_empty(), fits, "{sequence}: {why}");
    }
}

#[test]
fn a_job_is_judged_again_by_the_keys_of_the_day() {
    let job = job("r1", 1);
    assert_eq!(why(&Journal::default(), &job.assignment(), None), "");
    let other = Bounds {
        keyring: Keyring::new([], 1).unwrap(),
        ..bounds()
    };
    let judged = judge(&other, &Journal::default(), &job.assignment(), None);
    assert!(matches!(judged, Offer::Unfit { .. }));
}
