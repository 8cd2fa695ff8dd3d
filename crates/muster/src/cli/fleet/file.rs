//! A TOML file, taken field by field: what is wrong is collected with its line, and reading goes on.

use std::collections::BTreeMap;

use contract::document::Document;
use serde_json::{Number, Value};
use toml_edit::{ImDocument, Item, TableLike, Value as Toml};

use super::super::{
    commands::millis,
    rule,
    words::{self, Word},
};

/// Characters of a text that are shown.
const SHOWN: usize = 40;

/// Something that is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fault {
    /// From 1 on.
    pub(super) line: usize,
    /// For example `groups.hall-3.parent`.
    pub(super) path: String,
    pub(super) message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}", self.line)?;
        if !self.path.is_empty() {
            write!(f, ", {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// In which line each part of the file stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// The line of a part, or of the nearest one that it is in.
    pub(super) fn of(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            match (self.0.get(path), path.rfind(['.', '['])) {
                (Some(line), _) => return *line,
                (None, Some(end)) => path = &path[..end],
                (None, None) => return 1,
            }
        }
    }
}

/// The file while it is read.
pub(super) struct File<'a> {
    text: &'a str,
    pub(super) lines: Lines,
    pub(super) faults: Vec<Fault>,
}

/// Reads the text as TOML; the fault says where it is none.
pub(super) fn parse(text: &str) -> Result<ImDocument<&str>, Fault> {
    ImDocument::parse(text).map_err(|error| Fault {
        line: error.span().map_or(1, |span| line(text, span.start)),
        path: String::new(),
        message: error.message().trim().replace('\n', ", "),
    })
}

fn line(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// One table of it.
pub(super) struct Table<'t> {
    table: &'t dyn TableLike,
    path: String,
    known: Vec<&'static str>,
}

impl<'a> File<'a> {
    pub(super) fn new(text: &'a str) -> File<'a> {
        File {
            text,
            lines: Lines::default(),
            faults: Vec::new(),
        }
    }

    pub(super) fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(Fault {
            line: self.lines.of(path),
            path: path.to_owned(),
            message: message.into(),
        });
    }

    /// The tables in a table, by name.
    pub(super) fn children<'t>(&mut self, table: &'t dyn TableLike, path: &str) -> Vec<(String, Table<'t>)> {
        let mut children = Vec::new();
        for (name, item) in table.iter() {
            let below = join(path, name);
            self.note(table, name, item, &below);
            match item.as_table_like() {
                Some(inner) => children.push((
                    name.to_owned(),
                    Table {
                        table: inner,
                        path: below,
                        known: Vec::new(),
                    },
                )),
                None => self.fault(&below, format!("this is a table, not {}", shown(item))),
            }
        }
        children
    }

    fn note(&mut self, table: &dyn TableLike, name: &str, item: &Item, path: &str) {
        let key = table.key(name).and_then(|key| key.span());
        // A table's header says where it begins, its key where it was named first.
        let own = item.span().filter(|_| item.is_table());
        if let Some(span) = own.or(key).or_else(|| item.span()) {
            self.lines.0.insert(path.to_owned(), line(self.text, span.start));
        }
    }
}

fn join(path: &str, name: &str) -> String {
    match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}.{name}"),
    }
}

