//! Which signed manifests a keyring accepts, attack by attack.

use artifact::{
    KeyState, Keyring, KeyringError, MANIFEST_MAX_BYTES, SIGNATURES_MAX, Signature, SigningKey, TrustedKey,
    VerifyError, sign,
};
use proptest::prelude::*;

const TYPE: &str = "application/vnd.muster.firmware.v1+protobuf";
const OTHER_TYPE: &str = "application/vnd.muster.note.v1+text";
const BODY: &[u8] = b"a manifest";

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&[n; 32])
}

fn trusted(n: u8, state: KeyState) -> TrustedKey {
    TrustedKey {
        key: key(n).public_key(),
        state,
    }
}

/// Keys 1 and 2 are active, 3 is retired, 4 is revoked; the others are unknown.
fn ring(threshold: usize) -> Keyring {
    let keys = [
        trusted(1, KeyState::Active),
        trusted(2, KeyState::Active),
        trusted(3, KeyState::Retired),
        trusted(4, KeyState::Revoked),
    ];
    Keyring::new(keys, threshold).unwrap()
}

fn signed_by(keys: &[u8]) -> Vec<Signature> {
    keys.iter().map(|n| sign(TYPE, BODY, &key(*n))).collect()
}

fn verify(threshold: usize, signatures: &[Signature]) -> Result<(), VerifyError> {
    ring(threshold).verify(TYPE, TYPE, BODY, signatures)
}

#[test]
fn who_must_have_signed() {
    let id = |n| key(n).public_key().key_id();
    let too_few = |valid, needed| Err(VerifyError::TooFew { valid, needed });
    for (threshold, keys, expected) in [
        (1, &[1][..], Ok(())),
        (1, &[2, 1], Ok(())),
        (2, &[1, 2], Ok(())),
        (1, &[], too_few(0, 1)),
        (2, &[1], too_few(1, 2)),
        (2, &[1, 1], too_few(1, 2)),
        (3, &[1, 2, 1], too_few(2, 3)),
        (1, &[3], Err(VerifyError::RetiredKey(id(3)))),
        (1, &[4], Err(VerifyError::RevokedKey(id(4)))),
        (1, &[5], Err(VerifyError::UnknownKey(id(5).to_string()))),
        (2, &[1, 3], Err(VerifyError::RetiredKey(id(3)))),
        (2, &[1, 5, 3, 4], Err(VerifyError::RevokedKey(id(4)))),
        (1, &[3, 1], Ok(())),
        (1, &[5, 4, 1], Ok(())),
    ] {
        assert_eq!(
            verify(threshold, &signed_by(keys)),
            expected,
            "{keys:?} of {threshold}"
        );
    }
}

#[test]
fn every_flipped_bit_of_a_signature() {
    let good = sign(TYPE, BODY, &key(1));
    for bit in 0..64 * 8 {
        let mut bad = good.clone();
        bad.sig[bit / 8] ^= 1 << (bit % 8);
        let refusal = VerifyError::BadSignature(key(1).public_key().key_id());
        assert_eq!(
            verify(1, std::slice::from_ref(&bad)),
            Err(refusal.clone()),
            "bit {bit}"
        );
        let with_a_good_one = [sign(TYPE, BODY, &key(2)), bad];
        assert_eq!(
            verify(1, &with_a_good_one),
            Err(refusal),
            "bit {bit} beside a good signature"
        );
    }
}

#[test]
fn signatures_of_another_length() {
    let good = sign(TYPE, BODY, &key(1));
    for sig in [vec![], good.sig[..63].to_vec(), [&good.sig[..], b"\0"].concat()] {
        let bad = Signature { sig, ..good.clone() };
        assert!(matches!(verify(1, &[bad]), Err(VerifyError::BadSignature(_))));
    }
}

