//! Private keys at rest: sealed under a passphrase, or plain by explicit choice.
//!
//! A sealed file is a PEM block around a header and a ciphertext. The header is authenticated with it:
//!
//! | octets | what |
//! |---|---|
//! | 0–3 | `MSKF` |
//! | 4 | format, 1 |
//! | 5–16 | Argon2id's memory in KiB, passes and lanes, each a big-endian u32 |
//! | 17–32 | salt |
//! | 33–56 | nonce of XChaCha20-Poly1305 |

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::TryRngCore;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use crate::key::{KeyError, PrivateKey};
use crate::pem_text;

const LABEL: &str = "MUSTER ENCRYPTED KEY";
const MAGIC: &[u8; 4] = b"MSKF";
const FORMAT: u8 = 1;
const SALT_AT: usize = 17;
const NONCE_AT: usize = 33;
const HEADER_LEN: usize = 57;
/// A key takes a few hundred bytes; a file far larger is not a key.
const FILE_MAX: usize = 16 * 1024;

/// How a key is to be stored.
pub enum Protection<'a> {
    /// Encrypted under a passphrase.
    Passphrase(&'a str, Cost),
    /// Not encrypted: whoever reads the file has the key.
    Plain,
}

/// What it costs to try one passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB, at most 1 GiB.
    pub memory_kib: u32,
    /// Passes over the memory, at most 64.
    pub passes: u32,
    /// Lanes, at most 16.
    pub lanes: u32,
}

/// Why a key cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyfileError {
    /// The passphrase is not the one the key was sealed under, or the sealed bytes were altered.
    #[error("wrong passphrase, or the key was altered")]
    WrongPassphrase,
    /// The key is sealed and no passphrase was given.
    #[error("the key is encrypted and needs a passphrase")]
    PassphraseNeeded,
    /// The bytes are no key file.
    #[error("the key file is damaged")]
    Damaged,
    /// A passphrase without a single character.
    #[error("an empty passphrase protects nothing")]
    EmptyPassphrase,
    /// The cost is below what Argon2 allows or above our bounds.
    #[error("the cost of the passphrase is out of bounds")]
    Cost,
    /// What shall be sealed is no private key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

impl Cost {
    /// The second choice of RFC 9106: 64 MiB, three passes, four lanes.
    pub const RECOMMENDED: Cost = Cost {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 4,
    };

    fn params(self) -> Option<Params> {
        let bounded = self.memory_kib <= 1024 * 1024 && self.passes <= 64 && self.lanes <= 16;
        if !bounded {
            return None;
        }
        Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok()
    }
}

/// Makes the bytes of a key file from a private key in PEM form.
pub fn seal_key(key_pem: &str, protection: &Protection<'_>) -> Result<Zeroizing<Vec<u8>>, KeyfileError> {
    PrivateKey::from_pem(key_pem)?;
    let Protection::Passphrase(passphrase, cost) = protection else {
        return Ok(Zeroizing::new(key_pem.as_bytes().to_vec()));
    };
    if passphrase.is_empty() {
        return Err(KeyfileError::EmptyPassphrase);
    }
    let header = fresh_header(*cost)?;
    let cipher = cipher(&header, passphrase).ok_or(KeyfileError::Cost)?;
    let secret = Payload {
        msg: key_pem.as_bytes(),
        aad: &header,
    };
    let sealed = cipher
        .encrypt(nonce(&header), secret)
        .map_err(|_| KeyfileError::Damaged)?;
    let block = pem_text::write_block(LABEL, &[header.as_slice(), &sealed].concat());
    Ok(Zeroizing::new(block.into_bytes()))
}

/// Reads the bytes of a key file and returns the private key in PEM form.
///
/// A plain key is returned whether or not a passphrase is given.
pub fn open_key(file: &[u8], passphrase: Option<&str>) -> Result<Zeroizing<String>, KeyfileError> {
    if file.len() > FILE_MAX {
        return Err(KeyfileError::Damaged);
    }
    let key_pem = if is_sealed(file) {
        unseal(file, passphrase.ok_or(KeyfileError::PassphraseNeeded)?)?
    } else {
        Zeroizing::new(file.to_vec())
    };
    let text = std::str::from_utf8(&key_pem).map_err(|_| KeyfileError::Damaged)?;
    PrivateKey::from_pem(text).map_err(|_| KeyfileError::Damaged)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Whether the bytes claim to be a key under a passphrase.
pub fn is_sealed(file: &[u8]) -> bool {
    file.trim_ascii_start()
        .starts_with(format!("-----BEGIN {LABEL}-----").as_bytes())
}

fn unseal(file: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, KeyfileError> {
    let block = pem_text::only_block(file, &[LABEL]).map_err(|_| KeyfileError::Damaged)?;
    let (header, sealed) = block
        .split_first_chunk::<HEADER_LEN>()
        .ok_or(KeyfileError::Damaged)?;
    let cipher = cipher(header, passphrase).ok_or(KeyfileError::Damaged)?;
    let opened = cipher.decrypt(
        nonce(header),
        Payload {
            msg: sealed,
            aad: header,
        },
    );
    Ok(Zeroizing::new(opened.map_err(|_| KeyfileError::WrongPassphrase)?))
}

fn fresh_header(cost: Cost) -> Result<[u8; HEADER_LEN], KeyfileError> {
    let mut header = [0; HEADER_LEN];
    OsRng
        .try_fill_bytes(&mut header[SALT_AT..])
        .map_err(|_| KeyfileError::NoRandomness)?;
    header[..4].copy_from_slice(MAGIC);
    header[4] = FORMAT;
    let numbers = [cost.memory_kib, cost.passes, cost.lanes];
    for (place, number) in header[5..SALT_AT].chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    Ok(header)
}

/// Derives the key of the cipher, unless the header is not one of ours.
fn cipher(header: &[u8; HEADER_LEN], passphrase: &str) -> Option<XChaCha20Poly1305> {
    let params = read_cost(header)?.params()?;
    let mut key = Zeroizing::new([0; 32]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = &header[SALT_AT..NONCE_AT];
    argon
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
        .ok()?;
    XChaCha20Poly1305::new_from_slice(key.as_slice()).ok()
}

fn read_cost(header: &[u8; HEADER_LEN]) -> Option<Cost> {
    if !header.starts_with(MAGIC) || header[4] != FORMAT {
        return None;
    }
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    Some(Cost {
        memory_kib: number(5),
        passes: number(9),
        lanes: number(13),
    })
}

fn nonce(header: &[u8; HEADER_LEN]) -> &XNonce {
    XNonce::from_slice(&header[NONCE_AT..])
}
