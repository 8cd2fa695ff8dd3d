//! Strangers' manifests, keys, maps and images.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

use std::cell::Cell;

use artifact::{
    BLOCKS_MAX, BlockMap, ImageCheck, KeyState, Keyring, MANIFEST_TYPE, PublicKey, Signature, SigningKey,
    TrustedKey, sign,
};
use falsify::{changed, every_byte, every_cut, falsify, mutated};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const CASES: u32 = 10_000;
/// Signatures cost more.
const SIGNED_CASES: u32 = 2_000;
/// Where a map's seal begins, from its end.
const SEAL: usize = 8;

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&[n; 32])
}

fn ring() -> Keyring {
    let trusted = [1, 2].map(|n| TrustedKey {
        key: key(n).public_key(),
        state: KeyState::Active,
    });
    Keyring::new(trusted, 2).unwrap()
}

/// What travels: the type, the payload, and each signature's name and octets.
type Envelope = (Vec<u8>, Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>);

/// Signatures of those whom the ring knows and of those whom it does not, over payloads of their own.
fn envelope() -> impl Strategy<Value = Envelope> {
    let payloads: Vec<Vec<u8>> = vec![b"manifest one".to_vec(), b"manifest two, longer".to_vec()];
    let types = vec![MANIFEST_TYPE.as_bytes().to_vec(), b"text/plain".to_vec()];
    let signatures = (0u8..12).map(|n| {
        let (by, over) = (n % 3 + 1, usize::from(n / 3 % 2));
        let of = if n < 9 { MANIFEST_TYPE } else { "text/plain" };
        let signature = sign(of, &payloads[over], &key(by));
        (signature.keyid.into_bytes(), signature.sig)
    });
    let signatures: Vec<_> = signatures.collect();
    let honest = prop::sample::select(signatures.clone());
    let names = signatures.iter().map(|(name, _)| name.clone()).collect();
    let octets = signatures.iter().map(|(_, octets)| octets.clone()).collect();
    let one = prop_oneof![6 => honest, 1 => (changed(names, &[]), changed(octets, &[]))];
    let unchanged = prop::sample::select(payloads.clone());
    let payload = prop_oneof![4 => unchanged, 1 => mutated(payloads, &[b"\0", b"two"])];
    let typed = prop_oneof![6 => Just(types[0].clone()), 1 => changed(types, &[b" 5 "])];
    (typed, payload, prop::collection::vec(one, 0..6))
}

#[test]
fn nothing_passes_but_what_two_keys_signed() {
    let (ring, passed) = (ring(), Cell::new(0u32));
    let found = falsify(SIGNED_CASES, &envelope(), |(of, payload, signatures)| {
        let signatures: Vec<Signature> = signatures
            .iter()
            .map(|(name, octets)| Signature {
                keyid: String::from_utf8_lossy(name).into_owned(),
                sig: octets.clone(),
            })
            .collect();
        let of = String::from_utf8_lossy(of);
        if ring.verify(MANIFEST_TYPE, &of, payload, &signatures).is_ok() {
            passed.set(passed.get() + 1);
            assert_eq!(of, MANIFEST_TYPE);
            for n in [1, 2] {
                assert!(
                    signatures.contains(&sign(MANIFEST_TYPE, payload, &key(n))),
                    "key {n} did not sign"
                );
            }
        }
    });
    assert!(found.is_none(), "fails for {found:?}");
    println!("{} passed", passed.get());
    assert!(passed.get() > SIGNED_CASES / 100, "{} passed", passed.get());
}

#[test]
fn changed_keys_are_what_they_were_or_refused() {
    let keys: Vec<SigningKey> = (1..4).map(key).collect();
    let private = keys.iter().map(|key| key.to_pem().unwrap().to_string());
    let public = keys.iter().map(|key| key.public_key().to_pem().unwrap());
    let corpus = private.chain(public).map(String::into_bytes).collect();
    let words: &[&[u8]] = &[
        b"-----BEGIN PUBLIC KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\n",
        b"-----END PUBLIC KEY-----\n",
        b"AAAA",
        b"====",
        b"\r\n",
    ];
    let kept = falsify::corpus!("keys");
    kept.falsify(CASES, &mutated(kept.with(corpus), words), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(key) = PublicKey::from_pem(&text) {
            assert_eq!(PublicKey::from_pem(&key.to_pem().unwrap()), Ok(key));
        }
        if let Ok(key) = SigningKey::from_pem(&text) {
            let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
            assert_eq!(again.public_key(), key.public_key());
        }
    });
}

