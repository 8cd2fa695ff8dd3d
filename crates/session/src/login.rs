//! How people log in who show no certificate: what they present, and what it is compared with.

use contract::{
    id::{Kind, Principal},
    login::{TOKENS_MAX, TokenDigest, read_digest},
    v1::LoginFact,
};
use subtle::ConstantTimeEq;

/// Stands where there is no token: nobody finds what has this digest.
const NOTHING: TokenDigest = [0; 32];

/// What one person logs in with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownLogin {
    /// The tokens that were not taken back.
    pub tokens: Vec<KnownToken>,
    /// Which password there is; 0: none.
    pub password: u64,
}

/// A token, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownToken {
    /// Names it.
    pub id: String,
    /// The digest of what opens.
    pub digest: TokenDigest,
    /// The last instant at which it opens, milliseconds since 1970.
    pub not_after_ms: i64,
}

impl From<LoginFact> for KnownLogin {
    fn from(fact: LoginFact) -> KnownLogin {
        let tokens = fact.tokens.into_iter().filter_map(|token| {
            Some(KnownToken {
                digest: read_digest(&token.sha256)?,
                id: token.token_id,
                not_after_ms: token.expires_ms,
            })
        });
        KnownLogin {
            tokens: tokens.take(TOKENS_MAX).collect(),
            password: fact.password,
        }
    }
}

/// The token of somebody that has this digest. As many are compared as anybody may have, and each to its end: how
/// long it takes tells neither whether somebody is known, nor how close a guess is.
pub(crate) fn find<'a>(login: Option<&'a KnownLogin>, presented: &TokenDigest) -> Option<&'a KnownToken> {
    let mut found = None;
    for place in 0..TOKENS_MAX {
        let token = login.and_then(|login| login.tokens.get(place));
        let digest = token.map_or(&NOTHING, |token| &token.digest);
        if bool::from(digest.ct_eq(presented)) {
            found = token;
        }
    }
    found
}

/// Whom a user name names, of those who may log in: operators and integrators, and nobody else.
pub(crate) fn person(user_name: &str) -> Option<Principal> {
    let named: Principal = user_name.parse().ok()?;
    matches!(named.kind, Kind::Operator | Kind::Integrator).then_some(named)
}

#[cfg(test)]
mod tests {
    use contract::login::token_digest;

    use super::*;

    #[test]
    fn a_token_is_found_at_any_place_and_nothing_is_found_where_there_is_none() {
        let token = |n: usize| KnownToken {
            id: n.to_string(),
            digest: token_digest(format!("mst_{n}").as_bytes()),
            not_after_ms: 0,
        };
        let login = KnownLogin {
            tokens: (0..TOKENS_MAX).map(token).collect(),
            password: 0,
        };
        for n in 0..TOKENS_MAX {
            let digest = token_digest(format!("mst_{n}").as_bytes());
            assert_eq!(find(Some(&login), &digest), Some(&login.tokens[n]));
        }
        for nothing in [token_digest(b"mst_8"), token_digest(b""), NOTHING] {
            assert_eq!(find(Some(&login), &nothing), None);
            assert_eq!(find(Some(&KnownLogin::default()), &nothing), None);
            assert_eq!(find(None, &nothing), None);
        }
    }

    #[test]
    fn only_people_log_in() {
        for name in ["operators/ada", "integrators/erp"] {
            assert_eq!(person(name), name.parse().ok());
        }
        for name in [
            "devices/pump-7",
            "claims/lot",
            "services/registry",
            "ada",
            "operators/",
            "operators/a/b",
            "",
        ] {
            assert_eq!(person(name), None, "{name}");
        }
    }
}
