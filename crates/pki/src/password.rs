//! What is kept of a password, and whether one fits it: Argon2id (RFC 9106) in the PHC form.
//!
//! The cost is one for all, the first that OWASP names (19 MiB, two passes, one lane): a check takes some tens of
//! milliseconds, so that logins are not worth flooding with, and a stolen verifier is expensive to guess at.

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
    password_hash::SaltString,
};
use rand::{TryRngCore, rngs::OsRng};

/// Memory, KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Bytes of salt.
const SALT_BYTES: usize = 16;
/// Compared with where there is nothing to compare with, so that it takes as long. No password is known for it.
const STAND_IN: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password cannot be made ready to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// Argon2 refuses it.
    #[error("the password cannot be hashed")]
    Unfit,
}

/// What is kept of a password, with a salt of its own.
pub fn password_verifier(password: &[u8]) -> Result<String, PasswordError> {
    let mut salt = [0; SALT_BYTES];
    OsRng
        .try_fill_bytes(&mut salt)
        .map_err(|_| PasswordError::NoRandomness)?;
    let salt = SaltString::encode_b64(&salt).map_err(|_| PasswordError::Unfit)?;
    let argon = Params::new(MEMORY_KIB, PASSES, 1, None)
        .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params));
    let hash = argon
        .map_err(|_| PasswordError::Unfit)?
        .hash_password(password, &salt)
        .map_err(|_| PasswordError::Unfit)?;
    Ok(hash.to_string())
}

/// Whether a password is the one of which this was kept. Takes as long where nothing was, or nonsense.
pub fn password_fits(verifier: &str, password: &[u8]) -> bool {
    let known = PasswordHash::new(verifier).ok();
    let is_known = known.is_some();
    let Some(hash) = known.or_else(|| PasswordHash::new(STAND_IN).ok()) else {
        return false;
    };
    let fits = Argon2::default().verify_password(password, &hash).is_ok();
    fits && is_known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_verifier_and_no_other() {
        let password = b"correct horse battery staple";
        let one = password_verifier(password).unwrap();
        assert_ne!(one, password_verifier(password).unwrap(), "each has a salt");
        assert!(password_fits(&one, password));
        assert!(!password_fits(&one, b"correct horse battery stapl"));
        for nothing in ["", "$argon2id$", "nonsense", STAND_IN] {
            assert!(!password_fits(nothing, password), "{nothing}");
        }
    }

    #[test]
    fn the_stand_in_costs_what_all_cost() {
        let made = password_verifier(b"x").unwrap();
        let cost = |verifier: &str| {
            let hash = PasswordHash::new(verifier).unwrap();
            (
                hash.params.to_string(),
                hash.salt.map(|s| s.len()),
                hash.hash.map(|h| h.len()),
            )
        };
        assert_eq!(cost(&made), cost(STAND_IN));
    }
}
