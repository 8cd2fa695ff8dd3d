//! From the file to what it declares, with every fault and its line.

use contract::{
    Id,
    document::{self, DOCUMENT_BYTES, Form},
    v1::{Comparison, ConfigScope, Response, Role, Severity},
};

use super::{
    super::{types, words},
    entry::{Entries, Entry, Fleet, Grant, Group, Kind, Person, Query, Rule, Supplier, Template, Type, some},
    file::{self, Fault, File, Lines, Table},
    local,
};

/// What a file declares, and where.
#[derive(Debug, Clone, Default)]
pub(super) struct Declared {
    pub(super) fleet: Fleet,
    pub(super) lines: Lines,
}

/// Reads a file's text.
pub(super) fn read(text: &str) -> Result<Declared, Vec<Fault>> {
    let document = file::parse(text).map_err(|fault| vec![fault])?;
    let mut file = File::new(text);
    let mut fleet = Fleet::default();
    for (name, table) in file.children(document.as_table(), "") {
        match Kind::ALL.into_iter().find(|kind| kind.section() == name) {
            Some(kind) => drop(fleet.sections.insert(kind, section(&mut file, kind, &table))),
            None => {
                let known = Kind::ALL.map(Kind::section).join(", ");
                file.fault(&name, format!("there is no such section; there are {known}"));
            }
        }
    }
    twins(&mut file, &fleet);
    if file.faults.is_empty() {
        return Ok(Declared {
            fleet,
            lines: file.lines,
        });
    }
    file.faults.sort();
    Err(file.faults)
}

fn section(file: &mut File<'_>, kind: Kind, table: &Table<'_>) -> Entries {
    let mut entries = Entries::new();
    for (name, child) in file.children(table.table(), table.path()) {
        if kind == Kind::Template {
            templates(file, &mut entries, &name, &child);
            continue;
        }
        let before = file.faults.len();
        if let Err(error) = name.parse::<Id>() {
            file.fault(child.path(), error.to_string());
        }
        let path = child.path().to_owned();
        let entry = entry(file, kind, child);
        // What is no text cannot be judged as one.
        if file.faults.len() == before {
            local::check(file, kind, (&path, &name), &entry);
        }
        entries.insert(name, entry);
    }
    entries
}

fn templates(file: &mut File<'_>, entries: &mut Entries, scope: &str, table: &Table<'_>) {
    if words::find::<ConfigScope>(scope).is_none() {
        let message = "a template is for a type or a group: `templates.type.pump`, `templates.group.line-7`";
        file.fault(table.path(), message);
        return;
    }
    for (id, child) in file.children(table.table(), table.path()) {
        let before = file.faults.len();
        let path = child.path().to_owned();
        let name = format!("{scope}.{id}");
        let entry = template(file, child);
        if file.faults.len() == before {
            local::check(file, Kind::Template, (&path, &name), &entry);
        }
        entries.insert(name, entry);
    }
}

fn entry(file: &mut File<'_>, kind: Kind, table: Table<'_>) -> Entry {
    match kind {
        Kind::Type => device_type(file, table),
        Kind::Supplier => supplier(file, table),
        Kind::Group => group(file, table),
        Kind::Template => template(file, table),
        Kind::Query => query(file, table),
        Kind::Rule => rule(file, table),
        Kind::Operator | Kind::Integrator => person(file, kind, table),
    }
}

fn device_type(file: &mut File<'_>, mut table: Table<'_>) -> Entry {
    let written = table.text(file, "schema");
    let schema = compact(&written).unwrap_or_else(|error| {
        file.fault(&table.at("schema"), format!("this is no JSON: {error}"));
        String::new()
    });
    let checks = table.texts(file, "checks");
    for check in &checks {
        if let Err(message) = types::check(check) {
            file.fault(&table.at("checks"), format!("`{check}`: {message}"));
        }
    }
    let declared = Type {
        description: table.text(file, "description"),
        schema,
        checks,
        commands: sorted(table.texts(file, "commands")),
        signed_commands: sorted(table.texts(file, "signed_commands")),
        command_deadline: table.span(file, "command_deadline"),
        commands_at_once: some(table.count(file, "commands_at_once", 0)),
        deprecated: table.flag(file, "deprecated"),
    };
    table.end(file);
    Entry::Type(declared)
}

