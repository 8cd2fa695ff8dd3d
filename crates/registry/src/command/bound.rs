//! How long a command may take, and how many devices a job has under way at once, as the rules of types, groups and
//! devices say it. The strictest counts. Where somebody asks for more they are refused; where they ask for nothing, the
//! usual is held to what is let.

use std::time::Duration;

use contract::{
    Code, Refusal,
    v1::{CommandRule, Group},
};
use service::{Fault, View};

use super::{
    allow,
    run::{WITHIN_MAX_MS, WITHIN_MS},
};
use crate::{state, tree};

/// The most devices of a job that may be under way at once.
pub(super) const AT_ONCE_MAX: u32 = 500;

/// What all rules let together.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Bounds {
    rules: Vec<CommandRule>,
}

/// As many as a rule lets are under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) at_once: u32,
    pub(super) by: String,
}

/// The bounds that hold for all members of a group.
pub(super) fn of_group(view: &View<'_>, group: &Group) -> Result<Bounds, Fault> {
    let mut rules = Vec::new();
    for id in tree::with_above(view, std::slice::from_ref(&group.group_id))? {
        let group: Group = view.load(state::group_key(&id))?.unwrap_or_default();
        rules.push(allow::of_group(group));
    }
    Ok(Bounds::of(rules))
}

impl Bounds {
    pub(super) fn of(rules: Vec<CommandRule>) -> Bounds {
        Bounds { rules }
    }

    /// The time of a command: what is asked for, or as much of the usual as is let. `field` is the request's.
    pub(super) fn within(&self, field: &str, said_ms: Option<u64>) -> Result<u64, Refusal> {
        let most_ms = longest(&self.rules).unwrap_or(WITHIN_MAX_MS);
        let Some(ms) = said_ms else {
            return Ok(WITHIN_MS.min(most_ms));
        };
        if ms <= most_ms {
            return Ok(ms);
        }
        let by = allow::named(&self.rules, |rule| rule.within_ms != 0 && rule.within_ms < ms);
        let message = format!(
            "a command may have {} at most, by the rule of {by}",
            span(most_ms)
        );
        Err(Refusal::new(Code::NotAllowed, message).at(field))
    }

    /// How many are under way at once: what is asked for, or as many of the usual as are let.
    pub(super) fn at_once(&self, said: Option<u32>, usual: u32) -> Result<u32, Refusal> {
        let most = fewest(&self.rules).unwrap_or(AT_ONCE_MAX);
        let Some(count) = said else {
            return Ok(usual.min(most));
        };
        if count <= most {
            return Ok(count);
        }
        let by = allow::named(&self.rules, |rule| rule.at_once != 0 && rule.at_once < count);
        let message = format!("{most} devices at once at most, by the rule of {by}");
        Err(Refusal::new(Code::NotAllowed, message).at("at_once"))
    }

    /// Whether a device has to wait while so many of its job are under way.
    pub(super) fn held(&self, under_way: u32) -> Option<Held> {
        let at_once = fewest(&self.rules).filter(|most| under_way >= *most)?;
        let by = allow::named(&self.rules, |rule| rule.at_once == at_once);
        Some(Held { at_once, by })
    }
}

/// The longest time that a command may have; `None`: no rule says.
pub(super) fn longest(rules: &[CommandRule]) -> Option<u64> {
    rules
        .iter()
        .map(|rule| rule.within_ms)
        .filter(|ms| *ms != 0)
        .min()
}

/// So many at once at most; `None`: no rule says.
pub(super) fn fewest(rules: &[CommandRule]) -> Option<u32> {
    rules.iter().map(|rule| rule.at_once).filter(|n| *n != 0).min()
}

/// What bounds a command, as the end of a sentence.
pub(super) fn told(rules: &[CommandRule]) -> String {
    let mut told = String::new();
    if let Some(ms) = longest(rules) {
        let by = allow::named(rules, |rule| rule.within_ms == ms);
        told.push_str(&format!("; within {} by the rule of {by}", span(ms)));
    }
    if let Some(count) = fewest(rules) {
        let by = allow::named(rules, |rule| rule.at_once == count);
        told.push_str(&format!("; {count} at once in a job by the rule of {by}"));
    }
    told
}

/// A rule's bound of time; 0 is none.
pub(crate) fn rule_within(ms: u64) -> Result<u64, Refusal> {
    if ms <= WITHIN_MAX_MS {
        return Ok(ms);
    }
    let message = format!("30 days at most ({WITHIN_MAX_MS} ms)");
    Err(Refusal::invalid("commands_within_ms", message))
}

/// A rule's bound of devices; 0 is none.
pub(crate) fn rule_at_once(count: u32) -> Result<u32, Refusal> {
    if count <= AT_ONCE_MAX {
        return Ok(count);
    }
    let message = format!("{AT_ONCE_MAX} devices at once at most");
    Err(Refusal::invalid("commands_at_once", message))
}

/// The stricter of two bounds, of which 0 is none.
pub(crate) fn stricter(one: u64, other: u64) -> u64 {
    match (one, other) {
        (0, bound) | (bound, 0) => bound,
        (one, other) => one.min(other),
    }
}

fn span(ms: u64) -> String {
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}
