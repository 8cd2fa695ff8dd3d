//! Topics, both ways: every topic that exists parses to a value, and every value prints its topic.
//!
//! ```
//! use contract::{Root, Topic};
//! let root: Root = "muster/v1".parse().unwrap();
//! let topic = "muster/v1/devices/pump-7/up/registry/report";
//! let parsed = root.parse_topic(topic).unwrap();
//! assert!(matches!(&parsed, Topic::Up { verb, .. } if verb.name == "report"));
//! assert_eq!(root.print(&parsed), topic);
//! ```

use std::{fmt, str::FromStr};

use crate::{
    filter::Filter,
    id::{Id, Kind, Principal, ServiceName},
    limits,
    verb::{self, Verb},
};

/// How a topic, or a filter, is longer than any that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLong {
    /// It has more than [`limits::TOPIC_BYTES`].
    Bytes,
    /// It has more than [`limits::TOPIC_LEVELS`].
    Levels,
}

/// Whether a topic, or a filter, is of a length that is looked at.
pub fn measure(topic: &str) -> Result<(), TooLong> {
    if topic.len() > limits::TOPIC_BYTES {
        return Err(TooLong::Bytes);
    }
    match topic.split('/').count() > limits::TOPIC_LEVELS {
        true => Err(TooLong::Levels),
        false => Ok(()),
    }
}

/// The levels that all of an installation's topics begin with; `muster/v1` unless configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Root(Box<str>);

/// Why a text is no root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a topic root is one to four ids joined by `/`, for example `muster/v1`")]
pub struct BadRoot;

impl FromStr for Root {
    type Err = BadRoot;

    fn from_str(text: &str) -> Result<Root, BadRoot> {
        let good = text.split('/').all(|level| level.parse::<Id>().is_ok());
        if good && text.split('/').count() <= 4 {
            Ok(Root(text.into()))
        } else {
            Err(BadRoot)
        }
    }
}

impl Default for Root {
    fn default() -> Root {
        Root("muster/v1".into())
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The end of a reply's topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leaf {
    /// A message that nobody asked for.
    Push,
    /// The result.
    Accepted,
    /// The refusal.
    Rejected,
}

/// A topic of Muster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// A principal's request to a service.
    Up {
        /// Whose it is.
        who: Principal,
        /// What is asked.
        verb: &'static Verb,
    },
    /// A service's word to a principal.
    Down {
        /// To whom.
        who: Principal,
        /// From which service.
        service: ServiceName,
        /// The verb or push; may hold one slash (`publish/rejected`).
        name: String,
        /// Reply or not.
        leaf: Leaf,
    },
    /// An event.
    Event {
        /// Who publishes it.
        service: ServiceName,
        /// What sort of thing it is about, and which.
        subject: String,
        /// What happened.
        name: String,
    },
    /// A fact.
    Fact {
        /// Who owns it.
        service: ServiceName,
        /// The sort of thing.
        entity: String,
        /// Which one.
        id: String,
    },
    /// A service's envelopes: `true` from the service to the front door.
    Bus {
        /// Whose.
        service: ServiceName,
        /// `out` (from the service) or `in`.
        outward: bool,
    },
}

impl Root {
    /// The root as text, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What comes after the root.
    pub fn strip<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic.strip_prefix(&*self.0)?.strip_prefix('/')
    }

    /// Reads a topic; `None` when there is no such topic.
    pub fn parse_topic(&self, topic: &str) -> Option<Topic> {
        let rest = self.strip(topic)?;
        let (head, tail) = rest.split_once('/')?;
        match head {
            "events" => parse_event(tail),
            "facts" => parse_fact(tail),
            "bus" => parse_bus(tail),
            kind => parse_principal(Kind::from_word(kind)?, tail),
        }
    }

    /// Writes a topic.
    pub fn print(&self, topic: &Topic) -> String {
        match topic {
            Topic::Up { who, verb } => self.up(who, verb.service, verb.name),
            Topic::Down {
                who,
                service,
                name,
                leaf,
            } => self.down(who, *service, name, *leaf),
            Topic::Event {
                service,
                subject,
                name,
            } => self.event(*service, subject, name),
            Topic::Fact { service, entity, id } => format!("{self}/facts/{service}/{entity}/{id}"),
            Topic::Bus { service, outward } => {
                format!("{self}/bus/{service}/{}", if *outward { "out" } else { "in" })
            }
        }
    }

    /// `{root}/{kind}/{id}/up/{service}/{verb}`
    pub fn up(&self, who: &Principal, service: ServiceName, verb: &str) -> String {
        format!("{self}/{who}/up/{service}/{verb}")
    }

    /// `{root}/{kind}/{id}/down/{service}/{name}[/accepted|/rejected]`
    pub fn down(&self, who: &Principal, service: ServiceName, name: &str, leaf: Leaf) -> String {
        let leaf = match leaf {
            Leaf::Push => "",
            Leaf::Accepted => "/accepted",
            Leaf::Rejected => "/rejected",
        };
        format!("{self}/{who}/down/{service}/{name}{leaf}")
    }

    /// `{root}/events/{service}/{subject}/{event}`, where the subject is `devices/pump-7`.
    pub fn event(&self, service: ServiceName, subject: &str, name: &str) -> String {
        format!("{self}/events/{service}/{subject}/{name}")
    }

    /// The filter of everything under a principal's `down/`.
    pub fn down_filter(&self, who: &Principal) -> String {
        format!("{self}/{who}/down/#")
    }

    /// Whether a principal of no particular grant may subscribe to this: it lies under its own `down/`.
    pub fn own_down_covers(&self, who: &Principal, filter: &Filter) -> bool {
        self.down_filter(who)
            .parse::<Filter>()
            .is_ok_and(|own| own.covers(filter))
    }

    /// A grant of devices' own streams (a device's id, or `+` for all of them) as a whole filter.
    pub fn data_grant(&self, device: &str) -> Option<Filter> {
        if device != "+" && device.parse::<Id>().is_err() {
            return None;
        }
        let (kind, door) = (Kind::Device, ServiceName::FrontDoor);
        format!("{self}/{kind}/{device}/up/{door}/{}", verb::DATA)
            .parse()
            .ok()
    }

    /// A grant (an MQTT filter below `events/`) as a whole filter.
    pub fn event_grant(&self, grant: &str) -> Option<Filter> {
        format!("{self}/events/{grant}").parse().ok()
    }
}

