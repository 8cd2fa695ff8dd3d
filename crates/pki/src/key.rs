//! The three kinds of key we accept, and the public key whose bytes go into a certificate unchanged.

use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::signer::{Signer, SignerError};

/// The kinds of key a certificate may carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyKind {
    /// ECDSA on P-256 with SHA-256, which every TLS stack knows.
    #[default]
    P256,
    /// ECDSA on P-384 with SHA-384.
    P384,
    /// Ed25519.
    Ed25519,
}

/// A public key, kept as the bytes of its SubjectPublicKeyInfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    spki_der: Vec<u8>,
}

/// Why bytes or text are not a key we accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text holds no private key.
    #[error("this is not a private key in PEM form")]
    NotAKey,
    /// A key of another kind, or written in an unusual form.
    #[error("only P-256, P-384 and Ed25519 keys in their usual form are accepted")]
    Unsupported,
    /// The cryptographic library could not make a key.
    #[error("the key could not be generated")]
    NotGenerated,
}

/// Makes a fresh private key and returns it as PKCS#8 PEM.
pub fn generate_key(kind: KeyKind) -> Result<Zeroizing<String>, KeyError> {
    let mut pair = KeyPair::generate_for(kind.algorithm()).map_err(|_| KeyError::NotGenerated)?;
    let pem = Zeroizing::new(pair.serialize_pem());
    pair.zeroize();
    Ok(pem)
}

impl KeyKind {
    /// All kinds.
    pub const ALL: [KeyKind; 3] = [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519];

    /// The kind as a word.
    pub fn word(self) -> &'static str {
        match self {
            KeyKind::P256 => "p256",
            KeyKind::P384 => "p384",
            KeyKind::Ed25519 => "ed25519",
        }
    }

    /// The kind of this word.
    pub fn from_word(word: &str) -> Option<KeyKind> {
        KeyKind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    pub(crate) fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyKind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
        }
    }

    /// What precedes the key itself in the only encoding we accept: the algorithm with named curve, and for
    /// a curve point the mark of the uncompressed form.
    fn spki_head(self) -> &'static [u8] {
        match self {
            KeyKind::P256 => {
                b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
                \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"
            }
            KeyKind::P384 => {
                b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
                \x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04"
            }
            KeyKind::Ed25519 => b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
        }
    }

    fn spki_tail_len(self) -> usize {
        match self {
            KeyKind::P256 => 64,
            KeyKind::P384 => 96,
            KeyKind::Ed25519 => 32,
        }
    }

    fn owns(self, spki_der: &[u8]) -> bool {
        let tail = spki_der.strip_prefix(self.spki_head());
        tail.is_some_and(|tail| tail.len() == self.spki_tail_len())
    }
}

impl PublicKey {
    /// Accepts a SubjectPublicKeyInfo in the one canonical encoding of its kind.
    pub fn from_spki(spki_der: &[u8]) -> Result<PublicKey, KeyError> {
        let kind = KeyKind::ALL
            .into_iter()
            .find(|kind| kind.owns(spki_der))
            .ok_or(KeyError::Unsupported)?;
        Ok(PublicKey {
            kind,
            spki_der: spki_der.to_vec(),
        })
    }

    /// The public half of a private key in PEM form.
    pub fn of_private(key_pem: &str) -> Result<PublicKey, KeyError> {
        PrivateKey::from_pem(key_pem)?.public()
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The SubjectPublicKeyInfo, byte for byte as it came.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The SHA-256 of the SubjectPublicKeyInfo, in lower-case hex.
    pub fn fingerprint_sha256(&self) -> String {
        sha256_hex(&self.spki_der)
    }
}

/// Gives rcgen the algorithm of the key itself; rcgen would guess it from a request's signature.
impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        // The mark of the uncompressed form belongs to the key and not to what precedes it.
        let mark = usize::from(self.kind != KeyKind::Ed25519);
        &self.spki_der[self.kind.spki_head().len() - mark..]
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.kind.algorithm()
    }
}

/// A private key that is wiped when dropped.
pub(crate) struct PrivateKey(KeyPair);

impl PrivateKey {
    pub(crate) fn from_pem(key_pem: &str) -> Result<PrivateKey, KeyError> {
        let pair = KeyPair::from_pem(key_pem).map_err(|_| KeyError::NotAKey)?;
        let key = PrivateKey(pair);
        key.public()?;
        Ok(key)
    }

    pub(crate) fn public(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_spki(&self.0.subject_public_key_info())
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PublicKeyData for PrivateKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        PublicKeyData::algorithm(&self.0)
    }
}

impl Signer for PrivateKey {
    fn public(&self) -> Result<PublicKey, KeyError> {
        PrivateKey::public(self)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.0
            .sign(message)
            .map_err(|error| SignerError(error.to_string()))
    }
}

impl SigningKey for PrivateKey {
    fn sign(&self, msg: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(msg)
    }
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_keeps_its_bytes() {
        for kind in KeyKind::ALL {
            let public = PublicKey::of_private(&generate_key(kind).unwrap()).unwrap();
            assert_eq!(public.kind(), kind);
            assert_eq!(public.subject_public_key_info(), public.spki_der());
        }
    }

    #[test]
    fn keys_cut_short_or_lengthened_are_refused() {
        let public = PublicKey::of_private(&generate_key(KeyKind::P256).unwrap()).unwrap();
        let mut longer = public.spki_der().to_vec();
        longer.push(0);
        let shorter = &public.spki_der()[..90];
        for bytes in [&longer, shorter, &[]] {
            assert_eq!(PublicKey::from_spki(bytes), Err(KeyError::Unsupported));
        }
    }

    #[test]
    fn text_that_is_no_key() {
        assert_eq!(PublicKey::of_private("").unwrap_err(), KeyError::NotAKey);
    }
}
