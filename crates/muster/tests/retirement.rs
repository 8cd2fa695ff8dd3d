//! The signed record of a device's end, with the program as typed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod installation;

use std::{fs, process::Command, time::Duration};

use installation::Installation;
use serde_json::Value;

const OUT: &str = "pump-7.retirement";

/// Retires a device that never had a certificate, and waits for its record.
fn retired(installation: &Installation) -> String {
    installation.good(&["device", "register", "pump-7", "--set", "serial_number=SN-7"]);
    installation.ends(&["device", "retirement", "pump-7"], 3);
    installation.good(&["device", "retire", "pump-7", "--reason", "sold", "--yes"]);
    let file = installation.path(OUT).display().to_string();
    for _ in 0..600 {
        let output = installation.run(&["device", "retirement", "pump-7", "--out", &file]);
        match output.status.code() {
            Some(0) => return file,
            code => assert_eq!(code, Some(6), "{output:?}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("it was not signed");
}

fn shown(installation: &Installation) -> Value {
    installation
        .documents(&["device", "retirement", "pump-7"])
        .remove(0)
}

#[test]
fn a_record_is_signed_checked_by_others_and_comes_back_from_a_backup() {
    let mut installation = Installation::running();
    let file = retired(&installation);
    let before = shown(&installation);
    assert_eq!(before["state"], "RETIREMENT_STATE_SIGNED");
    let record = installation.documents(&["device", "record", "pump-7"]).remove(0);
    assert_eq!(record["record"]["retirement"]["signed"], before["signed"]);
    let verified = installation
        .documents(&["device", "retirement", "verify", &file])
        .remove(0);
    assert_eq!(
        (
            &verified["serial_number"],
            &verified["reason"],
            &verified["erasure"]
        ),
        (&"SN-7".into(), &"sold".into(), &"ERASURE_NOT_NEEDED".into())
    );
    installation.stop();

    let backup = installation.path("monday").display().to_string();
    installation.good(&["backup", &backup]);
    fs::remove_dir_all(installation.path("state")).unwrap();
    let elsewhere = installation.path("elsewhere").display().to_string();
    installation.good(&["--dir", &elsewhere, "restore", &backup]);
    installation.good(&["--dir", &elsewhere, "device", "retirement", "verify", &file]);
    fs::rename(installation.path("elsewhere/state"), installation.path("state")).unwrap();
    installation.start();
    assert_eq!(shown(&installation), before);
}

#[test]
fn a_changed_record_and_another_key_are_refused_with_what_is_wrong() {
    let installation = Installation::running();
    let file = retired(&installation);
    let text = fs::read_to_string(&file).unwrap();
    let verify = ["device", "retirement", "verify", file.as_str()];
    let mut signed: Value = serde_json::from_str(&text).unwrap();
    let payload = signed["payload"].as_str().unwrap().to_owned();
    signed["payload"] = payload.replacen("ICJ", "ICK", 1).into();
    fs::write(&file, signed.to_string()).unwrap();
    installation.fails(&verify, 7, &["do not belong together"]);
    fs::write(&file, &text[..text.len() / 2]).unwrap();
    installation.fails(&verify, 2, &["is no signed record"]);
    fs::write(&file, &text).unwrap();
    installation.good(&verify);
    let other = installation.path("release/release.pub").display().to_string();
    installation.fails(
        &["device", "retirement", "verify", &file, "--key", &other],
        7,
        &["it names the key"],
    );
}

#[test]
fn its_key_is_sealed_with_the_ca_keys_and_records_wait_for_it() {
    let mut installation = Installation::new(&[], &[]);
    let key = installation.path("pki/retirement.key");
    let away = installation.path("retirement.key");
    fs::rename(&key, &away).unwrap();
    installation.start();
    installation.good(&["device", "register", "pump-7"]);
    installation.good(&["device", "retire", "pump-7", "--yes"]);
    let waits =
        |installation: &Installation| shown(installation)["waits_for"].as_str().unwrap_or("").to_owned();
    for _ in 0..600 {
        if waits(&installation).contains("retirement.key") {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(waits(&installation).contains("pki/retirement.key"));
    installation.stop();

    // A file that is no key stops the start, and says which.
    fs::write(&key, "nonsense").unwrap();
    let chmod = Command::new("chmod").arg("600").arg(&key).status().unwrap();
    assert!(chmod.success());
    installation.fails(&["up"], 2, &["retirement.key"]);
    fs::remove_file(&key).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let passphrase = folder.path().join("passphrase");
    fs::write(&passphrase, "correct horse").unwrap();
    Command::new("chmod")
        .arg("600")
        .arg(&passphrase)
        .status()
        .unwrap();
    let sealed = folder.path().join("sealed").display().to_string();
    let passphrase = passphrase.display().to_string();
    installation.good(&["--dir", &sealed, "init", "--passphrase-file", &passphrase]);
    let text = fs::read_to_string(format!("{sealed}/pki/retirement.key")).unwrap();
    assert!(text.starts_with("-----BEGIN MUSTER ENCRYPTED KEY-----"), "{text}");
}