#[test]
fn a_signature_in_the_name_of_another_key() {
    let named = |keyid: &str| Signature {
        keyid: keyid.into(),
        ..sign(TYPE, BODY, &key(5))
    };
    let known = key(1).public_key().key_id();
    assert_eq!(
        verify(1, &[named(known.as_str())]),
        Err(VerifyError::BadSignature(known.clone()))
    );
    for keyid in ["", "no key id", &known.as_str().to_uppercase()] {
        assert_eq!(
            verify(1, &[named(keyid)]),
            Err(VerifyError::UnknownKey(keyid.into()))
        );
    }
}

#[test]
fn a_valid_signature_over_another_payload_type() {
    let signature = [sign(OTHER_TYPE, BODY, &key(1))];
    assert_eq!(
        ring(1).verify(TYPE, OTHER_TYPE, BODY, &signature),
        Err(VerifyError::WrongType)
    );
    let relabelled = ring(1).verify(TYPE, TYPE, BODY, &signature);
    assert!(matches!(relabelled, Err(VerifyError::BadSignature(_))));
}

#[test]
fn manifests_that_were_altered() {
    let signatures = signed_by(&[1]);
    for bit in 0..BODY.len() * 8 {
        let mut body = BODY.to_vec();
        body[bit / 8] ^= 1 << (bit % 8);
        let outcome = ring(1).verify(TYPE, TYPE, &body, &signatures);
        assert!(matches!(outcome, Err(VerifyError::BadSignature(_))), "bit {bit}");
    }
    for body in [&BODY[..BODY.len() - 1], b"a manifest\0"] {
        assert!(matches!(
            ring(1).verify(TYPE, TYPE, body, &signatures),
            Err(VerifyError::BadSignature(_))
        ));
    }
}

#[test]
fn manifests_out_of_bounds() {
    for (len, expected) in [
        (0, Err(VerifyError::Empty)),
        (MANIFEST_MAX_BYTES, Ok(())),
        (MANIFEST_MAX_BYTES + 1, Err(VerifyError::TooLarge)),
    ] {
        let body = vec![b'm'; len];
        assert_eq!(
            ring(1).verify(TYPE, TYPE, &body, &[sign(TYPE, &body, &key(1))]),
            expected,
            "{len}"
        );
    }
    let flood = vec![sign(TYPE, BODY, &key(1)); SIGNATURES_MAX + 1];
    assert_eq!(verify(1, &flood), Err(VerifyError::TooManySignatures));
}

#[test]
fn rings_that_are_none() {
    assert_eq!(
        Keyring::new([trusted(1, KeyState::Active)], 0),
        Err(KeyringError::NoThreshold)
    );
    let twice = [trusted(1, KeyState::Revoked), trusted(1, KeyState::Active)];
    assert_eq!(
        Keyring::new(twice, 1),
        Err(KeyringError::Duplicate(key(1).public_key().key_id()))
    );
}

#[test]
fn states_survive_their_words() {
    for state in [KeyState::Active, KeyState::Retired, KeyState::Revoked] {
        assert_eq!(state.to_string().parse(), Ok(state));
    }
    assert_eq!("Active".parse::<KeyState>(), Err(KeyringError::UnknownState));
}

proptest! {
    #[test]
    fn what_enough_keys_signed_is_accepted(
        body in prop::collection::vec(any::<u8>(), 1..300),
        payload_type in ".{0,40}",
        keys in prop::collection::btree_set(1u8..30, 1..6),
    ) {
        let trusted = keys.iter().map(|n| trusted(*n, KeyState::Active));
        let ring = Keyring::new(trusted, keys.len()).unwrap();
        let mut signatures: Vec<_> = keys.iter().map(|n| sign(&payload_type, &body, &key(*n))).collect();
        prop_assert_eq!(ring.verify(&payload_type, &payload_type, &body, &signatures), Ok(()));
        signatures.pop();
        prop_assert!(ring.verify(&payload_type, &payload_type, &body, &signatures).is_err());
    }
}
