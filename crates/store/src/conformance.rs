//! What every engine must do, as a suite of tests over something that can be opened again and again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test suite panics where a test fails"
)]

use service::store::{Batch, Blobs, Read, Store, StoreError};

pub use crate::failpoint::Failpoint;
use crate::limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

/// One store's home, which outlives the engine.
pub trait Home {
    /// The engine under test.
    type Engine: Store;

    /// Opens the store; the engine opened before has been dropped.
    fn open(&self) -> Self::Engine;
}

/// A home in which a test can do damage.
pub trait Damageable: Home {
    /// Changes a stored byte of `key` behind the engine's back, while no engine is open.
    fn damage(&self, key: &[u8]);
}

/// Runs the whole suite, each test in a fresh home.
pub fn suite<H: Damageable>(mut fresh: impl FnMut() -> H) {
    suite_without_damage(&mut fresh);
    names_damage(&fresh());
}

/// The same for a store whose disk forgets nothing.
pub fn suite_without_damage<H: Home>(mut fresh: impl FnMut() -> H) {
    reads_what_was_written(&fresh());
    orders_and_pages(&fresh());
    overwrites_and_deletes(&fresh());
    refuses_whole_batches(&fresh());
    survives_reopening(&fresh());
    takes_the_largest_records(&fresh());
}

fn batch(puts: &[(&[u8], &[u8])]) -> Batch {
    let mut batch = Batch::default();
    puts.iter().for_each(|(key, value)| batch.put(*key, *value));
    batch
}