/// JSON without blanks.
pub(super) fn compact(text: &str) -> Result<String, serde_json::Error> {
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    serde_json::from_str::<serde_json::Value>(text).map(|value| value.to_string())
}

/// The registry keeps no order of these.
pub(super) fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items.dedup();
    items
}

fn supplier(file: &mut File<'_>, mut table: Table<'_>) -> Entry {
    let declared = Supplier {
        name: table.text(file, "name"),
        contact: table.text(file, "contact"),
        vetted: table.flag(file, "vetted"),
        vetting_note: table.text(file, "vetting_note"),
    };
    table.end(file);
    Entry::Supplier(declared)
}

fn group(file: &mut File<'_>, mut table: Table<'_>) -> Entry {
    let declared = Group {
        description: table.text(file, "description"),
        parent: table.text(file, "parent"),
        query: table.text(file, "query"),
        commands: sorted(table.texts(file, "commands")),
        signed_commands: sorted(table.texts(file, "signed_commands")),
        command_deadline: table.span(file, "command_deadline"),
        commands_at_once: some(table.count(file, "commands_at_once", 0)),
    };
    table.end(file);
    Entry::Group(declared)
}

fn template(file: &mut File<'_>, mut table: Table<'_>) -> Entry {
    let priority = table.count(file, "priority", 0);
    let mut settings = table.settings(file, "settings");
    let document = table.text(file, "document");
    if !document.is_empty() {
        if !settings.is_empty() {
            file.fault(&table.at("document"), "give `settings` or `document`, not both");
        }
        match document::parse("document", &document, Form::Document, DOCUMENT_BYTES) {
            Ok(read) => settings = read,
            Err(refusal) => file.fault(&table.at("document"), refusal.message),
        }
    }
    table.end(file);
    Entry::Template(Template { priority, settings })
}

fn query(file: &mut File<'_>, mut table: Table<'_>) -> Entry {
    let declared = Query {
        query: table.text(file, "query"),
        description: table.text(file, "description"),
    };
    table.end(file);
    Entry::Query(declared)
}

fn rule(file: &mut File<'_>, mut table: Table<'_>) -> Entry {
    let threshold = table.number(file, "threshold");
    if threshold.is_none() && !table.has("threshold") {
        file.fault(table.path(), "a rule has a `threshold`");
    }
    let declared = Rule {
        metric: table.text(file, "metric"),
        comparison: table.word::<Comparison>(file, "comparison", ""),
        threshold: threshold.unwrap_or_default(),
        points: table.count(file, "points", 1),
        clear_points: table.count(file, "clear_points", 1),
        severity: table.word::<Severity>(file, "severity", "medium"),
        response: table.word::<Response>(file, "response", "none"),
    };
    table.end(file);
    Entry::Rule(declared)
}

fn person(file: &mut File<'_>, kind: Kind, mut table: Table<'_>) -> Entry {
    let mut declared = Person {
        events: sorted(table.texts(file, "events")),
        data: sorted(table.texts(file, "data")),
        disabled: table.flag(file, "disabled"),
        ..Person::default()
    };
    if kind == Kind::Operator {
        declared.role = table.word::<Role>(file, "role", "");
        let tables = table.tables(file, "grants");
        declared.grants = tables.into_iter().map(|grant| self::grant(file, grant)).collect();
    }
    table.end(file);
    Entry::Person(declared)
}

fn grant(file: &mut File<'_>, mut table: Table<'_>) -> Grant {
    let declared = Grant {
        role: table.word::<Role>(file, "role", ""),
        groups: sorted(table.texts(file, "groups")),
        verbs: sorted(table.texts(file, "verbs")),
        commands: sorted(table.texts(file, "commands")),
    };
    table.end(file);
    declared
}

/// Ids that differ in case only are one id.
fn twins(file: &mut File<'_>, fleet: &Fleet) {
    for (kind, entries) in &fleet.sections {
        let mut seen = std::collections::BTreeMap::new();
        for id in entries.keys() {
            if let Some(twin) = seen.insert(id.to_ascii_lowercase(), id) {
                let message = format!("`{twin}` is there already; ids that differ in case only are twins");
                file.fault(&format!("{}.{id}", kind.section()), message);
            }
        }
    }
}
