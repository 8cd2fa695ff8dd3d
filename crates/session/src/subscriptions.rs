//! What one session has subscribed to.

use std::{collections::BTreeMap, str::FromStr};

use contract::{
    filter::{BadFilter, Filter},
    topic::measure,
};

use crate::protocol::{Options, Quality};

/// A filter, shared or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Every message that matches comes.
    Plain(Filter),
    /// Each message that matches comes to one of the group.
    Shared(Shared),
}

/// A shared subscription: `$share/{group}/{filter}` (MQTT 5, section 4.8.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shared {
    pub(crate) group: Box<str>,
    pub(crate) filter: Filter,
}

impl FromStr for Pattern {
    type Err = BadFilter;

    fn from_str(text: &str) -> Result<Pattern, BadFilter> {
        let Some(rest) = text.strip_prefix("$share/") else {
            return text.parse().map(Pattern::Plain);
        };
        let (group, filter) = rest.split_once('/').ok_or(BadFilter)?;
        // MQTT-4.8.2-1, 4.8.2-2
        if measure(text).is_err() || group.is_empty() || group.contains(['+', '#', '\0']) {
            return Err(BadFilter);
        }
        Ok(Pattern::Shared(Shared {
            group: group.into(),
            filter: filter.parse()?,
        }))
    }
}

impl Pattern {
    /// What it matches.
    pub(crate) fn filter(&self) -> &Filter {
        match self {
            Pattern::Plain(filter) | Pattern::Shared(Shared { filter, .. }) => filter,
        }
    }
}

/// How a message is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The most that any of the subscriptions grants.
    pub(crate) quality: Quality,
    /// Whether it is retained is told.
    pub(crate) retain_as_published: bool,
    /// The numbers of those subscriptions that have one (MQTT-3.3.4-3).
    pub(crate) identifiers: Vec<u32>,
}

impl Wanted {
    pub(crate) fn by(options: Options) -> Wanted {
        let mut wanted = Wanted::default();
        wanted.add(options);
        wanted
    }

    fn add(&mut self, options: Options) {
        self.quality = self.quality.max(options.quality);
        self.retain_as_published |= options.retain_as_published;
        if options.identifier != 0 {
            self.identifiers.push(options.identifier);
        }
    }
}

/// What has become of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is new.
    New,
    /// It replaces one of the same filter (MQTT-3.8.4-3).
    Again,
}

/// All of one session's.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    plain: BTreeMap<Filter, Options>,
    shared: BTreeMap<Shared, Options>,
}

impl Subscriptions {
    /// Adds one. `None`: there are `most` already.
    pub(crate) fn add(&mut self, pattern: Pattern, options: Options, most: usize) -> Option<Added> {
        let known = match &pattern {
            Pattern::Plain(filter) => self.plain.contains_key(filter),
            Pattern::Shared(shared) => self.shared.contains_key(shared),
        };
        if !known && self.plain.len() + self.shared.len() >= most {
            return None;
        }
        match pattern {
            Pattern::Plain(filter) => self.plain.insert(filter, options),
            Pattern::Shared(shared) => self.shared.insert(shared, options),
        };
        Some(if known { Added::Again } else { Added::New })
    }

    /// Removes one; whether it was there.
    pub(crate) fn remove(&mut self, pattern: &Pattern) -> bool {
        match pattern {
            Pattern::Plain(filter) => self.plain.remove(filter).is_some(),
            Pattern::Shared(shared) => self.shared.remove(shared).is_some(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.plain.len() + self.shared.len()
    }

    /// All of them as their client wrote them, with the QoS that each is granted.
    pub(crate) fn list(&self) -> impl Iterator<Item = (String, u32)> {
        let plain = self.plain.iter().map(|(filter, o)| (filter.to_string(), *o));
        let shared = self.shared.iter().map(|(shared, o)| {
            let Shared { group, filter } = shared;
            (format!("$share/{group}/{filter}"), *o)
        });
        plain.chain(shared).map(|(filter, o)| (filter, o.quality as u32))
    }

    /// How a message is wanted, if it is: one copy, whatever the number of filters.
    pub(crate) fn want(&self, topic: &str) -> Option<Wanted> {
        let mut matching = self.plain.iter().filter(|(filter, _)| filter.matches(topic));
        let mut wanted = Wanted::by(*matching.next()?.1);
        matching.for_each(|(_, options)| wanted.add(*options));
        Some(wanted)
    }

    /// Shared subscriptions that a message is for.
    pub(crate) fn share<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = (&'a Shared, Options)> {
        let matching = self
            .shared
            .iter()
            .filter(|(shared, _)| shared.filter.matches(topic));
        matching.map(|(shared, options)| (shared, *options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(quality: Quality, identifier: u32) -> Options {
        Options {
            quality,
            identifier,
            ..Options::default()
        }
    }

    #[test]
    fn a_share_has_a_name_without_wildcards_and_a_filter() {
        assert!(matches!("$share/g/a/#".parse(), Ok(Pattern::Shared(s)) if &*s.group == "g"));
        assert!(matches!("a/#".parse(), Ok(Pattern::Plain(_))));
        for bad in [
            "$share/g",
            "$share//a",
            "$share/g+/a",
            "$share/#/a",
            "$share/g/",
            "$share/g/a#",
            "$share",
            &format!("$share/{}/a", "g".repeat(512)),
        ] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn overlapping_filters_grant_the_best_of_them_once_and_name_all() {
        let mut all = Subscriptions::default();
        for (filter, quality, identifier) in [
            ("x/+", Quality::AtMostOnce, 3),
            ("x/#", Quality::ExactlyOnce, 4),
            ("x/y", Quality::AtLeastOnce, 0),
        ] {
            all.add(filter.parse().unwrap(), options(quality, identifier), 9);
        }
        let wanted = all.want("x/y").unwrap();
        assert_eq!(wanted.quality, Quality::ExactlyOnce);
        let mut identifiers = wanted.identifiers;
        identifiers.sort_unstable();
        assert_eq!(identifiers, [3, 4]);
        assert_eq!(all.want("y"), None);
        assert!(all.remove(&"x/#".parse().unwrap()) && !all.remove(&"x/#".parse().unwrap()));
    }

    #[test]
    fn one_more_than_the_most_is_none_but_the_same_again_is() {
        let mut all = Subscriptions::default();
        let option = Options::default();
        assert_eq!(all.add("a".parse().unwrap(), option, 1), Some(Added::New));
        assert_eq!(all.add("a".parse().unwrap(), option, 1), Some(Added::Again));
        assert_eq!(all.add("$share/g/a".parse().unwrap(), option, 1), None);
    }
}
