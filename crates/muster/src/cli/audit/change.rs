//! One field that a request changed, as people read it.

use std::time::Duration;

use contract::{names, v1::AuditChange};
use serde_json::Value;

use crate::cli::{print, words};

/// `devices/pump-7 owner north → south`
pub(super) fn sentence(change: &AuditChange) -> String {
    let name = name(&change.field);
    let (before, after) = (
        said(&change.field, &change.before),
        said(&change.field, &change.after),
    );
    let text = match (before.is_empty(), after.is_empty()) {
        (true, _) => format!("= {after}"),
        (_, true) => format!("{before} is gone"),
        _ => format!("{before} → {after}"),
    };
    let words = [change.record.as_str(), name, &text];
    let words = words.into_iter().filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// A date says that it is one.
fn name(field: &str) -> &str {
    field.strip_suffix("_ms").unwrap_or(field)
}

/// A value in the words of the other commands.
fn said(field: &str, value: &str) -> String {
    let is_document = value.starts_with(['{', '[']);
    match serde_json::from_str::<Value>(value) {
        Ok(document) if is_document => document_said(field, &document),
        _ => scalar(field, value),
    }
}

fn scalar(field: &str, value: &str) -> String {
    let ms = value.parse::<i64>().ok().filter(|_| field.ends_with("_ms"));
    match ms {
        Some(ms) if ms >= print::YEAR_2000_MS => print::time(ms),
        Some(ms) => match u64::try_from(ms) {
            Ok(ms) => print::duration(Duration::from_millis(ms)),
            Err(_) => value.to_owned(),
        },
        None if words::is_name(value) => names::typed(value),
        None => value.to_owned(),
    }
}

/// `devices 1, wait 10 m; devices 5, wait 1 h`
fn document_said(field: &str, document: &Value) -> String {
    match document {
        Value::Object(fields) => {
            let said = fields
                .iter()
                .map(|(field, value)| format!("{} {}", name(field), document_said(field, value)));
            said.collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => {
            let between = if items.iter().any(Value::is_object) {
                "; "
            } else {
                ", "
            };
            let said = items.iter().map(|item| document_said(field, item));
            said.collect::<Vec<_>>().join(between)
        }
        Value::String(text) => scalar(field, text),
        Value::Null => "none".to_owned(),
        other => scalar(field, &other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(field: &str, before: &str, after: &str) -> String {
        sentence(&AuditChange {
            record: "devices/a".into(),
            field: field.into(),
            before: before.into(),
            after: after.into(),
        })
    }

    #[test]
    fn what_is_new_what_differs_and_what_is_gone() {
        assert_eq!(told("owner", "", "x"), "devices/a owner = x");
        assert_eq!(told("owner", "x", "y"), "devices/a owner x → y");
        assert_eq!(told("owner", "y", ""), "devices/a owner y is gone");
        assert_eq!(told("", "", "x"), "devices/a = x");
    }

    #[test]
    fn dates_spans_enums_and_documents_are_words() {
        for (field, value, expected) in [
            (
                "created_at_ms",
                "1795701877331",
                "created_at = 2026-11-26 14:04:37Z",
            ),
            ("timeout_ms", "600000", "timeout = 10 m"),
            ("status", "STAGE_ACTIVE", "status = active"),
            ("serial", "SN_1", "serial = SN_1"),
            (
                "waves",
                r#"[{"devices":1,"pause_ms":"60000"},{"devices":5,"pause_ms":"0"}]"#,
                "waves = devices 1, pause 1 m; devices 5, pause 0 s",
            ),
            ("groups", r#"["a","b"]"#, "groups = a, b"),
            ("notes", "[sic", "notes = [sic"),
        ] {
            assert_eq!(told(field, "", value), format!("devices/a {expected}"));
        }
    }
}
