//! Tokens: what people log in with where they show no certificate.

use sha2::{Digest, Sha256};

/// What each token begins with, so that it is known for one wherever it turns up.
pub const TOKEN_PREFIX: &str = "mst_";
/// Random bytes of a token: nobody guesses them, so their digest may travel and be kept.
pub const TOKEN_BYTES: usize = 32;
/// Tokens of one person: one for each of their machines, and some for programs.
pub const TOKENS_MAX: usize = 8;
/// Longest life of a token, milliseconds: a month, after which somebody looks whether it is still needed.
pub const TOKEN_LIFETIME_MAX_MS: i64 = 31 * 86_400_000;
/// Longest of what is looked at as a token, bytes.
pub const PRESENTED_BYTES: usize = 512;

/// What is kept of a token, and compared.
pub type TokenDigest = [u8; 32];

/// The digest of what somebody presents; of what is too long to be a token, that of nothing.
pub fn token_digest(presented: &[u8]) -> TokenDigest {
    let presented = match presented.len() {
        0..=PRESENTED_BYTES => presented,
        _ => &[],
    };
    Sha256::digest(presented).into()
}

/// A digest as it is written.
pub fn read_digest(hex: &str) -> Option<TokenDigest> {
    let mut digest = TokenDigest::default();
    hex::decode_to_slice(hex, &mut digest).ok()?;
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = token_digest(b"mst_x");
        assert_eq!(read_digest(&hex::encode(digest)), Some(digest));
        for bad in ["", "0a", &"g".repeat(64), &"0".repeat(66)] {
            assert_eq!(read_digest(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_too_long_is_not_even_looked_at() {
        assert_eq!(token_digest(&[7; PRESENTED_BYTES + 1]), token_digest(&[]));
        assert_ne!(token_digest(&[7; PRESENTED_BYTES]), token_digest(&[]));
    }
}
