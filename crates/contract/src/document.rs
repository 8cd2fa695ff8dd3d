//! Configuration documents: JSON objects without null, bounded in size, depth and number of settings.
//!
//! A *setting* is a value that is no object with members, named by its keys. A patch is a JSON merge patch
//! (RFC 7396), whose null removes: so a document cannot hold one, and what two documents differ in is always a patch.

use serde_json::{Map, Value};

use crate::{Code, Refusal};

/// Most bytes of a document that somebody sets, as text.
pub const DOCUMENT_BYTES: usize = 8 * 1024;
/// Most bytes of what a device is to have in all, and of what it reports.
pub const EFFECTIVE_BYTES: usize = 16 * 1024;
/// Most settings of a document.
pub const SETTINGS_MAX: usize = 256;
/// Deepest nesting of objects and arrays.
pub const DEPTH_MAX: usize = 8;
/// Longest key, characters.
pub const KEY_CHARS: usize = 64;

/// A document or a patch.
pub type Document = Map<String, Value>;

/// Whether null may stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A document: no.
    Document,
    /// A merge patch: yes, it removes.
    Patch,
}

/// Reads what a caller sends in `field`; nothing is an empty one.
pub fn parse(field: &str, text: &str, form: Form, bytes_max: usize) -> Result<Document, Refusal> {
    if text.is_empty() {
        return Ok(Document::new());
    }
    if text.len() > bytes_max {
        let message = format!("`{field}` has {} bytes, the limit is {bytes_max}", text.len());
        return Err(Refusal::new(Code::TooLarge, message).at(field));
    }
    let invalid = |message: String| Refusal::invalid(field, message);
    if crate::wire::too_deep(text.as_bytes()) {
        return Err(invalid(format!("`{field}` nests more than {DEPTH_MAX} deep")));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(document)) => check(&document, form).map(|()| document).map_err(invalid),
        Ok(_) => Err(invalid(format!(
            "`{field}` is a JSON object, `{{\"key\": value}}`"
        ))),
        Err(error) => Err(invalid(format!("`{field}` is no JSON: {error}"))),
    }
}

/// The bounds of what is to be in effect as a whole.
pub fn check_effective(document: &Document) -> Result<(), Refusal> {
    let bytes = to_text(document).len();
    let settings = settings(document).len();
    let message = if bytes > EFFECTIVE_BYTES {
        format!("the device's configuration would have {bytes} bytes, the limit is {EFFECTIVE_BYTES}")
    } else if settings > SETTINGS_MAX {
        format!("the device's configuration would have {settings} settings, the limit is {SETTINGS_MAX}")
    } else {
        return Ok(());
    };
    Err(Refusal::new(Code::Limit, message).at("document"))
}

fn check(document: &Document, form: Form) -> Result<(), String> {
    let mut settings = 0;
    for value in document.values() {
        walk(value, form, 1, &mut settings)?;
    }
    keys(document)?;
    if settings > SETTINGS_MAX {
        return Err(format!(
            "there are {settings} settings, the limit is {SETTINGS_MAX}"
        ));
    }
    Ok(())
}

fn walk(value: &Value, form: Form, depth: usize, settings: &mut usize) -> Result<(), String> {
    match value {
        Value::Object(_) | Value::Array(_) if depth >= DEPTH_MAX => {
            Err(format!("it nests more than {DEPTH_MAX} deep"))
        }
        Value::Object(members) if !members.is_empty() => {
            keys(members)?;
            members
                .values()
                .try_for_each(|member| walk(member, form, depth + 1, settings))
        }
        Value::Array(items) => {
            *settings += 1;
            // Within a list a null removes nothing.
            let mut uncounted = 0;
            items
                .iter()
                .try_for_each(|item| walk(item, Form::Document, depth + 1, &mut uncounted))
        }
        Value::Null if form == Form::Document => {
            Err("null stands only in a merge, where it removes; leave the key out".to_owned())
        }
        _ => {
            *settings += 1;
            Ok(())
        }
    }
}

fn keys(members: &Document) -> Result<(), String> {
    let is_bad =
        |key: &&String| key.is_empty() || key.chars().count() > KEY_CHARS || key.contains(char::is_control);
    match members.keys().find(is_bad) {
        Some(_) => Err(format!(
            "a key has 1 to {KEY_CHARS} characters, none of them a control character"
        )),
        None => Ok(()),
    }
}

/// The text of a document.
pub fn to_text(document: &Document) -> String {
    // Maps with text as keys: this cannot fail.
    serde_json::to_string(document).unwrap_or_default()
}

/// Reads back what [`to_text`] wrote.
pub fn from_text(text: &str) -> Document {
    serde_json::from_str(text).unwrap_or_default()
}

