//! Requests that prove nothing, ask for too much, or carry what cannot be certified.

use pki::{CSR_MAX_BYTES, Csr, CsrError, CsrNameError, KeyKind};
use rcgen::{Attribute, CertificateParams, IsCa, KeyPair};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/testdata/csr/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn good_requests_of_every_kind() {
    for (name, kind, common_name) in [
        ("good-p256", KeyKind::P256, Some("pump-7")),
        ("good-p384", KeyKind::P384, Some("pump-7")),
        ("good-ed25519", KeyKind::Ed25519, None),
    ] {
        let pem = fixture(name);
        let csr = Csr::parse(&pem).unwrap();
        assert_eq!(
            (csr.key_kind(), csr.requested_common_name()),
            (kind, common_name),
            "{name}"
        );
        assert_eq!(csr.check_names(&crate::world::pump()), Ok(()), "{name}");
        assert_eq!(csr.key_fingerprint_sha256().len(), 64);
        let der = pem::parse(&pem).unwrap().into_contents();
        assert_eq!(Csr::parse(&der).unwrap(), csr, "the DER form of {name}");
    }
}

#[test]
fn attacks_found_by_reading() {
    use CsrError::*;
    for (name, refusal) in [
        ("asks-to-be-an-authority", AsksForAuthority),
        ("asks-to-sign-certificates", AsksForAuthority),
        ("asks-to-sign-revocation-lists", AsksForAuthority),
        ("rsa-1024", UnsupportedKey),
        ("rsa-2048", UnsupportedKey),
        ("secp256k1", UnsupportedKey),
        ("p521", UnsupportedKey),
        ("compressed-point", UnsupportedKey),
        ("explicit-curve", UnsupportedKey),
        ("p256-with-sha384", AlgorithmMismatch(KeyKind::P256)),
        ("p384-with-sha256", AlgorithmMismatch(KeyKind::P384)),
    ] {
        assert_eq!(Csr::parse(&fixture(name)), Err(refusal), "{name}");
    }
}

#[test]
fn attacks_found_by_comparing_names() {
    for name in ["other-common-name", "two-common-names"] {
        let refusal = Csr::parse(&fixture(name))
            .unwrap()
            .check_names(&crate::world::pump());
        assert!(
            matches!(refusal, Err(CsrNameError::CommonName(_))),
            "{name}: {refusal:?}"
        );
    }
    for name in ["extra-dns-name", "other-partys-name"] {
        let refusal = Csr::parse(&fixture(name))
            .unwrap()
            .check_names(&crate::world::pump());
        assert!(
            matches!(refusal, Err(CsrNameError::AlternativeName(_))),
            "{name}: {refusal:?}"
        );
    }
}

#[test]
fn authority_asked_for_in_a_second_attribute() {
    let key = KeyPair::generate().unwrap();
    let mut harmless = CertificateParams::default();
    harmless.is_ca = IsCa::ExplicitNoCa;
    // SET { SEQUENCE { SEQUENCE { basicConstraints, critical, CA:TRUE } } }
    let hidden = hex::decode("311330113 00f0603551d130101ff040530030101ff".replace(' ', "")).unwrap();
    let attribute = Attribute {
        oid: &[1, 2, 840, 113549, 1, 9, 14],
        values: hidden,
    };
    let csr = harmless
        .serialize_request_with_attributes(&key, vec![attribute])
        .unwrap();
    assert_eq!(Csr::parse(csr.der()), Err(CsrError::AsksForAuthority));
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let der = pem::parse(fixture("good-p256")).unwrap().into_contents();
    for bit in 0..der.len() * 8 {
        let mut flipped = der.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Csr::parse(&flipped).is_err(), "bit {bit}");
    }
    let mut last = der.clone();
    *last.last_mut().unwrap() ^= 1;
    assert_eq!(Csr::parse(&last), Err(CsrError::BadSignature));
}

#[test]
fn a_request_cut_short_anywhere_is_refused() {
    let der = pem::parse(fixture("good-p256")).unwrap().into_contents();
    for len in 0..der.len() {
        assert_eq!(
            Csr::parse(&der[..len]),
            Err(CsrError::NotParseable),
            "{len} bytes"
        );
    }
}

#[test]
fn anything_beside_the_request_is_refused() {
    let pem = fixture("good-p256");
    let der = pem::parse(&pem).unwrap().into_contents();
    assert_eq!(
        Csr::parse(&[&der[..], b"\0"].concat()),
        Err(CsrError::TrailingData)
    );
    assert_eq!(
        Csr::parse(&[&pem[..], b"more"].concat()),
        Err(CsrError::TrailingData)
    );
    assert_eq!(
        Csr::parse(&[&pem[..], &pem[..]].concat()),
        Err(CsrError::TrailingData)
    );
    assert_eq!(
        Csr::parse(&[b"note\n", &pem[..]].concat()),
        Err(CsrError::NotParseable)
    );
    let mut stretched = [&der[..], b"\x05\0"].concat();
    stretched[2] += 2;
    assert_eq!(
        Csr::parse(&stretched),
        Err(CsrError::NotParseable),
        "inside the outermost sequence"
    );
    let longer = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", [&der[..], b"\0"].concat()));
    assert_eq!(Csr::parse(longer.as_bytes()), Err(CsrError::TrailingData));
    let mislabelled = pem::encode(&pem::Pem::new("CERTIFICATE", der));
    assert_eq!(Csr::parse(mislabelled.as_bytes()), Err(CsrError::NotParseable));
}

#[test]
fn a_request_of_a_flood_is_not_even_read() {
    assert_eq!(
        Csr::parse(&vec![b'-'; CSR_MAX_BYTES + 1]),
        Err(CsrError::TooLarge)
    );
    assert_eq!(
        Csr::parse(&vec![0x30; CSR_MAX_BYTES]),
        Err(CsrError::NotParseable)
    );
    assert_eq!(Csr::parse(b""), Err(CsrError::NotParseable));
}

#[test]
fn our_own_requests_are_accepted() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        let key = pki::generate_key(kind).unwrap();
        let csr = Csr::parse(pki::csr_for(&key, "pump-7").unwrap().as_bytes()).unwrap();
        assert_eq!(csr.check_names(&crate::world::pump()), Ok(()));
        assert_eq!(csr.public_key(), &pki::PublicKey::of_private(&key).unwrap());
    }
    assert!(pki::csr_for(&pki::generate_key(KeyKind::P256).unwrap(), "pump/7").is_err());
}
