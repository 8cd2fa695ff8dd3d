//! Makes certificate requests, for devices and for people with a key.

use rcgen::{CertificateParams, DistinguishedName, DnType};

use crate::key::{KeyError, PrivateKey};
use crate::name::{NameError, word};
use crate::pem_text;

/// Why a request cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The private key is of no use.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The id is not one.
    #[error(transparent)]
    Id(#[from] NameError),
    /// The cryptographic library refused to sign.
    #[error("the request could not be signed")]
    NotSigned,
}

/// Makes a request in PEM form that proves possession of the key and asks for the id as common name.
pub fn csr_for(key_pem: &str, id: &str) -> Result<String, RequestError> {
    let key = PrivateKey::from_pem(key_pem)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, word(id)?);
    let request = params
        .serialize_request(&key)
        .map_err(|_| RequestError::NotSigned)?;
    Ok(pem_text::write_block("CERTIFICATE REQUEST", request.der()))
}
