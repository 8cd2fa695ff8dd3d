//! What signs for an authority: a key in memory, or one that some hardware holds and never gives away.

use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};

use crate::key::{KeyError, PublicKey};

/// A key that signs, wherever it is. The key in a file is one; a security module's or a token's may follow.
///
/// What it signs is read back and verified before it leaves ([`Authority::sign`](crate::Authority::sign)): one that signs
/// with another key, or nothing, does no harm.
pub trait Signer: Send + Sync {
    /// The public half.
    fn public(&self) -> Result<PublicKey, KeyError>;

    /// Signs a message by the one algorithm of its kind of key: ECDSA with SHA-256 for P-256, with SHA-384 for P-384, both as
    /// DER (RFC 5758, section 3.2), or Ed25519 (RFC 8032).
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;
}

/// Why nothing was signed, in the signer's own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SignerError(pub String);

/// A signer as rcgen wants it.
pub(crate) struct Signing {
    public: PublicKey,
    signer: Box<dyn Signer>,
}

impl Signing {
    pub(crate) fn with(signer: Box<dyn Signer>) -> Result<Signing, KeyError> {
        let public = signer.public()?;
        Ok(Signing { public, signer })
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl PublicKeyData for Signing {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        PublicKeyData::algorithm(&self.public)
    }
}

impl SigningKey for Signing {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        // rcgen has no room for the reason.
        self.signer
            .sign(message)
            .map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
