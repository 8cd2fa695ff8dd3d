//! Certificates that are there already: whose they are, and who signed them.

use pki::{
    Authority, CHAIN_MAX_BYTES, ClientCertificate, IssuedCertificate, KeyKind, ProfileError, ProvenanceError,
    ServerCertificate, issued_by,
};

use crate::world::{issuing, key, plan, root, server_plan};

fn server(by: &Authority) -> IssuedCertificate {
    by.sign(&server_plan(by, 9, &key(KeyKind::P256))).unwrap()
}

fn client(by: &Authority) -> IssuedCertificate {
    by.sign(&plan(by, 8, &key(KeyKind::P256))).unwrap()
}

#[test]
fn what_our_authority_signed_is_ours() {
    let ours = issuing(KeyKind::P256);
    for issued in [server(&ours), client(&ours)] {
        for chain in [&issued.pem, &(issued.pem.clone() + &ours.chain_pem())] {
            assert_eq!(issued_by(chain, &ours.chain_pem()), Ok(issued.der.clone()));
        }
    }
}

#[test]
fn what_another_authority_of_the_same_name_signed_is_not() {
    let (ours, theirs) = (issuing(KeyKind::P256), issuing(KeyKind::P256));
    let refused = issued_by(&server(&theirs).pem, &ours.chain_pem());
    assert_eq!(refused, Err(ProvenanceError::NotSigned));
}

#[test]
fn an_authority_is_no_party() {
    let root = root(KeyKind::P256);
    let ours = issuing(KeyKind::P256);
    let refused = issued_by(&ours.chain_pem(), &root.chain_pem());
    assert_eq!(
        refused,
        Err(ProvenanceError::Profile(ProfileError::NotAnEndEntity))
    );
}

#[test]
fn texts_that_are_no_chain() {
    let ours = issuing(KeyKind::P256);
    let issued = server(&ours);
    let flood = issued.pem.repeat(CHAIN_MAX_BYTES / issued.pem.len() + 1);
    for text in [
        "",
        "none",
        "-----BEGIN CERTIFICATE-----",
        &flood,
        &format!("{}more", issued.pem),
    ] {
        assert_eq!(
            issued_by(text, &ours.chain_pem()),
            Err(ProvenanceError::NotParseable)
        );
    }
    let no_authority = issued_by(&issued.pem, &issued.pem);
    assert!(
        matches!(no_authority, Err(ProvenanceError::Authority(_))),
        "{no_authority:?}"
    );
}

#[test]
fn a_server_is_no_client_and_the_other_way_round() {
    let ours = issuing(KeyKind::P256);
    let (server, client) = (server(&ours), client(&ours));
    let read = ServerCertificate::parse(&server.der).unwrap();
    assert_eq!(
        (read.serial_hex, read.not_after_ms, read.fingerprint_sha256),
        (server.serial_hex, server.not_after_ms, server.fingerprint_sha256)
    );
    assert_eq!(
        ServerCertificate::parse(&client.der),
        Err(ProfileError::ExtendedKeyUsage)
    );
    assert_eq!(
        ClientCertificate::parse(&server.der),
        Err(ProfileError::ExtendedKeyUsage)
    );
}