fn keys(store: &impl Store, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Vec<u8>> {
    store
        .scan(prefix, after, limit)
        .unwrap()
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

fn reads_what_was_written(home: &impl Home) {
    let store = home.open();
    assert_eq!(store.get(b"a").unwrap(), None);
    assert_eq!(store.get(b"\x00meta").unwrap(), None);
    assert!(
        store.scan(b"", None, 10).unwrap().is_empty(),
        "a new store is empty to its reader"
    );
    store.commit(&batch(&[(b"a", b"1"), (b"b", b"")])).unwrap();
    store.commit(&Batch::default()).unwrap();
    assert_eq!(store.get(b"a").unwrap().unwrap(), b"1");
    assert_eq!(store.get(b"b").unwrap().unwrap(), b"");
    assert_eq!(store.verify().unwrap(), 2);
}

fn orders_and_pages(home: &impl Home) {
    let store = home.open();
    let all: [&[u8]; 9] = [
        b"\x00",
        b"\x00zz",
        b"a",
        b"a\x00",
        b"a\x00\x00",
        b"aa",
        b"ab",
        b"b",
        b"\xff\xff",
    ];
    for key in all.iter().rev() {
        store.commit(&batch(&[(key, key)])).unwrap();
    }
    assert_eq!(keys(&store, b"", None, 100), all);
    assert_eq!(keys(&store, b"a", None, 100), all[2..7]);
    assert_eq!(keys(&store, b"a", None, 2), all[2..4]);
    assert_eq!(keys(&store, b"a", Some(b"a"), 100), all[3..7]);
    assert_eq!(keys(&store, b"a", Some(b"a\x00\x00"), 100), all[5..7]);
    assert_eq!(
        keys(&store, b"a", Some(b"\x00"), 100),
        all[2..7],
        "an earlier cursor is no bound"
    );
    assert!(keys(&store, b"a", Some(b"b"), 100).is_empty());
    assert!(keys(&store, b"a", None, 0).is_empty());
    assert_eq!(keys(&store, b"\xff", None, 100), all[8..]);
    assert!(keys(&store, b"nothing", None, 100).is_empty());
}

fn overwrites_and_deletes(home: &impl Home) {
    let store = home.open();
    store
        .commit(&batch(&[(b"a", b"1"), (b"b", b"1"), (b"c", b"1")]))
        .unwrap();
    let mut second = batch(&[(b"a", b"22"), (b"d", b"2")]);
    second.delete("b");
    second.delete("never");
    store.commit(&second).unwrap();
    assert_eq!(store.get(b"a").unwrap().unwrap(), b"22");
    assert_eq!(store.get(b"b").unwrap(), None);
    assert_eq!(keys(&store, b"", None, 100), [b"a", b"c", b"d"]);
    assert_eq!(store.verify().unwrap(), 3);
}

fn refuses_whole_batches(home: &impl Home) {
    let store = home.open();
    let large = vec![0; MAX_VALUE_BYTES + 1];
    let long = vec![b'k'; MAX_KEY_BYTES + 1];
    let refused: [(&[u8], &[u8]); 4] = [(b"k", &large), (&long, b"v"), (b"", b"v"), (b"\x00meta", b"v")];
    for pair in refused {
        let refusal = store
            .commit(&batch(&[(b"a", b"1"), pair, (b"z", b"1")]))
            .unwrap_err();
        assert!(matches!(refusal, StoreError::Engine(_)), "{refusal}");
        assert_eq!(store.verify().unwrap(), 0, "nothing of a refused batch is there");
    }
    store.commit(&batch(&[(b"a", b"1")])).unwrap();
}

fn survives_reopening(home: &impl Home) {
    let store = home.open();
    let epoch = store.epoch();
    for round in 0..5u32 {
        let mut rows = Batch::default();
        (0..500u32).for_each(|row| rows.put((round * 500 + row).to_be_bytes(), vec![round as u8; 100]));
        rows.delete((round * 500 + 7).to_be_bytes());
        store.commit(&rows).unwrap();
    }
    let before = store.scan(b"", None, usize::MAX).unwrap();
    assert_eq!(before.len(), 5 * 499);
    drop(store);
    for _ in 0..3 {
        let store = home.open();
        assert_eq!(store.epoch(), epoch);
        assert_eq!(store.scan(b"", None, usize::MAX).unwrap(), before);
        assert!(store.size_on_disk().unwrap() > 0);
    }
}

fn names_damage(home: &impl Damageable) {
    let store = home.open();
    store
        .commit(&batch(&[(b"a", b"1"), (b"bad", b"value"), (b"c", b"1")]))
        .unwrap();
    drop(store);
    home.damage(b"bad");
    let store = home.open();
    let named = |error: StoreError| matches!(error, StoreError::Damaged { key, .. } if key == "bad");
    assert!(named(store.get(b"bad").unwrap_err()));
    assert!(named(store.scan(b"", None, 10).unwrap_err()));
    assert!(named(store.verify().unwrap_err()));
    assert_eq!(
        store.get(b"a").unwrap().unwrap(),
        b"1",
        "its neighbours are served"
    );
    assert_eq!(keys(&store, b"", Some(b"bad"), 10), [b"c"]);
    store.commit(&batch(&[(b"bad", b"mended")])).unwrap();
    assert_eq!(store.verify().unwrap(), 3);
}

fn takes_the_largest_records(home: &impl Home) {
    let store = home.open();
    let mut rows = Batch::default();
    let key = |row: u8| vec![row; MAX_KEY_BYTES];
    (1..=100).for_each(|row| rows.put(key(row), vec![row; MAX_VALUE_BYTES]));
    store.commit(&rows).unwrap();
    drop(store);
    let store = home.open();
    assert_eq!(store.verify().unwrap(), 100);
    assert_eq!(store.get(&key(42)).unwrap().unwrap(), vec![42; MAX_VALUE_BYTES]);
}

/// What every keeper of blobs must do.
pub fn blob_suite(blobs: &impl Blobs) {
    assert_eq!(blobs.read("fw.bin", 0, 10).unwrap(), None);
    assert_eq!(blobs.digest_part("fw.bin").unwrap(), None);
    assert!(blobs.seal("fw.bin").is_err());
    blobs.discard_part("fw.bin").unwrap();

    blobs.write_part("fw.bin", 3, b"def").unwrap();
    blobs.write_part("fw.bin", 0, b"abc").unwrap();
    blobs.write_part("fw.bin", 0, b"abc").unwrap();
    let (length, digest) = blobs.digest_part("fw.bin").unwrap().unwrap();
    assert_eq!(
        (length, &digest[..3]),
        (6, &[0xbe, 0xf5, 0x7e][..]),
        "the SHA-256 of abcdef"
    );
    assert_eq!(
        blobs.read("fw.bin", 0, 10).unwrap(),
        None,
        "nothing unsealed is served"
    );
    blobs.seal("fw.bin").unwrap();
    blobs.seal("fw.bin").unwrap();
    assert_eq!(blobs.digest_part("fw.bin").unwrap(), None);
    assert_eq!(blobs.read("fw.bin", 0, 100).unwrap().unwrap(), b"abcdef");
    assert_eq!(blobs.read("fw.bin", 2, 3).unwrap().unwrap(), b"cde");
    assert_eq!(blobs.read("fw.bin", 6, 3).unwrap().unwrap(), b"");
    assert_eq!(blobs.read("fw.bin", u64::MAX, usize::MAX).unwrap().unwrap(), b"");

    blobs.replace("crl", b"one").unwrap();
    blobs.replace("crl", b"second").unwrap();
    assert_eq!(blobs.read("crl", 0, 10).unwrap().unwrap(), b"second");

    blobs.write_part("gone", 0, b"x").unwrap();
    blobs.discard_part("gone").unwrap();
    assert_eq!(blobs.digest_part("gone").unwrap(), None);
    assert!(blobs.write_part("big", u64::MAX, b"x").is_err());
    for name in ["", "..", "a/b", ".hidden", "parts", "a\0b"] {
        assert!(
            blobs.read(name, 0, 1).is_err() && blobs.replace(name, b"x").is_err(),
            "{name:?}"
        );
        assert!(
            blobs.write_part(name, 0, b"x").is_err() && blobs.seal(name).is_err(),
            "{name:?}"
        );
    }
}
