//! Certificates and chains, as peers and files hold them.

use falsify::{every_cut, every_flip, mutated};
use pki::{Authority, CHAIN_MAX_BYTES, ClientCertificate, KeyKind, ServerCertificate, issued_by};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::site::{NOW, Site, WORDS, key, nest, pem};

const CASES: u32 = 10_000;

/// What the certificates of a site signed: the part under the signature.
struct Signed {
    site: Site,
    parts: Vec<Vec<u8>>,
}

impl Signed {
    fn new() -> (Signed, Vec<Vec<u8>>) {
        let site = Site::new();
        let leaves = [
            site.client(&key(KeyKind::P256)).der,
            site.client(&key(KeyKind::Ed25519)).der,
            site.server(&key(KeyKind::P384)).der,
        ];
        let parts = leaves.iter().map(|der| under_signature(der)).collect();
        let above = [site.issuing.certificate_pem(), site.root.certificate_pem()];
        let above = above.map(|text| crate::site::der(text.as_bytes()));
        let corpus = leaves.into_iter().chain(above).collect();
        (Signed { site, parts }, corpus)
    }

    /// No certificate counts as ours but for what we signed.
    fn check(&self, der: &[u8]) {
        let chain = String::from_utf8(pem("CERTIFICATE", der)).unwrap();
        if let Ok(ours) = issued_by(&chain, &self.site.issuing.chain_pem()) {
            assert!(
                self.parts.contains(&under_signature(&ours)),
                "we did not sign this"
            );
        }
        let client = ClientCertificate::parse(der);
        assert_eq!(client, ClientCertificate::parse_pem(&chain));
        if let Ok(client) = client {
            let (_, read) = X509Certificate::from_der(der).unwrap();
            assert!(!read.is_ca() && client.subject.to_string().starts_with("urn:muster:"));
            assert!(ServerCertificate::parse(der).is_err(), "a client and a server");
        }
        if let Ok(server) = ServerCertificate::parse(der) {
            let (_, read) = X509Certificate::from_der(der).unwrap();
            assert!(!read.is_ca() && server.fingerprint_sha256.len() == 64);
        }
    }
}

fn under_signature(der: &[u8]) -> Vec<u8> {
    let (_, read) = X509Certificate::from_der(der).unwrap();
    read.tbs_certificate.as_ref().to_vec()
}

#[test]
fn changed_certificates_are_ours_as_signed_or_not_at_all() {
    let (signed, corpus) = Signed::new();
    let kept = falsify::corpus!("certificates");
    kept.falsify(CASES, &mutated(kept.with(corpus), WORDS), |der| signed.check(der));
}

#[test]
fn every_flipped_bit_and_every_cut() {
    let (signed, corpus) = Signed::new();
    for der in &corpus {
        for bytes in every_cut(der).chain(every_flip(der)) {
            signed.check(&bytes);
        }
    }
}

#[test]
fn changed_chains_open_as_what_they_were_or_not_at_all() {
    let site = Site::new();
    let key_pem = pki::generate_key(KeyKind::P256).unwrap();
    let (ours, root) = (site.issuing.chain_pem(), site.root.chain_pem());
    let twice = ours.repeat(2);
    let corpus = [ours.clone(), root, twice].map(String::into_bytes).to_vec();
    let words: &[&[u8]] = &[
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\n",
        b"-----",
        b"\n\n",
        b"====",
        b"\xC3\xA9",
    ];
    let kept = falsify::corpus!("chains");
    kept.falsify(CASES, &mutated(kept.with(corpus), words), |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        // The key fits none of them.
        assert!(Authority::open(text, &key_pem, NOW).is_err());
        assert!(
            ClientCertificate::parse_pem(text).is_err(),
            "an authority is no client"
        );
        assert!(issued_by(text, &ours).is_err());
    });
}

#[test]
fn floods_are_refused() {
    for levels in [10, 1_000, CHAIN_MAX_BYTES / 5, 200_000] {
        let nested = nest(levels);
        assert!(ClientCertificate::parse(&nested).is_err());
        let text = String::from_utf8(pem("CERTIFICATE", &nested)).unwrap();
        assert!(ClientCertificate::parse_pem(&text).is_err());
    }
    let empty = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".repeat(20_000);
    assert!(ClientCertificate::parse_pem(&empty).is_err());
    assert!(issued_by(&empty, &empty).is_err());
}
