//! Tokens and passwords: what people log in with where they show no certificate.

use sha2::{Digest, Sha256};

use crate::Refusal;

/// What each token begins with, so that it is known for one wherever it turns up.
pub const TOKEN_PREFIX: &str = "mst_";
/// Random bytes of a token: nobody guesses them, so their digest may travel and be kept.
pub const TOKEN_BYTES: usize = 32;
/// Tokens of one person: one for each of their machines, and some for programs.
pub const TOKENS_MAX: usize = 8;
/// Longest life of a token, milliseconds: a month, after which somebody looks whether it is still needed.
pub const TOKEN_LIFETIME_MAX_MS: i64 = 31 * 86_400_000;
/// Longest of what is looked at as a token or a password, bytes.
pub const PRESENTED_BYTES: usize = 512;
/// Shortest password, characters: it is all that somebody is asked for (NIST SP 800-63B-4, section 3.1.1).
pub const PASSWORD_CHARS_MIN: usize = 15;
/// What each password's verifier begins with: Argon2id at one cost for all, so that a check takes as long whoever it is.
const VERIFIER_PREFIX: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
/// Sixteen bytes of salt and thirty-two of digest, in base64 without padding.
const VERIFIER_PARTS: [usize; 2] = [22, 43];

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

/// A SHA-256 as people write it, in the one form in which it is kept.
pub fn sha256(field: &str, text: &str) -> Result<String, Refusal> {
    let digest = text.to_ascii_lowercase();
    match read_digest(&digest) {
        Some(_) => Ok(digest),
        None => Err(Refusal::invalid(field, "a SHA-256 is written in 64 hex digits")),
    }
}

/// Whether this is what is kept of a password: at the one cost, and no other.
pub fn is_verifier(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(VERIFIER_PREFIX) else {
        return false;
    };
    let is_base64 = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
    };
    let parts: Vec<_> = rest.split('$').collect();
    parts.iter().map(|part| part.len()).eq(VERIFIER_PARTS) && parts.into_iter().all(is_base64)
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
    fn a_verifier_has_the_one_cost_and_form() {
        let (salt, hash) = ("A".repeat(22), "b".repeat(43));
        assert!(is_verifier(&format!("{VERIFIER_PREFIX}{salt}${hash}")));
        for bad in [
            String::new(),
            format!("{VERIFIER_PREFIX}{salt}"),
            format!("{VERIFIER_PREFIX}{salt}${hash}$"),
            format!("{VERIFIER_PREFIX}{salt}${}", "=".repeat(43)),
            format!("$argon2id$v=19$m=4194304,t=2,p=1${salt}${hash}"),
            format!("$argon2i$v=19$m=19456,t=2,p=1${salt}${hash}"),
        ] {
            assert!(!is_verifier(&bad), "{bad}");
        }
    }

    #[test]
    fn what_is_too_long_is_not_even_looked_at() {
        assert_eq!(token_digest(&[7; PRESENTED_BYTES + 1]), token_digest(&[]));
        assert_ne!(token_digest(&[7; PRESENTED_BYTES]), token_digest(&[]));
    }
}
