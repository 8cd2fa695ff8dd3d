//! A type's JSON Schema, and what of a device is held against it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use contract::{
    Code, Refusal,
    v1::{Device, DeviceType},
};
use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value, json};

use crate::field::Scope;

/// The longest schema.
pub(crate) const SCHEMA_BYTES: usize = 16 * 1024;
/// A pattern that would become a larger program is refused.
const PATTERN_BYTES: usize = 64 * 1024;
/// Patterns in one schema.
const PATTERNS_MAX: usize = 32;
/// Schemas that are kept as they were compiled.
const KEPT_MAX: usize = 256;

/// Schemas as they were compiled: that depends on their text alone, so it need not be done again.
#[derive(Debug, Default)]
pub(crate) struct SchemaCache(Mutex<BTreeMap<String, Arc<Validator>>>);

impl SchemaCache {
    fn read(&self, kind: &DeviceType) -> Result<Option<Arc<Validator>>, Refusal> {
        if kind.schema.is_empty() {
            return Ok(None);
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = kept.get(&kind.schema) {
            return Ok(Some(validator.clone()));
        }
        let Some(validator) = parse(&kind.schema)?.map(Arc::new) else {
            return Ok(None);
        };
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(kind.schema.clone(), validator.clone());
        Ok(Some(validator))
    }
}

/// Whose attributes are judged: nobody is refused for what another has left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Operators,
    Device,
}

/// Reads a schema, which must be one.
pub(crate) fn parse(text: &str) -> Result<Option<Validator>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let refuse = |message: String| Refusal::invalid("schema", message);
    if text.len() > SCHEMA_BYTES {
        let message = format!("a schema may have {SCHEMA_BYTES} bytes");
        return Err(Refusal::new(Code::TooLarge, message).at("schema"));
    }
    let schema: Value =
        serde_json::from_str(text).map_err(|e| refuse(format!("the schema is no JSON: {e}")))?;
    if !schema.is_object() {
        return Err(refuse("the schema is a JSON object".into()));
    }
    bounded(&schema, &mut 0)?;
    let options = PatternOptions::regex().size_limit(PATTERN_BYTES);
    let built = jsonschema::draft202012::options()
        .with_pattern_options(options)
        .build(&schema);
    built.map(Some).map_err(|e| {
        let message: String = format!("this is no JSON Schema: {e}").chars().take(300).collect();
        refuse(message)
    })
}

/// What is judged for each report must be judged in a time that grows with the schema's length: no
/// references, which multiply, and few patterns.
fn bounded(schema: &Value, patterns: &mut usize) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(Refusal::invalid("schema", message));
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                *patterns += match (name.as_str(), value) {
                    ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                        return refuse("a schema refers to nothing, neither to itself; write it out");
                    }
                    ("pattern", _) => 1,
                    ("patternProperties", Value::Object(by_pattern)) => by_pattern.len(),
                    _ => 0,
                };
                bounded(value, patterns)?;
            }
        }
        Value::Array(values) => values.iter().try_for_each(|value| bounded(value, patterns))?,
        _ => {}
    }
    if *patterns > PATTERNS_MAX {
        return refuse("a schema may have 32 patterns");
    }
    Ok(())
}

/// Holds a device's attributes against its type.
pub(crate) fn check(
    kept: &SchemaCache,
    kind: &DeviceType,
    device: &Device,
    side: Side,
) -> Result<(), Refusal> {
    let Some(validator) = kept.read(kind)? else {
        return Ok(());
    };
    let schema: Value = serde_json::from_str(&kind.schema).unwrap_or_default();
    let instance = document(&schema, device);
    for error in validator.iter_errors(&instance) {
        let path = error.instance_path().as_str();
        if !side.answers_for(path) {
            continue;
        }
        let field = path.trim_start_matches('/').replace('/', ".");
        let field = field
            .strip_prefix("reported")
            .map_or(field.clone(), |rest| format!("attributes{rest}"));
        let why: String = error.to_string().chars().take(300).collect();
        let message = format!("the type `{}` does not allow this at {path}: {why}", kind.type_id);
        return Err(Refusal::invalid(field, message));
    }
    Ok(())
}

impl Side {
    fn answers_for(self, path: &str) -> bool {
        (self == Side::Device) == path.starts_with("/reported")
    }
}

