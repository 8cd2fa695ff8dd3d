//! A copy of a store that is written to meanwhile is the store as it was at the cut.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use service::store::{Batch, Read, Store};
use store::copy::{self, CopyError, Incoming, Side, Tapped};
use store::{Engine, OpenOptions, Restored};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn options(folder: &std::path::Path, epoch: u64) -> OpenOptions {
    OpenOptions {
        reserve_bytes: 0,
        ..OpenOptions::new(folder.join("db"), epoch, 3)
    }
}

fn open(engine: Engine, folder: &std::path::Path) -> Arc<Tapped> {
    Arc::new(Tapped::new(engine.open(options(folder, 7)).unwrap()))
}

/// Writes, overwrites and removes until told to stop; what is there is kept in `model`.
fn write(store: &Tapped, model: &Mutex<Rows>, stop: &AtomicBool) {
    let mut n = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        let mut model = model.lock().unwrap();
        let mut batch = Batch::default();
        for offset in 0..5 {
            let key = format!("k{:05}", (n * 7919 + offset * 131) % 3_000).into_bytes();
            if (n + offset).is_multiple_of(4) {
                batch.delete(key.clone());
                model.remove(&key);
            } else {
                let value = vec![n as u8; 300];
                batch.put(key.clone(), value.clone());
                model.insert(key, value);
            }
        }
        store.commit(&batch).unwrap();
        n += 1;
    }
}

fn rows(store: &dyn Read) -> Rows {
    store.scan(b"", None, usize::MAX).unwrap().into_iter().collect()
}

fn copied_under_writes(from: Engine, to: Engine) {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(from, here.path());
    let (model, stop) = (Mutex::new(Rows::new()), AtomicBool::new(false));
    let mut first = Batch::default();
    for n in 0..3_000 {
        let (key, value) = (format!("k{n:05}").into_bytes(), vec![1; 500]);
        model.lock().unwrap().insert(key.clone(), value.clone());
        first.put(key, value);
    }
    store.commit(&first).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| write(&store, &model, &stop));
        let (near, far) = UnixStream::pair().unwrap();
        let weak = Arc::downgrade(&store);
        let folder = here.path().to_owned();
        let sender = scope.spawn(move || copy::send(&weak, &folder, &far, &far));
        let mut incoming = Incoming::begin(near).unwrap();
        assert_eq!((incoming.identity().schema, incoming.identity().epoch), (3, 7));
        let mut restored = Restored::begin(to, &options(there.path(), 9), incoming.identity()).unwrap();
        loop {
            match incoming.receive().unwrap() {
                Side::Rows(chunk) | Side::Writes(chunk) => assert!(restored.apply(&chunk).unwrap()),
                Side::RowsEnd => {
                    thread::sleep(std::time::Duration::from_millis(50));
                    // Nobody writes between what the model is and the cut.
                    let _still = model.lock().unwrap();
                    stop.store(true, Ordering::SeqCst);
                    incoming.cut().unwrap();
                }
                Side::End(copied) => {
                    assert!(copied.rows > 0 && copied.writes > 0, "{copied:?}");
                    break;
                }
            }
        }
        sender.join().unwrap().unwrap();
        restored.finish().unwrap();
    });
    let restored = to.open(options(there.path(), 1)).unwrap();
    assert_eq!(
        restored.epoch(),
        9,
        "another history than the one that was copied"
    );
    assert_eq!(rows(&*restored), *model.lock().unwrap());
    assert_eq!(rows(&*store), *model.lock().unwrap());
}

#[test]
fn a_copy_under_writes_is_the_store_at_the_cut() {
    copied_under_writes(Engine::Sled, Engine::Sled);
    copied_under_writes(Engine::Redb, Engine::Sled);
    copied_under_writes(Engine::Sled, Engine::Redb);
}

#[test]
fn one_copy_at_a_time_and_none_of_a_store_that_was_closed() {
    let here = tempfile::tempdir().unwrap();
    let store = open(Engine::Redb, here.path());
    let weak = Arc::downgrade(&store);
    let (near, far) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| copy::send(&weak, here.path(), &far, &far));
        let mut first = Incoming::begin(&near).unwrap();
        assert_eq!(first.receive().unwrap(), Side::RowsEnd);
        let mut told = Vec::new();
        let second = copy::send(&weak, here.path(), &mut told, std::io::empty());
        assert!(matches!(second, Err(CopyError::Busy)), "{second:?}");
        drop(store);
        first.cut().unwrap();
        let ended = first.receive().unwrap_err();
        assert!(ended.to_string().contains("closed its database"), "{ended}");
    });
    // One that was given up leaves the way free.
    let store = open(Engine::Redb, here.path());
    let weak = Arc::downgrade(&store);
    for _ in 0..2 {
        let given_up = copy::send(&weak, here.path(), std::io::sink(), std::io::empty());
        assert!(matches!(given_up, Err(CopyError::Io(_))), "{given_up:?}");
    }
}

#[test]
fn a_schema_that_is_newer_is_refused() {
    let there = tempfile::tempdir().unwrap();
    let newer = store::Identity {
        epoch: 1,
        schema: 4,
        created: 0,
    };
    let refused = Restored::begin(Engine::Sled, &options(there.path(), 9), newer);
    assert!(refused.err().unwrap().to_string().contains("schema 4"));
    assert!(!there.path().join("db").exists());
}