/// Lays a patch over a document (RFC 7396, section 2).
pub fn merge(document: &mut Document, patch: &Document) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                document.remove(key);
            }
            Value::Object(members) => {
                let under = document
                    .entry(key.clone())
                    .or_insert_with(|| Value::Object(Document::new()));
                if !under.is_object() {
                    *under = Value::Object(Document::new());
                }
                if let Value::Object(under) = under {
                    merge(under, members);
                }
            }
            other => {
                document.insert(key.clone(), other.clone());
            }
        }
    }
}

/// The patch that makes `after` of `before`.
pub fn difference(before: &Document, after: &Document) -> Document {
    let mut patch = Document::new();
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in after {
        match (before.get(key), value) {
            (Some(same), value) if same == value => {}
            (Some(Value::Object(before)), Value::Object(after)) => {
                patch.insert(key.clone(), Value::Object(difference(before, after)));
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    patch
}

/// Each setting with the keys that lead to it, in order.
pub fn settings(document: &Document) -> Vec<(Vec<&str>, &Value)> {
    let mut found = Vec::new();
    gather(document, &mut Vec::new(), &mut found);
    found
}

fn gather<'a>(members: &'a Document, keys: &mut Vec<&'a str>, found: &mut Vec<(Vec<&'a str>, &'a Value)>) {
    for (key, value) in members {
        keys.push(key);
        match value {
            Value::Object(members) if !members.is_empty() => gather(members, keys, found),
            setting => found.push((keys.clone(), setting)),
        }
        keys.pop();
    }
}

/// What stands at the end of these keys.
pub fn at<'a>(document: &'a Document, keys: &[&str]) -> Option<&'a Value> {
    let (last, above) = keys.split_last()?;
    let mut members = document;
    for key in above {
        members = members.get(*key)?.as_object()?;
    }
    members.get(*last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Document {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn patches_do_what_rfc_7396_shows() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": "foo"}),
                json!({"a": {"b": 1}}),
                json!({"a": {"b": 1}}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ];
        for (before, patch, after) in cases {
            let mut document = object(before);
            merge(&mut document, &object(patch));
            assert_eq!(Value::Object(document), after);
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map("[a-d]", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn document() -> impl Strategy<Value = Document> {
        prop::collection::hash_map("[a-d]", value(), 0..4).prop_map(|members| members.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_difference_is_the_patch_from_one_to_the_other(before in document(), after in document()) {
            let mut made = before.clone();
            merge(&mut made, &difference(&before, &after));
            prop_assert_eq!(&made, &after);
            prop_assert_eq!(difference(&after, &made), Document::new());
            for (keys, value) in settings(&after) {
                prop_assert_eq!(at(&after, &keys), Some(value));
            }
        }
    }

    #[test]
    fn what_is_no_document_says_why() {
        let deep = format!("{}1{}", "{\"a\":".repeat(8), "}".repeat(8));
        assert!(parse("document", &deep, Form::Document, DOCUMENT_BYTES).is_ok());
        let deeper = format!("{}1{}", "{\"a\":".repeat(9), "}".repeat(9));
        let many: Document = (0..257).map(|n| (n.to_string(), json!(n))).collect();
        let many = to_text(&many);
        let cases = [
            ("[1]", "JSON object"),
            ("{", "no JSON"),
            (r#"{"a":null}"#, "null"),
            (r#"{"a":{"b":null}}"#, "null"),
            (r#"{"":1}"#, "key"),
            (r#"{"a":{"a\nb":1}}"#, "key"),
            (deeper.as_str(), "deep"),
            (many.as_str(), "257 settings"),
        ];
        for (text, why) in cases {
            let refusal = parse("document", text, Form::Document, DOCUMENT_BYTES).unwrap_err();
            assert_eq!(refusal.field, "document");
            assert!(refusal.message.contains(why), "{} / {why}", refusal.message);
        }
        let deepest = "[".repeat(100_000);
        assert!(parse("document", &deepest, Form::Patch, usize::MAX).is_err());
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(DOCUMENT_BYTES));
        let refusal = parse("document", &long, Form::Document, DOCUMENT_BYTES).unwrap_err();
        assert_eq!(refusal.code, Code::TooLarge);
        assert!(
            parse(
                "document",
                r#"{"a":null,"b":{"c":null}}"#,
                Form::Patch,
                DOCUMENT_BYTES
            )
            .is_ok()
        );
        // Within a list null is a value, which a document does not have.
        assert!(parse("document", r#"{"a":[null]}"#, Form::Patch, DOCUMENT_BYTES).is_err());
    }
}
