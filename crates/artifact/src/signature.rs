//! Signatures over a payload and its type.

use crate::key::SigningKey;
use crate::pae::pae;

/// A signature as it travels beside the payload, nothing about it verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key that is said to have signed.
    pub keyid: String,
    /// The 64 octets of the signature, if it is one.
    pub sig: Vec<u8>,
}

/// Signs a payload together with its type.
pub fn sign(payload_type: &str, body: &[u8], key: &SigningKey) -> Signature {
    Signature {
        keyid: key.public_key().key_id().to_string(),
        sig: key.sign(&pae(payload_type, body)).to_vec(),
    }
}
