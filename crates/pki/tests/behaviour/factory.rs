//! Factory certificates as openssl makes them, judged by one manufacturer's CAs: what opens, and every forgery.

use std::{path::Path, process::Command};

use pki::{FactoryError, FactoryTrust};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tempfile::TempDir;

/// In 2027, when all that `make` makes is valid.
const NOW: i64 = 1_800_000_000_000;

/// A folder of manufacturers' certificates.
struct Works(TempDir);

impl Works {
    fn open() -> Works {
        Works(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn sh(&self, script: &str) {
        let output = Command::new("sh")
            .args(["-ec", script])
            .current_dir(self.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {said}");
    }

    /// A certificate `name.pem` for `subject` under a CA, or its own.
    fn make(&self, name: &str, subject: &str, by: Option<&str>, extensions: &str) {
        self.make_with(
            name,
            subject,
            by,
            extensions,
            ("ec:prime256v1", "20260101", "9999"),
        );
    }

    fn make_with(
        &self,
        name: &str,
        subject: &str,
        by: Option<&str>,
        extensions: &str,
        (key, from, until): (&str, &str, &str),
    ) {
        let key = match key.split_once(':') {
            Some((_, curve)) => format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}"),
            None => format!("-algorithm RSA -pkeyopt rsa_keygen_bits:{key}"),
        };
        let until = match until {
            "9999" => "99991231235959Z".to_owned(),
            day => format!("{day}000000Z"),
        };
        let signing = match by {
            Some(by) => format!("-cert {by}.pem -keyfile {by}.key"),
            None => format!("-selfsign -keyfile {name}.key"),
        };
        self.sh(&format!(
            "openssl genpkey {key} -out {name}.key
             openssl req -new -key {name}.key -subj '{subject}' -out {name}.csr
             printf '%s' '{extensions}' | tr ';' '\n' > {name}.ext
             printf '[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=.\ndatabase={name}.db\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\nCN=optional\nserialNumber=optional\nO=optional\n' > {name}.cnf
             : > {name}.db
             openssl ca -batch -notext -config {name}.cnf {signing} -in {name}.csr -out {name}.pem \
               -extfile {name}.ext -startdate {from}000000Z -enddate {until} -preserveDN"
        ));
    }

    /// A manufacturer's root, a CA below it, and a device's certificate.
    fn acme(&self) {
        self.make("root", "/O=acme/CN=Acme Root", None, CA);
        self.make("line", "/O=acme/CN=Acme Line 1", Some("root"), CA_0);
        self.make(
            "pump",
            "/O=acme/CN=Pump/serialNumber=SN-0042",
            Some("line"),
            IDEVID,
        );
    }

    fn pem(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(format!("{name}.pem"))).unwrap()
    }

    fn trust(&self, name: &str) -> FactoryTrust {
        FactoryTrust::read(&self.pem(name)).unwrap()
    }

    fn shown(&self, names: &[&str]) -> Vec<CertificateDer<'static>> {
        let read = |name: &&str| CertificateDer::from_pem_slice(self.pem(name).as_bytes()).unwrap();
        names.iter().map(read).collect()
    }
}

const CA: &str =
    "basicConstraints=critical,CA:TRUE;keyUsage=critical,keyCertSign,cRLSign;subjectKeyIdentifier=hash";
const CA_0: &str = "basicConstraints=critical,CA:TRUE,pathlen:0;keyUsage=critical,keyCertSign";
const IDEVID: &str = "basicConstraints=critical,CA:FALSE;keyUsage=critical,digitalSignature";

#[test]
fn a_device_of_the_manufacturer_is_known_by_its_certificate() {
    let works = Works::open();
    works.acme();
    let shown = works.shown(&["pump", "line"]);
    for trusted in ["root", "line"] {
        let read = works.trust(trusted).verify(&shown, NOW).unwrap();
        assert_eq!(
            (read.serial_number.as_str(), read.common_name.as_str()),
            ("SN-0042", "Pump")
        );
        // 99991231235959Z: it has no end.
        assert_eq!(read.not_after_ms, 253_402_300_799_000);
    }
    // With the CA that signed it trusted, the device need not send it.
    assert!(works.trust("line").verify(&shown[..1], NOW).is_ok());
    assert!(works.trust("root").verify(&shown[..1], NOW).is_err());
}

#[test]
fn rsa_and_other_curves_are_taken_and_weak_keys_are_not() {
    let works = Works::open();
    works.make_with("root", "/CN=RSA Root", None, CA, ("2048", "20260101", "9999"));
    for (name, key, good) in [("rsa", "2048", true), ("p384", "ec:secp384r1", true)] {
        works.make_with(
            name,
            "/CN=x/serialNumber=1",
            Some("root"),
            IDEVID,
            (key, "20260101", "9999"),
        );
        let found = works.trust("root").verify(&works.shown(&[name]), NOW);
        assert_eq!(found.is_ok(), good, "{name}: {found:?}");
    }
    works.make_with("weak", "/CN=Weak Root", None, CA, ("1024", "20260101", "9999"));
    works.make("pump", "/CN=x/serialNumber=1", Some("weak"), IDEVID);
    assert!(works.trust("weak").verify(&works.shown(&["pump"]), NOW).is_err());
}

