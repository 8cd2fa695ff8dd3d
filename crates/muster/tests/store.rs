//! The databases of a stopped installation: looked through, repaired, written anew, brought to the other
//! engine, with the program as typed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod installation;

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use installation::Installation;

const SERVICES: [&str; 4] = ["registry", "provisioning", "rollout", "monitoring"];

/// An installation that has run, has a device, and is stopped.
fn that_has_run() -> Installation {
    let mut installation = Installation::new(&[], &["--site", "here"]);
    installation.start();
    installation.good(&["device", "register", "pump-7"]);
    installation.stop();
    installation
}

fn database(installation: &Installation, service: &str) -> PathBuf {
    installation.path("state").join(service).join("db")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_sound_installation_is_looked_through() {
    let installation = that_has_run();
    let found = installation.documents(&["store", "verify"]);
    assert_eq!(
        found
            .iter()
            .map(|one| one["service"].as_str().unwrap())
            .collect::<Vec<_>>(),
        SERVICES
    );
    assert!(
        found
            .iter()
            .all(|one| one["sound"] == true && one["records"].as_u64() > Some(0))
    );
    assert_eq!(installation.documents(&["store", "verify", "rollout"]).len(), 1);
    assert!(installation.good(&["store", "verify"]).contains("registry"));

    let stats = &installation.documents(&["store", "stats", "registry"])[0];
    assert_eq!(stats["kinds"]["devices"]["records"], 1, "{stats}");
    assert!(stats["amplification"].as_f64() > Some(1.0) && stats["files"]["db"].as_u64() > Some(0));
    assert_eq!(stats["schema"], 1);
    let told = installation.good(&["store", "stats", "provisioning"]);
    assert!(
        told.contains("certificates") && told.contains("on disk"),
        "{told}"
    );

    let repaired = installation.documents(&["store", "repair", "--yes"]);
    assert!(repaired.iter().all(|one| one["sound"] == true));
    assert_eq!(names(&installation.path("state/registry")), ["db", "files"]);
}

#[test]
fn a_running_installation_is_left_alone_and_one_that_never_ran_has_nothing() {
    let mut installation = that_has_run();
    installation.start();
    for command in [
        &["verify"][..],
        &["stats"],
        &["compact"],
        &["repair", "--yes"],
        &["migrate", "--to", "redb"],
    ] {
        let typed = [&["store"], command].concat();
        installation.fails(&typed, 4, &["in use", "while Muster is stopped"]);
    }
    installation.stop();
    installation.fails(&["store", "verify", "front-door"], 2, &["one of registry"]);
    installation.fails(&["store", "migrate", "--to", "oracle"], 2, &["sled"]);
    fs::remove_dir_all(installation.path("state")).unwrap();
    installation.fails(&["store", "verify"], 3, &["no database"]);
    installation.fails(&["store", "stats", "registry"], 3, &["registry/db"]);
}

#[test]
fn damage_is_named_with_a_code_of_its_own_and_repaired() {
    let mut installation = that_has_run();
    let database = database(&installation, "registry");
    fs::remove_file(database.join("db")).unwrap();
    for name in names(&database).iter().filter(|name| name.starts_with("snap.")) {
        fs::remove_file(database.join(name)).unwrap();
    }
    let printed = installation.fails(
        &["store", "verify"],
        7,
        &["registry", "db", "damaged", "store repair"],
    );
    assert!(printed.contains("NO") && printed.contains("yes"), "{printed}");
    installation.fails(&["up"], 7, &["registry", "damaged"]);

    installation.fails(&["store", "repair", "registry"], 2, &["--yes"]);
    let would = installation.documents(&["store", "repair", "registry", "--dry-run"]);
    assert!(
        would[0]["done"] == false && would[0]["records"].as_u64() > Some(0),
        "{would:?}"
    );
    assert_eq!(names(&installation.path("state/registry")), ["db", "files"]);
    let told = installation.good(&["store", "repair", "registry", "--yes"]);
    assert!(told.contains("new history") && told.contains("lost: "), "{told}");
    let kept = names(&installation.path("state/registry"));
    assert!(kept.len() == 3 && kept[1].starts_with("db.damaged-"), "{kept:?}");
    installation.good(&["store", "verify"]);
    // The logs still held all of this short life.
    installation.has_the_device();
}

/// Adds an image as the page on rollouts does; where it lies then.
fn with_image(installation: &Installation, image: &Path, version: &str, sequence: &str) -> PathBuf {
    fs::write(image, format!("the image of {version}")).unwrap();
    let (image, key) = (text(image), installation.path("release/release.key"));
    let sign = [
        "firmware",
        "sign",
        image,
        "--key",
        text(&key),
        "--name",
        "pump-fw",
    ];
    let release = ["--version", version, "--sequence", sequence, "--model", "p200"];
    installation.good(&[&sign[..], &release].concat());
    let added = &installation.documents(&["firmware", "add", image])[0];
    let id = added["artifact_id"].as_str().unwrap();
    installation.path("state/rollout/files").join(id)
}

/// Puts an image back from there.
fn put_back<'a>(source: &'a Path, how: &'a str) -> [&'a str; 6] {
    ["store", "repair", "rollout", "--from", text(source), how]
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_image_that_is_missing_cut_off_or_altered_is_named_and_put_back() {
    let mut installation = that_has_run();
    installation.start();
    let (one, two) = (installation.path("one.bin"), installation.path("two.bin"));
    let lies = with_image(&installation, &one, "1.0", "1");
    let other = with_image(&installation, &two, "1.1", "2");
    installation.stop();
    let (monday, tuesday) = (installation.path("monday"), installation.path("tuesday"));
    installation.good(&["store", "verify"]);
    installation.good(&["backup", text(&monday)]);

    let whole = fs::read(&one).unwrap();
    let altered = [b"T", &whole[1..]].concat();
    let damages: [(Option<&[u8]>, &str); 3] = [
        (None, "is missing"),
        (Some(&whole[..4]), "has 4 bytes and not 16"),
        (Some(&altered), "its SHA-256 is not its name"),
    ];
    for (damage, word) in damages {
        for source in [&one, &monday] {
            match damage {
                None => fs::remove_file(&lies).unwrap(),
                Some(bytes) => fs::write(&lies, bytes).unwrap(),
            }
            let words = [
                word,
                "rollout: the image pump-fw@1.0",
                "Devices cannot fetch",
                "--from",
            ];
            let printed = installation.fails(&["store", "verify"], 7, &words);
            assert!(printed.contains("NO") && printed.contains("yes"), "{printed}");
            installation.fails(&["store", "repair", "rollout"], 7, &words);
            // Another image is not taken for it.
            installation.fails(
                &put_back(&two, "--yes"),
                2,
                &["neither a backup nor an image that is lost"],
            );
            let would = installation.good(&put_back(source, "--dry-run"));
            assert!(would.contains("would put back the image pump-fw@1.0"), "{would}");
            assert_eq!(fs::read(&lies).ok().as_deref(), damage);
            let told = installation.good(&put_back(source, "--yes"));
            assert!(told.contains("the image pump-fw@1.0 is back, 16 bytes"), "{told}");
            assert_eq!(fs::read(&lies).unwrap(), whole);
            installation.good(&["store", "verify"]);
        }
    }

    // A backup of an installation that lacks one says so, is made, and is found to lack it.
    fs::remove_file(&other).unwrap();
    let output = installation.run(&["backup", text(&tuesday)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.contains("not in the backup: the image pump-fw@1.1"),
        "{said}"
    );
    installation.fails(
        &["backup", "verify", text(&tuesday)],
        7,
        &["lacks images", "pump-fw@1.1", "store repair rollout --from"],
    );
    installation.good(&["backup", "verify", text(&monday)]);
}

#[test]
fn a_revocation_list_whose_file_is_lost_is_made_anew_at_the_next_start() {
    let mut installation = Installation::new(&[], &["--site", "here"]);
    let files = installation.path("state/provisioning/files");
    let until_there = |file: &str| {
        for _ in 0..600 {
            if files.join(file).exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{file} is not made: {:?}", names(&files));
    };
    installation.start();
    // The last one that is written.
    until_there("crl.pem");
    installation.stop();
    let lists: Vec<_> = names(&files)
        .into_iter()
        .filter(|name| name.ends_with(".der") || name.ends_with(".pem"))
        .collect();
    assert_eq!(lists.len(), 4, "{lists:?}");
    for lost in lists {
        fs::remove_file(files.join(&lost)).unwrap();
        installation.start();
        until_there(&lost);
        installation.stop();
    }
}

#[test]
fn a_firmware_image_must_be_what_its_name_says() {
    let installation = that_has_run();
    let image = installation.path("state/rollout/files").join("ab".repeat(32));
    fs::write(&image, "no such image").unwrap();
    installation.fails(
        &["store", "verify", "rollout"],
        7,
        &["abab", "SHA-256", "no record names it, it can be removed"],
    );
    fs::remove_file(image).unwrap();
    installation.good(&["store", "verify", "rollout"]);
}

#[test]
fn databases_are_written_anew_and_brought_to_the_other_engine_and_back() {
    let mut installation = that_has_run();
    let before = installation.documents(&["store", "verify"]);
    for done in installation.documents(&["store", "compact"]) {
        // There is little to gain in what is as small as this.
        let bytes = |name: &str| done[name].as_u64().unwrap();
        assert!(bytes("bytes_after") < bytes("bytes_before") + 65_536, "{done}");
    }
    assert_eq!(installation.documents(&["store", "verify"]), before);
    let epoch = installation.documents(&["store", "stats"])[0]["epoch"].clone();

    installation.good(&["store", "migrate", "--to", "redb"]);
    assert!(database(&installation, "registry").join("rows.redb").exists());
    installation.fails(&["up"], 1, &["kept by redb", "migrate --to sled"]);
    let configuration = installation.path("muster.toml");
    let mut text = fs::read_to_string(&configuration).unwrap();
    text.push_str("\n[store]\nengine = \"redb\"\n");
    fs::write(&configuration, &text).unwrap();
    installation.has_the_device();
    installation.good(&["store", "verify"]);
    assert_eq!(installation.documents(&["store", "stats"])[0]["epoch"], epoch);

    installation.good(&["store", "migrate", "--to", "sled"]);
    installation.good(&["store", "migrate", "--to", "sled"]);
    fs::write(&configuration, text.replace("\"redb\"", "\"sled\"")).unwrap();
    installation.has_the_device();
}

#[test]
fn a_record_that_is_damaged_in_the_file_is_never_served() {
    let installation = that_has_run();
    installation.good(&["store", "migrate", "--to", "redb"]);
    let file = database(&installation, "registry").join("rows.redb");
    let bytes = fs::read(&file).unwrap();
    let at = bytes
        .windows(6)
        .position(|part| part == b"pump-7")
        .expect("the device's record");
    let open = fs::File::options().write(true).open(&file).unwrap();
    open.write_all_at(b"PUMP", at as u64).unwrap();
    installation.fails(&["store", "verify", "registry"], 7, &["registry"]);
}

/// The commands that `docs/operations.md` gives for the databases, in their order.
#[test]
fn what_the_documents_say_can_be_typed() {
    let mut installation = that_has_run();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## The databases\n").expect("the section");
    let section = section.split("\n## ").next().unwrap();
    let mut typed = 0;
    for line in section.split("```").skip(1).step_by(2).flat_map(str::lines) {
        let words: Vec<_> = line.split('#').next().unwrap().split_whitespace().collect();
        match words[..] {
            ["systemctl", ..] | [] => {}
            ["muster", ref rest @ ..] => {
                installation.good(rest);
                typed += 1;
            }
            _ => panic!("{line}"),
        }
    }
    assert!(typed >= 6, "{typed}");
    // The last one in the documents brings the databases back.
    installation.has_the_device();
}
