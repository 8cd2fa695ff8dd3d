//! Who a certificate speaks for: a site, a kind of party, an id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const URN_PREFIX: &str = "urn:muster:";
/// Also the upper bound X.520 sets for a common name.
const WORD_MAX: usize = 64;

/// The party a certificate names, rendered as `urn:muster:{site}:{kind}:{id}`.
///
/// ```
/// let pump: pki::Subject = "urn:muster:harbour:devices:pump-7".parse().unwrap();
/// assert_eq!((pump.site(), pump.id()), ("harbour", "pump-7"));
/// assert!("urn:muster:harbour:devices:+".parse::<pki::Subject>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject {
    site: String,
    kind: SubjectKind,
    id: String,
}

/// The five kinds of party that may hold a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectKind {
    /// A managed device with its own identity.
    Device,
    /// A claim shared by devices that have none yet.
    Claim,
    /// A person or tool that operates the fleet.
    Operator,
    /// A program of a third party.
    Integrator,
    /// One of Muster's own services.
    Service,
}

/// Why a text does not name a party.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is not of the form `urn:muster:{site}:{kind}:{id}`.
    #[error("a name has the form urn:muster:<site>:<kind>:<id>")]
    NotAUrn,
    /// The kind is none of ours.
    #[error("{0:?} is not a kind of party")]
    UnknownKind(String),
    /// The site or the id is not 1 to 64 of the letters allowed.
    #[error(
        "{0:?} is not a word of 1 to 64 letters, digits, '.', '_' or '-' that starts with a letter or digit"
    )]
    NotAWord(String),
}

impl Subject {
    /// Names a party; `site` and `id` must match `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
    pub fn new(site: &str, kind: SubjectKind, id: &str) -> Result<Subject, NameError> {
        Ok(Subject {
            site: word(site)?,
            kind,
            id: word(id)?,
        })
    }

    /// The installation the party belongs to.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// What kind of party it is.
    pub fn kind(&self) -> SubjectKind {
        self.kind
    }

    /// The party's id among its kind.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl SubjectKind {
    /// Every kind, in the order of this type.
    pub const ALL: [SubjectKind; 5] = [
        SubjectKind::Device,
        SubjectKind::Claim,
        SubjectKind::Operator,
        SubjectKind::Integrator,
        SubjectKind::Service,
    ];

    /// The plural word that stands in names.
    pub fn word(self) -> &'static str {
        match self {
            SubjectKind::Device => "devices",
            SubjectKind::Claim => "claims",
            SubjectKind::Operator => "operators",
            SubjectKind::Integrator => "integrators",
            SubjectKind::Service => "services",
        }
    }
}

/// Accepts what may stand between the colons of a name.
pub(crate) fn word(text: &str) -> Result<String, NameError> {
    let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let goes_on_well = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if starts_well && goes_on_well && text.len() <= WORD_MAX {
        return Ok(text.to_owned());
    }
    Err(NameError::NotAWord(text.chars().take(WORD_MAX).collect()))
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{URN_PREFIX}{}:{}:{}", self.site, self.kind, self.id)
    }
}

impl FromStr for Subject {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Subject, NameError> {
        let rest = text.strip_prefix(URN_PREFIX).ok_or(NameError::NotAUrn)?;
        let mut parts = rest.split(':');
        let (Some(site), Some(kind), Some(id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NameError::NotAUrn);
        };
        Subject::new(site, kind.parse()?, id)
    }
}

impl TryFrom<String> for Subject {
    type Error = NameError;

    fn try_from(text: String) -> Result<Subject, NameError> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        subject.to_string()
    }
}

impl fmt::Display for SubjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for SubjectKind {
    type Err = NameError;

    fn from_str(text: &str) -> Result<SubjectKind, NameError> {
        let kind = SubjectKind::ALL.into_iter().find(|kind| kind.word() == text);
        kind.ok_or_else(|| NameError::UnknownKind(text.chars().take(WORD_MAX).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_that_name_nobody() {
        let long = format!("urn:muster:a:devices:{}", "x".repeat(65));
        for text in [
            "",
            "urn:muster:",
            "urn:muster:a:devices",
            "urn:muster:a:devices:",
            "urn:muster::devices:b",
            "urn:muster:a:device:b",
            "urn:muster:a:Devices:b",
            "urn:muster:a:devices:b:c",
            "urn:muster:a:devices:b/c",
            "urn:muster:a:devices:#",
            "urn:muster:a:devices:.b",
            "urn:muster:a:devices:b ",
            "urn:muster:a:devices:b\0",
            "urn:muster:a:devices:ü",
            "URN:muster:a:devices:b",
            " urn:muster:a:devices:b",
            long.as_str(),
        ] {
            assert!(text.parse::<Subject>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_name_survives_its_text(
            site in "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
            kind in prop::sample::select(&SubjectKind::ALL[..]),
            id in "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        ) {
            let subject = Subject::new(&site, kind, &id).unwrap();
            prop_assert_eq!(subject.to_string().parse::<Subject>().unwrap(), subject);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in ".*") {
            let _ = text.parse::<Subject>();
        }
    }
}