#[test]
fn no_other_chain_opens() {
    let works = Works::open();
    works.acme();
    // Another manufacturer, with a CA of the very same name.
    works.make("false-root", "/O=acme/CN=Acme Root", None, CA);
    works.make("false-line", "/O=acme/CN=Acme Line 1", Some("false-root"), CA_0);
    works.make(
        "forged",
        "/CN=Pump/serialNumber=SN-0042",
        Some("false-line"),
        IDEVID,
    );
    works.make("self", "/CN=Pump/serialNumber=SN-0042", None, IDEVID);
    // A device that plays a CA, and a CA below one that may have none.
    works.make("of-a-pump", "/CN=x/serialNumber=SN-1", Some("pump"), IDEVID);
    works.make("deep", "/CN=Too deep", Some("line"), CA_0);
    works.make("of-deep", "/CN=x/serialNumber=SN-1", Some("deep"), IDEVID);
    // A CA that may not sign certificates, and a root that allows nothing between.
    let crl_only = "basicConstraints=critical,CA:TRUE;keyUsage=critical,cRLSign";
    works.make("crl", "/CN=CRL only", Some("root"), crl_only);
    works.make("of-crl", "/CN=x/serialNumber=SN-1", Some("crl"), IDEVID);
    works.make("flat-root", "/CN=Flat", None, CA_0);
    works.make("below-flat", "/CN=Below", Some("flat-root"), CA_0);
    works.make("of-flat", "/CN=x/serialNumber=SN-1", Some("below-flat"), IDEVID);
    // For servers only; not for signing; a CA that comes as a device; a critical extension that nobody knows.
    for (name, extensions) in [
        (
            "server",
            "basicConstraints=critical,CA:FALSE;extendedKeyUsage=serverAuth",
        ),
        (
            "encipher",
            "basicConstraints=critical,CA:FALSE;keyUsage=critical,keyEncipherment",
        ),
        (
            "signs",
            "basicConstraints=critical,CA:FALSE;keyUsage=critical,digitalSignature,keyCertSign",
        ),
        (
            "is-ca",
            "basicConstraints=critical,CA:TRUE;keyUsage=critical,digitalSignature",
        ),
        (
            "strange",
            "basicConstraints=critical,CA:FALSE;1.2.3.4.5=critical,ASN1:NULL",
        ),
    ] {
        works.make(name, "/CN=x/serialNumber=SN-1", Some("line"), extensions);
    }
    let root = works.trust("root");
    for shown in [
        &["forged", "false-line"][..],
        &["forged", "line"],
        &["forged", "false-line", "false-root", "line", "root"],
        &["self"],
        &["of-a-pump", "pump", "line"],
        &["of-deep", "deep", "line"],
        &["of-crl", "crl"],
        &["server", "line"],
        &["encipher", "line"],
        &["signs", "line"],
        &["is-ca", "line"],
        &["strange", "line"],
        &["line"],
        &["pump", "line", "root", "root", "root", "root", "root"],
        &[],
    ] {
        let found = root.verify(&works.shown(shown), NOW);
        assert!(found.is_err(), "{shown:?}: {found:?}");
    }
    let flat = works
        .trust("flat-root")
        .verify(&works.shown(&["of-flat", "below-flat"]), NOW);
    assert!(
        matches!(&flat, Err(FactoryError::Untrusted(why)) if why.contains("PathLen")),
        "{flat:?}"
    );
    assert!(
        works
            .trust("below-flat")
            .verify(&works.shown(&["of-flat"]), NOW)
            .is_ok()
    );
    assert!(root.verify(&works.shown(&["pump", "line"]), NOW).is_ok());
}

#[test]
fn time_is_looked_at_from_the_device_up_to_the_trusted_ca() {
    let works = Works::open();
    let from = |from, until| ("ec:prime256v1", from, until);
    works.make_with("root", "/CN=Root", None, CA, from("20260101", "20300101"));
    works.make_with(
        "line",
        "/CN=Line",
        Some("root"),
        CA_0,
        from("20260101", "20290101"),
    );
    works.make_with(
        "pump",
        "/CN=x/serialNumber=1",
        Some("line"),
        IDEVID,
        from("20270101", "9999"),
    );
    let at = |year: i64, trusted: &str| {
        let ms = NOW + (year - 2027) * 365 * 86_400_000;
        works
            .trust(trusted)
            .verify(&works.shown(&["pump", "line"]), ms)
            .is_ok()
    };
    assert!(at(2027, "root") && at(2028, "root"));
    assert!(!at(2026, "root"), "the device's is not valid yet");
    assert!(!at(2029, "root"), "the line's has ended");
    assert!(!at(2031, "line"), "the trusted CA itself has ended");
}

#[test]
fn only_cas_are_trusted_and_only_subjects_that_name_one_device() {
    let works = Works::open();
    works.acme();
    for (text, is_no_ca) in [
        (String::new(), false),
        ("rubbish".into(), false),
        (works.pem("pump"), true),
        (works.pem("line").repeat(9), false),
        (works.pem("line") + &"x".repeat(20_000), false),
    ] {
        let refused = FactoryTrust::read(&text).unwrap_err();
        assert_eq!(
            matches!(refused, FactoryError::NotAnAuthority(_)),
            is_no_ca,
            "{refused}"
        );
    }
    let two = FactoryTrust::read(&(works.pem("root") + &works.pem("line"))).unwrap();
    assert_eq!((two.keys().count(), two.subjects().count()), (2, 2));
    works.make(
        "twice",
        "/serialNumber=SN-1/serialNumber=SN-2",
        Some("line"),
        IDEVID,
    );
    works.make("nameless", "/O=acme", Some("line"), IDEVID);
    works.make("odd", "/CN=pump é", Some("line"), IDEVID);
    let trust = works.trust("root");
    assert_eq!(
        trust.verify(&works.shown(&["twice", "line"]), NOW),
        Err(FactoryError::Name)
    );
    assert_eq!(
        trust.verify(&works.shown(&["odd", "line"]), NOW),
        Err(FactoryError::Name)
    );
    let nameless = trust.verify(&works.shown(&["nameless", "line"]), NOW).unwrap();
    assert_eq!(
        (nameless.serial_number, nameless.common_name),
        (String::new(), String::new())
    );
}
