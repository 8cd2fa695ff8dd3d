//! Release keys: Ed25519, known by the digest of the public half.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const KEY_ID_DIGITS: usize = 16;

/// The private half of a release key. It is wiped when dropped.
pub struct SigningKey(ed25519_dalek::SigningKey);

/// The public half of a release key; never one of the weak points that fit many signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

/// The name of a release key: the first 16 hex digits of the SHA-256 of its 32 octets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

/// Why something is not a release key or its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is no Ed25519 private key.
    #[error("this is not an Ed25519 private key in PKCS#8 PEM form")]
    NotPrivate,
    /// The text is no Ed25519 public key.
    #[error("this is not an Ed25519 public key in PEM form")]
    NotPublic,
    /// The point is one of the few for which signatures prove nothing.
    #[error("this public key is weak")]
    Weak,
    /// The text is not 16 lower-case hex digits.
    #[error("a key id is 16 lower-case hex digits")]
    NotAKeyId,
    /// The key could not be written.
    #[error("the key could not be written")]
    NotWritten,
}

impl SigningKey {
    /// Makes the key of 32 octets that the caller drew from a cryptographic random source.
    pub fn from_seed(seed: &[u8; 32]) -> SigningKey {
        SigningKey(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads a key in PKCS#8 PEM form.
    pub fn from_pem(pem: &str) -> Result<SigningKey, KeyError> {
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem.trim_ascii());
        key.map(SigningKey).map_err(|_| KeyError::NotPrivate)
    }

    /// Writes the key in PKCS#8 PEM form, without the public half, which older readers stumble over.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let bytes = KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        let pem = bytes
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| KeyError::NotWritten)?;
        Ok(Zeroizing::new(pem.to_string()))
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        ed25519_dalek::Signer::sign(&self.0, message).to_bytes()
    }
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in PEM form.
    pub fn from_pem(pem: &str) -> Result<PublicKey, KeyError> {
        let key = ed25519_dalek::VerifyingKey::from_public_key_pem(pem.trim_ascii());
        PublicKey::strong(key.map_err(|_| KeyError::NotPublic)?)
    }

    /// Reads the 32 octets of a key.
    pub fn from_bytes(octets: &[u8; 32]) -> Result<PublicKey, KeyError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(octets);
        PublicKey::strong(key.map_err(|_| KeyError::NotPublic)?)
    }

    /// Writes the SubjectPublicKeyInfo in PEM form.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0
            .to_public_key_pem(LineEnding::LF)
            .map_err(|_| KeyError::NotWritten)
    }

    /// The 32 octets of the key.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The name of the key.
    pub fn key_id(&self) -> KeyId {
        let mut digits = hex::encode(Sha256::digest(self.0.as_bytes()));
        digits.truncate(KEY_ID_DIGITS);
        KeyId(digits)
    }

    /// Whether the signature is this key's. Strict: one message has one signature that counts.
    pub(crate) fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        let signature = ed25519_dalek::Signature::from_slice(signature);
        signature.is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }

    fn strong(key: ed25519_dalek::VerifyingKey) -> Result<PublicKey, KeyError> {
        if key.is_weak() {
            Err(KeyError::Weak)
        } else {
            Ok(PublicKey(key))
        }
    }
}

impl KeyId {
    /// The 16 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<KeyId, KeyError> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == KEY_ID_DIGITS && text.bytes().all(is_digit) {
            return Ok(KeyId(text.to_owned()));
        }
        Err(KeyError::NotAKeyId)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public_key().key_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_survive_their_text() {
        let key = SigningKey::from_seed(&[7; 32]);
        let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        let public = PublicKey::from_pem(&key.public_key().to_pem().unwrap()).unwrap();
        assert_eq!(public, key.public_key());
        assert_eq!(PublicKey::from_bytes(&public.to_bytes()), Ok(public));
    }

    #[test]
    fn a_private_key_takes_the_form_all_readers_know() {
        let pem = SigningKey::from_seed(&[0; 32]).to_pem().unwrap();
        assert!(
            pem.contains("MC4CAQAwBQYDK2VwBCIEIAAAAAAA"),
            "version 1, 48 octets: {}",
            pem.as_str()
        );
    }

    #[test]
    fn the_name_is_the_digest_of_the_octets() {
        let public = SigningKey::from_seed(&[7; 32]).public_key();
        let digest = hex::encode(Sha256::digest(public.to_bytes()));
        assert_eq!(public.key_id().as_str(), &digest[..16]);
        assert_eq!(public.key_id().to_string().parse(), Ok(public.key_id()));
        for text in ["", "0123456789abcde", "0123456789ABCDEF", "0123456789abcdef0"] {
            assert_eq!(text.parse::<KeyId>(), Err(KeyError::NotAKeyId));
        }
    }

    #[test]
    fn texts_and_octets_that_are_no_key() {
        let private = SigningKey::from_seed(&[7; 32]).to_pem().unwrap();
        assert_eq!(PublicKey::from_pem(&private), Err(KeyError::NotPublic));
        assert_eq!(SigningKey::from_pem("").unwrap_err(), KeyError::NotPrivate);
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(PublicKey::from_bytes(&neutral), Err(KeyError::Weak));
        assert_eq!(PublicKey::from_bytes(&[0; 32]), Err(KeyError::Weak));
        assert_eq!(PublicKey::from_bytes(&[2; 32]), Err(KeyError::NotPublic));
    }

    #[test]
    fn what_a_key_shows_of_itself_is_its_name() {
        let key = SigningKey::from_seed(&[7; 32]);
        assert_eq!(
            format!("{key:?}"),
            format!("SigningKey({})", key.public_key().key_id())
        );
    }
}
