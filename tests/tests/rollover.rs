//! From one issuing CA to the next, as its operator types it, with devices that go on meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{process::Command, time::Duration};

use client::{Client, Identity};
use contract::{Root, ServiceName, v1};
use serde_json::Value;
use world::{World, cargo_output, muster};

/// Tenths of a second: the server follows within eight seconds, and the machine may be busy.
const PATIENCE: usize = 600;

/// The issuing CAs as `muster ca list` names them: mark and state.
fn listed(world: &World) -> Vec<(String, String)> {
    let text = muster(world.folder(), &["--json", "ca", "list"]);
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| [&row["id"], &row["state"]].map(|text| text.as_str().unwrap().to_owned()))
        .map(|[id, state]| (id, state))
        .collect()
}

/// The exit code of a command that asks the server, and what it said.
fn asks(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let output = Command::new(cargo_output("muster"))
        .arg("--dir")
        .arg(world.folder())
        .args(["--server", &server])
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Waits until the running server knows these, and signs with that one.
async fn follows(world: &World, all: &[&str], signs: &str) -> v1::Authorities {
    // A session of its own: the test's admin stays connected, and two of one name would put each other out.
    let identity = world.identity(&world.folder().join("people/admin"));
    let admin = world.connect(&identity, "follows").await;
    for _ in 0..PATIENCE {
        let asked = v1::GetAuthorities::default();
        let told: v1::Authorities = admin.ask(ServiceName::Provisioning, "authorities", &asked).await;
        let ids: Vec<_> = told.authorities.iter().map(|one| one.id.as_str()).collect();
        let signing = told.authorities.iter().find(|one| one.signs).unwrap();
        if ids.len() == all.len() && all.iter().all(|id| ids.contains(id)) && signing.id == signs {
            admin.client.disconnect().await;
            return told;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the server does not follow to {all:?}, signing {signs}");
}

/// What becomes true within seconds while the server runs.
async fn soon(mut holds: impl AsyncFnMut() -> bool, what: &str) {
    for _ in 0..PATIENCE {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}");
}

async fn gets_in(world: &World, identity: &Identity) -> bool {
    let connected = Client::connect(&world.endpoint(), identity, Root::default(), "").await;
    match connected {
        Ok((client, _inbox)) => {
            client.disconnect().await;
            true
        }
        Err(_) => false,
    }
}

/// A device's next certificate.
async fn renewed(world: &World, over: &Identity, id: &str) -> (v1::Signed, Identity) {
    let device = world.connect(over, "").await;
    let key = pki::generate_key(pki::KeyKind::P256).unwrap();
    let request = v1::Sign {
        csr: pki::csr_for(&key, id).unwrap(),
        ..v1::Sign::default()
    };
    let signed: v1::Signed = device.ask(ServiceName::Provisioning, "renew", &request).await;
    device.client.disconnect().await;
    let identity = Identity::from_pem(&signed.certificate, &key, &world.roots()).unwrap();
    (signed, identity)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_issuing_ca_takes_over_while_the_devices_of_the_old_one_go_on() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7", "pump-8"]).await;
    let claim = world.claim(&admin, "lot", 2).await;
    let [seven, eight] = [
        world.provision(&claim, "pump-7").await,
        world.provision(&claim, "pump-8").await,
    ];
    let old = listed(&world)[0].0.clone();

    muster(world.folder(), &["ca", "new"]);
    let new = listed(&world)[1].0.clone();
    assert_eq!(listed(&world)[1].1, "published");
    let told = follows(&world, &[&old, &new], &old).await;
    let certificate = &told
        .authorities
        .iter()
        .find(|one| one.id == new)
        .unwrap()
        .certificate;
    assert!(gets_in(&world, &seven).await && gets_in(&world, &eight).await);

    muster(world.folder(), &["ca", "activate", &new, "--yes"]);
    follows(&world, &[&old, &new], &new).await;
    assert!(gets_in(&world, &seven).await && gets_in(&world, &eight).await);
    let (signed, next) = renewed(&world, &seven, "pump-7").await;
    assert!(pki::issued_by(&signed.certificate, certificate).is_ok());
    assert!(gets_in(&world, &next).await && gets_in(&world, &eight).await);

    // Four count: the claim's, two of devices, the admin's.
    let (code, said) = asks(&world, &["ca", "remove", &old, "--yes"]);
    assert!(
        code == Some(4) && said.contains("4 certificates"),
        "{code:?} {said}"
    );
    assert_eq!(listed(&world).len(), 2);
    // The admin needs one of the new CA before the old one goes.
    let (code, said) = asks(&world, &["ca", "remove", &old, "--yes", "--force"]);
    assert!(
        code == Some(4) && said.contains("your own certificate"),
        "{code:?} {said}"
    );
    let folder = world.issue(&admin, "operators", "admin").await;
    admin.client.disconnect().await;
    let again = folder.to_str().unwrap();
    // Who is connected over it would stay connected.
    let (code, said) = asks(&world, &["--as", again, "ca", "remove", &old, "--yes", "--force"]);
    assert!(
        code == Some(4) && said.contains("--reason cACompromise"),
        "{code:?} {said}"
    );
    assert_eq!(listed(&world).len(), 2);
    let (code, said) = asks(
        &world,
        &["--as", again, "cert", "revoke", "--claim", "lot", "--yes"],
    );
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = asks(&world, &["--as", again, "ca", "remove", &old, "--yes", "--force"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(listed(&world), [(new.clone(), "active".to_owned())]);
    assert!(
        !world.folder().join("pki/issuing.key").exists(),
        "its key is erased"
    );
    let again = world.identity(&folder);
    let is_out = async || !gets_in(&world, &eight).await;
    soon(is_out, "its CA is trusted no more").await;
    assert!(gets_in(&world, &next).await && gets_in(&world, &again).await);
    let admin = world.connect(&again, "").await;
    let asked = v1::GetAuthorities::default();
    let left = async || {
        let told: v1::Authorities = admin.ask(ServiceName::Provisioning, "authorities", &asked).await;
        told.authorities.len() == 1
    };
    soon(left, "provisioning lists it no more").await;
    // A list of its own, and none of the removed one's any more in the file of all.
    let told: v1::Authorities = admin.ask(ServiceName::Provisioning, "authorities", &asked).await;
    assert!(told.authorities[0].id == new && told.authorities[0].signs);
    assert_eq!(
        changes(&world, &folder),
        [
            (new.clone(), "trusted"),
            (new.clone(), "signs"),
            (old.clone(), "trusted"),
            (old, "removed"),
        ]
        .map(|(id, state)| (id, state.to_owned()))
    );
}

/// The places that issuing CAs took, as the events say.
fn changes(world: &World, identity: &std::path::Path) -> Vec<(String, String)> {
    let server = format!("127.0.0.1:{}", world.endpoint().port);
    let events = muster(
        world.folder(),
        &[
            "--server",
            &server,
            "--as",
            identity.to_str().unwrap(),
            "--json",
            "events",
            "--service",
            "provisioning",
            "--filter",
            "authorities/+/changed",
            "--replay-only",
        ],
    );
    let rows = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| row["data"]["state"].is_string())
        .map(|row| [&row["data"]["id"], &row["data"]["state"]].map(|text| text.as_str().unwrap().to_owned()))
        .map(|[id, state]| (id, state))
        .collect()
}

/// The roots as `muster ca root list` names them: fingerprint, and the issuing CAs under it.
fn roots(world: &World) -> Vec<(String, Vec<String>)> {
    let text = muster(world.folder(), &["--json", "ca", "root", "list"]);
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| {
        let below = row["issuing"].as_array().unwrap().iter();
        let below = below.map(|id| id.as_str().unwrap().to_owned()).collect();
        (row["fingerprint"].as_str().unwrap().to_owned(), below)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_root_takes_over_while_the_server_runs_and_the_former_one_goes_last() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7", "pump-8"]).await;
    let claim = world.claim(&admin, "lot", 2).await;
    let seven = world.provision(&claim, "pump-7").await;
    let (old, old_root) = (listed(&world)[0].0.clone(), roots(&world)[0].0.clone());
    let good = |arguments: &[&str]| {
        let (code, said) = asks(&world, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        said
    };
    let refused = |arguments: &[&str], code: i32, word: &str| {
        let (ended, said) = asks(&world, arguments);
        assert!(
            ended == Some(code) && said.contains(word),
            "{arguments:?}: {ended:?} {said}"
        );
    };

    let next = world.folder().join("next-root");
    let next = next.to_str().unwrap();
    muster(
        world.folder(),
        &["ca", "root", "new", next, "--site", "test", "--unencrypted"],
    );
    let (pem, key) = (format!("{next}/root.pem"), format!("{next}/root.key"));
    refused(&["ca", "root", "remove", &old_root, "--yes"], 4, "the only root");
    let issuing = world.folder().join("pki/issuing.pem");
    let both = [std::fs::read(&issuing).unwrap(), std::fs::read(&pem).unwrap()].concat();
    let wrong = world.folder().join("wrong.pem");
    std::fs::write(&wrong, both).unwrap();
    refused(
        &["ca", "root", "add", wrong.to_str().unwrap(), "--yes"],
        2,
        "no root's",
    );
    assert!(good(&["ca", "root", "add", &pem, "--yes"]).contains("has taken it"));
    refused(&["ca", "root", "add", &pem, "--yes"], 4, "already");
    let asked = v1::GetAuthorities::default();
    let told: v1::Authorities = admin.ask(ServiceName::Provisioning, "authorities", &asked).await;
    assert_eq!(told.roots.matches("BEGIN").count(), 2);
    assert_eq!(told.roots, world.roots());

    // A certificate of now brings both roots; an issuing CA under the new one is trusted, and signs.
    let eight = world.provision(&claim, "pump-8").await;
    good(&["ca", "new", "--root-key", &key]);
    let new = listed(&world)[1].0.clone();
    let new_root = roots(&world)[1].0.clone();
    assert_eq!(roots(&world)[1].1, std::slice::from_ref(&new));
    std::fs::write(world.folder().join("people/admin/roots.pem"), world.roots()).unwrap();
    good(&["ca", "activate", &new, "--yes"]);
    good(&["cert", "renew-server"]);
    let leaves = async || !gets_in(&world, &seven).await;
    soon(
        leaves,
        "whoever has the former root only does not trust the server",
    )
    .await;
    let (_, again) = renewed(&world, &eight, "pump-8").await;
    assert!(
        gets_in(&world, &eight).await,
        "of the former root, and it knows both"
    );
    assert!(gets_in(&world, &again).await, "of the new root");

    refused(&["ca", "root", "remove", &old_root, "--yes"], 4, &old);
    refused(&["ca", "remove", &old, "--yes"], 4, "certificates of");
    let folder = world.folder().join("again");
    let me = folder.to_str().unwrap();
    good(&["cert", "issue", "operator", "admin", "--out", me]);
    good(&[
        "--as",
        me,
        "cert",
        "revoke",
        "--issuer",
        &old,
        "--reason",
        "superseded",
        "--yes",
    ]);
    good(&["--as", me, "ca", "remove", &old, "--yes"]);
    assert!(good(&["--as", me, "ca", "root", "remove", &old_root[..12], "--yes"]).contains("has taken it"));
    assert_eq!(roots(&world), [(new_root.clone(), vec![new.clone()])]);
    let told = follows_as(&world, &folder, &new).await;
    assert_eq!(told.roots, std::fs::read_to_string(&pem).unwrap());
    assert!(gets_in(&world, &again).await && !gets_in(&world, &eight).await);
    let moves: Vec<_> = changes(&world, &folder)
        .into_iter()
        .filter(|(id, _)| [&old_root, &new_root].contains(&id))
        .collect();
    assert_eq!(
        moves,
        [(new_root, "root".to_owned()), (old_root, "removed".to_owned())]
    );
}

/// What the running server knows, asked over an identity of this folder, once it signs with that one alone.
async fn follows_as(world: &World, folder: &std::path::Path, signs: &str) -> v1::Authorities {
    let me = world.connect(&world.identity(folder), "root").await;
    let asked = v1::GetAuthorities::default();
    let told: v1::Authorities = me.ask(ServiceName::Provisioning, "authorities", &asked).await;
    assert!(told.authorities.len() == 1 && told.authorities[0].id == signs);
    me.client.disconnect().await;
    told
}

/// As it is typed when its key was stolen: nothing is waited for between the commands but by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_issuing_ca_is_replaced_in_one_go_and_its_devices_are_sent_away() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let pump = world.device(&admin, "pump-7").await;
    admin.client.disconnect().await;
    let old = listed(&world)[0].0.clone();
    muster(world.folder(), &["ca", "new"]);
    let new = listed(&world)[1].0.clone();
    let again = world.folder().join("again");
    let again = again.to_str().unwrap();
    for arguments in [
        &["ca", "activate", &new, "--yes"][..],
        &["cert", "issue", "operator", "admin", "--out", again],
        &[
            "--as",
            again,
            "cert",
            "revoke",
            "--issuer",
            &old,
            "--reason",
            "cACompromise",
            "--yes",
        ],
        &["--as", again, "ca", "remove", &old, "--yes"],
        &["--as", again, "cert", "list"],
    ] {
        let (code, said) = asks(&world, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
    }
    let left = async || {
        let (_, said) = asks(&world, &["--as", again, "broker", "client", "pump-7"]);
        said.contains("is not connected")
    };
    soon(left, "its session was ended").await;
    drop(pump);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_keeps_what_it_has_when_the_files_do_not_fit() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let old = listed(&world)[0].0.clone();
    let pki = world.folder().join("pki");
    let key = std::fs::read(pki.join("issuing.key")).unwrap();
    muster(world.folder(), &["ca", "new"]);
    let new = listed(&world)[1].0.clone();
    follows(&world, &[&old, &new], &old).await;
    std::fs::copy(pki.join(format!("issuing-{new}.key")), pki.join("issuing.key")).unwrap();
    let is_told = async || world.server().log().contains("does not belong");
    soon(is_told, "the log says what is wrong").await;
    // It signs with what it has.
    let claim = world.claim(&admin, "lot", 1).await;
    let seven = world.provision(&claim, "pump-7").await;
    assert!(gets_in(&world, &seven).await);
    std::fs::write(pki.join("issuing.key"), key).unwrap();
    muster(world.folder(), &["ca", "activate", &new, "--yes"]);
    follows(&world, &[&old, &new], &new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_under_a_passphrase_are_followed_too() {
    let folder = tempfile::tempdir().unwrap();
    let passphrase = folder.path().join("pass.txt");
    std::fs::write(&passphrase, "correct horse\n").unwrap();
    std::fs::set_permissions(&passphrase, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = passphrase.to_str().unwrap().to_owned();
    muster(
        folder.path(),
        &["init", "--passphrase-file", &text, "--site", "test"],
    );
    let world = World::found(folder, 0).await;
    let old = listed(&world)[0].0.clone();
    muster(world.folder(), &["ca", "new", "--root-passphrase-file", &text]);
    let new = listed(&world)[1].0.clone();
    muster(world.folder(), &["ca", "activate", &new, "--yes"]);
    follows(&world, &[&old, &new], &new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cas_of_every_kind_of_key_sign_for_devices_of_every_kind() {
    use pki::KeyKind::{Ed25519, P256, P384};
    // Side by side: each waits until its server has followed.
    tokio::join!(
        a_ca_of_another_kind_signs("p384", "ed25519", P384),
        a_ca_of_another_kind_signs("ed25519", "p256", Ed25519),
        a_ca_of_another_kind_signs("p256", "p384", P256),
    );
}

async fn a_ca_of_another_kind_signs(first: &str, next: &str, device: pki::KeyKind) {
    let folder = tempfile::tempdir().unwrap();
    muster(
        folder.path(),
        &["init", "--unencrypted", "--site", "test", "--ca-key", first],
    );
    let world = World::found(folder, 0).await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let claim = world.claim(&admin, "lot", 1).await;
    let seven = world.provision(&claim, "pump-7").await;
    assert!(gets_in(&world, &seven).await, "under {first}");
    let old = listed(&world)[0].0.clone();
    muster(world.folder(), &["ca", "new", "--key", next]);
    let new = listed(&world)[1].0.clone();
    muster(world.folder(), &["ca", "activate", &new, "--yes"]);
    follows(&world, &[&old, &new], &new).await;
    let renewing = world.connect(&seven, "").await;
    let key = pki::generate_key(device).unwrap();
    let request = v1::Sign {
        csr: pki::csr_for(&key, "pump-7").unwrap(),
        ..v1::Sign::default()
    };
    let signed: v1::Signed = renewing.ask(ServiceName::Provisioning, "renew", &request).await;
    // Else it would come back and put out the next that comes.
    renewing.client.disconnect().await;
    let renewed = Identity::from_pem(&signed.certificate, &key, &world.roots()).unwrap();
    assert!(gets_in(&world, &renewed).await, "{device:?} under {next}");
    std::fs::write(world.folder().join("device.pem"), &signed.certificate).unwrap();
    let script = format!(
        "openssl verify -x509_strict -purpose sslclient -CAfile pki/root.pem -untrusted pki/issuing-{new}.pem \
         device.pem"
    );
    let verified = Command::new("sh")
        .args(["-c", &script])
        .current_dir(world.folder())
        .output()
        .unwrap();
    assert!(verified.status.success(), "{device:?} under {next}: {verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_make_a_ca_at_once_do_not_lose_one_another_s() {
    let folder = tempfile::tempdir().unwrap();
    muster(folder.path(), &["init", "--unencrypted"]);
    let make = || {
        Command::new(cargo_output("muster"))
            .arg("--dir")
            .arg(folder.path())
            .args(["ca", "new"])
            .output()
            .unwrap()
    };
    let made: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let good = made.iter().filter(|output| output.status.success()).count();
    for output in made.iter().filter(|output| !output.status.success()) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(4) && said.contains("another `muster ca`"),
            "{said}"
        );
    }
    let listed = muster(folder.path(), &["--json", "ca", "list"]);
    assert_eq!(listed.lines().count(), 1 + good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_cannot_sign_stops_the_start_with_what_is_wrong() {
    let mut world = World::new().await;
    muster(world.folder(), &["ca", "new"]);
    assert_eq!(world.stop(), Some(0));
    let new = listed(&world)[1].0.clone();
    let pki = world.folder().join("pki");
    let read = |name: &str| std::fs::read_to_string(pki.join(name)).unwrap();
    let [certificate, key, root] = ["issuing.pem", "issuing.key", "root.pem"].map(read);
    let foreign = tempfile::tempdir().unwrap();
    muster(foreign.path(), &["init", "--unencrypted", "--site", "test"]);
    let foreign = std::fs::read_to_string(foreign.path().join("pki/issuing.pem")).unwrap();
    let put = |name: &str, text: &str| std::fs::write(pki.join(name), text).unwrap();
    let cases = [
        (
            "issuing.key",
            read(&format!("issuing-{new}.key")),
            "does not belong",
        ),
        ("issuing.pem", root, "not an authority"),
        ("issuing.pem", foreign, "root"),
        ("issuing.pem", read(&format!("issuing-{new}.pem")), "is listed"),
        ("authorities.json", "{\"authorities\":[]}".into(), "exactly one"),
        ("authorities.json", "nonsense".into(), "does not count"),
    ];
    let register = read("authorities.json");
    for (name, text, expected) in cases {
        put(name, &text);
        let said = world.try_start().expect_err(expected);
        assert!(said.contains(expected), "{name}: {said}");
        put("issuing.pem", &certificate);
        put("issuing.key", &key);
        put("authorities.json", &register);
    }
    world.start().await;
}

#[test]
fn keys_under_a_passphrase_stay_under_it_and_every_mistake_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let passphrase = folder.path().join("pass.txt");
    std::fs::write(&passphrase, "correct horse\n").unwrap();
    std::fs::set_permissions(&passphrase, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let passphrase = passphrase.to_str().unwrap();
    let installation = folder.path().join("muster");
    muster(&installation, &["init", "--passphrase-file", passphrase]);
    let wrong = folder.path().join("wrong.txt");
    std::fs::write(&wrong, "wrong horse\n").unwrap();
    std::fs::set_permissions(&wrong, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(cargo_output("muster"))
            .arg("--dir")
            .arg(&installation)
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    for (arguments, code, part) in [
        (&["ca", "new"][..], 2, "--root-passphrase-file"),
        (
            &["ca", "new", "--root-passphrase-file", wrong.to_str().unwrap()],
            2,
            "cannot open",
        ),
        (&["ca", "new", "--root-key", "/nowhere/root.key"], 2, "--root-key"),
        (&["ca", "activate", "00000000", "--yes"], 3, "muster ca list"),
        (&["ca", "remove", "00000000", "--yes"], 3, "muster ca list"),
    ] {
        let (found, said) = run(arguments);
        assert!(
            found == Some(code) && said.contains(part),
            "{arguments:?}: {found:?} {said}"
        );
    }
    assert!(
        !installation.join("pki/authorities.json").exists(),
        "nothing was changed"
    );
    let made = muster(
        &installation,
        &["--json", "ca", "new", "--root-passphrase-file", passphrase],
    );
    let made: Value = serde_json::from_str(&made).unwrap();
    let new = made["id"].as_str().unwrap();
    let key = std::fs::read(installation.join(format!("pki/issuing-{new}.key"))).unwrap();
    assert!(pki::is_sealed(&key));
    muster(&installation, &["ca", "activate", new, "--dry-run"]);
    let listed = muster(&installation, &["ca", "list"]);
    assert!(listed.contains("published"), "{listed}");
    let (code, said) = run(&["ca", "activate", new]);
    assert!(code == Some(2) && said.contains("--yes"), "{said}");
    muster(&installation, &["ca", "activate", new, "--yes"]);
    let listed = muster(&installation, &["ca", "list"]);
    assert!(
        listed.contains("active") && listed.contains("retiring"),
        "{listed}"
    );
}
