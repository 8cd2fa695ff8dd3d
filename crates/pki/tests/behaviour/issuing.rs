//! What an authority signs, and what it refuses to sign.

use crate::world::{DAY, NOW, YEAR, charter, issuing, key, plan, pump, root, serial, server_plan};
use pki::{
    Authority, ClientCertificate, Csr, FoundingError, KeyKind, Plan, Profile, ProfileMismatch, SignError,
    Validity, ValidityError,
};
use x509_parser::prelude::*;

#[test]
fn every_kind_of_key_under_every_kind_of_authority() {
    for authority_key in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        let authority = issuing(authority_key);
        for leaf_key in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
            let key = key(leaf_key);
            let issued = authority.sign(&plan(&authority, 9, &key)).unwrap();
            let read = ClientCertificate::parse_pem(&issued.pem).unwrap();
            assert_eq!(read.subject, pump());
            assert_eq!(read.serial_hex, serial(9).to_hex());
            assert_eq!(read.serial_hex, issued.serial_hex);
            assert_eq!(read.fingerprint_sha256, issued.fingerprint_sha256);
            assert_eq!(read.key_fingerprint_sha256, key.fingerprint_sha256());
            assert_eq!(
                (read.not_before_ms, read.not_after_ms),
                (issued.not_before_ms, issued.not_after_ms)
            );
        }
    }
}

#[test]
fn the_extensions_are_those_of_the_profile_and_no_others() {
    let authority = issuing(KeyKind::P256);
    let issued = authority.sign(&plan(&authority, 9, &key(KeyKind::P256))).unwrap();
    let (_, read) = X509Certificate::from_der(&issued.der).unwrap();
    let mut extensions: Vec<_> = read
        .extensions()
        .iter()
        .map(|said| (said.oid.to_id_string(), said.critical))
        .collect();
    extensions.sort();
    let expected = [
        ("2.5.29.14", false),
        ("2.5.29.15", true),
        ("2.5.29.17", false),
        ("2.5.29.19", true),
        ("2.5.29.35", false),
        ("2.5.29.37", false),
    ];
    assert_eq!(
        extensions,
        expected.map(|(oid, critical)| (oid.to_owned(), critical))
    );
    assert_eq!(read.subject().to_string(), "CN=pump-7");
    assert_eq!(issued.not_before_ms, NOW - 60_000);
    assert_eq!(issued.not_after_ms, NOW + 90 * DAY as i64);
}

#[test]
fn one_key_signed_twice_has_two_serials() {
    let authority = issuing(KeyKind::P256);
    let key = key(KeyKind::P256);
    let first = authority.sign(&plan(&authority, 9, &key)).unwrap();
    let second = authority.sign(&plan(&authority, 10, &key)).unwrap();
    assert_ne!(first.serial_hex, second.serial_hex);
}

#[test]
fn one_plan_signed_twice_has_one_content() {
    let authority = issuing(KeyKind::P256);
    let plan = plan(&authority, 9, &key(KeyKind::P256));
    let written = serde_json::to_string(&plan).unwrap();
    let again: Plan = serde_json::from_str(&written).unwrap();
    let contents = |plan: &Plan| {
        let der = authority.sign(plan).unwrap().der;
        X509Certificate::from_der(&der)
            .unwrap()
            .1
            .tbs_certificate
            .as_ref()
            .to_vec()
    };
    assert_eq!(contents(&plan), contents(&again));
}

#[test]
fn nothing_of_the_request_but_its_key_is_certified() {
    let authority = issuing(KeyKind::P256);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/csr/extra-dns-name.pem");
    let csr = Csr::parse(&std::fs::read(path).unwrap()).unwrap();
    let issued = authority.sign(&plan(&authority, 9, csr.public_key())).unwrap();
    assert!(!issued.der.windows(12).any(|window| window == b"broker.local"));
    let (_, read) = X509Certificate::from_der(&issued.der).unwrap();
    assert_eq!(read.public_key().raw, csr.spki_der());
}

#[test]
fn a_server_certificate_names_hosts_and_no_party() {
    let authority = issuing(KeyKind::P256);
    let issued = authority
        .sign(&server_plan(&authority, 9, &key(KeyKind::P256)))
        .unwrap();
    assert!(ClientCertificate::parse(&issued.der).is_err());
    assert!(!issued.der.windows(4).any(|window| window == b"urn:"));
    for hosts in [
        vec![],
        vec![pki::Host::Dns("*.local".into())],
        vec![pki::Host::Dns("a b".into())],
    ] {
        let plan = Plan {
            profile: Profile::Server { hosts },
            ..plan(&authority, 9, &key(KeyKind::P256))
        };
        assert_eq!(
            authority.sign(&plan),
            Err(SignError::Profile(ProfileMismatch::Hosts))
        );
    }
}

#[test]
fn a_plan_beyond_the_authoritys_life_is_refused() {
    let authority = issuing(KeyKind::P256);
    let good = plan(&authority, 9, &key(KeyKind::P256));
    let longer = Plan {
        not_after_ms: authority.validity().not_after_ms + 1000,
        ..good.clone()
    };
    let earlier = Plan {
        not_before_ms: authority.validity().not_before_ms - 1000,
        ..good.clone()
    };
    for plan in [longer, earlier] {
        assert_eq!(authority.sign(&plan), Err(SignError::OutlivesAuthority));
    }
    let backwards = Plan {
        not_after_ms: good.not_before_ms,
        ..good
    };
    let refusal = SignError::Profile(ProfileMismatch::Validity(ValidityError::Empty));
    assert_eq!(authority.sign(&backwards), Err(refusal));
    let cut = Validity::within(authority.validity(), NOW, 50 * YEAR).unwrap();
    assert_eq!(cut.not_after_ms, authority.validity().not_after_ms);
}

#[test]
fn a_key_that_is_none_of_ours_is_refused() {
    let authority = issuing(KeyKind::P256);
    let mut plan = plan(&authority, 9, &key(KeyKind::P256));
    plan.spki_der.push(0);
    assert!(matches!(authority.sign(&plan), Err(SignError::Key(_))));
}

#[test]
fn each_tier_signs_only_what_it_may() {
    let (root, issuing) = (root(KeyKind::P256), issuing(KeyKind::P256));
    assert_eq!(
        root.sign(&plan(&root, 9, &key(KeyKind::P256))),
        Err(SignError::WrongTier)
    );
    let refused: Result<_, FoundingError> =
        pki::create_issuing(&issuing, &charter(KeyKind::P256, 3, YEAR)).map(|_| ());
    assert_eq!(refused, Err(FoundingError::WrongTier));
}

#[test]
fn an_issuing_authority_never_outlasts_its_root() {
    let root = root(KeyKind::P256);
    let new = pki::create_issuing(&root, &charter(KeyKind::P256, 2, 99 * YEAR)).unwrap();
    let issuing = Authority::open(&new.chain_pem, &new.key_pem, NOW).unwrap();
    assert_eq!(issuing.validity().not_after_ms, root.validity().not_after_ms);
}