impl<'t> Table<'t> {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn table(&self) -> &'t dyn TableLike {
        self.table
    }

    /// A field's path.
    pub(super) fn at(&self, name: &str) -> String {
        join(&self.path, name)
    }

    fn take(&mut self, file: &mut File<'_>, name: &'static str) -> Option<&'t Item> {
        self.known.push(name);
        let item = self.table.get(name)?;
        file.note(self.table, name, item, &self.at(name));
        Some(item)
    }

    fn value<T>(
        &mut self,
        file: &mut File<'_>,
        name: &'static str,
        what: &str,
        read: impl Fn(&Item) -> Option<T>,
    ) -> Option<T> {
        let item = self.take(file, name)?;
        let found = read(item);
        if found.is_none() {
            file.fault(&self.at(name), format!("this is {what}, not {}", shown(item)));
        }
        found
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    pub(super) fn text(&mut self, file: &mut File<'_>, name: &'static str) -> String {
        let read = |item: &Item| item.as_str().map(str::to_owned);
        self.value(file, name, "a text", read).unwrap_or_default()
    }

    pub(super) fn flag(&mut self, file: &mut File<'_>, name: &'static str) -> bool {
        self.value(file, name, "true or false", Item::as_bool)
            .unwrap_or_default()
    }

    pub(super) fn number(&mut self, file: &mut File<'_>, name: &'static str) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "thresholds are not that exact")]
        let read = |item: &Item| item.as_float().or_else(|| item.as_integer().map(|n| n as f64));
        self.value(file, name, "a number", read)
    }

    pub(super) fn count(&mut self, file: &mut File<'_>, name: &'static str, default: u32) -> u32 {
        let read = |item: &Item| item.as_integer().and_then(|n| u32::try_from(n).ok());
        self.value(file, name, "a whole number from 0 on", read)
            .unwrap_or(default)
    }

    /// A time, written in the one way in which it is compared; without it, nothing.
    pub(super) fn span(&mut self, file: &mut File<'_>, name: &'static str) -> String {
        let read = |item: &Item| humantime::parse_duration(item.as_str()?).ok();
        let time = self.value(file, name, "a time such as \"10m\"", read);
        time.map_or_else(String::new, |time| rule::deadline(millis(time)))
    }

    /// A word of an enum; without it, the default.
    pub(super) fn word<E: Word>(&mut self, file: &mut File<'_>, name: &'static str, default: &str) -> String {
        if !self.has(name) {
            self.known.push(name);
            return default.to_owned();
        }
        let before = file.faults.len();
        let word = self.text(file, name);
        if file.faults.len() == before && words::find::<E>(&word).is_none() {
            let message = format!("`{word}` is none of {}", words::list::<E>());
            file.fault(&self.at(name), message);
        }
        word
    }

    pub(super) fn texts(&mut self, file: &mut File<'_>, name: &'static str) -> Vec<String> {
        let each = |value: &Toml| value.as_str().map(str::to_owned);
        let read = |item: &Item| item.as_array()?.iter().map(each).collect();
        self.value(file, name, "a list of texts", read)
            .unwrap_or_default()
    }

    /// A list of tables, `[[…]]` or `[{…}]`.
    pub(super) fn tables(&mut self, file: &mut File<'_>, name: &'static str) -> Vec<Table<'t>> {
        let Some(item) = self.take(file, name) else {
            return Vec::new();
        };
        let found: Option<Vec<(&dyn TableLike, _)>> = match item {
            Item::ArrayOfTables(tables) => Some(
                tables
                    .iter()
                    .map(|table| (table as &dyn TableLike, table.span()))
                    .collect(),
            ),
            Item::Value(Toml::Array(values)) => values
                .iter()
                .map(|value| Some((value.as_inline_table()? as &dyn TableLike, value.span())))
                .collect(),
            _ => None,
        };
        let Some(found) = found else {
            file.fault(&self.at(name), "this is a list of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (number, (table, span)) in found.into_iter().enumerate() {
            let path = format!("{}[{number}]", self.at(name));
            if let Some(span) = span {
                file.lines.0.insert(path.clone(), line(file.text, span.start));
            }
            tables.push(Table {
                table,
                path,
                known: Vec::new(),
            });
        }
        tables
    }

    /// A table of settings.
    pub(super) fn settings(&mut self, file: &mut File<'_>, name: &'static str) -> Document {
        let Some(item) = self.take(file, name) else {
            return Document::new();
        };
        match json(item) {
            Ok(Value::Object(document)) => document,
            Ok(_) => {
                file.fault(&self.at(name), format!("this is a table, not {}", shown(item)));
                Document::new()
            }
            Err(message) => {
                file.fault(&self.at(name), message);
                Document::new()
            }
        }
    }

    /// What is there beside the fields that were asked for.
    pub(super) fn end(self, file: &mut File<'_>) {
        for (name, item) in self.table.iter() {
            if !self.known.contains(&name) {
                file.note(self.table, name, item, &self.at(name));
                let message = format!("there is no such field; there are {}", self.known.join(", "));
                file.fault(&self.at(name), message);
            }
        }
    }
}

/// What stands there, in a few characters.
fn shown(item: &Item) -> String {
    match item.as_value() {
        Some(Toml::String(text)) => {
            let text = text.value();
            let cut: String = text.chars().take(SHOWN).collect();
            format!("\"{cut}{}\"", if cut.len() < text.len() { "…" } else { "" })
        }
        Some(Toml::Integer(number)) => number.value().to_string(),
        Some(Toml::Float(number)) => number.value().to_string(),
        Some(Toml::Boolean(flag)) => flag.value().to_string(),
        _ => format!("an {}", item.type_name())
            .replace("an table", "a table")
            .replace("an datetime", "a time"),
    }
}

fn json(item: &Item) -> Result<Value, String> {
    match item {
        Item::Value(value) => json_value(value),
        Item::Table(table) => json_table(table),
        Item::ArrayOfTables(tables) => {
            let each = tables.iter().map(|table| json_table(table));
            each.collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Item::None => Ok(Value::Null),
    }
}

fn json_table(table: &dyn TableLike) -> Result<Value, String> {
    let each = table
        .iter()
        .map(|(name, item)| Ok((name.to_owned(), json(item)?)));
    each.collect::<Result<Document, String>>().map(Value::Object)
}

fn json_value(value: &Toml) -> Result<Value, String> {
    Ok(match value {
        Toml::String(text) => Value::String(text.value().clone()),
        Toml::Integer(number) => Value::from(*number.value()),
        Toml::Float(number) => {
            let finite = Number::from_f64(*number.value());
            Value::Number(finite.ok_or("a setting is a finite number")?)
        }
        Toml::Boolean(flag) => Value::Bool(*flag.value()),
        Toml::Datetime(time) => return Err(format!("JSON has no times; write \"{time}\" as a text")),
        Toml::Array(values) => {
            let each = values.iter().map(json_value);
            Value::Array(each.collect::<Result<_, _>>()?)
        }
        Toml::InlineTable(table) => json_table(table)?,
    })
}
