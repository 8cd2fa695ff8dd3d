//! Blobs on a real file system: permissions, links, caps, leftovers.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use service::store::{Blobs, StoreError};
use store::Files;

fn mode(path: impl AsRef<std::path::Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_the_owner_may_look() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("state").join("blobs");
    let files = Files::open(&folder).unwrap();
    files.write_part("part", 0, b"x").unwrap();
    files.replace("whole", b"x").unwrap();
    assert_eq!((mode(&folder), mode(folder.join("parts"))), (0o700, 0o700));
    assert_eq!(
        (mode(folder.join("parts/part")), mode(folder.join("whole"))),
        (0o600, 0o600)
    );
}

#[test]
fn links_are_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let secret = root.path().join("secret");
    fs::write(&secret, b"secret").unwrap();
    let folder = root.path().join("blobs");
    let files = Files::open(&folder).unwrap();
    for place in ["parts/a", "parts/dangling", "a", ".crl.tmp"] {
        let target = if place == "parts/dangling" {
            root.path().join("nowhere")
        } else {
            secret.clone()
        };
        symlink(target, folder.join(place)).unwrap();
    }
    assert!(files.write_part("a", 0, b"overwritten").is_err());
    assert!(files.write_part("dangling", 0, b"created").is_err());
    assert!(files.digest_part("a").is_err() && files.seal("a").is_err());
    assert!(files.read("a", 0, 10).is_err());
    files.replace("a", b"mine").unwrap();
    files.replace("crl", b"mine").unwrap();
    assert_eq!(files.read("a", 0, 10).unwrap().unwrap(), b"mine");
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
    assert!(!root.path().join("nowhere").exists());
}

#[test]
fn a_blob_has_a_cap() {
    let root = tempfile::tempdir().unwrap();
    let files = Files::open(root.path()).unwrap().with_cap(10);
    files.write_part("fw", 4, b"456789").unwrap();
    assert!(files.write_part("fw", 5, b"567890").is_err());
    assert!(files.replace("fw", &[0; 11]).is_err());
    assert_eq!(files.digest_part("fw").unwrap().unwrap().0, 10);
}

#[test]
fn the_reserve_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let files = Files::open(root.path()).unwrap().with_reserve(u64::MAX);
    assert!(matches!(
        files.write_part("fw", 0, b"x"),
        Err(StoreError::Full { .. })
    ));
    assert!(matches!(files.replace("fw", b"x"), Err(StoreError::Full { .. })));
}

#[test]
fn an_interrupted_replacement_is_cleared_away() {
    let root = tempfile::tempdir().unwrap();
    Files::open(root.path()).unwrap().replace("crl", b"old").unwrap();
    fs::write(root.path().join(".crl.tmp"), b"half").unwrap();
    let files = Files::open(root.path()).unwrap();
    assert!(!root.path().join(".crl.tmp").exists());
    assert_eq!(files.read("crl", 0, 10).unwrap().unwrap(), b"old");
}

#[test]
fn parts_and_sealed_blobs_survive_reopening() {
    let root = tempfile::tempdir().unwrap();
    {
        let files = Files::open(root.path()).unwrap();
        files.write_part("fw", 0, b"one").unwrap();
        files.write_part("done", 0, b"two").unwrap();
        files.seal("done").unwrap();
    }
    let files = Files::open(root.path()).unwrap();
    assert_eq!(files.digest_part("fw").unwrap().unwrap().0, 3);
    assert_eq!(files.read("done", 0, 10).unwrap().unwrap(), b"two");
}

#[test]
fn the_first_blocks_of_a_blob_may_come_side_by_side() {
    let root = tempfile::tempdir().unwrap();
    let files = Files::open(root.path()).unwrap();
    for round in 0..50 {
        let name = format!("fw-{round}");
        std::thread::scope(|scope| {
            for block in 0..4u64 {
                let (files, name) = (&files, &name);
                scope.spawn(move || files.write_part(name, block * 2, &[block as u8; 2]).unwrap());
            }
        });
        assert_eq!(files.digest_part(&name).unwrap().unwrap().0, 8);
    }
}
