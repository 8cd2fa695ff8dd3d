//! A second opinion: the openssl program verifies our chains and lists.

use std::path::Path;
use std::process::{Command, Output};

use crate::world::{DAY, NOW, charter, issuing, key, open, plan, root, serial, server_plan};
use pki::{KeyKind, Reason, Revoked, Subtree};
use tempfile::TempDir;

/// A folder to work in, or nothing where the program is missing.
fn folder() -> Option<TempDir> {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: there is no openssl program on this machine");
        return None;
    }
    Some(TempDir::new().unwrap())
}

fn openssl(folder: &Path, arguments: &str) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .unwrap();
    (
        status.success(),
        String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned(),
    )
}

fn write(folder: &TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).unwrap();
}

#[test]
fn certificates_for_est_are_read_back() {
    let Some(folder) = folder() else { return };
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        let root = root(kind);
        let issuing = open(&pki::create_issuing(&root, &charter(kind, 2, DAY)).unwrap());
        let both = root.certificate_pem() + &issuing.certificate_pem();
        write(&folder, "both.b64", &pki::certificates_only(&both).unwrap());
        let (done, said) = openssl(folder.path(), "base64 -d -in both.b64 -out both.p7");
        assert!(done, "{said}");
        let (done, said) = openssl(folder.path(), "pkcs7 -inform DER -in both.p7 -print_certs");
        assert!(done, "{said}");
        for pem in [root.certificate_pem(), issuing.certificate_pem()] {
            assert!(said.contains(pem.trim_end()), "{said}");
        }
    }
    for bad in [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(pki::certificates_only(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_body_of_est_is_a_request_in_base64_or_pem() {
    let Some(folder) = folder() else { return };
    let key = pki::generate_key(KeyKind::P256).unwrap();
    let pem = pki::csr_for(&key, "pump-7").unwrap();
    write(&folder, "csr.pem", &pem);
    openssl(folder.path(), "req -in csr.pem -outform DER -out csr.der");
    openssl(folder.path(), "base64 -in csr.der -out csr.b64");
    let base64 = std::fs::read_to_string(folder.path().join("csr.b64")).unwrap();
    let one_line = base64.replace('\n', "");
    for body in [&pem, &base64, &one_line, &base64.replace('\n', "\r\n")] {
        let read = pki::est_request(body.as_bytes()).unwrap();
        assert_eq!(read.csr.requested_common_name(), Some("pump-7"));
        assert_eq!(pki::Csr::parse(read.pem.as_bytes()).unwrap(), read.csr);
    }
    for bad in [&one_line[4..], &one_line[..one_line.len() - 8], "", "%"] {
        assert!(pki::est_request(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn chains_of_every_kind_of_key_verify() {
    let Some(folder) = folder() else { return };
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        let root = root(kind);
        let issuing = open(&pki::create_issuing(&root, &charter(kind, 2, DAY)).unwrap());
        write(&folder, "root.pem", &root.certificate_pem());
        write(&folder, "issuing.pem", &issuing.certificate_pem());
        write(
            &folder,
            "client.pem",
            &issuing.sign(&plan(&issuing, 9, &key(kind))).unwrap().pem,
        );
        write(
            &folder,
            "server.pem",
            &issuing.sign(&server_plan(&issuing, 10, &key(kind))).unwrap().pem,
        );
        let verify = format!(
            "verify -x509_strict -attime {} -CAfile root.pem -untrusted issuing.pem",
            NOW / 1000
        );
        for (rest, expected) in [
            ("-purpose sslclient client.pem", true),
            (
                "-purpose sslserver -verify_hostname broker.local server.pem",
                true,
            ),
            ("-purpose sslserver -verify_ip 192.0.2.7 server.pem", true),
            ("-purpose sslserver client.pem", false),
            ("-purpose sslclient server.pem", false),
        ] {
            let (verified, output) = openssl(folder.path(), &format!("{verify} {rest}"));
            assert_eq!(verified, expected, "{kind:?} {rest}: {output}");
        }
    }
}

#[test]
fn name_constraints_hold_for_hosts_and_leave_devices_alone() {
    let Some(folder) = folder() else { return };
    let root = root(KeyKind::P256);
    let key_pem = pki::generate_key(KeyKind::P256).unwrap();
    let own = pki::PublicKey::of_private(&key_pem).unwrap();
    // Twins: of one key and one name, one of them constrained.
    let twin = |permitted: &[Subtree]| {
        let charter = charter(KeyKind::P256, 2, DAY);
        let chain = pki::certify_issuing(&root, &own, &charter, permitted).unwrap();
        pki::Authority::open(&chain, &key_pem, NOW).unwrap()
    };
    let within = ["broker.local", "192.0.2.0/24", "::1"];
    let within = within.map(|text| Subtree::network(text).or(Subtree::domain(text)).unwrap());
    let (narrow, open) = (twin(&within), twin(&[]));
    assert_eq!(narrow.names().words(), ["broker.local", "192.0.2.0/24", "::1"]);
    assert_eq!(open.names().words(), Vec::<String>::new());
    write(&folder, "root.pem", &root.certificate_pem());
    write(&folder, "issuing.pem", &narrow.certificate_pem());
    let (_, text) = openssl(folder.path(), "x509 -in issuing.pem -noout -ext nameConstraints");
    assert!(
        text.contains("critical") && text.contains("DNS:broker.local"),
        "{text}"
    );
    let verifies = |plan: &pki::Plan| {
        write(&folder, "leaf.pem", &open.sign(plan).unwrap().pem);
        let verify = format!(
            "verify -x509_strict -attime {} -CAfile root.pem -untrusted issuing.pem leaf.pem",
            NOW / 1000
        );
        openssl(folder.path(), &verify)
    };
    let server = server_plan(&narrow, 10, &key(KeyKind::P256));
    let named = |host: &str| pki::Plan {
        profile: pki::Profile::Server {
            hosts: vec![pki::Host::parse(host).unwrap()],
        },
        ..server.clone()
    };
    for (plan, fits) in [
        (plan(&narrow, 9, &key(KeyKind::P256)), true),
        (server.clone(), true),
        (named("a.broker.local"), true),
        (named("abroker.local"), false),
        (named("example.com"), false),
        (named("192.0.3.7"), false),
        (named("::2"), false),
    ] {
        let (verified, said) = verifies(&plan);
        assert_eq!(verified, fits, "{:?}: {said}", plan.profile);
        assert_eq!(said.contains("subtree violation"), !fits, "{said}");
        let signed = narrow.sign(&plan);
        assert_eq!(signed.is_ok(), fits, "{:?}: {signed:?}", plan.profile);
        assert!(matches!(signed, Ok(_) | Err(pki::SignError::Name(_))));
    }
}

#[test]
fn an_authority_whose_constraints_verifiers_stumble_over_is_not_opened() {
    let Some(folder) = folder() else { return };
    let made = pki::generate_key(KeyKind::P256).unwrap();
    write(&folder, "ca.key", &made);
    let extensions =
        "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign";
    for (constraint, fits) in [
        ("permitted;DNS:example.com", true),
        ("excluded;DNS:.example.com", true),
        ("permitted;IP:10.0.0.0/255.0.0.0", true),
        ("permitted;URI:example.com", false),
        ("excluded;email:example.com", false),
        ("permitted;IP:10.0.0.0/255.0.255.0", false),
    ] {
        let make = format!(
            "req -x509 -new -key ca.key -subj /CN=firm -days 30 {extensions} -addext nameConstraints=critical,{constraint} \
             -out ca.pem"
        );
        let (done, said) = openssl(folder.path(), &make);
        assert!(done, "{said}");
        let pem = std::fs::read_to_string(folder.path().join("ca.pem")).unwrap();
        let end = i64::try_from(DAY).unwrap();
        let opened = pki::Authority::open(&pem, &made, now_ms() + end / 24);
        assert_eq!(opened.is_ok(), fits, "{constraint}: {opened:?}");
        if let Err(error) = opened {
            assert_eq!(error, pki::AuthorityError::NameConstraints);
        }
    }
}

#[allow(clippy::disallowed_methods)] // openssl's clock
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

#[test]
fn a_revoked_certificate_is_refused_and_the_others_are_not() {
    let Some(folder) = folder() else { return };
    let root = root(KeyKind::P256);
    let issuing = open(&pki::create_issuing(&root, &charter(KeyKind::P256, 2, DAY)).unwrap());
    write(&folder, "root.pem", &root.certificate_pem());
    write(&folder, "issuing.pem", &issuing.certificate_pem());
    let next = NOW + DAY as i64;
    let revoked = Revoked {
        serial: serial(9),
        at_ms: NOW,
        reason: Reason::KeyCompromise,
    };
    let lists = root.empty_revocation_list(1, NOW, next).unwrap().pem
        + &issuing.revocation_list(7, NOW, next, &[revoked]).unwrap().pem;
    write(&folder, "lists.pem", &lists);
    let verify = format!("verify -x509_strict -attime {} -CAfile root.pem", NOW / 1000 + 1);
    for (n, expected) in [(9, false), (10, true)] {
        let certificate = issuing.sign(&plan(&issuing, n, &key(KeyKind::P256))).unwrap();
        write(&folder, "client.pem", &certificate.pem);
        let arguments =
            format!("{verify} -untrusted issuing.pem -crl_check_all -CRLfile lists.pem client.pem");
        let (verified, output) = openssl(folder.path(), &arguments);
        assert_eq!(verified, expected, "{output}");
        assert_eq!(output.contains("revoked"), !expected, "{output}");
    }
}

#[test]
fn lists_are_well_formed() {
    let Some(folder) = folder() else { return };
    let authority = issuing(KeyKind::P256);
    write(&folder, "issuing.pem", &authority.certificate_pem());
    let list = authority
        .empty_revocation_list(300, NOW, NOW + DAY as i64)
        .unwrap();
    write(&folder, "list.pem", &list.pem);
    let (verified, output) = openssl(
        folder.path(),
        "crl -in list.pem -CAfile issuing.pem -verify -noout -text",
    );
    assert!(verified && output.contains("verify OK"), "{output}");
    assert!(
        output.contains("No Revoked Certificates") && output.contains("X509v3 CRL Number"),
        "{output}"
    );
}
