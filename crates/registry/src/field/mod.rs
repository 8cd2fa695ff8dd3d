//! Every field of a device by its name: one vocabulary for changes, imports, exports, events and queries.

mod scope;
mod table;
mod value;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    Refusal,
    v1::{Device, Stage},
};
use serde_json::json;

pub(crate) use self::{
    scope::Scope,
    table::{Plain, Sort, has_coordinates},
    value::Value,
    write::{day, price},
};
use crate::event::Fields;

/// A field that has a name.
#[derive(Debug, Clone)]
pub(crate) enum Field {
    /// One of the table.
    Plain(&'static Plain),
    /// An attribute or a component: `tags.line`.
    Scoped(Scope, String),
}

impl Field {
    /// The field of this name.
    pub(crate) fn find(name: &str) -> Result<Field, Refusal> {
        if let Some(plain) = table::find(name) {
            return Ok(Field::Plain(plain));
        }
        let scoped = name
            .split_once('.')
            .and_then(|(scope, key)| Some((Scope::find(scope)?, key)));
        if let Some((scope, key)) = scoped.filter(|(_, key)| !key.is_empty()) {
            return Ok(Field::Scoped(scope, key.to_owned()));
        }
        let message = format!("there is no field `{}`; docs/registry.md lists them", shown(name));
        Err(Refusal::invalid(shown(name), message).allowing(table::names().chain(Scope::patterns())))
    }

    /// What it says of a device.
    pub(crate) fn read<'a>(&self, device: &'a Device) -> Value<'a> {
        match self {
            Field::Plain(plain) => (plain.read)(device),
            Field::Scoped(scope, key) => scope.read(device, key),
        }
    }

    /// How its values are compared.
    pub(crate) fn sort(&self) -> Sort {
        match self {
            Field::Plain(plain) => plain.sort,
            Field::Scoped(Scope::Component, _) => Sort::Version,
            Field::Scoped(..) => Sort::Text,
        }
    }

    /// Whether it is what other services know of the device, which changes beside its record.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self, Field::Plain(plain) if plain.live)
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        match self {
            Field::Plain(plain) => plain.name.to_owned(),
            Field::Scoped(scope, key) => format!("{}.{key}", scope.word()),
        }
    }
}

/// Writes operators' fields by name; an empty value removes. Nothing is checked against other entities.
pub(crate) fn write(device: &mut Device, set: &BTreeMap<String, String>) -> Result<(), Refusal> {
    for (name, text) in set {
        let result = match Field::find(name)? {
            Field::Plain(plain) => write::plain(device, plain, text),
            Field::Scoped(scope, key) => scope.write(device, &key, text),
        };
        result?;
    }
    if device.position.as_ref().is_some_and(|p| *p == Default::default()) {
        device.position = None;
    }
    Ok(())
}

/// A service's own attributes.
pub(crate) fn annotate(device: &mut Device, system: &BTreeMap<String, String>) -> Result<(), Refusal> {
    system
        .iter()
        .try_for_each(|(key, value)| scope::put(Scope::System, &mut device.system, key, value))
}

/// Identity fields are set once; while a device is planned, what was expected of it may be corrected.
pub(crate) fn set_once(before: &Device, after: &Device) -> Result<(), Refusal> {
    if before.stage() == Stage::Planned {
        return Ok(());
    }
    let once = table::all().filter(|plain| plain.once);
    let changed = once.filter(|plain| {
        let former = (plain.read)(before);
        !former.is_absent() && former != (plain.read)(after)
    });
    let names = changed.map(|plain| plain.name.to_owned());
    let attributes = before
        .identity
        .iter()
        .filter(|(key, value)| after.identity.get(*key) != Some(value))
        .map(|(key, _)| format!("identity.{key}"));
    match names.chain(attributes).next() {
        None => Ok(()),
        Some(name) => Err(write::is_once(before, &name)),
    }
}

/// What differs, as events tell it: `{field: {from, to}}`.
pub(crate) fn changes(before: &Device, after: &Device) -> Fields {
    let operators = table::all().filter(|plain| plain.is_written());
    let mut fields: Fields = operators
        .filter_map(|plain| {
            let (from, to) = ((plain.read)(before), (plain.read)(after));
            (from != to).then(|| {
                (
                    plain.name.to_owned(),
                    json!({ "from": from.json(), "to": to.json() }),
                )
            })
        })
        .collect();
    for scope in Scope::WRITTEN {
        let (former, present) = (scope.map(before), scope.map(after));
        let keys: BTreeSet<_> = former.keys().chain(present.keys()).collect();
        for key in keys {
            let (from, to) = (former.get(key), present.get(key));
            if from != to {
                fields.insert(
                    format!("{}.{key}", scope.word()),
                    json!({ "from": from, "to": to }),
                );
            }
        }
    }
    fields
}

/// What operators have written of a device, in the form that [`write`] reads.
pub fn written(device: &Device) -> BTreeMap<String, String> {
    let plain = table::all().filter(|plain| plain.is_written());
    let plain = plain.map(|plain| (plain.name.to_owned(), (plain.read)(device).text()));
    let scoped = [Scope::Identity, Scope::Tags, Scope::Administrative]
        .into_iter()
        .flat_map(|scope| {
            let named =
                move |(key, value): (&String, &String)| (format!("{}.{key}", scope.word()), value.clone());
            scope.map(device).iter().map(named)
        });
    plain.chain(scoped).filter(|(_, text)| !text.is_empty()).collect()
}

/// A name as it can be said back.
fn shown(name: &str) -> String {
    name.escape_debug().take(64).collect()
}

#[cfg(test)]
mod tests;
