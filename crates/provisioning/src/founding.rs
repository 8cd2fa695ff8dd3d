//! Reads a certificate that the installation's set-up issued, and demands that our authority signed it.

use contract::{Code, Kind, Refusal};
use pki::{ClientCertificate, Serial};
use sha2::{Digest, Sha256};
use x509_parser::{
    certificate::X509Certificate,
    pem::{Pem, parse_x509_pem},
};

/// What is recorded of a certificate that is there already.
pub(crate) struct Found {
    pub(crate) serial: String,
    pub(crate) not_before_ms: i64,
    pub(crate) not_after_ms: i64,
    pub(crate) fingerprint: String,
    /// SHA-256 of the public key, hex.
    pub(crate) key: String,
}

/// The first certificate of `chain_pem`, which must be this party's.
pub(crate) fn read(chain_pem: &str, issuing_pem: &str, kind: Kind, id: &str) -> Result<Found, Refusal> {
    let pem = block(chain_pem)?;
    let certificate = parse(&pem)?;
    let issuing = block(issuing_pem)?;
    let issuing = parse(&issuing)?;
    if certificate.verify_signature(Some(issuing.public_key())).is_err() {
        return Err(untrusted("this installation's authority did not sign it"));
    }
    match kind {
        Kind::Service => server(&pem.contents, &certificate),
        _ => client(&pem.contents, kind, id),
    }
}

/// The server's certificate names hosts, not a party: whose it is, is in the request alone.
fn server(der: &[u8], certificate: &X509Certificate<'_>) -> Result<Found, Refusal> {
    let purpose = certificate.extended_key_usage().ok().flatten();
    if certificate.is_ca() || !purpose.is_some_and(|purpose| purpose.value.server_auth) {
        return Err(untrusted("it is not a server's"));
    }
    let serial = hex::encode(certificate.serial.to_bytes_be());
    let serial = Serial::from_hex(&serial).map_err(|e| untrusted(&e.to_string()))?;
    let validity = certificate.validity();
    Ok(Found {
        serial: serial.to_hex(),
        not_before_ms: validity.not_before.timestamp().saturating_mul(1000),
        not_after_ms: validity.not_after.timestamp().saturating_mul(1000),
        fingerprint: hex::encode(Sha256::digest(der)),
        key: hex::encode(Sha256::digest(certificate.public_key().raw)),
    })
}

fn client(der: &[u8], kind: Kind, id: &str) -> Result<Found, Refusal> {
    let read = ClientCertificate::parse(der).map_err(|e| untrusted(&e.to_string()))?;
    if read.subject.id() != id || read.subject.kind().word() != kind.word() {
        return Err(Refusal::invalid("certificate", "it names somebody else"));
    }
    Ok(Found {
        serial: read.serial_hex,
        not_before_ms: read.not_before_ms,
        not_after_ms: read.not_after_ms,
        fingerprint: read.fingerprint_sha256,
        key: read.key_fingerprint_sha256,
    })
}

fn block(pem: &str) -> Result<Pem, Refusal> {
    let read = parse_x509_pem(pem.as_bytes());
    read.map(|(_, pem)| pem)
        .map_err(|_| untrusted("it is no certificate in PEM form"))
}

fn parse(pem: &Pem) -> Result<X509Certificate<'_>, Refusal> {
    pem.parse_x509().map_err(|_| untrusted("it is no certificate"))
}

fn untrusted(message: &str) -> Refusal {
    Refusal::new(Code::Untrusted, message).at("certificate")
}
