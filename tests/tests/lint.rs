//! pkilint judges every kind of certificate and revocation list that there is (RFC 5280), and each chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use contract::{ServiceName, v1};
use world::{World, muster, repository};

/// What pkilint minds and we do not, and why.
const KNOWN: [&str; 2] = [
    // It takes a URI without an authority for none. RFC 3986, section 1.1.2, names `urn:` as one.
    "pkix.invalid_uri_syntax (ERROR): Invalid URI syntax: \"urn:muster:",
    // `muster init` names the machine that it runs on; clients on it connect to that.
    "pkix.invalid_domain_name_syntax (ERROR): Invalid domain name syntax: \"localhost\"",
];

/// What a linter finds: warnings and worse that are not known.
fn findings(linter: &str, arguments: &[&str], files: &[&Path]) -> Vec<String> {
    let output = Command::new(repository().join("target/python/bin").join(linter))
        .args(["lint", "-s", "WARNING"])
        .args(arguments)
        .args(files)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.trim().is_empty(), "{linter} {files:?}: {said}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = text.lines().filter(|line| line.starts_with("    "));
    found
        .filter(|line| !KNOWN.iter().any(|known| line.contains(known)))
        .map(|line| format!("{}: {}", files[0].display(), line.trim()))
        .collect()
}

fn certificate(file: &Path) -> Vec<String> {
    findings("lint_pkix_cert", &[], &[file])
}

/// Each block of a text as a file of its own.
fn blocks(folder: &Path, name: &str, pem: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for part in pem.split("-----BEGIN ").skip(1) {
        let file = folder.join(format!("{name}-{}.pem", files.len()));
        std::fs::write(&file, format!("-----BEGIN {part}")).unwrap();
        files.push(file);
    }
    assert!(!files.is_empty(), "{name}: {pem}");
    files
}

