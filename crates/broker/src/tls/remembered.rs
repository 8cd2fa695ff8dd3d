//! Signatures of our issuing CAs' certificates that were verified before.
//!
//! A handshake checks the whole chain: names, times, purposes, signatures. The signature on an issuing CA's certificate is
//! the same in all of them, so that its arithmetic is done once. Whether a signature is right does not change; everything
//! else is looked at each time, and so is any other signature.

use std::{collections::VecDeque, sync::LazyLock};

use parking_lot::RwLock;
use pki::Signed;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, FipsStatus, InvalidSignature, SignatureVerificationAlgorithm,
};

/// Signatures that are remembered, the newest; any other is verified each time.
const PLACES: usize = 64;

static VERIFIED: RwLock<VecDeque<Verified>> = RwLock::new(VecDeque::new());

/// rustls wants what lives as long as the program.
static ALGORITHMS: LazyLock<&'static [&'static dyn SignatureVerificationAlgorithm]> = LazyLock::new(|| {
    let remembering = |algorithm: &&'static dyn SignatureVerificationAlgorithm| {
        let algorithm: &'static dyn SignatureVerificationAlgorithm =
            Box::leak(Box::new(Remembering(*algorithm)));
        algorithm
    };
    let all = aws_lc_rs::default_provider()
        .signature_verification_algorithms
        .all;
    Vec::leak(all.iter().map(remembering).collect())
});

/// By this key of this algorithm, over this message: once verified.
#[derive(PartialEq)]
struct Verified {
    algorithm: [AlgorithmIdentifier; 2],
    key: Vec<u8>,
    signed: (Vec<u8>, Vec<u8>),
}

/// The provider, with certificates' signatures that are remembered. What is signed in a handshake never is.
pub(super) fn provider(issuing: &[CertificateDer<'_>], above: &[CertificateDer<'_>]) -> CryptoProvider {
    let provider = aws_lc_rs::default_provider();
    let algorithms = provider.signature_verification_algorithms;
    for authority in above.iter().chain(issuing).filter_map(|der| Signed::read(der)) {
        for certificate in issuing.iter().filter_map(|der| Signed::read(der)) {
            for algorithm in algorithms.all {
                learn(*algorithm, &authority.key, &certificate);
            }
        }
    }
    CryptoProvider {
        signature_verification_algorithms: WebPkiSupportedAlgorithms {
            all: *ALGORITHMS,
            mapping: algorithms.mapping,
        },
        ..provider
    }
}

fn learn(algorithm: &dyn SignatureVerificationAlgorithm, key: &[u8], certificate: &Signed) {
    let Signed {
        message, signature, ..
    } = certificate;
    if is_known(algorithm, key, message, signature)
        || algorithm.verify_signature(key, message, signature).is_err()
    {
        return;
    }
    let mut all = VERIFIED.write();
    if all.len() == PLACES {
        all.pop_front();
    }
    all.push_back(Verified {
        algorithm: [algorithm.public_key_alg_id(), algorithm.signature_alg_id()],
        key: key.to_vec(),
        signed: (message.clone(), signature.clone()),
    });
}

fn is_known(
    algorithm: &dyn SignatureVerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let ids = [algorithm.public_key_alg_id(), algorithm.signature_alg_id()];
    VERIFIED.read().iter().any(|one| {
        one.signed.0 == message && one.signed.1 == signature && one.key == key && one.algorithm == ids
    })
}

/// An algorithm that does not verify again what it has verified.
#[derive(Debug)]
struct Remembering(&'static dyn SignatureVerificationAlgorithm);

impl SignatureVerificationAlgorithm for Remembering {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        if is_known(self.0, key, message, signature) {
            return Ok(());
        }
        self.0.verify_signature(key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.0.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }

    fn fips_status(&self) -> FipsStatus {
        self.0.fips_status()
    }
}

#[cfg(test)]
mod tests {
    use pki::{Authority, Charter, KeyKind, Serial};
    use rustls_pki_types::pem::PemObject;

    use super::*;

    /// A root and an issuing CA of it, DER.
    fn authorities(n: u8) -> [CertificateDer<'static>; 2] {
        let charter = |n| Charter {
            site: "hq",
            key: KeyKind::P256,
            serial: Serial::from_random([n; 16]),
            now_ms: 1_700_000_000_000,
            lifetime_ms: 3_650 * 86_400_000,
        };
        let root = pki::create_root(&charter(n)).unwrap();
        let above = Authority::open(&root.chain_pem, &root.key_pem, 1_700_000_000_000).unwrap();
        let issuing = pki::create_issuing(&above, &charter(n + 1)).unwrap();
        [&root.chain_pem, &issuing.chain_pem]
            .map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
    }

    #[test]
    fn an_issuing_authoritys_signature_is_remembered_and_no_other() {
        let [root, issuing] = authorities(31);
        let (above, below) = (Signed::read(&root).unwrap(), Signed::read(&issuing).unwrap());
        let known = |key: &[u8], message: &[u8], signature: &[u8]| {
            let known =
                |one: &&&'static dyn SignatureVerificationAlgorithm| is_known(**one, key, message, signature);
            let all = aws_lc_rs::default_provider()
                .signature_verification_algorithms
                .all;
            all.iter().filter(known).count()
        };
        let provider = provider(&[issuing], &[root]);
        assert_eq!(known(&above.key, &below.message, &below.signature), 1);
        assert_eq!(
            known(&above.key, &above.message, &above.signature),
            0,
            "nobody verifies a root"
        );

        // What differs in anything is verified, and is wrong.
        let good = |key: &[u8], message: &[u8], signature: &[u8]| {
            let all = provider.signature_verification_algorithms.all;
            all.iter()
                .any(|one| one.verify_signature(key, message, signature).is_ok())
        };
        assert!(good(&above.key, &below.message, &below.signature));
        let flipped = |bytes: &[u8]| [&[bytes[0] ^ 1], &bytes[1..]].concat();
        assert!(!good(&flipped(&above.key), &below.message, &below.signature));
        assert!(!good(&above.key, &flipped(&below.message), &below.signature));
        assert!(!good(&above.key, &below.message, &flipped(&below.signature)));
        assert!(!good(&below.key, &below.message, &below.signature));
    }

    #[test]
    fn one_that_another_root_did_not_sign_is_not_remembered() {
        let ([_, issuing], [other, _]) = (authorities(41), authorities(51));
        let (above, below) = (Signed::read(&other).unwrap(), Signed::read(&issuing).unwrap());
        let provider = provider(&[issuing], &[other]);
        let all = provider.signature_verification_algorithms.all;
        assert!(all.iter().all(|one| {
            one.verify_signature(&above.key, &below.message, &below.signature)
                .is_err()
        }));
    }
}