fn maps() -> Vec<Vec<u8>> {
    let map = |size, block_size, present: &[u64]| {
        let mut map = BlockMap::new(size, block_size).unwrap();
        for block in present {
            let offset = block * u64::from(block_size);
            let length = u32::try_from((size - offset).min(block_size.into())).unwrap();
            map.insert(offset, length).unwrap();
        }
        map.to_bytes()
    };
    vec![
        map(1, 512, &[]),
        map(1_300, 512, &[0, 2]),
        map(100_000, 4_096, &[1, 24]),
        map(512 * 8, 512, &[7]),
    ]
}

/// The same bytes under a seal that fits, so that what is behind the seal is read.
fn sealed_anew(bytes: &[u8]) -> Vec<u8> {
    let contents = &bytes[..bytes.len().saturating_sub(SEAL)];
    [contents, &Sha256::digest(contents)[..SEAL]].concat()
}

fn check_map(bytes: &[u8]) {
    let Ok(map) = BlockMap::from_bytes(bytes) else {
        return;
    };
    assert_eq!(map.to_bytes(), bytes, "a map has one form");
    let (present, blocks) = map.progress();
    assert!(present <= blocks && blocks <= BLOCKS_MAX && bytes.len() as u64 >= blocks / 8);
    let missing: Vec<_> = map.missing().collect();
    assert_eq!(missing.len() as u64, blocks - present);
    assert_eq!(map.complete(), missing.is_empty());
    assert!(
        missing
            .iter()
            .all(|(offset, length)| *length > 0 && offset + u64::from(*length) <= map.size())
    );
}

#[test]
fn changed_maps_are_whole_or_damaged() {
    let words: &[&[u8]] = &[
        b"MSBM\x01",
        b"\x00\x00\x02\x00",
        &[0x10, 0, 0, 0, 0, 0, 0, 0],
        b"\xFF\xFF\xFF\xFF",
    ];
    let kept = falsify::corpus!("maps");
    kept.falsify(CASES, &mutated(kept.with(maps()), words), |bytes| {
        check_map(bytes);
        check_map(&sealed_anew(bytes));
    });
    for map in maps() {
        for bytes in every_cut(&map).chain(every_byte(&map)) {
            check_map(&sealed_anew(&bytes));
        }
    }
}

#[test]
fn sizes_without_end_cost_nothing() {
    let edge = prop::sample::select(vec![
        0,
        1,
        511,
        512,
        1 << 31,
        BLOCKS_MAX * 512,
        1 << 60,
        u64::MAX - 1,
        u64::MAX,
    ]);
    let number = prop_oneof![edge, any::<u64>()];
    let asked = (number.clone(), any::<u32>(), number.clone(), any::<u32>(), number);
    let found = falsify(CASES, &asked, |(size, block_size, offset, length, read)| {
        let block_size = if block_size % 2 == 0 {
            block_size % 40_000
        } else {
            *block_size
        };
        if let Ok(mut map) = BlockMap::new(*size, block_size) {
            assert!(map.progress().1 <= BLOCKS_MAX);
            if map.insert(*offset, *length).is_ok() {
                assert!(offset + u64::from(*length) <= *size);
            }
        }
        if let Ok(mut check) = ImageCheck::new(*size, [0; 32]) {
            let piece = vec![0; (read % 4_096) as usize];
            let fits = piece.len() as u64 <= *size;
            assert_eq!(check.update(&piece).is_ok(), fits);
            assert!(check.finish().is_err());
        }
    });
    assert!(found.is_none(), "fails for {found:?}");
}

#[test]
fn an_image_is_the_one_that_was_signed_or_refused() {
    let image: Vec<u8> = (0..2_000u32).map(|n| (n % 251) as u8).collect();
    let digest = Sha256::digest(&image).into();
    let arrives = (
        changed(vec![image.clone()], &[]),
        prop::collection::vec(1usize..700, 1..8),
    );
    let found = falsify(CASES / 2, &arrives, |(bytes, steps)| {
        let mut check = ImageCheck::new(image.len() as u64, digest).unwrap();
        let mut rest = bytes.as_slice();
        let mut refused = false;
        for step in steps.iter().cycle() {
            let (piece, more) = rest.split_at(rest.len().min(*step));
            refused |= check.update(piece).is_err();
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(check.finish().is_ok(), *bytes == image);
        assert_eq!(
            refused,
            bytes.len() > image.len(),
            "too long is noticed before the end"
        );
    });
    assert!(found.is_none(), "fails for {found:?}");
}
