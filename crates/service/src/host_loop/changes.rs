//! Which fields a decision changes, as the audit log tells of them.

use contract::v1::AuditChange;
use serde_json::Value;

use crate::{outcome::Outcome, service::Service, store::StoreError, view::View};

/// Changes in one entry.
const CHANGES_MAX: usize = 64;
/// Bytes of a value.
const VALUE_BYTES: usize = 200;
/// Bytes of all changes of an entry: it fits a record, with its subjects.
const CHANGES_BYTES: usize = 24 * 1024;

/// The changes, and whether there were more.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changes {
    pub(super) changes: Vec<AuditChange>,
    pub(super) more: bool,
    bytes: usize,
}

/// What an outcome that is not applied yet changes.
pub(super) fn of<S: Service>(service: &S, outcome: &Outcome, view: &View<'_>) -> Result<Changes, StoreError> {
    let mut found = Changes::default();
    for (key, after) in outcome.changes.iter().filter(|(key, _)| service.tells(key)) {
        let before = view.get(key)?;
        let told = |record: Option<&[u8]>| record.and_then(|record| service.told(key, record));
        let (before, after) = (told(before.as_deref()), told(after));
        let Some((record, _)) = after.as_ref().or(before.as_ref()) else {
            continue;
        };
        let none = Value::Null;
        let value = |told: &Option<(String, Value)>| told.as_ref().map_or(none.clone(), |t| t.1.clone());
        found.compare(record, "", &value(&before), &value(&after));
        if found.more {
            break;
        }
    }
    Ok(found)
}

impl Changes {
    fn compare(&mut self, record: &str, field: &str, before: &Value, after: &Value) {
        if before == after {
            return;
        }
        if !before.is_object() && !after.is_object() {
            return self.push(record, field, before, after);
        }
        let fields = |value: &Value| -> Vec<String> {
            value
                .as_object()
                .map_or(Vec::new(), |all| all.keys().cloned().collect())
        };
        let mut names = [fields(before), fields(after)].concat();
        names.sort();
        names.dedup();
        for name in names {
            let path = if field.is_empty() {
                name.clone()
            } else {
                format!("{field}.{name}")
            };
            let of = |value: &Value| value.get(&name).cloned().unwrap_or_default();
            self.compare(record, &path, &of(before), &of(after));
        }
    }

    fn push(&mut self, record: &str, field: &str, before: &Value, after: &Value) {
        let change = AuditChange {
            record: record.into(),
            field: cut(field.into()),
            before: text(before),
            after: text(after),
        };
        let bytes = record.len() + change.field.len() + change.before.len() + change.after.len();
        if self.changes.len() == CHANGES_MAX || self.bytes + bytes > CHANGES_BYTES {
            self.more = true;
            return;
        }
        self.bytes += bytes;
        self.changes.push(change);
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => cut(text.clone()),
        other => cut(other.to_string()),
    }
}

/// No longer than a value may be.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > VALUE_BYTES {
        let end = (0..=VALUE_BYTES).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compare(before: &Value, after: &Value) -> Vec<(String, String, String)> {
        let mut found = Changes::default();
        found.compare("devices/a", "", before, after);
        let told = found.changes.into_iter().map(|c| (c.field, c.before, c.after));
        told.collect()
    }

    #[test]
    fn only_what_differs_is_told_and_where() {
        let before =
            json!({"owner": "x", "version": "1", "tags": ["a"], "site": {"hall": "1", "floor": "2"}});
        let after = json!({"version": "2", "tags": ["a", "b"], "site": {"hall": "1", "floor": "3"}});
        let change = |field: &str, before: &str, after: &str| (field.into(), before.into(), after.into());
        let expected = [
            change("owner", "x", ""),
            change("site.floor", "2", "3"),
            change("tags", "[\"a\"]", "[\"a\",\"b\"]"),
            change("version", "1", "2"),
        ];
        assert_eq!(compare(&before, &after), expected);
        assert_eq!(compare(&Value::Null, &json!({"a": "1"})), [change("a", "", "1")]);
        assert_eq!(compare(&after, &after), []);
    }

    #[test]
    fn an_entry_is_bounded() {
        let long = |n: usize| Value::from("é".repeat(n));
        assert_eq!(compare(&Value::Null, &json!({"a": long(200)}))[0].2.len(), 203);
        let many: serde_json::Map<_, _> = (0..500).map(|n| (format!("f{n}"), long(200))).collect();
        let mut found = Changes::default();
        found.compare("devices/a", "", &Value::Null, &Value::Object(many));
        assert!(found.more && found.bytes <= CHANGES_BYTES && found.changes.len() <= CHANGES_MAX);
    }
}
