//! A certificate that is there already: did our authority sign it?

use crate::authority::AuthorityError;
use crate::ca_certificate::CaCertificate;
use crate::leaf::{Leaf, ProfileError};
use crate::pem_text;

/// The most bytes of a chain that are looked at; one of three certificates takes about 2 KiB.
pub const CHAIN_MAX_BYTES: usize = 64 * 1024;

/// Why a certificate does not count as ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// The text is no chain of certificates in PEM form, or longer than [`CHAIN_MAX_BYTES`].
    #[error("it is no certificate in PEM form")]
    NotParseable,
    /// It lacks what all our certificates have.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The authority's own certificate is not one.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// Its issuer or its signature is another's.
    #[error("this installation's authority did not sign it")]
    NotSigned,
}

/// The first certificate of a chain, DER, if the first certificate of `authority_pem` signed it.
///
/// Whose it is, [`ClientCertificate`](crate::ClientCertificate) and
/// [`ServerCertificate`](crate::ServerCertificate) read from it.
pub fn issued_by(chain_pem: &str, authority_pem: &str) -> Result<Vec<u8>, ProvenanceError> {
    let der = first(chain_pem)?;
    let authority = CaCertificate::parse(&first(authority_pem)?)?;
    if Leaf::read(&der)?.is_signed_by(&authority) {
        Ok(der)
    } else {
        Err(ProvenanceError::NotSigned)
    }
}

fn first(chain_pem: &str) -> Result<Vec<u8>, ProvenanceError> {
    if chain_pem.len() > CHAIN_MAX_BYTES {
        return Err(ProvenanceError::NotParseable);
    }
    let blocks = pem_text::all_blocks(chain_pem.as_bytes(), &["CERTIFICATE"]);
    let first = blocks.ok().and_then(|blocks| blocks.into_iter().next());
    first.ok_or(ProvenanceError::NotParseable)
}