async fn authorities(world: &World) -> v1::Authorities {
    // Beside the test's admin: two of one name put each other out.
    let identity = world.identity(&world.folder().join("people/admin"));
    let admin = world.connect(&identity, "asks").await;
    let asked = v1::GetAuthorities::default();
    let told = admin.ask(ServiceName::Provisioning, "authorities", &asked).await;
    admin.client.disconnect().await;
    told
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pkilint; tests/run installs it"]
async fn every_certificate_and_list_is_as_the_standard_has_it() {
    // All that a certificate can say.
    let full = r#"[{organization="Acme", serial_number=true, policies=["1.3.6.1.4.1.32473.1"],
        purposes=["1.3.6.1.5.5.7.3.14"], crl="http://muster.example/crl/{issuer}.der",
        issuer="http://muster.example/ca/{issuer}.der"}]"#;
    let world = World::with(&[("MUSTER_PKI__PROFILES", full)]).await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let claim = world.claim(&admin, "line", 1).await;
    world.provision(&claim, "pump-7").await;
    world.integrator(&admin, "erp", &["registry/#"]).await;
    let at = tempfile::tempdir().unwrap();
    let pki = world.folder().join("pki");
    let named = [
        ("server", pki.join("server.pem")),
        ("admin", world.folder().join("people/admin/certificate.pem")),
        ("claim", claim.join("certificate.pem")),
        ("device", world.folder().join("identities/pump-7/certificate.pem")),
        ("erp", world.folder().join("identities/erp/certificate.pem")),
    ];
    let roots = blocks(at.path(), "root", &world.roots());
    let issuing = std::fs::read_to_string(pki.join("issuing.pem")).unwrap();
    let issuing = blocks(at.path(), "issuing", &issuing);
    let chain = |issuer: &Path, subject: &Path| {
        findings("lint_pkix_signer_signee_cert_chain", &[], &[issuer, subject])
    };
    let mut found = certificate(&roots[0]);
    found.extend(certificate(&issuing[0]));
    found.extend(chain(&roots[0], &issuing[0]));
    // One that is held to some hosts.
    let permit = [
        "ca",
        "new",
        "--permit-dns",
        "example.com",
        "--permit-ip",
        "2001:db8::/32",
    ];
    let id = muster(world.folder(), &[&permit[..], &["--json"]].concat());
    let id: serde_json::Value = serde_json::from_str(&id).unwrap();
    let narrow = pki.join(format!("issuing-{}.pem", id["id"].as_str().unwrap()));
    let narrow = blocks(at.path(), "narrow", &std::fs::read_to_string(narrow).unwrap());
    found.extend(certificate(&narrow[0]));
    found.extend(chain(&roots[0], &narrow[0]));
    for (name, file) in named {
        let pem = std::fs::read_to_string(file).unwrap();
        let leaf = &blocks(at.path(), name, &pem)[0];
        found.extend(certificate(leaf));
        found.extend(chain(&issuing[0], leaf));
    }
    // A list with nothing in it, and one with something.
    for name in ["empty", "full"] {
        for _ in 0..600 {
            let told = authorities(&world).await;
            if !told.crl.is_empty() && (name == "empty" || told.crl_number > 1) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let lists = authorities(&world).await.crl;
        for list in blocks(at.path(), name, &lists) {
            found.extend(findings("lint_crl", &["-t", "CRL", "-p", "PKIX"], &[&list]));
        }
        let server = format!("127.0.0.1:{}", world.endpoint().port);
        let whose = ["--device", "pump-7", "--reason", "keyCompromise", "--yes"];
        if name == "empty" {
            let revoke = [&["--server", &server, "cert", "revoke"], &whose[..]].concat();
            muster(world.folder(), &revoke);
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

/// All that comes of an installation whose CAs have this kind of key, for a device with a key of that kind.
async fn findings_under(ca: &str, device: pki::KeyKind) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let init = ["init", "--unencrypted", "--site", "test", "--ca-key", ca];
    muster(folder.path(), &init);
    let world = World::found(folder, 0).await;
    let admin = world.admin().await;
    world.register(&admin, &["pump-7"]).await;
    let claim = world.claim(&admin, "line", 1).await;
    let first = world.provision(&claim, "pump-7").await;
    let renewing = world.connect(&first, "").await;
    let key = pki::generate_key(device).unwrap();
    let request = v1::Sign {
        csr: pki::csr_for(&key, "pump-7").unwrap(),
        ..v1::Sign::default()
    };
    let signed: v1::Signed = renewing.ask(ServiceName::Provisioning, "renew", &request).await;
    let at = tempfile::tempdir().unwrap();
    let read = |name: &str| std::fs::read_to_string(world.folder().join(name)).unwrap();
    let root = &blocks(at.path(), "root", &world.roots())[0];
    let issuing = &blocks(at.path(), "issuing", &read("pki/issuing.pem"))[0];
    let mut found = [certificate(root), certificate(issuing)].concat();
    for (name, pem) in [
        ("server", read("pki/server.pem")),
        ("admin", read("people/admin/certificate.pem")),
        ("device", signed.certificate),
    ] {
        let leaf = &blocks(at.path(), name, &pem)[0];
        found.extend(certificate(leaf));
        let chain = "lint_pkix_signer_signee_cert_chain";
        found.extend(findings(chain, &[], &[issuing, leaf]));
    }
    let mut lists = String::new();
    for _ in 0..600 {
        lists = authorities(&world).await.crl;
        if !lists.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    for list in blocks(at.path(), "list", &lists) {
        found.extend(findings("lint_crl", &["-t", "CRL", "-p", "PKIX"], &[&list]));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pkilint; tests/run installs it"]
async fn certificates_and_lists_of_every_kind_of_key_are_as_the_standard_has_it() {
    use pki::KeyKind::{Ed25519, P384};
    for (ca, device) in [("p384", Ed25519), ("ed25519", P384)] {
        assert_eq!(findings_under(ca, device).await, Vec::<String>::new(), "{ca}");
    }
}

#[test]
#[ignore = "needs pkilint and openssl; tests/run installs them"]
fn a_certificate_that_is_not_as_the_standard_has_it_is_found() {
    let at = tempfile::tempdir().unwrap();
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj /CN=x \
                  -set_serial 0 -days 3 -out bad.pem";
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(at.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let found = certificate(&at.path().join("bad.pem")).join("\n");
    assert!(found.contains("serial_number_out_of_range"), "{found}");
    assert!(found.contains("ca_certificate_no_ku_extension"), "{found}");
}
