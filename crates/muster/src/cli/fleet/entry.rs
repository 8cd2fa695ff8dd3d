//! What a fleet's file declares: entries of eight kinds, each with all of its fields.

use std::collections::BTreeMap;

use contract::document::{self, Document};
use serde::Serialize;
use serde_json::Value;

/// A sort of entry. The order is the one in which they are made: what others name comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Type,
    Supplier,
    Group,
    Template,
    Query,
    Rule,
    Operator,
    Integrator,
}

impl Kind {
    pub(super) const ALL: [Kind; 8] = [
        Kind::Type,
        Kind::Supplier,
        Kind::Group,
        Kind::Template,
        Kind::Query,
        Kind::Rule,
        Kind::Operator,
        Kind::Integrator,
    ];

    /// Its section of the file.
    pub(super) const fn section(self) -> &'static str {
        match self {
            Kind::Type => "types",
            Kind::Supplier => "suppliers",
            Kind::Group => "groups",
            Kind::Template => "templates",
            Kind::Query => "queries",
            Kind::Rule => "rules",
            Kind::Operator => "operators",
            Kind::Integrator => "integrators",
        }
    }

    /// In a sentence.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Kind::Type => "type",
            Kind::Supplier => "supplier",
            Kind::Group => "group",
            Kind::Template => "template",
            Kind::Query => "query",
            Kind::Rule => "rule",
            Kind::Operator => "operator",
            Kind::Integrator => "integrator",
        }
    }
}

/// A type of device.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Type {
    pub(super) description: String,
    /// JSON without blanks, so that two that mean the same are the same.
    pub(super) schema: String,
    /// As `muster type add --check` takes them.
    pub(super) checks: Vec<String>,
    pub(super) commands: Vec<String>,
    pub(super) signed_commands: Vec<String>,
    /// As it is written in one way only; empty: none.
    pub(super) command_deadline: String,
    pub(super) commands_at_once: Option<u32>,
    pub(super) deprecated: bool,
}

/// From whom devices come.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Supplier {
    pub(super) name: String,
    pub(super) contact: String,
    pub(super) vetted: bool,
    pub(super) vetting_note: String,
}

/// A group, without its members.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Group {
    pub(super) description: String,
    pub(super) parent: String,
    pub(super) query: String,
    pub(super) commands: Vec<String>,
    pub(super) signed_commands: Vec<String>,
    pub(super) command_deadline: String,
    pub(super) commands_at_once: Option<u32>,
}

/// Settings of a type or a group.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Template {
    pub(super) priority: u32,
    pub(super) settings: Document,
}

/// A query that has a name.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Query {
    pub(super) query: String,
    pub(super) description: String,
}

/// A rule of monitoring; its enums as words.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Rule {
    pub(super) metric: String,
    pub(super) comparison: String,
    pub(super) threshold: f64,
    pub(super) points: u32,
    pub(super) clear_points: u32,
    pub(super) severity: String,
    pub(super) response: String,
}

/// An operator or an integrator; roles as words.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Person {
    pub(super) role: String,
    pub(super) grants: Vec<Grant>,
    pub(super) events: Vec<String>,
    pub(super) data: Vec<String>,
    pub(super) disabled: bool,
}

/// What an operator may do besides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub(super) struct Grant {
    pub(super) role: String,
    pub(super) groups: Vec<String>,
    pub(super) verbs: Vec<String>,
    pub(super) commands: Vec<String>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Entry {
    Type(Type),
    Supplier(Supplier),
    Group(Group),
    Template(Template),
    Query(Query),
    Rule(Rule),
    Person(Person),
}

impl Entry {
    /// Its fields by name; of settings each is one.
    pub(super) fn fields(&self) -> BTreeMap<String, Value> {
        let Ok(Value::Object(all)) = serde_json::to_value(self) else {
            return BTreeMap::new();
        };
        let mut fields = BTreeMap::new();
        for (name, value) in all {
            match value {
                Value::Object(settings) => fields.extend(flat(&name, &settings)),
                value => drop(fields.insert(name, value)),
            }
        }
        fields
    }
}

fn flat(name: &str, settings: &Document) -> Vec<(String, Value)> {
    let named = |(keys, value): (Vec<&str>, &Value)| (format!("{name}.{}", keys.join(".")), value.clone());
    document::settings(settings).into_iter().map(named).collect()
}

/// Whether a field says nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A bound, of which 0 is none.
pub(super) fn some(count: u32) -> Option<u32> {
    (count != 0).then_some(count)
}

/// Entries of one kind by their ids; a template's is `type.pump` or `group.line-7`.
pub(super) type Entries = BTreeMap<String, Entry>;

/// The kinds that are spoken of, and their entries.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Fleet {
    pub(super) sections: BTreeMap<Kind, Entries>,
}

/// An entry as it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Live {
    pub(super) entry: Entry,
    pub(super) version: u64,
    /// Of a group.
    pub(super) members: u64,
}

/// The kinds that were read, and what there is of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Present {
    pub(super) sections: BTreeMap<Kind, BTreeMap<String, Live>>,
}

impl Present {
    /// What there is of a kind.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = (&String, &Live)> {
        self.sections.get(&kind).into_iter().flatten()
    }

    pub(super) fn find(&self, kind: Kind, id: &str) -> Option<&Live> {
        self.sections.get(&kind)?.get(id)
    }
}

/// Whether what the file does not name is to go. Kinds that it does not speak of are left alone either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    Stays,
    Goes,
}

/// What there would be of a kind afterwards.
pub(super) fn after(present: &Present, wanted: &Fleet, kind: Kind, rest: Rest) -> Entries {
    let declared = wanted.sections.get(&kind);
    let stays = declared.is_none() || rest == Rest::Stays || kind == Kind::Supplier || kind == Kind::Type;
    let mut all: Entries = match stays {
        true => present
            .of(kind)
            .map(|(id, live)| (id.clone(), live.entry.clone()))
            .collect(),
        false => Entries::new(),
    };
    all.extend(
        declared
            .into_iter()
            .flatten()
            .map(|(id, entry)| (id.clone(), entry.clone())),
    );
    all
}

/// The groups that each group lies within, the nearest first; a circle ends where it closes.
pub(super) fn above(groups: &Entries, id: &str) -> Vec<String> {
    let mut above: Vec<String> = Vec::new();
    let mut at = id.to_owned();
    while let Some(Entry::Group(group)) = groups.get(&at) {
        if group.parent.is_empty() || above.contains(&group.parent) {
            break;
        }
        at.clone_from(&group.parent);
        above.push(at.clone());
    }
    above
}
