//! An installation under a firm's own root: its issuing CA is made with openssl and brought along.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{path::Path, process::Command};

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
    // The root's key is elsewhere, and said to be needed.
    let next = Command::new(cargo_output("muster"))
        .arg("--dir")
        .arg(world.folder())
        .args(["ca", "new"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&next.stderr);
    assert!(!next.status.success() && said.contains("--root-key"), "{said}");
    // With it the firm makes the next one.
    let key = firm.path().join("firm.key");
    muster(
        world.folder(),
        &["ca", "new", "--root-key", key.to_str().unwrap()],
    );
    assert_eq!(
        muster(world.folder(), &["--json", "ca", "list"]).lines().count(),
        2
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
        (["unbounded-chain.pem", "unbounded.key"], "not an authority"),
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
