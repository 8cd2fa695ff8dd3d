//! What an issuing authority asks of a root that is elsewhere: a certificate request (PKCS #10) for its key.
//!
//! The root's answer is the certificate followed by the root's own, which [`Brought`](crate::Brought) opens with the key.
//! Any CA software can give it; what the certificate must say is in the profile.

use rcgen::{CertificateParams, DistinguishedName, DnType};

use crate::csr::{Csr, CsrError};
use crate::key::{PrivateKey, PublicKey};
use crate::name::{NameError, word};
use crate::pem_text;
use crate::request::RequestError;

/// A request that a root may answer: its sender has proved to hold the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityRequest {
    /// The installation it is for, as it says.
    pub site: String,
    /// The key to be certified.
    pub key: PublicKey,
}

/// Why a request for an issuing authority is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityRequestError {
    /// It is no request, or proves nothing.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// It names no installation, or several.
    #[error("the request does not name one installation in its subject (O)")]
    Site,
    /// The installation's name is none.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Makes a request in PEM form that proves possession of the key. Its subject tells it from others of the installation.
pub fn authority_request(key_pem: &str, site: &str) -> Result<String, RequestError> {
    let key = PrivateKey::from_pem(key_pem)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, word(site)?);
    let fingerprint = key.public()?.fingerprint_sha256();
    let mark = fingerprint.get(..8).unwrap_or_default();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Muster issuing CA {mark}"));
    let request = params
        .serialize_request(&key)
        .map_err(|_| RequestError::NotSigned)?;
    Ok(pem_text::write_block("CERTIFICATE REQUEST", request.der()))
}

impl AuthorityRequest {
    /// Reads a request in PEM or DER form and verifies that its sender holds the private key.
    pub fn parse(pem_or_der: &[u8]) -> Result<AuthorityRequest, AuthorityRequestError> {
        let csr = Csr::parse(pem_or_der)?;
        let site = csr.only_organization().ok_or(AuthorityRequestError::Site)?;
        Ok(AuthorityRequest {
            site: word(site)?,
            key: csr.public_key().clone(),
        })
    }
}
