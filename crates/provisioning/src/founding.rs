//! Certificates that the installation's set-up issued before there was a service: ours, and whose they are said
//! to be.

use contract::{Code, Kind, Refusal};
use pki::{ClientCertificate, Serial, ServerCertificate};

use crate::authorities::{Authorities, Issuing};

/// What is recorded of a certificate that is there already.
pub(crate) struct Found {
    /// The mark of the authority that signed it.
    pub(crate) issuer: String,
    pub(crate) serial: String,
    pub(crate) not_before_ms: i64,
    pub(crate) not_after_ms: i64,
    pub(crate) fingerprint: String,
    /// SHA-256 of the public key, hex.
    pub(crate) key: String,
}

/// The first certificate of `chain_pem`, which must be this party's and of one of our authorities.
pub(crate) fn read(
    chain_pem: &str,
    authorities: &Authorities,
    kind: Kind,
    id: &str,
) -> Result<Found, Refusal> {
    let (der, issuer) = signed(chain_pem, authorities)?;
    let found = match kind {
        Kind::Service => server(&der)?,
        _ => client(&der, kind, id)?,
    };
    let serial = Serial::from_hex(&found.serial).map_err(untrusted)?.to_hex();
    Ok(Found {
        serial,
        issuer,
        ..found
    })
}

/// The certificate, DER, and the mark of whoever signed it. The reason is what the signing authority says of it.
fn signed(chain_pem: &str, authorities: &Authorities) -> Result<(Vec<u8>, String), Refusal> {
    let by = |issuing: &Issuing| pki::issued_by(chain_pem, &issuing.pem).map(|der| (der, issuing.id.clone()));
    let first = by(&authorities.signing);
    match authorities.all().find_map(|issuing| by(issuing).ok()) {
        Some(found) => Ok(found),
        None => first.map_err(untrusted),
    }
}

/// The server's certificate names hosts, not a party: whose it is, is in the request alone.
fn server(der: &[u8]) -> Result<Found, Refusal> {
    let read = ServerCertificate::parse(der).map_err(untrusted)?;
    Ok(Found {
        issuer: String::new(),
        serial: read.serial_hex,
        not_before_ms: read.not_before_ms,
        not_after_ms: read.not_after_ms,
        fingerprint: read.fingerprint_sha256,
        key: read.key_fingerprint_sha256,
    })
}

fn client(der: &[u8], kind: Kind, id: &str) -> Result<Found, Refusal> {
    let read = ClientCertificate::parse(der).map_err(untrusted)?;
    if read.subject.id() != id || read.subject.kind().word() != kind.word() {
        return Err(Refusal::invalid("certificate", "it names somebody else"));
    }
    Ok(Found {
        issuer: String::new(),
        serial: read.serial_hex,
        not_before_ms: read.not_before_ms,
        not_after_ms: read.not_after_ms,
        fingerprint: read.fingerprint_sha256,
        key: read.key_fingerprint_sha256,
    })
}

fn untrusted(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Untrusted, error.to_string()).at("certificate")
}
