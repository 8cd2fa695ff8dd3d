//! Backups made, read, damaged and brought back, with the program as typed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod installation;

use std::{
    fs,
    io::{Cursor, Read},
    path::{Path, PathBuf},
    process::Output,
};

use installation::Installation;
use sha2::Digest;

/// An installation that has run, has a device, and is stopped; and a backup of it.
fn with_backup() -> (Installation, PathBuf) {
    let mut installation = Installation::new(&[], &["--site", "here"]);
    installation.start();
    installation.good(&["device", "register", "pump-7"]);
    installation.stop();
    let file = installation.path("monday");
    installation.good(&["backup", text(&file)]);
    (installation, file)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `muster restore` into a folder that is not the installation's.
fn restore(installation: &Installation, folder: &Path, options: &[&str]) -> Output {
    let arguments = [&["--dir", text(folder), "restore"], options].concat();
    installation.run(&arguments)
}

#[track_caller]
fn ends(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

/// An installation has its first revocation list half a second after its first start.
fn until_listed(installation: &Installation) -> PathBuf {
    let list = installation.path("state/provisioning/files/crl.pem");
    for _ in 0..600 {
        if list.exists() {
            return list;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("no revocation list");
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

/// The same backup, its parts changed, renamed or left out, with the manifest that it had.
fn changed(file: &Path, change: &mut dyn FnMut(&mut String, &mut Vec<u8>) -> bool) -> PathBuf {
    let mut from = tar::Archive::new(zstd::Decoder::new(fs::File::open(file).unwrap()).unwrap());
    let mut to = tar::Builder::new(Vec::new());
    for entry in from.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if !change(&mut name, &mut bytes) {
            continue;
        }
        let mut head = tar::Header::new_gnu();
        head.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        head.set_size(bytes.len() as u64);
        head.set_mode(0o600);
        head.set_entry_type(tar::EntryType::Regular);
        head.set_cksum();
        to.append(&head, bytes.as_slice()).unwrap();
    }
    let path = file.with_extension("changed");
    let packed = zstd::encode_all(Cursor::new(to.into_inner().unwrap()), 1).unwrap();
    fs::write(&path, packed).unwrap();
    path
}

#[test]
fn what_was_backed_up_while_stopped_or_running_comes_back() {
    let (mut installation, file) = with_backup();
    let stopped = &installation.documents(&["backup", "verify", text(&file)])[0];
    assert!(stopped["sound"] == true && stopped["site"] == "here", "{stopped}");
    assert!(
        stopped["databases"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["running"] == false)
    );
    installation.start();
    let second = file.with_extension("second");
    let running = &installation.documents(&["backup", text(&second)])[0];
    assert!(
        running["databases"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["running"] == true)
    );
    let printed = installation.good(&["backup", "verify", text(&second)]);
    assert!(
        printed.contains("registry") && printed.contains("sound"),
        "{printed}"
    );
    // A file that is there is not written over.
    installation.fails(&["backup", text(&second)], 4, &["is there already"]);
    // Nobody restores under a server that runs.
    installation.fails(&["restore", text(&file)], 4, &["--replace"]);
    installation.fails(&["restore", text(&file), "--replace"], 2, &["--yes"]);
    installation.fails(
        &["restore", text(&file), "--replace", "--yes"],
        4,
        &["in use", "stopped"],
    );
    installation.stop();
    let would = installation.good(&["restore", text(&file), "--replace", "--dry-run"]);
    assert!(would.contains("would replace"), "{would}");
    let epoch = |installation: &Installation| {
        installation.documents(&["store", "stats", "registry"])[0]["epoch"].clone()
    };
    let former = epoch(&installation);
    let report = &installation.documents(&["restore", text(&second), "--replace", "--yes"])[0];
    assert!(report["restored"]["registry"].as_u64() > Some(0), "{report}");
    assert_eq!(report["former"].as_array().unwrap().len(), 2, "{report}");
    assert_ne!(epoch(&installation), former);
    installation.good(&["store", "verify"]);
    installation.has_the_device();
}

#[test]
fn an_installation_that_has_never_run_comes_back_with_the_request_that_waits() {
    let installation = Installation::new(&[], &["--site", "here"]);
    let (away, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (root, file) = (away.path().join("root"), installation.path("monday"));
    installation.good(&["ca", "root", "export", text(&root), "--yes"]);
    installation.good(&["ca", "new"]);
    installation.good(&["backup", text(&file)]);
    ends(
        &restore(&installation, elsewhere.path(), &[text(&file), "--yes"]),
        0,
        &[],
    );
    // The root's answer to the request fits the key that came along.
    let (request, answer) = (
        installation.path("pki/issuing-next.csr"),
        installation.path("answer.pem"),
    );
    let order = ["ca", "root", "sign", "--offline", "--root-folder", text(&root)];
    installation.good(&[&order[..], &[text(&request), text(&answer), "--yes"]].concat());
    let import = [
        "--dir",
        text(elsewhere.path()),
        "ca",
        "import",
        text(&answer),
        "--yes",
    ];
    ends(&installation.run(&import), 0, &[]);
}

#[test]
fn a_backup_comes_back_on_the_other_engine() {
    let (installation, file) = with_backup();
    let there = tempfile::tempdir().unwrap();
    let options = ["--dir", text(there.path()), "restore", text(&file)];
    let mut command = installation.command(&options);
    let output = command.env("MUSTER_STORE__ENGINE", "redb").output().unwrap();
    ends(&output, 0, &[]);
    assert!(there.path().join("state/registry/db/rows.redb").exists());
}

#[test]
fn each_kind_of_damage_is_named_and_nothing_is_changed() {
    let (installation, file) = with_backup();
    let bytes = fs::read(&file).unwrap();
    let bad = file.with_extension("bad");
    let there = tempfile::tempdir().unwrap();
    let both = |bad: &Path, code: i32, words: &[&str]| {
        installation.fails(&["backup", "verify", text(bad)], code, words);
        ends(&restore(&installation, there.path(), &[text(bad)]), code, words);
        assert!(is_empty(there.path()), "{words:?}");
    };
    both(&file.with_extension("none"), 2, &["cannot read"]);
    both(there.path(), 2, &["cannot read"]);
    for nothing in [&b""[..], b"muster", &[0x28, 0xb5, 0x2f, 0xfd]] {
        fs::write(&bad, nothing).unwrap();
        both(&bad, if nothing.len() == 4 { 7 } else { 2 }, &["bad"]);
    }
    for cut in [100, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&bad, &bytes[..cut]).unwrap();
        both(&bad, 7, &["damaged"]);
    }
    // Some bits of Zstandard's headers mean nothing: what unpacks to the very same is no damage.
    let unpacked = |bytes: &[u8]| zstd::decode_all(bytes).ok();
    let whole = unpacked(&bytes);
    let mut damaged = 0;
    for at in (8..bytes.len()).step_by(bytes.len() / 12) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        if unpacked(&flipped) == whole {
            continue;
        }
        damaged += 1;
        fs::write(&bad, &flipped).unwrap();
        both(&bad, 7, &["damaged"]);
    }
    assert!(damaged >= 10, "{damaged}");
    fs::write(&bad, [&bytes[..], b"more"].concat()).unwrap();
    both(&bad, 7, &["damaged"]);

    let wanted = "state/registry/rows/000000";
    both(
        &changed(&file, &mut |name, _| name != wanted),
        7,
        &[wanted, "is missing"],
    );
    both(
        &changed(&file, &mut |name, _| name != "manifest.json"),
        7,
        &["is cut off"],
    );
    let altered = changed(&file, &mut |name, bytes| {
        if name == "pki/root.pem" {
            bytes[40] ^= 1;
        }
        true
    });
    both(&altered, 7, &["pki/root.pem is not what was written"]);
    for elsewhere in [
        "../stolen",
        "/tmp/stolen",
        "pki/../../stolen",
        "state/registry/db/lock",
    ] {
        let renamed = changed(&file, &mut |name, _| {
            if name == "pki/root.pem" {
                *name = elsewhere.to_owned();
            }
            true
        });
        both(
            &renamed,
            7,
            &["stolen", "no place"].map(|word| {
                if elsewhere.ends_with("lock") {
                    "no place"
                } else {
                    word
                }
            }),
        );
    }
}

#[test]
fn newer_formats_and_schemas_are_told_before_anything_is_read() {
    let (installation, file) = with_backup();
    let there = tempfile::tempdir().unwrap();
    let newer = changed(&file, &mut |name, bytes| {
        if name == "backup.json" {
            *bytes = br#"{"format": 2, "muster": "9.1.0"}"#.to_vec();
        }
        true
    });
    ends(
        &restore(&installation, there.path(), &[text(&newer)]),
        4,
        &["format 2", "9.1.0"],
    );
    let with_schema_99 = |sum_fits: bool| {
        let part = "state/rollout/identity.json";
        let said = br#"{"schema": 99, "epoch": "1", "created": 0}"#;
        changed(&file, &mut |name, bytes| {
            if name == part {
                *bytes = said.to_vec();
            }
            if name == "manifest.json" && sum_fits {
                let mut manifest: serde_json::Value = serde_json::from_slice(bytes).unwrap();
                let parts = manifest["parts"].as_array_mut().unwrap();
                let listed = parts.iter_mut().find(|listed| listed["name"] == part).unwrap();
                listed["bytes"] = said.len().into();
                listed["sha256"] = hex::encode(sha2::Sha256::digest(said)).into();
                *bytes = serde_json::to_vec(&manifest).unwrap();
            }
            true
        })
    };
    let refused = restore(&installation, there.path(), &[text(&with_schema_99(true))]);
    ends(&refused, 4, &["rollout", "schema 99", "nothing was changed"]);
    assert!(is_empty(there.path()));
    // Without a sum that fits it is no newer version, but damage.
    let refused = restore(&installation, there.path(), &[text(&with_schema_99(false))]);
    ends(&refused, 7, &["damaged", "identity.json"]);
    assert!(is_empty(there.path()));
}

#[test]
fn a_list_of_somebody_else_is_not_believed() {
    let (installation, file) = with_backup();
    let other = Installation::new(&[], &["--site", "there"]);
    let mut other = other;
    other.start();
    let list = until_listed(&other);
    let there = tempfile::tempdir().unwrap();
    let refused = restore(&installation, there.path(), &[text(&file), "--crl", text(&list)]);
    ends(&refused, 5, &["not signed by"]);
    assert!(is_empty(there.path()));
    other.stop();
}

#[test]
fn a_restoring_that_was_cut_off_is_told_and_goes_on() {
    let (mut installation, file) = with_backup();
    // As it lies in the midst of its moves.
    fs::create_dir(installation.path("restore.new")).unwrap();
    fs::rename(
        installation.path("muster.toml"),
        installation.path("restore.new/muster.toml"),
    )
    .unwrap();
    installation.fails(&["up"], 2, &["muster restore", "cut off", "again"]);
    installation.good(&["restore", text(&file), "--replace", "--yes"]);
    assert!(!installation.path("restore.new").exists() && !installation.path("state/restore.new").exists());
    installation.has_the_device();
}

#[test]
fn a_damaged_database_gives_no_backup() {
    let (installation, file) = with_backup();
    installation.good(&["store", "migrate", "--to", "redb"]);
    let rows = installation.path("state/registry/db/rows.redb");
    let mut bytes = fs::read(&rows).unwrap();
    let at = bytes.windows(6).position(|part| part == b"pump-7").unwrap();
    bytes[at] = b'P';
    fs::write(&rows, bytes).unwrap();
    let second = file.with_extension("second");
    installation.fails(&["backup", text(&second)], 7, &["registry", "damaged"]);
    assert!(!second.exists() && !second.with_extension("second.part").exists());
}

#[test]
fn lists_of_installations_that_made_room_are_taken_over_again_and_again() {
    let mut installation = Installation::new(&[], &["--site", "here"]);
    installation.start();
    installation.good(&["person", "put", "operator", "bob", "--role", "viewer"]);
    installation.good(&["cert", "issue", "operator", "bob"]);
    let file = installation.path("monday");
    installation.good(&["backup", text(&file)]);
    let trust = installation.path("trust");
    let lists = |installation: &Installation| {
        installation.good(&["cert", "authorities", "--out", text(&trust)]);
        fs::read(trust.join("crl.pem")).unwrap().len()
    };
    until_listed(&installation);
    let empty = lists(&installation);
    installation.good(&["cert", "revoke", "--operator", "bob", "--yes"]);
    for _ in 0..600 {
        if lists(&installation) != empty {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    installation.stop();
    for round in 1..3 {
        // The second time the configuration is gone, as after a restoring that was cut off.
        let report = &installation.documents(&["restore", text(&file), "--replace", "--yes"])[0];
        assert_eq!(report["revocations"]["lines"], 1, "round {round}: {report}");
        fs::remove_file(installation.path("muster.toml")).unwrap();
        fs::remove_dir_all(installation.path("state/provisioning")).unwrap();
    }
    installation.good(&["restore", text(&file), "--replace", "--yes"]);
    installation.start();
    installation.fails(&["--as", "bob", "device", "list"], 5, &[]);
    installation.stop();
}

/// The commands that `docs/operations.md` gives for backups, in their order.
#[test]
fn what_the_documents_say_can_be_typed() {
    let mut installation = Installation::new(&[], &["--site", "here"]);
    installation.start();
    installation.good(&["device", "register", "pump-7"]);
    until_listed(&installation);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## Backup and restore\n").expect("the section");
    let section = section.split("\n## ").next().unwrap();
    let shelf = tempfile::tempdir().unwrap();
    let (mut typed, mut runs) = (0, true);
    for line in section.split("```").skip(1).step_by(2).flat_map(str::lines) {
        let line = line
            .split('#')
            .next()
            .unwrap()
            .replace("/backup/", &format!("{}/", text(shelf.path())));
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["systemctl", "stop", "muster"] => {
                installation.stop();
                runs = false;
            }
            ["systemctl", "start", "muster"] => {
                installation.start();
                runs = true;
            }
            ["muster", ref rest @ ..] => {
                installation.good(rest);
                typed += 1;
            }
            [] => {}
            _ => panic!("{line}"),
        }
    }
    assert!(typed >= 4 && runs, "{typed}");
    assert!(
        installation
            .good(&["--json", "device", "list"])
            .contains("pump-7")
    );
}
