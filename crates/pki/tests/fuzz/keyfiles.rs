//! Key files: whatever a disk makes of them, they open as what was sealed or say what is wrong.

use falsify::{every_cut, mutated};
use pki::{Cost, KeyKind, KeyfileError, Protection, generate_key, open_key, seal_key};

const CASES: u32 = 10_000;
const PASSPHRASE: &str = "four words of mine";
/// Where the header holds what a passphrase costs.
const COST: std::ops::Range<usize> = 5..17;
const CHEAP: Cost = Cost {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

fn sealed(key: &str) -> Vec<u8> {
    seal_key(key, &Protection::Passphrase(PASSPHRASE, CHEAP))
        .unwrap()
        .to_vec()
}

/// Whether opening the file costs what it cost when it was sealed: what is dearer is not tried here.
fn is_cheap(file: &[u8]) -> bool {
    let cost = [CHEAP.memory_kib, CHEAP.passes, CHEAP.lanes]
        .map(u32::to_be_bytes)
        .concat();
    pem::parse(file).map_or(true, |block| {
        block.contents().get(COST).is_none_or(|said| said == cost)
    })
}

fn check(file: &[u8], keys: &[String]) {
    if !is_cheap(file) {
        return;
    }
    for passphrase in [None, Some(PASSPHRASE), Some("four words of yours")] {
        match open_key(file, passphrase) {
            Ok(opened) => {
                let same = |key: &String| key.trim() == opened.trim();
                // Line ends and what a file writes around a key may differ, the key may not.
                let private = |text: &str| pem::parse(text).unwrap().into_contents();
                assert!(
                    keys.iter()
                        .any(|key| same(key) || private(key) == private(&opened)),
                    "another key"
                );
            }
            Err(error) => {
                assert!(!error.to_string().contains(PASSPHRASE) && !error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn changed_files_open_as_what_was_sealed_or_say_what_is_wrong() {
    let keys: Vec<String> = [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519]
        .map(|kind| generate_key(kind).unwrap().to_string())
        .to_vec();
    let plain = keys.iter().map(|key| key.clone().into_bytes());
    let corpus = keys.iter().map(|key| sealed(key)).chain(plain).collect();
    let words: &[&[u8]] = &[
        b"-----BEGIN MUSTER ENCRYPTED KEY-----\n",
        b"-----END MUSTER ENCRYPTED KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\n",
        b"-----END PRIVATE KEY-----\n",
        b"TVNLRg",
        b"====",
        b"\n",
        b"\xFF",
    ];
    let kept = falsify::corpus!("keyfiles");
    kept.falsify(CASES, &mutated(kept.with(corpus), words), |file| {
        check(file, &keys)
    });
}

#[test]
fn a_file_cut_short_is_no_key() {
    let key = generate_key(KeyKind::P256).unwrap();
    for file in [sealed(&key), key.as_bytes().to_vec()] {
        // All that can be missing is the line's end.
        for cut in every_cut(file.trim_ascii_end()) {
            let refused = open_key(&cut, Some(PASSPHRASE)).unwrap_err();
            assert_eq!(refused, KeyfileError::Damaged, "{} bytes", cut.len());
        }
    }
}