fn parse_principal(kind: Kind, rest: &str) -> Option<Topic> {
    let (id, rest) = rest.split_once('/')?;
    let who = Principal::new(kind, id.parse().ok()?);
    let (direction, rest) = rest.split_once('/')?;
    let (service, name) = rest.split_once('/')?;
    let service = ServiceName::from_word(service)?;
    match direction {
        "up" => Some(Topic::Up {
            who,
            verb: Verb::find(service, name)?,
        }),
        "down" => {
            let (name, leaf) = if let Some(verb) = name.strip_suffix("/accepted") {
                (verb, Leaf::Accepted)
            } else if let Some(verb) = name.strip_suffix("/rejected") {
                (verb, Leaf::Rejected)
            } else {
                (name, Leaf::Push)
            };
            Some(Topic::Down {
                who,
                service,
                name: name.to_owned(),
                leaf,
            })
        }
        _ => None,
    }
}

fn parse_event(rest: &str) -> Option<Topic> {
    let (service, rest) = rest.split_once('/')?;
    let (subject, name) = rest.rsplit_once('/')?;
    let service = ServiceName::from_word(service)?;
    Some(Topic::Event {
        service,
        subject: subject.to_owned(),
        name: name.to_owned(),
    })
}

fn parse_fact(rest: &str) -> Option<Topic> {
    let mut levels = rest.splitn(3, '/');
    let service = ServiceName::from_word(levels.next()?)?;
    let (entity, id) = (levels.next()?.to_owned(), levels.next()?.to_owned());
    Some(Topic::Fact { service, entity, id })
}

fn parse_bus(rest: &str) -> Option<Topic> {
    let (service, direction) = rest.split_once('/')?;
    let service = ServiceName::from_word(service)?;
    let outward = match direction {
        "out" => true,
        "in" => false,
        _ => return None,
    };
    Some(Topic::Bus { service, outward })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verb::VERBS;

    #[test]
    fn every_verb_prints_and_parses() {
        let root = Root::default();
        for verb in VERBS {
            for who in verb.who {
                let who = Principal::new(who.kind(), "x-1".parse().unwrap());
                let topic = Topic::Up { who, verb };
                assert_eq!(root.parse_topic(&root.print(&topic)), Some(topic));
            }
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_no_topic() {
        let root = Root::default();
        for topic in [
            "",
            "muster",
            "muster/v1",
            "muster/v1/devices/a/up/registry",
            "muster/v1/devices/a/up/registry/nonsense",
            "muster/v1/devices/a b/up/registry/report",
            "muster/v1/devices/+/up/registry/report",
            "muster/v1x/devices/a/up/registry/report",
            "é/x",
            "日本",
            "muster/v1/devices/a/sideways/registry/report",
            "muster/v1/devices/a/up/registry/report/",
        ] {
            assert_eq!(root.parse_topic(topic), None, "{topic}");
        }
    }

    #[test]
    fn own_down_is_decided_by_filters() {
        let root = Root::default();
        let me: Principal = "devices/a".parse().unwrap();
        let own = |f: &str| root.own_down_covers(&me, &f.parse().unwrap());
        assert!(own("muster/v1/devices/a/down/#"));
        assert!(own("muster/v1/devices/a/down/registry/+"));
        assert!(!own("muster/v1/devices/+/down/#"));
        assert!(!own("muster/v1/devices/ab/down/#"));
        assert!(!own("#"));
    }
}
