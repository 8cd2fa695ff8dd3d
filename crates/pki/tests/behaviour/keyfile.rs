//! Keys at rest.

use pki::{Cost, KeyKind, KeyfileError, Protection, generate_key, is_sealed, open_key, seal_key};

const CHEAP: Cost = Cost {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

fn sealed(key_pem: &str) -> Vec<u8> {
    seal_key(key_pem, &Protection::Passphrase("four words of mine", CHEAP))
        .unwrap()
        .to_vec()
}

#[test]
fn a_sealed_key_opens_with_its_passphrase_only() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        let key = generate_key(kind).unwrap();
        let file = sealed(&key);
        assert!(is_sealed(&file) && file.starts_with(b"-----BEGIN MUSTER ENCRYPTED KEY-----"));
        assert_eq!(open_key(&file, Some("four words of mine")).unwrap(), key);
        assert_eq!(
            open_key(&file, Some("four words of yours")),
            Err(KeyfileError::WrongPassphrase)
        );
        assert_eq!(open_key(&file, None), Err(KeyfileError::PassphraseNeeded));
    }
}

#[test]
fn sealing_twice_gives_different_bytes() {
    let key = generate_key(KeyKind::P256).unwrap();
    assert_ne!(sealed(&key), sealed(&key));
}

#[test]
fn the_recommended_cost_works() {
    let key = generate_key(KeyKind::P256).unwrap();
    let file = seal_key(&key, &Protection::Passphrase("p", Cost::RECOMMENDED)).unwrap();
    assert_eq!(open_key(&file, Some("p")).unwrap(), key);
}

#[test]
fn a_plain_key_is_a_choice() {
    let key = generate_key(KeyKind::P256).unwrap();
    let file = seal_key(&key, &Protection::Plain).unwrap();
    assert!(!is_sealed(&file));
    assert_eq!(open_key(&file, None).unwrap(), key);
}

#[test]
fn every_altered_byte_is_noticed() {
    let key = generate_key(KeyKind::Ed25519).unwrap();
    let block = pem::parse(sealed(&key)).unwrap();
    // The high octets of the costs are covered by the bounds; a flip in the low ones costs real work.
    for at in 0..block.contents().len() {
        let mut contents = block.contents().to_vec();
        contents[at] ^= if (5..17).contains(&at) { 0x80 } else { 1 };
        let file = pem::encode(&pem::Pem::new(block.tag(), contents));
        let refusal = open_key(file.as_bytes(), Some("four words of mine")).unwrap_err();
        assert!(
            matches!(refusal, KeyfileError::WrongPassphrase | KeyfileError::Damaged),
            "octet {at}"
        );
    }
}

#[test]
fn files_that_are_none() {
    let key = generate_key(KeyKind::P256).unwrap();
    let file = sealed(&key);
    let too_long = vec![b'-'; 20_000];
    for bytes in [
        &b""[..],
        b"\xff",
        b"-----BEGIN MUSTER ENCRYPTED KEY-----",
        &file[..file.len() / 2],
        &too_long,
    ] {
        assert_eq!(open_key(bytes, Some("p")), Err(KeyfileError::Damaged));
    }
}

#[test]
fn what_may_not_be_sealed() {
    let key = generate_key(KeyKind::P256).unwrap();
    let seal =
        |key: &str, passphrase, cost| seal_key(key, &Protection::Passphrase(passphrase, cost)).unwrap_err();
    assert_eq!(seal(&key, "", CHEAP), KeyfileError::EmptyPassphrase);
    assert!(matches!(seal("not a key", "p", CHEAP), KeyfileError::Key(_)));
    for cost in [
        Cost {
            memory_kib: u32::MAX,
            ..CHEAP
        },
        Cost {
            memory_kib: 0,
            ..CHEAP
        },
        Cost { passes: 0, ..CHEAP },
        Cost {
            passes: u32::MAX,
            ..CHEAP
        },
        Cost { lanes: 0, ..CHEAP },
        Cost { lanes: 17, ..CHEAP },
    ] {
        assert_eq!(seal(&key, "p", cost), KeyfileError::Cost, "{cost:?}");
    }
}
