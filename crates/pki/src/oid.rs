//! Object identifiers as people write them.

use std::fmt;
use std::str::FromStr;

use cms::cert::x509::der::asn1::ObjectIdentifier;
use serde::{Deserialize, Serialize};

/// The purposes of a certificate that give power over others, or that its profile says itself: serverAuth, clientAuth,
/// codeSigning, emailProtection, timeStamping, OCSPSigning and any (RFC 5280, section 4.2.1.12).
const POWERFUL: [&str; 7] = [
    "1.3.6.1.5.5.7.3.1",
    "1.3.6.1.5.5.7.3.2",
    "1.3.6.1.5.5.7.3.3",
    "1.3.6.1.5.5.7.3.4",
    "1.3.6.1.5.5.7.3.8",
    "1.3.6.1.5.5.7.3.9",
    "2.5.29.37.0",
];

/// An object identifier, `1.3.6.1.4.1.32473.1` for example.
///
/// ```
/// let policy: pki::Oid = "1.3.6.1.4.1.32473.1".parse().unwrap();
/// assert_eq!(policy.to_string(), "1.3.6.1.4.1.32473.1");
/// assert!("1.3.six".parse::<pki::Oid>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Oid(ObjectIdentifier);

/// Why a text is no object identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an object identifier is numbers parted by dots, for example 1.3.6.1.4.1.32473.1")]
pub struct OidError;

impl Oid {
    /// Whether a client's certificate may name it as a purpose beside clientAuth.
    pub fn is_further_purpose(&self) -> bool {
        !POWERFUL.contains(&self.to_string().as_str())
    }

    pub(crate) fn identifier(&self) -> ObjectIdentifier {
        self.0
    }

    pub(crate) fn arcs(&self) -> Vec<u64> {
        self.0.arcs().map(u64::from).collect()
    }
}

impl FromStr for Oid {
    type Err = OidError;

    fn from_str(text: &str) -> Result<Oid, OidError> {
        let read = ObjectIdentifier::new(text).map_err(|_| OidError)?;
        // It reads `1..3` as 1.0.3.
        match read.to_string() == text {
            true => Ok(Oid(read)),
            false => Err(OidError),
        }
    }
}

impl TryFrom<String> for Oid {
    type Error = OidError;

    fn try_from(text: String) -> Result<Oid, OidError> {
        text.parse()
    }
}

impl From<Oid> for String {
    fn from(oid: Oid) -> String {
        oid.to_string()
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_parted_by_dots() {
        for text in ["1.3.6.1.5.5.7.3.14", "2.5.29.32.0", "1.3.6.1.4.1.32473.1"] {
            assert_eq!(text.parse::<Oid>().unwrap().to_string(), text);
        }
        for text in ["", "1", "1.", "1.3.", "1..3", "3.1.1", "1.40.1", "a.b", "1.3.6 "] {
            assert_eq!(text.parse::<Oid>(), Err(OidError), "{text:?}");
        }
    }

    #[test]
    fn no_further_purpose_gives_power_over_others() {
        for (text, expected) in [
            ("1.3.6.1.5.5.7.3.14", true),
            ("1.3.6.1.4.1.32473.9", true),
            ("1.3.6.1.5.5.7.3.1", false),
            ("1.3.6.1.5.5.7.3.2", false),
            ("2.5.29.37.0", false),
        ] {
            let oid: Oid = text.parse().unwrap();
            assert_eq!(oid.is_further_purpose(), expected, "{text}");
        }
    }
}
