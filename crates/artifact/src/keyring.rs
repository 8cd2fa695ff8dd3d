//! Which keys may release firmware, and how many of them must agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::key::{KeyId, PublicKey};
use crate::pae::pae;
use crate::signature::Signature;

/// The largest manifest that is looked at.
pub const MANIFEST_MAX_BYTES: usize = 64 * 1024;

/// The most signatures that are looked at.
pub const SIGNATURES_MAX: usize = 16;

/// The keys a verifier knows, and the number of signatures it demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    keys: BTreeMap<KeyId, TrustedKey>,
    threshold: usize,
}

/// A key in a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// What its signatures count for.
    pub state: KeyState,
}

/// What the signatures of a key count for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Its signatures count.
    Active,
    /// It has been replaced; its signatures no longer count.
    Retired,
    /// It may be in other hands; its signatures no longer count.
    Revoked,
}

/// Why keys do not make a ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// A ring that demands no signature accepts everything.
    #[error("a keyring must demand at least one signature")]
    NoThreshold,
    /// The same key twice, perhaps in two states.
    #[error("the key {0} is in the keyring twice")]
    Duplicate(KeyId),
    /// A state that is none.
    #[error("the state of a key is active, retired or revoked")]
    UnknownState,
}

/// Why a payload is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The payload is empty.
    #[error("the payload is empty")]
    Empty,
    /// The payload is larger than [`MANIFEST_MAX_BYTES`].
    #[error("the payload is larger than {MANIFEST_MAX_BYTES} bytes")]
    TooLarge,
    /// The payload is said to be of another type.
    #[error("the payload is not of the expected type")]
    WrongType,
    /// There are more signatures than [`SIGNATURES_MAX`].
    #[error("there are more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// A signature in the name of an active key is not that key's over this payload.
    #[error("the signature of key {0} does not match")]
    BadSignature(KeyId),
    /// A signature of a key that may be in other hands, and too few that count.
    #[error("the key {0} is revoked")]
    RevokedKey(KeyId),
    /// A signature of a key that has been replaced, and too few that count.
    #[error("the key {0} is retired")]
    RetiredKey(KeyId),
    /// A signature of a key the ring does not hold, and too few that count.
    #[error("the key {0:?} is unknown")]
    UnknownKey(String),
    /// All signatures count, and they are too few.
    #[error("{valid} valid signatures of {needed} needed")]
    TooFew {
        /// How many distinct keys have signed.
        valid: usize,
        /// How many must.
        needed: usize,
    },
}

impl Keyring {
    /// Makes a ring of distinct keys.
    pub fn new(
        keys: impl IntoIterator<Item = TrustedKey>,
        threshold: usize,
    ) -> Result<Keyring, KeyringError> {
        if threshold == 0 {
            return Err(KeyringError::NoThreshold);
        }
        let mut ring = Keyring {
            keys: BTreeMap::new(),
            threshold,
        };
        for trusted in keys {
            let id = trusted.key.key_id();
            if ring.keys.insert(id.clone(), trusted).is_some() {
                return Err(KeyringError::Duplicate(id));
            }
        }
        Ok(ring)
    }

    /// Accepts the payload if it is of the expected type and enough distinct active keys have signed it.
    ///
    /// A wrong signature in the name of an active key refuses the payload whatever the others say.
    /// Signatures of other keys count for nothing and, where enough others count, do no harm: during a
    /// change of keys a manifest carries the signatures of both. Where they are too few, the gravest reason
    /// is told.
    pub fn verify(
        &self,
        payload_type_expected: &str,
        payload_type: &str,
        body: &[u8],
        signatures: &[Signature],
    ) -> Result<(), VerifyError> {
        demand_bounds(body, signatures)?;
        if payload_type != payload_type_expected {
            return Err(VerifyError::WrongType);
        }
        let message = pae(payload_type, body);
        let mut valid = BTreeSet::new();
        let mut worthless = Vec::new();
        for signature in signatures {
            match self.judge(&message, signature) {
                Ok(id) => drop(valid.insert(id)),
                Err(refusal @ VerifyError::BadSignature(_)) => return Err(refusal),
                Err(refusal) => worthless.push(refusal),
            }
        }
        if valid.len() >= self.threshold {
            return Ok(());
        }
        let too_few = VerifyError::TooFew {
            valid: valid.len(),
            needed: self.threshold,
        };
        Err(worthless.into_iter().min_by_key(gravity).unwrap_or(too_few))
    }

    /// The keys of the ring, by name.
    pub fn keys(&self) -> impl Iterator<Item = (&KeyId, &TrustedKey)> {
        self.keys.iter()
    }

    /// How many distinct keys must sign.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    fn judge(&self, message: &[u8], signature: &Signature) -> Result<KeyId, VerifyError> {
        let unknown = || VerifyError::UnknownKey(signature.keyid.chars().take(64).collect());
        let id: KeyId = signature.keyid.parse().map_err(|_| unknown())?;
        let trusted = self.keys.get(&id).ok_or_else(unknown)?;
        match trusted.state {
            KeyState::Revoked => Err(VerifyError::RevokedKey(id)),
            KeyState::Retired => Err(VerifyError::RetiredKey(id)),
            KeyState::Active if trusted.key.accepts(message, &signature.sig) => Ok(id),
            KeyState::Active => Err(VerifyError::BadSignature(id)),
        }
    }
}

fn demand_bounds(body: &[u8], signatures: &[Signature]) -> Result<(), VerifyError> {
    if body.is_empty() {
        return Err(VerifyError::Empty);
    }
    if body.len() > MANIFEST_MAX_BYTES {
        return Err(VerifyError::TooLarge);
    }
    if signatures.len() > SIGNATURES_MAX {
        return Err(VerifyError::TooManySignatures);
    }
    Ok(())
}

/// The order in which reasons are told, the gravest first.
fn gravity(refusal: &VerifyError) -> u8 {
    match refusal {
        VerifyError::RevokedKey(_) => 0,
        VerifyError::RetiredKey(_) => 1,
        _ => 2,
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyState::Active => "active",
            KeyState::Retired => "retired",
            KeyState::Revoked => "revoked",
        })
    }
}

impl FromStr for KeyState {
    type Err = KeyringError;

    fn from_str(text: &str) -> Result<KeyState, KeyringError> {
        let mut states = [KeyState::Active, KeyState::Retired, KeyState::Revoked].into_iter();
        states
            .find(|state| state.to_string() == text)
            .ok_or(KeyringError::UnknownState)
    }
}
