//! What a principal may do at the front door: the questions, and the shape of the answers.
//!
//! A [`Policy`] is asked at five moments and decides nothing else. [`DeviceManagement`] is the one that Muster
//! is run with; another can wrap it or stand in its place (docs/policies.md).

mod device_management;

use std::{collections::BTreeSet, fmt::Debug};

use contract::{
    Refusal,
    filter::Filter,
    grant::Rights,
    id::{Principal, ServiceName},
    verb::{Verb, Who},
};

pub use self::device_management::{DeviceManagement, standing};
use crate::{
    cause::Cause,
    facts::{KnownBatch, KnownCertificate, KnownDevice, KnownManufacturer, KnownPerson},
    login::KnownLogin,
    peer::Caller,
};

/// What the front door asks about a principal.
///
/// Every answer is a function of its arguments: no clock, no I/O, nothing remembered. The front door asks
/// [`connect`](Policy::connect) again whenever a fact about somebody changes, and compares; what is asked
/// while a message passes must be quick, and must not block.
///
/// A policy cannot open what the front door does not have: whose a connection is comes from the transport, a
/// publish reaches a service by a verb of the table only, and an answer is put before nobody but the principal
/// that it is addressed to. The services look at every request again.
pub trait Policy: Debug + Send + Sync {
    /// Whether somebody may be connected by the facts as they are, and with what standing. `now_ms` is
    /// milliseconds since 1970.
    fn connect(&self, caller: &Caller, facts: &dyn Known, now_ms: i64) -> Result<Standing, Denial>;

    /// What a publish on this topic asks for, or the final refusal, which the client is told.
    fn publish(&self, caller: &Caller, standing: &Standing, topic: &str) -> Result<&'static Verb, Refusal>;

    /// Whether somebody may subscribe to all that a filter matches.
    fn subscribe(&self, caller: &Caller, standing: &Standing, filter: &Filter) -> bool;

    /// Whether a message that somebody subscribed to may be put before them now.
    fn deliver(&self, caller: &Caller, standing: &Standing, offer: Offer<'_>) -> bool;

    /// A connection is over. What comes back is told to monitoring as a security notice, `disconnected`.
    fn disconnected(&self, caller: &Caller, standing: &Standing, cause: Cause) -> Option<String> {
        let _ = (caller, standing, cause);
        None
    }
}

/// What is about to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer<'a> {
    /// What a service says to this principal, and to nobody else.
    Own {
        /// The service.
        from: ServiceName,
        /// Below the principal's own `down/`.
        topic: &'a str,
    },
    /// An event.
    Event {
        /// Below `events/`.
        topic: &'a str,
        /// The groups of the device that it is about, or the group.
        groups: &'a [String],
    },
    /// What a device says to whoever is granted its data.
    Data {
        /// Where the device published it.
        topic: &'a str,
        /// The device's groups.
        groups: &'a [String],
    },
}

/// How much of what is open to its kind a principal may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// All of it.
    #[default]
    Everything,
    /// A quarantined device: only the verbs that repair it.
    Repair,
    /// A device whose certificate has ended: only its next certificate.
    Renewal,
}

/// What a connected principal may do at present.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standing {
    /// How much of the verb table.
    pub reach: Reach,
    /// What an operator was granted.
    pub rights: Rights,
    /// Whole filters: of events, and of devices' data.
    pub grants: Vec<Filter>,
    /// Events and data of which only those about devices of these groups may be seen.
    pub within: Vec<(Filter, BTreeSet<String>)>,
}

impl Standing {
    /// Whether an event, or a device's data, is granted that is about a device of these groups, or about none.
    pub fn may_see(&self, topic: &str, groups: &[String]) -> bool {
        let is_within = |held: &BTreeSet<String>| groups.iter().any(|group| held.contains(group));
        self.grants.iter().any(|grant| grant.matches(topic))
            && self
                .within
                .iter()
                .all(|(filter, held)| !filter.matches(topic) || is_within(held))
    }
}

/// When a standing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// How long after its end a device's certificate still renews, milliseconds.
    pub renew_after_ms: u64,
}

/// Why somebody may not be connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial(pub String);

/// What is known of those who connect: the front door's copy of the facts, or the same from elsewhere.
pub trait Known {
    /// A device.
    fn device(&self, id: &str) -> Option<&KnownDevice>;
    /// An operator or an integrator.
    fn person(&self, who: &Principal) -> Option<&KnownPerson>;
    /// What an operator or an integrator logs in with. Who does not know lets nobody log in.
    fn login(&self, who: &Principal) -> Option<&KnownLogin> {
        let _ = who;
        None
    }
    /// A certificate, by serial.
    fn certificate(&self, serial: &str) -> Option<&KnownCertificate>;
    /// A batch of claims.
    fn batch(&self, id: &str) -> Option<&KnownBatch>;
    /// A manufacturer whose certificates let devices in. Who does not know lets nobody in by them.
    fn manufacturer(&self, name: &str) -> Option<&KnownManufacturer> {
        let _ = name;
        None
    }
}

/// Whether a service may ask another.
pub(crate) fn service_may(service: ServiceName, verb: &Verb) -> bool {
    verb.who
        .iter()
        .any(|who| matches!(who, Who::AnyService) || *who == Who::Service(service))
}

/// When a connection must end because its certificate or token does, milliseconds since 1970.
pub(crate) fn end_ms(caller: &Caller, standing: &Standing, renew_after_ms: u64) -> Option<i64> {
    let end = caller.not_after_ms()?;
    Some(match standing.reach {
        Reach::Renewal => end.saturating_add_unsigned(renew_after_ms),
        Reach::Everything | Reach::Repair => end,
    })
}
