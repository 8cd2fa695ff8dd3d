//! Which ids are meant, where they are not named one by one.

use std::{fmt, str::FromStr};

use crate::limits::ID_CHARS;

/// A pattern of ids: `*` stands for any characters, also none, and `?` for one. The empty one fits every id.
///
/// ```
/// use contract::IdPattern;
/// let pumps: IdPattern = "pump-??-*".parse().unwrap();
/// assert!(pumps.fits("pump-07-berlin"));
/// assert!(!pumps.fits("pump-7-berlin"));
/// assert!("pump/*".parse::<IdPattern>().is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdPattern(Box<str>);

/// Why a text is no pattern of ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pattern of ids has 64 characters at most: letters, digits, `.`, `_` and `-`, `*` for any of them and `?` for one"
)]
pub struct BadPattern;

impl IdPattern {
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this id is meant. The time that it takes grows with the product of both lengths at most.
    pub fn fits(&self, id: &str) -> bool {
        self.0.is_empty() || whole(self.0.as_bytes(), id.as_bytes())
    }
}

/// Each `*` takes as little as it can; where the rest does not fit then, the last one takes one more.
fn whole(pattern: &[u8], id: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut last_star = None;
    while let Some(byte) = id.get(read) {
        match (pattern.get(at), last_star) {
            (Some(b'*'), _) => {
                at += 1;
                last_star = Some((at, read));
            }
            (Some(wanted), _) if *wanted == b'?' || wanted == byte => (at, read) = (at + 1, read + 1),
            (_, Some((after, taken))) => {
                (at, read) = (after, taken + 1);
                last_star = Some((at, read));
            }
            (_, None) => return false,
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == b'*')
}

impl FromStr for IdPattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<IdPattern, BadPattern> {
        let is_known = |b: u8| b.is_ascii_alphanumeric() || b"._-*?".contains(&b);
        match text.len() <= ID_CHARS && text.bytes().all(is_known) {
            true => Ok(IdPattern(text.into())),
            false => Err(BadPattern),
        }
    }
}

impl fmt::Display for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, id: &str) -> bool {
        pattern.parse::<IdPattern>().unwrap().fits(id)
    }

    #[test]
    fn stars_and_question_marks() {
        for (pattern, id, expected) in [
            ("", "pump-7", true),
            ("*", "pump-7", true),
            ("pump-7", "pump-7", true),
            ("pump-7", "pump-70", false),
            ("pump-*", "pump-", true),
            ("pump-*", "fan-7", false),
            ("*-eu", "pump-7-eu", true),
            ("*-eu", "pump-7-eu-2", false),
            ("p*-eu*7", "pump-eu-eu-7", true),
            ("pump-??", "pump-07", true),
            ("pump-??", "pump-7", false),
            ("**7", "7", true),
            ("?", "", false),
        ] {
            assert_eq!(fits(pattern, id), expected, "{pattern} {id}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for text in ["a/b", "pump-[0-9]", "a b", "ü", &"a".repeat(65)] {
            assert_eq!(text.parse::<IdPattern>(), Err(BadPattern), "{text}");
        }
    }

    /// The plain definition, which takes its time.
    fn plain(pattern: &[u8], id: &[u8]) -> bool {
        match (pattern, id) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=id.len()).any(|taken| plain(rest, &id[taken..])),
            ([b'?', rest @ ..], [_, more @ ..]) => plain(rest, more),
            ([wanted, rest @ ..], [found, more @ ..]) => wanted == found && plain(rest, more),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_fits_as_the_plain_definition_says(pattern in "[ab*?]{1,8}", id in "[ab]{0,8}") {
            prop_assert_eq!(fits(&pattern, &id), plain(pattern.as_bytes(), id.as_bytes()));
        }
    }
}
