//! An installation under a root that is not the server's: a firm's own, whose issuing CA is made with openssl and brought
//! along, or one that stays offline, with request and answer files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use world::{World, cargo_output, muster};

/// What openssl makes: two roots, an issuing CA under the first, and files that do not fit.
const SCRIPT: &str = "
set -e
umask 077
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key 2> /dev/null; }
ca='keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid'
printf \"basicConstraints=critical,CA:TRUE,pathlen:0\n$ca\" > issuing.ext
printf \"basicConstraints=critical,CA:TRUE\n$ca\" > unbounded.ext
printf \"basicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\" > leaf.ext
for root in firm other; do
  key $root
  openssl req -x509 -new -key $root.key -subj /O=Firm/CN=$root -days 3650 -out $root.pem \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2> /dev/null
done
sign() { # name, extensions, root, days, serial
  key $1
  openssl req -new -key $1.key -subj /O=Firm/CN=$1 -out $1.csr
  openssl x509 -req -in $1.csr -CA $3.pem -CAkey $3.key -set_serial $5 -days $4 -extfile $2.ext -out $1.pem 2> /dev/null
  cat $1.pem $3.pem > $1-chain.pem
}
sign issuing issuing firm 1825 0x5a1
sign unbounded unbounded firm 1825 0x5a2
sign leaf leaf firm 1825 0x5a3
sign foreign issuing other 1825 0x5a4
cat foreign.pem firm.pem > mixed-chain.pem
cat issuing.pem firm.pem other.pem > long-chain.pem
cp issuing.key open.key && chmod 644 open.key
printf 'no key' > nonsense.key
";

fn firm() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("sh")
        .args(["-c", SCRIPT])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    folder
}

fn shell(folder: &Path, script: &str) {
    let run = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .output();
    let run = run.unwrap();
    assert!(run.status.success(), "{script}: {run:?}");
}

