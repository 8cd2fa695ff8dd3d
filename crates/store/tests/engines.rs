//! Every engine passes the suite, and sled agrees with a map over any history.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod foreign;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use redb::ReadableTable as _;
use service::store::Batch;
use store::conformance::{self, Damageable, Home};
use store::{Database, Engine, Files, MemoryBlobs, MemoryStore, OpenOptions, RedbStore, SledStore};
use tempfile::TempDir;

struct Folder(TempDir);

impl Home for Folder {
    type Engine = SledStore;

    fn open(&self) -> SledStore {
        open(self.0.path())
    }
}

impl Damageable for Folder {
    fn damage(&self, key: &[u8]) {
        let db = foreign::open(self.0.path());
        let mut record = db.get(key).unwrap().unwrap().to_vec();
        *record.last_mut().unwrap() ^= 1;
        db.insert(key, record).unwrap();
    }
}

/// The same, kept by redb.
struct RedbFolder(TempDir);

impl Home for RedbFolder {
    type Engine = RedbStore;

    fn open(&self) -> RedbStore {
        RedbStore::open(OpenOptions::new(self.0.path(), 7, 1)).unwrap()
    }
}

impl Damageable for RedbFolder {
    fn damage(&self, key: &[u8]) {
        let rows: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("rows");
        let db = redb::Database::open(self.0.path().join("rows.redb")).unwrap();
        let transaction = db.begin_write().unwrap();
        {
            let mut table = transaction.open_table(rows).unwrap();
            let mut record = table.get(key).unwrap().unwrap().value().to_vec();
            *record.last_mut().unwrap() ^= 1;
            table.insert(key, record.as_slice()).unwrap();
        }
        transaction.commit().unwrap();
    }
}

struct Memory(MemoryStore);

impl Home for Memory {
    type Engine = MemoryStore;

    fn open(&self) -> MemoryStore {
        self.0.clone()
    }
}

impl Damageable for Memory {
    fn damage(&self, key: &[u8]) {
        self.0.damage(key);
    }
}

fn open(path: &Path) -> SledStore {
    SledStore::open(OpenOptions::new(path, 7, 1)).unwrap()
}

#[test]
fn sled_conforms() {
    conformance::suite(|| Folder(tempfile::tempdir().unwrap()));
}

#[test]
fn redb_conforms() {
    conformance::suite(|| RedbFolder(tempfile::tempdir().unwrap()));
}

#[test]
fn memory_conforms() {
    conformance::suite(|| Memory(MemoryStore::new(7)));
}

#[test]
fn files_conform() {
    let folder = tempfile::tempdir().unwrap();
    conformance::blob_suite(&Files::open(folder.path().join("blobs")).unwrap());
}

#[test]
fn memory_blobs_conform() {
    conformance::blob_suite(&MemoryBlobs::new());
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Reopen,
    Page { prefix: Vec<u8>, size: usize },
}

/// Few bytes and short keys, so that histories meet and prefixes nest.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0u8, 1, b'a', b'b', 255]), 1..5)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 1000usize..60_000).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec((key(), prop::option::weighted(0.7, value())), 0..60).prop_map(Step::Commit),
        1 => Just(Step::Reopen),
        2 => (prop::collection::vec(prop::sample::select(vec![0u8, b'a', 255]), 0..3), 1usize..7)
            .prop_map(|(prefix, size)| Step::Page { prefix, size }),
    ]
}

fn paged(store: &dyn Database, prefix: &[u8], size: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|(key, _): &(Vec<u8>, Vec<u8>)| key.clone());
        let page = store.scan(prefix, after.as_deref(), size).unwrap();
        assert!(page.len() <= size);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Runs a history on an engine and on a map.
fn agrees(engine: Engine, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let open = || engine.open(OpenOptions::new(folder.path(), 7, 1)).unwrap();
    let mut model = BTreeMap::new();
    let mut store = Some(open());
    for step in steps {
        let live: &Arc<dyn Database> = store.as_ref().unwrap();
        match step {
            Step::Commit(writes) => {
                let mut batch = Batch::default();
                for (key, value) in writes {
                    match value {
                        Some(value) => {
                            batch.put(key.clone(), value.clone());
                            model.insert(key, value);
                        }
                        None => {
                            batch.delete(key.clone());
                            model.remove(&key);
                        }
                    }
                }
                live.commit(&batch).unwrap();
            }
            Step::Reopen => {
                drop(store.take());
                store = Some(open());
            }
            Step::Page { prefix, size } => {
                let expected: Vec<_> = model
                    .iter()
                    .filter(|(key, _)| key.starts_with(&prefix))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                prop_assert_eq!(paged(&**live, &prefix, size), expected);
            }
        }
    }
    drop(store);
    let store = open();
    prop_assert_eq!(store.verify().unwrap(), model.len() as u64);
    let rows = store.scan(b"", None, usize::MAX).unwrap();
    prop_assert_eq!(rows.into_iter().collect::<BTreeMap<_, _>>(), model);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sled_agrees_with_a_map(steps in prop::collection::vec(step(), 1..25)) {
        agrees(Engine::Sled, steps)?;
    }

    #[test]
    fn redb_agrees_with_a_map(steps in prop::collection::vec(step(), 1..25)) {
        agrees(Engine::Redb, steps)?;
    }
}
