//! MQTT topic filters: what matches, and what lies within what (MQTT 5, section 4.7).

use std::{fmt, str::FromStr};

use crate::{
    limits::{TOPIC_BYTES, TOPIC_LEVELS},
    topic::measure,
};

/// A valid topic filter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filter(Box<str>);

/// Why a text is no topic filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a topic filter: `#` stands last and alone, `+` alone between slashes, at most {TOPIC_BYTES} bytes and {TOPIC_LEVELS} levels, no NUL"
)]
pub struct BadFilter;

impl FromStr for Filter {
    type Err = BadFilter;

    fn from_str(text: &str) -> Result<Filter, BadFilter> {
        if text.is_empty() || measure(text).is_err() || text.contains('\0') || text.starts_with("$share") {
            return Err(BadFilter);
        }
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            let plain = !level.contains(['+', '#']);
            let good = plain || level == "+" || (level == "#" && levels.peek().is_none());
            if !good {
                return Err(BadFilter);
            }
        }
        Ok(Filter(text.into()))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Filter {
    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a message on `topic` is for this filter.
    pub fn matches(&self, topic: &str) -> bool {
        if topic.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut topic = topic.split('/');
        let mut filter = self.0.split('/');
        loop {
            match (filter.next(), topic.next()) {
                (Some("#"), _) => return true,
                (Some("+"), Some(_)) => {}
                (Some(f), Some(t)) if f == t => {}
                (None, None) => return true,
                _ => return false,
            }
        }
    }

    /// Whether there is a topic that both match.
    ///
    /// ```
    /// use contract::filter::Filter;
    /// let event: Filter = "registry/devices/+/moved".parse().unwrap();
    /// assert!(event.meets(&"registry/#".parse().unwrap()));
    /// assert!(event.meets(&"+/devices/pump-7/moved".parse().unwrap()));
    /// assert!(!event.meets(&"devices/#".parse().unwrap()));
    /// ```
    pub fn meets(&self, other: &Filter) -> bool {
        if let (Some('$'), Some('+' | '#')) | (Some('+' | '#'), Some('$')) =
            (self.0.chars().next(), other.0.chars().next())
        {
            return false;
        }
        let mut mine = self.0.split('/');
        let mut theirs = other.0.split('/');
        loop {
            match (mine.next(), theirs.next()) {
                (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
                (Some(m), Some(t)) if m == t || m == "+" || t == "+" => {}
                _ => return false,
            }
        }
    }

    /// Whether every topic that `other` matches is matched by this filter too.
    ///
    /// ```
    /// use contract::filter::Filter;
    /// let grant: Filter = "events/registry/#".parse().unwrap();
    /// assert!(grant.covers(&"events/registry/+/quarantined".parse().unwrap()));
    /// assert!(!grant.covers(&"events/+/x".parse().unwrap()));
    /// ```
    pub fn covers(&self, other: &Filter) -> bool {
        // A wildcard at the beginning matches nothing that begins with `$` (MQTT-4.7.2-1).
        if other.0.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut mine = self.0.split('/');
        let mut theirs = other.0.split('/');
        loop {
            match (mine.next(), theirs.next()) {
                (Some("#"), _) => return true,
                (Some("+"), Some(t)) if t != "#" => {}
                (Some(m), Some(t)) if m == t => {}
                (None, None) => return true,
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        text.parse().unwrap()
    }

    #[test]
    fn malformed_filters_do_not_parse() {
        for bad in [
            "",
            "a/#/b",
            "a+/b",
            "a/b#",
            "#a",
            "a\0",
            "$share/g/#",
            "$share//x",
            &"a".repeat(TOPIC_BYTES + 1),
            &"/".repeat(TOPIC_LEVELS),
        ] {
            assert!(bad.parse::<Filter>().is_err(), "{bad:?}");
        }
        for good in ["a".repeat(TOPIC_BYTES), "/".repeat(TOPIC_LEVELS - 1)] {
            assert!(good.parse::<Filter>().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn matching_follows_the_standard() {
        let cases = [
            ("sport/#", "sport", true),
            ("sport/#", "sport/a/b", true),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("#", "$SYS/x", false),
            ("a/b", "a/b/c", false),
        ];
        for (f, topic, expected) in cases {
            assert_eq!(filter(f).matches(topic), expected, "{f} {topic}");
        }
    }

    #[test]
    fn covering_is_not_prefixing() {
        assert!(filter("a/+/c").covers(&filter("a/b/c")));
        assert!(!filter("a/+/c").covers(&filter("a/#")));
        assert!(!filter("a/b").covers(&filter("a/bc")));
        assert!(filter("a/#").covers(&filter("a/+/#")));
        assert!(!filter("a/+").covers(&filter("a/+/+")));
    }
}