/// The attributes as the schema sees them: texts, or numbers and truths where the schema asks for those.
fn document(schema: &Value, device: &Device) -> Value {
    let scopes = [
        ("identity", Scope::Identity),
        ("reported", Scope::Reported),
        ("tags", Scope::Tags),
        ("administrative", Scope::Administrative),
    ];
    let scopes = scopes.map(|(name, scope)| {
        let wanted = &schema["properties"][name]["properties"];
        let typed = |(key, text): (&String, &String)| (key.clone(), typed(&wanted[key]["type"], text));
        let attributes: Map<_, _> = scope.map(device).iter().map(typed).collect();
        (name.to_owned(), Value::Object(attributes))
    });
    Value::Object(scopes.into_iter().collect())
}

fn typed(wanted: &Value, text: &str) -> Value {
    let value = match wanted.as_str() {
        Some("integer") => text.parse::<i64>().ok().map(|n| json!(n)),
        Some("number") => text
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .map(|n| json!(n)),
        Some("boolean") => text.parse::<bool>().ok().map(|b| json!(b)),
        _ => None,
    };
    value.unwrap_or_else(|| json!(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind() -> DeviceType {
        let schema = json!({
            "required": ["administrative"],
            "properties": {
                "administrative": {
                    "required": ["cost-centre"],
                    "properties": { "cost-centre": { "type": "integer", "minimum": 1000 } },
                },
                "tags": { "properties": { "line": { "pattern": "^[0-9]+$" } }, "additionalProperties": false },
                "reported": { "properties": { "bearing": { "enum": ["steel", "ceramic"] } } },
            },
        });
        DeviceType {
            type_id: "pump".into(),
            schema: schema.to_string(),
            ..DeviceType::default()
        }
    }

    fn device(administrative: &str, line: &str, bearing: &str) -> Device {
        let mut device = Device::default();
        let put = |map: &mut std::collections::BTreeMap<String, String>, key: &str, value: &str| {
            if !value.is_empty() {
                map.insert(key.into(), value.into());
            }
        };
        put(&mut device.administrative, "cost-centre", administrative);
        put(&mut device.tags, "line", line);
        put(&mut device.attributes, "bearing", bearing);
        device
    }

    #[test]
    fn each_side_is_judged_by_its_own() {
        let field = |device: &Device, side| {
            check(&SchemaCache::default(), &kind(), device, side)
                .err()
                .map(|r| r.field)
        };
        let (operators, own) = (Side::Operators, Side::Device);
        assert_eq!(field(&device("4711", "7", "steel"), operators), None);
        assert_eq!(field(&device("4711", "7", "steel"), own), None);
        assert_eq!(
            field(&device("", "7", "steel"), operators).as_deref(),
            Some("administrative")
        );
        assert_eq!(field(&device("", "7", "steel"), own), None);
        assert_eq!(
            field(&device("7", "", ""), operators).as_deref(),
            Some("administrative.cost-centre")
        );
        assert_eq!(
            field(&device("x", "", ""), operators).as_deref(),
            Some("administrative.cost-centre")
        );
        assert_eq!(
            field(&device("4711", "seven", ""), operators).as_deref(),
            Some("tags.line")
        );
        assert_eq!(
            field(&device("", "", "wood"), own).as_deref(),
            Some("attributes.bearing")
        );
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let huge = format!("{{\"description\":\"{}\"}}", "x".repeat(SCHEMA_BYTES));
        for bad in [
            "nonsense",
            "[]",
            "{\"type\":\"no such\"}",
            "{\"pattern\":\"(\"}",
            "{\"pattern\":\"(a{1000}){1000}\"}",
            "{\"$ref\":\"http://127.0.0.1/schema\"}",
            "{\"allOf\":[{\"$ref\":\"#\"}]}",
            &format!("{{\"allOf\":[{}{{}}]}}", "{\"pattern\":\"a\"},".repeat(33)),
            &huge,
        ] {
            let refusal = parse(bad).err().unwrap();
            assert_eq!(refusal.field, "schema", "{bad:.40}");
        }
        assert!(parse("").unwrap().is_none());
        assert!(parse("{}").unwrap().is_some());
    }
}
