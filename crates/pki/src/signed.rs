//! A certificate as its issuer saw it: bytes that were signed, and the signature.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Taken out of a certificate, and nothing verified by that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What the issuer signed, DER (RFC 5280, section 4.1.1.1).
    pub message: Vec<u8>,
    /// The issuer's signature over it.
    pub signature: Vec<u8>,
    /// The certificate's own public key, without its algorithm.
    pub key: Vec<u8>,
}

impl Signed {
    /// Reads a certificate, DER.
    pub fn read(der: &[u8]) -> Option<Signed> {
        let (rest, read) = X509Certificate::from_der(der).ok()?;
        rest.is_empty().then(|| Signed {
            message: read.tbs_certificate.as_ref().to_vec(),
            signature: read.signature_value.data.to_vec(),
            key: read.public_key().subject_public_key.data.to_vec(),
        })
    }
}
