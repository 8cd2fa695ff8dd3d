//! A certificate before it is signed, with nothing left to decide.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::extras::Extras;
use crate::key::PublicKey;
use crate::name::Subject;
use crate::serial::Serial;
use crate::validity::Validity;

/// All that will stand in a certificate. Record it, then sign it: signing again gives the same contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The serial number, drawn by the caller and unique among all the authority's certificates.
    pub serial: Serial,
    /// What the certificate may be used for.
    pub profile: Profile,
    /// The party it names.
    pub subject: Subject,
    /// The SubjectPublicKeyInfo to certify, byte for byte.
    #[serde(with = "hex::serde")]
    pub spki_der: Vec<u8>,
    /// The first instant of validity, in milliseconds since 1970.
    pub not_before_ms: i64,
    /// The last instant of validity, in milliseconds since 1970.
    pub not_after_ms: i64,
    /// What it says beside its profile.
    #[serde(default)]
    pub extras: Extras,
}

/// The two kinds of certificate an issuing authority signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// Proves to the front door who connects; names the party by its URN.
    Client,
    /// Proves to those who connect that they reached the front door; names hosts and no party.
    Server {
        /// The names and addresses under which the server is reached; at least one.
        hosts: Vec<Host>,
    },
}

/// The names under which a machine reaches itself. A server's certificate has them, so that the command line beside it gets in.
pub const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A name or an address of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Host {
    /// A DNS name, without wildcards.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

impl Plan {
    /// Puts a plan together from its parts.
    pub fn new(
        serial: Serial,
        profile: Profile,
        subject: Subject,
        key: &PublicKey,
        validity: Validity,
    ) -> Plan {
        Plan {
            serial,
            profile,
            subject,
            spki_der: key.spki_der().to_vec(),
            not_before_ms: validity.not_before_ms,
            not_after_ms: validity.not_after_ms,
            extras: Extras::default(),
        }
    }

    /// Both ends of the period of validity.
    pub fn validity(&self) -> Validity {
        Validity {
            not_before_ms: self.not_before_ms,
            not_after_ms: self.not_after_ms,
        }
    }
}

impl Profile {
    /// The hosts that are named; a client's name is none.
    pub fn hosts(&self) -> &[Host] {
        match self {
            Profile::Client => &[],
            Profile::Server { hosts } => hosts,
        }
    }
}

impl Host {
    /// Reads a host as people write it: an address if it is one, else a DNS name.
    pub fn parse(text: &str) -> Option<Host> {
        let host = text
            .parse()
            .map_or_else(|_| Host::Dns(text.to_ascii_lowercase()), Host::Ip);
        host.is_well_formed().then_some(host)
    }

    pub(crate) fn is_well_formed(&self) -> bool {
        match self {
            Host::Ip(_) => true,
            Host::Dns(name) => name.len() <= 253 && name.split('.').all(is_label),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Host::Dns(name) => f.write_str(name),
            Host::Ip(address) => address.fmt(f),
        }
    }
}

fn is_label(label: &str) -> bool {
    let letters = label
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    letters && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_as_people_write_them() {
        assert_eq!(
            Host::parse("Broker.local"),
            Some(Host::Dns("broker.local".into()))
        );
        for text in ["broker.local", "192.0.2.7", "::1"] {
            assert_eq!(Host::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Host::parse("::1"), Some(Host::Ip("::1".parse().unwrap())));
        for text in ["", ".", "a..b", "*.local", "a b", "-a", "a_b", "ü"] {
            assert_eq!(Host::parse(text), None, "{text:?}");
        }
    }
}
