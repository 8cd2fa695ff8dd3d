//! Attributes by who writes them, and components.

use std::collections::BTreeMap;

use contract::{
    Code, Refusal,
    limits::{ENTRIES_MAX, VALUE_CHARS},
    v1::Device,
};

use super::value::Value;
use crate::policy;

/// Tags of one device.
const TAGS_MAX: usize = 20;
/// Identity attributes of one device.
const IDENTITY_MAX: usize = 16;
/// Longest value of a tag: it is searched by.
const TAG_CHARS: usize = 256;

/// Whose attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Operators write them, once.
    Identity,
    /// The device.
    Reported,
    /// Operators, to find devices by.
    Tags,
    /// Operators.
    Administrative,
    /// Services.
    System,
    /// The device: what is in it, with versions.
    Component,
}

use Scope::{Administrative, Component, Identity, Reported, System, Tags};

impl Scope {
    const ALL: [Scope; 6] = [Identity, Reported, Tags, Administrative, System, Component];
    /// Those that are not the device's.
    pub(super) const WRITTEN: [Scope; 4] = [Identity, Tags, Administrative, System];

    /// What a name begins with.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Identity => "identity",
            Reported => "attributes",
            Tags => "tags",
            Administrative => "administrative",
            System => "system",
            Component => "component",
        }
    }

    pub(super) fn find(word: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.word() == word)
    }

    pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
        [
            "identity.KEY",
            "attributes.KEY",
            "tags.KEY",
            "administrative.KEY",
            "system.KEY",
            "component.NAME",
        ]
        .into_iter()
    }

    /// Its attributes; components are no attributes.
    pub(crate) fn map(self, device: &Device) -> &BTreeMap<String, String> {
        const NONE: &BTreeMap<String, String> = &BTreeMap::new();
        match self {
            Identity => &device.identity,
            Reported => &device.attributes,
            Tags => &device.tags,
            Administrative => &device.administrative,
            System => &device.system,
            Component => NONE,
        }
    }

    pub(super) fn read<'a>(self, device: &'a Device, key: &str) -> Value<'a> {
        if self != Component {
            return Value::of_text(self.map(device).get(key).map_or("", String::as_str));
        }
        let found = device.components.iter().find(|component| component.name == key);
        Value::of_text(found.map_or("", |component| &component.version))
    }

    /// Writes an operator's attribute.
    pub(super) fn write(self, device: &mut Device, key: &str, value: &str) -> Result<(), Refusal> {
        let map = match self {
            Identity => &mut device.identity,
            Tags => &mut device.tags,
            Administrative => &mut device.administrative,
            Reported | Component => return Err(foreign(self, key, "what the device itself reports")),
            System => return Err(foreign(self, key, "what the services write")),
        };
        put(self, map, key, value)
    }

    fn limits(self) -> (usize, usize) {
        match self {
            Identity => (IDENTITY_MAX, TAG_CHARS),
            Tags => (TAGS_MAX, TAG_CHARS),
            _ => (ENTRIES_MAX, VALUE_CHARS),
        }
    }
}

/// Writes an attribute within its scope's limits.
pub(super) fn put(
    scope: Scope,
    map: &mut BTreeMap<String, String>,
    key: &str,
    value: &str,
) -> Result<(), Refusal> {
    let field = format!("{}.{}", scope.word(), super::shown(key));
    let (entries, chars) = scope.limits();
    policy::attribute(key, value).map_err(|refusal| refusal.at(&field))?;
    if value.chars().count() > chars {
        let message = format!("`{field}` may have {chars} characters");
        return Err(Refusal::new(Code::TooLarge, message).at(field));
    }
    if value.is_empty() {
        map.remove(key);
        return Ok(());
    }
    map.insert(key.to_owned(), value.to_owned());
    if map.len() > entries {
        let word = scope.word();
        let message =
            format!("a device may have {entries} entries in `{word}`; remove one with an empty value");
        return Err(Refusal::new(Code::Limit, message).at(field));
    }
    Ok(())
}

fn foreign(scope: Scope, key: &str, whose: &str) -> Refusal {
    let field = format!("{}.{}", scope.word(), super::shown(key));
    let message = format!("`{field}` is {whose}; operators write `tags` and `administrative`");
    Refusal::new(Code::Denied, message).at(field)
}
