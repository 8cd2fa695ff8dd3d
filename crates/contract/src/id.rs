//! Names that only parse: what is held is valid, everywhere.

use std::{fmt, str::FromStr};

use crate::limits::ID_CHARS;

/// The name of a device, a person, a group, a rollout: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
///
/// ```
/// use contract::Id;
/// assert!("pump-7".parse::<Id>().is_ok());
/// assert!("a/b".parse::<Id>().is_err());
/// assert!("".parse::<Id>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Box<str>);

impl Id {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which ids that differ in case only are twins.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to 64 characters, letters, digits, `.`, `_` and `-`, and begins with a letter or digit")]
pub struct BadId;

impl FromStr for Id {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Id, BadId> {
        let bytes = text.as_bytes();
        let first = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
        let rest = bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if first && rest && bytes.len() <= ID_CHARS {
            Ok(Id(text.into()))
        } else {
            Err(BadId)
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// What sort of principal a name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A managed device.
    Device,
    /// A device that has no identity yet; its name is the one it hopes for.
    Claim,
    /// A person or program that commands.
    Operator,
    /// A program that follows event streams.
    Integrator,
    /// A part of Muster.
    Service,
}

impl Kind {
    /// All kinds, in the order of the topic table.
    pub const ALL: [Kind; 5] = [
        Kind::Device,
        Kind::Claim,
        Kind::Operator,
        Kind::Integrator,
        Kind::Service,
    ];

    /// The word in topics and in certificates.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Device => "devices",
            Kind::Claim => "claims",
            Kind::Operator => "operators",
            Kind::Integrator => "integrators",
            Kind::Service => "services",
        }
    }

    /// The kind behind a word of topics.
    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A kind and a name: who somebody is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    /// The sort.
    pub kind: Kind,
    /// The name.
    pub id: Id,
}

impl Principal {
    /// A principal of this kind and name.
    pub fn new(kind: Kind, id: Id) -> Principal {
        Principal { kind, id }
    }
}

impl From<ServiceName> for Principal {
    fn from(service: ServiceName) -> Principal {
        Principal::new(Kind::Service, Id(service.word().into()))
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

impl FromStr for Principal {
    type Err = BadId;

    /// `devices/pump-7`.
    fn from_str(text: &str) -> Result<Principal, BadId> {
        let (kind, id) = text.split_once('/').ok_or(BadId)?;
        Ok(Principal::new(Kind::from_word(kind).ok_or(BadId)?, id.parse()?))
    }
}

/// The parts of Muster that have a name on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceName {
    /// Who the devices are.
    Registry,
    /// Certificates.
    Provisioning,
    /// Firmware.
    Rollout,
    /// Presence and alerts.
    Monitoring,
    /// The broker's edge.
    FrontDoor,
}

impl ServiceName {
    /// The four services that keep state, in the order in which they start.
    pub const KEEPERS: [ServiceName; 4] = [
        ServiceName::Registry,
        ServiceName::Provisioning,
        ServiceName::Rollout,
        ServiceName::Monitoring,
    ];

    /// The word in topics.
    pub const fn word(self) -> &'static str {
        match self {
            ServiceName::Registry => "registry",
            ServiceName::Provisioning => "provisioning",
            ServiceName::Rollout => "rollout",
            ServiceName::Monitoring => "monitoring",
            ServiceName::FrontDoor => "front-door",
        }
    }

    /// The service behind a word of topics.
    pub fn from_word(word: &str) -> Option<ServiceName> {
        ServiceName::KEEPERS
            .into_iter()
            .chain([ServiceName::FrontDoor])
            .find(|service| service.word() == word)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_one_rule() {
        for good in ["a", "9", "pump-7", "A.b_c-d", &"x".repeat(64)] {
            assert!(good.parse::<Id>().is_ok(), "{good}");
        }
        let long = "x".repeat(65);
        let bad = [
            "",
            "-a",
            ".a",
            "_a",
            "../x",
            "a/b",
            "+",
            "#",
            "a\0",
            "é",
            "a b",
            "a\u{200b}",
            &long,
        ];
        for text in bad {
            assert!(text.parse::<Id>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn principals_print_and_parse() {
        let who: Principal = "devices/pump-7".parse().unwrap();
        assert_eq!(who.to_string(), "devices/pump-7");
        assert!("nobody/x".parse::<Principal>().is_err());
        assert!("devices/".parse::<Principal>().is_err());
    }
}
