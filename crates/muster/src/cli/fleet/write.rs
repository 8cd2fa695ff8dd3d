//! From what there is to a file that says so.

use contract::document::Document;
use serde_json::Value;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value as Toml, value};

use super::entry::{Entry, Kind, Present, is_empty};

/// Above everything else.
const HEAD: &str = "# The fleet as it was declared: `muster plan` compares it with what there is, `muster apply` makes it so.\n";

/// The file's text.
pub(super) fn write(present: &Present) -> String {
    let mut document = DocumentMut::new();
    for (kind, entries) in &present.sections {
        let mut section = Table::new();
        section.set_implicit(!entries.is_empty());
        for (id, live) in entries {
            let fields = table(&live.entry);
            match id.split_once('.').filter(|_| *kind == Kind::Template) {
                Some((scope, id)) => {
                    let mut implicit = Table::new();
                    implicit.set_implicit(true);
                    let scope = section.entry(scope).or_insert(Item::Table(implicit));
                    if let Some(scope) = scope.as_table_mut() {
                        scope.insert(id, Item::Table(fields));
                    }
                }
                None => drop(section.insert(id, Item::Table(fields))),
            }
        }
        document.insert(kind.section(), Item::Table(section));
    }
    format!("{HEAD}{document}")
}

fn table(entry: &Entry) -> Table {
    let mut table = Table::new();
    let Ok(Value::Object(fields)) = serde_json::to_value(entry) else {
        return table;
    };
    for (name, field) in &fields {
        match (name.as_str(), field) {
            (_, empty) if is_empty(empty) => {}
            ("priority", zero) if zero == 0 => {}
            ("schema", Value::String(text)) => drop(table.insert(name, value(pretty(text)))),
            ("settings", Value::Object(settings)) => put_settings(&mut table, settings),
            ("grants", Value::Array(grants)) => drop(table.insert(name, Item::ArrayOfTables(tables(grants)))),
            (_, field) => drop(table.insert(name, toml(field).map_or(Item::None, Item::Value))),
        }
    }
    table
}

fn pretty(schema: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(schema).ok();
    let text = parsed.and_then(|value| serde_json::to_string_pretty(&value).ok());
    text.unwrap_or_else(|| schema.to_owned()) + "\n"
}

fn put_settings(table: &mut Table, settings: &Document) {
    match settings_table(settings) {
        Some(settings) => drop(table.insert("settings", Item::Table(settings))),
        // Numbers that TOML does not have.
        None => drop(table.insert("document", value(Value::Object(settings.clone()).to_string()))),
    }
}

fn settings_table(settings: &Document) -> Option<Table> {
    let mut table = Table::new();
    for (name, setting) in settings {
        let item = match setting {
            Value::Object(inner) if !inner.is_empty() => {
                let mut inner = settings_table(inner)?;
                inner.set_dotted(true);
                Item::Table(inner)
            }
            setting => Item::Value(toml(setting)?),
        };
        table.insert(name, item);
    }
    Some(table)
}

fn tables(grants: &[Value]) -> ArrayOfTables {
    let one = |grant: &Value| {
        let fields = grant.as_object().into_iter().flatten();
        let filled = fields.filter(|(_, field)| !is_empty(field));
        let items = filled.filter_map(|(name, field)| Some((name.as_str(), Item::Value(toml(field)?))));
        items.collect::<Table>()
    };
    grants.iter().map(one).collect()
}

/// Nothing where TOML has no such value.
fn toml(json: &Value) -> Option<Toml> {
    Some(match json {
        Value::Null => return None,
        Value::Bool(flag) => Toml::from(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Toml::from(whole),
            None if number.is_f64() => Toml::from(number.as_f64()?),
            None => return None,
        },
        Value::String(text) => Toml::from(text.as_str()),
        Value::Array(items) => Toml::Array(items.iter().map(toml).collect::<Option<Array>>()?),
        Value::Object(members) => {
            let each = members
                .iter()
                .map(|(name, member)| Some((name.as_str(), toml(member)?)));
            Toml::InlineTable(each.collect::<Option<toml_edit::InlineTable>>()?)
        }
    })
}
