//! Certificate requests: whatever comes, what is certified is the key that was proved, and nothing else.

use std::{cell::Cell, fs};

use falsify::{changed, every_byte, every_cut, mutated};
use pki::{CSR_MAX_BYTES, Csr, KeyKind};
use rcgen::{Attribute, CertificateParams, DnType, IsCa, KeyPair, SanType, SigningKey};
use x509_parser::{
    certification_request::X509CertificationRequest,
    prelude::{FromDer, X509Certificate},
};

use crate::site::{Site, WORDS, der, key, nest, pem};

const CASES: u32 = 10_000;
const SIGNED_CASES: u32 = 5_000;

/// Every recorded request, attacks included, in both forms.
fn recorded() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/csr");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut pems: Vec<_> = files
        .filter(|path| path.extension() == Some("pem".as_ref()))
        .collect();
    pems.sort();
    let pems = pems.iter().map(|path| fs::read(path).unwrap());
    pems.flat_map(|pem| [der(&pem), pem]).collect()
}

/// What must hold of bytes that are taken for a request.
fn check(site: &Site, bytes: &[u8]) -> bool {
    let Ok(csr) = Csr::parse(bytes) else {
        return false;
    };
    assert!(bytes.len() <= CSR_MAX_BYTES);
    let der = if bytes.starts_with(b"-") {
        der(bytes)
    } else {
        bytes.to_vec()
    };
    assert!(
        der.windows(csr.spki_der().len())
            .any(|part| part == csr.spki_der()),
        "a key from nowhere"
    );
    let issued = site.client(csr.public_key());
    let (rest, certificate) = X509Certificate::from_der(&issued.der).unwrap();
    assert!(rest.is_empty() && !certificate.is_ca());
    assert_eq!(certificate.public_key().raw, csr.spki_der());
    assert_eq!(
        pki::ClientCertificate::parse(&issued.der).unwrap().subject.id(),
        "pump-7"
    );
    true
}

#[test]
fn changed_requests_certify_what_was_proved_or_nothing() {
    let (site, taken) = (Site::new(), Cell::new(0u32));
    let corpus = falsify::corpus!("requests");
    corpus.falsify(CASES, &mutated(corpus.with(recorded()), WORDS), |bytes| {
        taken.set(taken.get() + u32::from(check(&site, bytes)));
    });
    println!("{} taken", taken.get());
    assert!(taken.get() > CASES / 100, "{} taken", taken.get());
}

#[test]
fn every_byte_of_a_request_counts() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        let private = pki::generate_key(kind).unwrap();
        let request = der(pki::csr_for(&private, "pump-7").unwrap().as_bytes());
        for bytes in every_cut(&request)
            .chain(every_byte(&request))
            .filter(|bytes| *bytes != request)
        {
            assert!(
                Csr::parse(&bytes).is_err(),
                "{kind:?}: \"{}\"",
                bytes.escape_ascii()
            );
        }
    }
}

/// A signer's own request: what it signs may say anything.
struct Signer(KeyPair);

impl Signer {
    /// The signed part of requests that ask for all that a request can ask for.
    fn infos(&self) -> Vec<Vec<u8>> {
        let mut rich = CertificateParams::default();
        rich.distinguished_name.push(DnType::CommonName, "pump-7");
        rich.distinguished_name.push(DnType::OrganizationName, "harbour");
        rich.subject_alt_names = vec![
            SanType::URI("urn:muster:harbour:devices:pump-7".try_into().unwrap()),
            SanType::DnsName("broker.local".try_into().unwrap()),
            SanType::IpAddress("::1".parse().unwrap()),
        ];
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(3));
        // challengePassword
        let attribute = Attribute {
            oid: &[1, 2, 840, 113_549, 1, 9, 7],
            values: b"\x31\x04\x0C\x02pw".to_vec(),
        };
        let plain = CertificateParams::default();
        let with = plain
            .serialize_request_with_attributes(&self.0, vec![attribute])
            .unwrap();
        let requests = [
            with,
            plain.serialize_request(&self.0).unwrap(),
            rich.serialize_request(&self.0).unwrap(),
            authority.serialize_request(&self.0).unwrap(),
        ];
        requests.iter().map(|request| info(request.der())).collect()
    }

    /// The request with this signed part.
    fn sign(&self, info: &[u8]) -> Vec<u8> {
        let signature = self.0.sign(info).unwrap();
        let algorithm = b"\x30\x0A\x06\x08\x2A\x86\x48\xCE\x3D\x04\x03\x02";
        let bits = [b"\x00", signature.as_slice()].concat();
        tagged(0x30, &[info, algorithm, &tagged(0x03, &bits)].concat())
    }
}

fn info(request: &[u8]) -> Vec<u8> {
    let (_, read) = X509CertificationRequest::from_der(request).unwrap();
    read.certification_request_info.raw.to_vec()
}

fn tagged(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
    let head = match length {
        [0, short @ ..0x80] => vec![tag, short],
        [0, one] => vec![tag, 0x81, one],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [head.as_slice(), contents].concat()
}

#[test]
fn signed_nonsense_certifies_what_was_proved_or_nothing() {
    let (site, signer, taken) = (Site::new(), Signer(KeyPair::generate().unwrap()), Cell::new(0u32));
    let infos = signer.infos();
    for info in &infos {
        taken.set(taken.get() + u32::from(Csr::parse(&signer.sign(info)).is_ok()));
    }
    assert_eq!(taken.get(), 3, "all but the one that asks to be an authority");
    let corpus = falsify::corpus!("request-infos");
    corpus.falsify(SIGNED_CASES, &changed(corpus.with(infos), WORDS), |info| {
        if info.len() < usize::from(u16::MAX) / 2 {
            taken.set(taken.get() + u32::from(check(&site, &signer.sign(info))));
        }
    });
    println!("{} taken", taken.get());
    assert!(taken.get() > SIGNED_CASES / 100, "{} taken", taken.get());
}

#[test]
fn floods_are_refused() {
    for levels in [10, 100, CSR_MAX_BYTES / 5, CSR_MAX_BYTES] {
        let nested = nest(levels);
        for bytes in [nested.clone(), pem("CERTIFICATE REQUEST", &nested)] {
            assert!(Csr::parse(&bytes).is_err(), "{levels} levels");
        }
    }
    assert!(Csr::parse(&vec![0; 64 << 20]).is_err());
    assert!(key(KeyKind::P256).spki_der().len() < CSR_MAX_BYTES);
}
