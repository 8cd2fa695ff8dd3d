//! `muster config set`, `merge`, `replace`, `unset`

use std::path::PathBuf;

use anyhow::Result;
use contract::{
    Id,
    document::{self, Document},
    id::ServiceName,
    v1::{Changed, ConfigMode, SetConfig},
};
use serde_json::Value;

use super::super::{Global, print};
use crate::{exit::Failure, folder::read_text};

#[derive(clap::Args)]
pub(crate) struct Set {
    /// The device
    id: Id,
    /// Settings: keys joined by `.`, and JSON, or else a text
    #[arg(required = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    #[command(flatten)]
    version: Expected,
}

/// A document for a device.
#[derive(clap::Args)]
pub(crate) struct Whole {
    /// The device
    id: Id,
    #[command(flatten)]
    document: Given,
    #[command(flatten)]
    version: Expected,
}

#[derive(clap::Args)]
pub(crate) struct Unset {
    /// The device
    id: Id,
    /// Keys joined by `.`
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    version: Expected,
}

/// A document on the command line or in a file.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Given {
    /// The JSON object
    document: Option<String>,
    /// A file that holds it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Whose change it is that may be built upon.
#[derive(clap::Args)]
pub(crate) struct Expected {
    /// Only if the configuration has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    pub(super) expected_version: u64,
}

impl Set {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let patch = document::to_text(&assignments(&self.settings)?);
        send(global, &self.id, ConfigMode::Merge, patch, &self.version)
    }
}

impl Whole {
    pub(super) fn run(self, global: &Global, mode: ConfigMode) -> Result<()> {
        let document = self.document.read()?;
        send(global, &self.id, mode, document, &self.version)
    }
}

impl Unset {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let patch = document::to_text(&removals(&self.keys)?);
        send(global, &self.id, ConfigMode::Merge, patch, &self.version)
    }
}

impl Given {
    pub(super) fn read(&self) -> Result<String> {
        match &self.file {
            Some(path) => read_text(path),
            None => Ok(self.document.clone().unwrap_or_default()),
        }
    }
}

fn send(global: &Global, id: &Id, mode: ConfigMode, document: String, version: &Expected) -> Result<()> {
    let request = SetConfig {
        request_id: String::new(),
        device_id: id.to_string(),
        mode: mode.into(),
        document,
        expected_version: version.expected_version,
    };
    let changed: Changed = global.ask(ServiceName::Registry, "config-set", &request)?;
    print::changed(global.json, &changed)
}

/// `net.mtu=1400` and its like, as a patch.
pub(in super::super) fn assignments(settings: &[String]) -> Result<Document> {
    patch(settings.iter().map(|text| match text.split_once('=') {
        Some((path, text)) => Ok((path, value(path, text)?)),
        None => Err(Failure::usage(format!("`{text}`: give KEY=VALUE"))),
    }))
}

/// JSON, or else a text. What begins like JSON of several parts and is none is a slip of the keyboard.
fn value(path: &str, text: &str) -> Result<Value, Failure> {
    match serde_json::from_str(text) {
        Ok(Value::Null) => Ok(Value::from(text)),
        Ok(json) => Ok(json),
        Err(error) if text.starts_with(['{', '[', '"']) => Err(Failure::usage(format!(
            "`{path}`: what begins like JSON is none: {error}; a text that begins so stands in quotes, as in KEY='\"[x\"'"
        ))),
        Err(_) => Ok(Value::from(text)),
    }
}

/// `net.mtu` and its like, as a patch.
pub(super) fn removals(keys: &[String]) -> Result<Document> {
    patch(keys.iter().map(|path| Ok((path.as_str(), Value::Null))))
}

fn patch<'a>(entries: impl Iterator<Item = Result<(&'a str, Value), Failure>>) -> Result<Document> {
    let mut patch = Document::new();
    for entry in entries {
        let (path, value) = entry?;
        if !put(&mut patch, path, value) {
            let message = format!("`{path}`: keys are joined by `.`, none is empty, none stands twice");
            return Err(Failure::usage(message).into());
        }
    }
    Ok(patch)
}

fn put(patch: &mut Document, path: &str, value: Value) -> bool {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    if first.is_empty() {
        return false;
    }
    let Some(rest) = rest else {
        return patch.insert(first.to_owned(), value).is_none();
    };
    let under = patch
        .entry(first)
        .or_insert_with(|| Value::Object(Document::new()));
    under.as_object_mut().is_some_and(|under| put(under, rest, value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn settings_are_json_or_text() {
        let set = assignments(&texts(&[
            "a=10s", "n.m=1400", "n.d=[1]", "q=\"7\"", "e=", "z=null",
        ]))
        .unwrap();
        let expected = json!({"a": "10s", "n": {"m": 1400, "d": [1]}, "q": "7", "e": "", "z": "null"});
        assert_eq!(Value::Object(set), expected);
        let gone = removals(&texts(&["n.m", "a"])).unwrap();
        assert_eq!(Value::Object(gone), json!({"n": {"m": null}, "a": null}));
        for bad in [
            &["a"][..],
            &["=1"],
            &["a..b=1"],
            &["a=1", "a=2"],
            &["a=1", "a.b=2"],
            &["a={"],
            &["a=[1,2"],
            &["a=\"x"],
        ] {
            assert!(assignments(&texts(bad)).is_err(), "{bad:?}");
        }
    }
}