fn init(folder: &Path, firm: &Path, [chain, key]: [&str; 2]) -> (Option<i32>, String) {
    let output = Command::new(cargo_output("muster"))
        .arg("--dir")
        .arg(folder)
        .args(["init", "--unencrypted", "--site", "test", "--ca"])
        .arg(firm.join(chain))
        .arg("--ca-private-key")
        .arg(firm.join(key))
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_certified_under_the_firms_own_root() {
    let firm = firm();
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = init(folder.path(), firm.path(), ["issuing-chain.pem", "issuing.key"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!folder.path().join("pki/root.key").exists());
    let mut world = World::found(folder, 0).await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let claim = world.claim(&admin, "lot", 1).await;
    let device = world.provision(&claim, "pump-7").await;
    world.connect(&device, "").await.client.disconnect().await;
    admin.client.disconnect().await;
    let verified = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile"])
        .arg(firm.path().join("firm.pem"))
        .arg("-untrusted")
        .arg(firm.path().join("issuing.pem"))
        .arg(world.folder().join("identities/pump-7/certificate.pem"))
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
    let listed: Value = serde_json::from_str(&muster(world.folder(), &["--json", "ca", "list"])).unwrap();
    assert_eq!(listed["id"], "000005a1");
    // The root's key is elsewhere: there is a request, and the firm's own tool answers it.
    muster(world.folder(), &["ca", "new", "--key", "p384"]);
    let request = world.folder().join("pki/issuing-next.csr");
    shell(
        firm.path(),
        &format!(
            "openssl x509 -req -in {} -CA firm.pem -CAkey firm.key -set_serial 0x5a9 -days 1825 -extfile issuing.ext \
             -out next.pem && cat next.pem firm.pem > next-chain.pem",
            request.display()
        ),
    );
    let answer = firm.path().join("next-chain.pem");
    muster(
        world.folder(),
        &["ca", "import", answer.to_str().unwrap(), "--yes"],
    );
    assert!(!request.exists(), "nothing waits any more");
    // With it the firm makes the next one.
    let key = firm.path().join("firm.key");
    muster(
        world.folder(),
        &["ca", "new", "--root-key", key.to_str().unwrap()],
    );
    assert_eq!(
        muster(world.folder(), &["--json", "ca", "list"]).lines().count(),
        3
    );
    // The start goes by the files, too.
    assert_eq!(world.stop(), Some(0));
    let issuing = world.folder().join("pki/issuing.key");
    std::fs::copy(firm.path().join("foreign.key"), &issuing).unwrap();
    let said = world.try_start().unwrap_err();
    assert!(said.contains("does not belong"), "{said}");
    std::fs::copy(firm.path().join("issuing.key"), &issuing).unwrap();
    world.start().await;
}

#[test]
fn what_does_not_fit_is_named_and_nothing_is_made() {
    let firm = firm();
    for (files, part) in [
        (["issuing-chain.pem", "foreign.key"], "does not belong"),
        (["leaf-chain.pem", "leaf.key"], "not an authority"),
        (["unbounded-chain.pem", "unbounded.key"], "path length is 0"),
        (["mixed-chain.pem", "foreign.key"], "not signed by the next"),
        (["long-chain.pem", "issuing.key"], "not signed by the next"),
        (["issuing.pem", "issuing.key"], "and the root that signed it"),
        (["firm.pem", "firm.key"], "and the root that signed it"),
        (["issuing-chain.pem", "nonsense.key"], "key"),
        (["issuing-chain.pem", "open.key"], "others"),
        (["issuing.key", "issuing.key"], "chain of certificates"),
        (["nowhere.pem", "issuing.key"], "nowhere.pem"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (code, said) = init(folder.path(), firm.path(), files);
        assert!(
            code != Some(0) && said.contains(part),
            "{files:?}: {code:?} {said}"
        );
        let made = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(made, 0, "{files:?}");
    }
}

/// Types a command in a folder; its exit code, and all that it said.
fn typed(folder: &Path, arguments: &str) -> (Option<i32>, String) {
    let output = Command::new(cargo_output("muster"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn done(folder: &Path, arguments: &str) -> String {
    let (code, said) = typed(folder, arguments);
    assert_eq!(code, Some(0), "{arguments}: {said}");
    said
}

fn secret(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// Whether openssl finds that a certificate leads to the root.
fn leads_to_root(folder: &Path, certificate: &str, issuing: &str) -> bool {
    let verify = "verify -x509_strict -CAfile root/root.pem -untrusted";
    let mut openssl = Command::new("openssl");
    let run = openssl.args(verify.split(' ')).args([issuing, certificate]);
    run.current_dir(folder).output().unwrap().status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_lives_without_ever_seeing_its_roots_key() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    secret(here, "root-pass", "root horse\n");
    secret(here, "pass", "ca horse\n");
    done(
        here,
        "ca root new root --site test --key p384 --passphrase-file root-pass",
    );
    let folder = tempfile::tempdir_in(here).unwrap();
    let dir = folder.path().display().to_string();
    done(
        here,
        &format!("--dir {dir} init --site test --passphrase-file pass --root-offline"),
    );
    let (code, said) = typed(here, &format!("--dir {dir} up"));
    assert!(code == Some(2) && said.contains("ca import"), "{said}");
    let (code, said) = typed(
        here,
        &format!("--dir {dir} init --site test --passphrase-file pass"),
    );
    assert!(
        code == Some(4) && said.contains("waits for its root's answer"),
        "{said}"
    );

    let sign = format!(
        "ca root sign --offline --root-folder root {dir}/pki/issuing-next.csr answer --root-passphrase-file root-pass --yes"
    );
    done(here, &sign);
    let answer = std::fs::read(here.join("answer")).unwrap();
    assert!(done(here, &sign).contains("answered before"));
    assert_eq!(
        std::fs::read(here.join("answer")).unwrap(),
        answer,
        "the same again"
    );
    let root = std::fs::read(here.join("root/root.pem")).unwrap();
    done(here, &format!("--dir {dir} ca import answer --yes"));
    assert_eq!(std::fs::read(folder.path().join("pki/root.pem")).unwrap(), root);
    for gone in [
        "root.key",
        "issuing-next.key",
        "issuing-next.csr",
        "founding.json",
    ] {
        assert!(!folder.path().join("pki").join(gone).exists(), "{gone}");
    }
    assert!(leads_to_root(
        here,
        &format!("{dir}/pki/server.pem"),
        &format!("{dir}/pki/issuing.pem")
    ));

    // It runs, devices come, and the next issuing CA is answered while it does.
    let world = World::found(folder, 0).await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let claim = world.claim(&admin, "lot", 1).await;
    let device = world.provision(&claim, "pump-7").await;
    world.connect(&device, "").await.client.disconnect().await;
    admin.client.disconnect().await;
    done(here, &format!("--dir {dir} ca new --key ed25519"));
    let (code, said) = typed(here, &format!("--dir {dir} ca new --key p384"));
    assert!(
        code == Some(4) && said.contains("waits for its answer already"),
        "{said}"
    );
    let (code, said) = typed(here, &format!("--dir {dir} ca import answer --yes"));
    assert!(
        code == Some(2) && said.contains("answers another request"),
        "{said}"
    );
    done(here, &sign);
    let said = done(here, &format!("--dir {dir} --json ca import answer --yes"));
    let next: Value = serde_json::from_str(&said).unwrap();
    let next = next["id"].as_str().unwrap();
    let issuing = format!("{dir}/pki/issuing-{next}.pem");
    assert!(leads_to_root(here, &issuing, &issuing));
    done(here, &format!("--dir {dir} ca activate {next} --yes"));
    let key = std::fs::read(world.folder().join(format!("pki/issuing-{next}.key"))).unwrap();
    assert!(pki::is_sealed(&key), "as the others lie");
}

fn charter(now_ms: i64, years: u64) -> pki::Charter<'static> {
    pki::Charter {
        site: "test",
        key: pki::KeyKind::P256,
        serial: pki::Serial::from_random([7; 16]),
        now_ms,
        lifetime_ms: years * 365 * 86_400_000,
    }
}

/// A root in a folder of its own that was made a while ago.
fn root_that_began(folder: &Path, now_ms: i64, years: u64) -> pki::Authority {
    let made = pki::create_root(&charter(now_ms, years)).unwrap();
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("root.pem"), &made.chain_pem).unwrap();
    secret(folder, "root.key", &made.key_pem);
    pki::Authority::open(&made.chain_pem, &made.key_pem, now_ms).unwrap()
}

#[allow(clippy::disallowed_methods)] // a test's clock
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

#[test]
fn an_answer_or_a_root_that_does_not_fit_is_named_and_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let (year_ms, now_ms) = (365 * 86_400_000, now_ms());
    let root = root_that_began(&here.join("root"), now_ms - 3 * year_ms, 20);
    root_that_began(&here.join("ended-root"), now_ms - 3 * year_ms, 1);
    done(here, "ca root new other --site test --unencrypted");
    let (code, said) = typed(here, "ca root new root --unencrypted");
    assert!(code == Some(4) && said.contains("there already"), "{said}");
    done(here, "--dir first init --site test --unencrypted --root-offline");
    done(here, "--dir second init --site test --unencrypted --root-offline");
    let sign = |root: &str, of: &str, answer: &str| {
        format!("ca root sign --offline --root-folder {root} {of}/pki/issuing-next.csr {answer} --yes")
    };
    done(here, &sign("root", "first", "answer"));
    done(here, &sign("root", "second", "answer-to-second"));
    done(here, "--dir first ca import answer --yes");
    done(here, "--dir first ca new");
    // What openssl makes of the same key: a leaf, a CA that may sign CAs, one that has ended, one of another root.
    let script = "
        set -e
        csr=first/pki/issuing-next.csr
        ca='keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid'
        printf \"basicConstraints=critical,CA:TRUE,pathlen:0\n$ca\" > issuing.ext
        printf \"basicConstraints=critical,CA:TRUE,pathlen:3\n$ca\" > deep.ext
        printf \"basicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\" > leaf.ext
        sign() {
          openssl x509 -req -in $csr -CA $2/root.pem -CAkey $2/root.key -set_serial 0x77 -extfile $1.ext -days 100 -out $3.one
          cat $3.one $2/root.pem > $3
        }
        sign leaf root leaf
        sign deep root deep
        sign issuing other foreign
        cat foreign.one root/root.pem > mixed
        cat issuing.ext > nonsense
        mkdir -p twisted open && cp root/root.pem other/root.key twisted/
        cp root/root.pem root/root.key open/ && chmod 644 open/root.key
        mkdir low && cp first/pki/issuing.key low/root.key && cp first/pki/issuing.pem low/root.pem
    ";
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(here)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let request = std::fs::read(here.join("first/pki/issuing-next.csr")).unwrap();
    let request = pki::AuthorityRequest::parse(&request).unwrap();
    let charter = pki::Charter {
        now_ms: now_ms - 2 * year_ms,
        ..charter(now_ms, 1)
    };
    let ended = pki::certify_issuing(&root, &request.key, &charter, &[]).unwrap();
    std::fs::write(here.join("ended"), ended).unwrap();
    let before = std::fs::read_dir(here.join("first/pki")).unwrap().count();
    for (answer, part) in [
        ("leaf", "not an authority"),
        ("deep", "path length is 0"),
        ("foreign", "installation's root"),
        ("ended", "expired"),
        ("mixed", "not signed by the next"),
        ("answer-to-second", "answers another request"),
        ("nonsense", "chain of certificates"),
        ("root/root.pem", "and the root that signed it"),
        ("nowhere", "nowhere"),
    ] {
        let (code, said) = typed(here, &format!("--dir first ca import {answer} --yes"));
        assert!(
            code == Some(2) && said.contains(part),
            "{answer}: {code:?} {said}"
        );
    }
    for (root, part) in [
        ("twisted", "does not belong"),
        ("open", "can be read by others"),
        ("ended-root", "expired"),
        ("low", "no root's"),
        ("nowhere", "the root's key is needed"),
    ] {
        let (code, said) = typed(here, &sign(root, "first", "never"));
        assert!(code == Some(2) && said.contains(part), "{root}: {code:?} {said}");
    }
    let (code, said) = typed(
        here,
        "ca root sign --offline --root-folder root answer never --yes",
    );
    assert!(code == Some(2) && said.contains("cannot be signed"), "{said}");
    let (code, said) = typed(here, &sign("root", "first", "never").replace("--yes", ""));
    assert!(code == Some(2), "nobody was asked: {said}");
    assert!(!here.join("never").exists());
    let after = std::fs::read_dir(here.join("first/pki")).unwrap().count();
    assert_eq!(before, after, "nothing was changed");
    done(here, &sign("root", "first", "fits"));
    done(here, "--dir first ca import fits --yes");
    let (code, said) = typed(here, "--dir first ca import fits --yes");
    assert!(code == Some(3) && said.contains("no key waits"), "{said}");
}

#[test]
fn the_roots_key_is_taken_away_once_it_was_read_back() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    secret(here, "pass", "ca horse\n");
    secret(here, "root-pass", "root horse\n");
    done(here, "--dir first init --site test --passphrase-file pass");
    done(here, "--dir second init --site test --unencrypted");
    let export = |of: &str, to: &str| format!("--dir {of} ca root export {to} --yes");
    let (code, said) = typed(here, &export("first", "first/within"));
    assert!(
        code == Some(2) && said.contains("within the installation"),
        "{said}"
    );
    done(here, &export("second", "taken"));
    let (code, said) = typed(here, &export("first", "taken"));
    assert!(code != Some(0) && said.contains("nothing was removed"), "{said}");
    assert!(here.join("first/pki/root.key").exists());
    let key = std::fs::read(here.join("first/pki/root.key")).unwrap();
    done(
        here,
        "--dir first ca root export root --passphrase-file root-pass --yes",
    );
    assert!(!here.join("first/pki/root.key").exists());
    assert_ne!(
        std::fs::read(here.join("root/root.key")).unwrap(),
        key,
        "sealed anew"
    );
    let mode = std::fs::metadata(here.join("root/root.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // It was cut off before the removal: typed again it ends.
    secret(
        &here.join("first/pki"),
        "root.key",
        std::str::from_utf8(&key).unwrap(),
    );
    done(
        here,
        "--dir first ca root export root --passphrase-file root-pass --yes",
    );
    let (code, said) = typed(here, &export("first", "root"));
    assert!(code == Some(3) && said.contains("not in"), "{said}");
    done(here, "--dir first ca new");
    let sign = "ca root sign --offline --root-folder root first/pki/issuing-next.csr answer --yes --root-passphrase-file";
    let (code, said) = typed(here, &format!("{sign} pass"));
    assert!(
        code == Some(2) && said.contains("cannot open root/root.key"),
        "{said}"
    );
    done(here, &format!("{sign} root-pass"));
    done(here, "--dir first ca import answer --yes");
    assert!(done(here, "--dir first ca list").contains("published"));
}

#[test]
fn an_issuing_ca_may_be_held_to_some_hosts() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let init =
        "--dir first init --site test --unencrypted --permit-dns example.com --permit-ip 192.0.2.0/24 --host";
    let (code, said) = typed(here, &format!("{init} other.org"));
    assert!(
        code == Some(2) && said.contains("name constraints forbid"),
        "{said}"
    );
    assert!(!here.join("first").exists(), "nothing was made");
    done(here, &format!("{init} muster.example.com"));
    std::fs::create_dir(here.join("root")).unwrap();
    std::fs::copy(here.join("first/pki/root.pem"), here.join("root/root.pem")).unwrap();
    assert!(leads_to_root(
        here,
        "first/pki/server.pem",
        "first/pki/issuing.pem"
    ));
    assert!(leads_to_root(
        here,
        "first/people/admin/certificate.pem",
        "first/pki/issuing.pem"
    ));
    let listed = done(here, "--dir first --json ca list");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let may = ["example.com", "localhost", "192.0.2.0/24", "127.0.0.1", "::1"];
    assert_eq!(listed["may_name"], serde_json::json!(may));
    // The next one could not renew the server's certificate: it is not activated.
    let made = done(here, "--dir first --json ca new --permit-dns example.org");
    let made: Value = serde_json::from_str(&made).unwrap();
    let next = made["id"].as_str().unwrap();
    let (code, said) = typed(here, &format!("--dir first ca activate {next} --yes"));
    assert!(code == Some(4) && said.contains("`muster.example.com`"), "{said}");
    // A firm's own CA with constraints: names of this machine are left out where they are forbidden.
    done(here, "ca root new safe --site test --unencrypted");
    done(
        here,
        "--dir second init --site test --unencrypted --root-offline --host muster.example.net",
    );
    let (code, said) = typed(
        here,
        "--dir third init --unencrypted --root-offline --permit-dns example.net",
    );
    assert!(code == Some(2) && said.contains("ca root sign"), "{said}");
    shell(
        here,
        "printf '%s\\n' basicConstraints=critical,CA:TRUE,pathlen:0 keyUsage=critical,keyCertSign,cRLSign \\
           subjectKeyIdentifier=hash authorityKeyIdentifier=keyid \\
           'nameConstraints=critical,permitted;DNS:example.net,permitted;URI:example.net' > uri.ext
         grep -v nameConstraints uri.ext > dns.ext
         echo 'nameConstraints=critical,permitted;DNS:example.net' >> dns.ext
         for kind in uri dns; do
           openssl x509 -req -in second/pki/issuing-next.csr -CA safe/root.pem -CAkey safe/root.key -set_serial 0x77 \\
             -extfile $kind.ext -days 100 -out one.pem
           cat one.pem safe/root.pem > $kind.pem
         done",
    );
    let (code, said) = typed(here, "--dir second ca import uri.pem --yes");
    assert!(
        code == Some(2) && said.contains("other names than DNS names and addresses"),
        "{said}"
    );
    done(here, "--dir second ca import dns.pem --yes");
    let server = std::fs::read_to_string(here.join("second/pki/server.pem")).unwrap();
    let named = pki::ServerCertificate::parse_pem(&server).unwrap().hosts;
    let named: Vec<_> = named.iter().map(ToString::to_string).collect();
    assert_eq!(named, ["muster.example.net", "127.0.0.1", "::1"]);
}

/// Starts a server that must not start, with settings in its environment.
fn refused_start(dir: &Path, settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(cargo_output("muster"));
    command.arg("--dir").arg(dir).arg("up").stdin(Stdio::null());
    command
        .env("MUSTER_LISTEN__PRINCIPALS", "127.0.0.1:0")
        .env("MUSTER_LISTEN__HTTP", "127.0.0.1:0");
    let output = command.envs(settings.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_ca_that_cannot_sign_is_refused_by_name_and_code() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    secret(here, "pass", "ca horse\n");
    secret(here, "wrong", "no horse\n");
    done(here, "--dir first init --site test --passphrase-file pass");
    done(here, "--dir second init --site test --unencrypted");
    let dir = here.join("first");
    let pki = dir.join("pki");
    let wrong = here.join("wrong").display().to_string();
    let refused = |settings: &[(&str, &str)], part: &str| {
        let (code, said) = refused_start(&dir, settings);
        assert!(code == Some(2) && said.contains(part), "{part}: {code:?} {said}");
    };
    refused(&[("MUSTER_PKI__PASSPHRASE_FILE", &wrong)], "wrong passphrase");
    for (source, part) in [
        ("env:NO_SUCH_VARIABLE", "no such variable"),
        ("credential:ca", "no credentials"),
        ("fd:77", "fd:77"),
    ] {
        refused(&[("MUSTER_PKI__PASSPHRASE_FILE", source)], part);
    }
    let year_ms = 365 * 86_400_000;
    let root = root_that_began(&here.join("old"), now_ms() - 3 * year_ms, 20);
    let key = std::fs::read_to_string(here.join("second/pki/issuing.key")).unwrap();
    let own = pki::PublicKey::of_private(&key).unwrap();
    let ended = pki::certify_issuing(&root, &own, &charter(now_ms() - 2 * year_ms, 1), &[]).unwrap();
    let good: Vec<_> = ["issuing.pem", "issuing.key", "root.pem"]
        .map(|name| (name, std::fs::read(pki.join(name)).unwrap()))
        .into();
    let put = |name: &str, from: &Path| std::fs::copy(from, pki.join(name)).unwrap();
    let back = || {
        for (name, bytes) in &good {
            std::fs::write(pki.join(name), bytes).unwrap();
        }
    };
    put("issuing.key", &here.join("second/pki/issuing.key"));
    refused(&[], "does not belong to the certificate");
    back();
    put("issuing.pem", &here.join("second/pki/issuing.pem"));
    refused(&[], "the installation's root");
    put("issuing.pem", &pki.join("root.pem"));
    refused(&[], "not an authority's");
    back();
    std::fs::write(pki.join("issuing.pem"), ended).unwrap();
    put("issuing.key", &here.join("second/pki/issuing.key"));
    put("root.pem", &here.join("old/root.pem"));
    refused(&[], "expired");
    back();
    std::fs::set_permissions(pki.join("issuing.key"), PermissionsExt::from_mode(0o640)).unwrap();
    refused(&[], "can be read by others");
    std::fs::set_permissions(pki.join("issuing.key"), PermissionsExt::from_mode(0o600)).unwrap();
}

/// Debian's faketime.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_clock_ran_backwards_is_refused() {
    if !Path::new(FAKETIME).exists() {
        println!("there is no libfaketime (Debian: faketime); not tried");
        return;
    }
    let ahead = [
        ("LD_PRELOAD", FAKETIME),
        ("FAKETIME", "+3600s"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let mut world = World::with(&ahead).await;
    let admin = world.admin().await;
    world.claim(&admin, "lot", 1).await;
    admin.client.disconnect().await;
    assert_eq!(world.stop(), Some(0));
    let (code, said) = refused_start(world.folder(), &[]);
    assert!(
        code == Some(2) && said.contains("clock stands") && said.contains("minutes behind"),
        "{code:?} {said}"
    );
    // With its clock set right it goes on.
    world.start().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_passphrase_comes_from_a_descriptor_a_credential_or_the_environment() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let program = cargo_output("muster");
    let script = format!(
        "umask 077
         mkdir credentials && echo 'ca horse' > credentials/ca && chmod 440 credentials/ca
         {0} --dir first init --site test --passphrase-file fd:3 3< credentials/ca
         grep -q passphrase first/muster.toml && exit 9
         {0} --dir second init --site test --passphrase-file env:CA_PASSPHRASE
         grep -q 'env:CA_PASSPHRASE' second/muster.toml
         echo 'ca horse' | {0} --dir first ca new --root-passphrase-file fd:0 && exit 8
         MUSTER_PKI__PASSPHRASE_FILE=credential:ca {0} --dir first ca new --root-passphrase-file fd:5 5< credentials/ca",
        program.display()
    );
    let mut shell = Command::new("sh");
    let run = shell
        .args(["-ec", &script])
        .current_dir(here)
        .env("CA_PASSPHRASE", "ca horse");
    let run = run
        .env("CREDENTIALS_DIRECTORY", here.join("credentials"))
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let key = std::fs::read(here.join("first/pki/issuing.key")).unwrap();
    assert!(pki::open_key(&key, Some("ca horse")).is_ok());
    // The server reads its keys again when a CA comes along: what a pipe gave is kept for that.
    for source in ["credential:ca", "env:CA_PASSPHRASE", "fd:0"] {
        let mut command = Command::new(&program);
        command
            .args(["--dir", "first", "up"])
            .current_dir(here)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
            .env("CREDENTIALS_DIRECTORY", here.join("credentials"))
            .env("CA_PASSPHRASE", "ca horse");
        command
            .env("MUSTER_PKI__PASSPHRASE_FILE", source)
            .env("MUSTER_LISTEN__PRINCIPALS", "127.0.0.1:0");
        let mut server = command
            .env("MUSTER_LISTEN__HTTP", "127.0.0.1:0")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        server.stdin.take().unwrap().write_all(b"ca horse\n").unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready", "{source}");
        let asked = Command::new("kill").arg(server.id().to_string()).status();
        assert!(asked.unwrap().success() && server.wait().unwrap().success());
    }
}
