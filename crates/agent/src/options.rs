//! What the agent is set to from afar.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use device::Document;

/// The shortest and the longest time between two heartbeats.
const HEARTBEAT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));

/// What the agent is set to.
#[derive(Debug)]
pub(crate) struct Options {
    file: PathBuf,
    heartbeat: Mutex<Option<Duration>>,
}

impl Options {
    /// Nothing is set yet; what is will be in this file.
    pub(crate) fn new(file: PathBuf) -> Options {
        Options {
            file,
            heartbeat: Mutex::default(),
        }
    }

    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        *self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is set any more: settings may be secrets.
    pub(crate) fn forget(&self) -> io::Result<()> {
        let removed = fs::remove_file(&self.file);
        let _ = fs::remove_file(beside(&self.file));
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes all of it or nothing.
    pub(crate) fn apply(&self, document: &Document) -> Result<(), String> {
        let heartbeat = document.get("heartbeat").map(read).transpose()?;
        write(&self.file, document).map_err(|error| format!("settings.json: {error}"))?;
        *self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner) = heartbeat;
        Ok(())
    }
}

fn read(value: &serde_json::Value) -> Result<Duration, String> {
    let text = value.as_str().unwrap_or_default();
    match humantime::parse_duration(text) {
        Ok(time) if (HEARTBEAT.0..=HEARTBEAT.1).contains(&time) => Ok(time),
        _ => Err(format!(
            "heartbeat is a time between 1s and 24h, for example \"30s\", not {value}"
        )),
    }
}

fn beside(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

/// Programs beside the agent see the old file or the new one.
fn write(path: &Path, document: &Document) -> io::Result<()> {
    let fresh = beside(path);
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(document)?)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_is_taken_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new(dir.path().join("settings.json"));
        let apply = |document: serde_json::Value| options.apply(document.as_object().unwrap());
        apply(json!({"heartbeat": "10s", "valve": {"limit": 3}})).unwrap();
        assert_eq!(options.heartbeat(), Some(Duration::from_secs(10)));
        for bad in [json!("soon"), json!(10), json!("10ms"), json!("2d")] {
            let refused = apply(json!({"heartbeat": bad, "valve": {}})).unwrap_err();
            assert!(refused.contains("between 1s and 24h"), "{refused}");
        }
        assert_eq!(options.heartbeat(), Some(Duration::from_secs(10)));
        let text = fs::read_to_string(dir.path().join("settings.json")).unwrap();
        assert_eq!(text, r#"{"heartbeat":"10s","valve":{"limit":3}}"#);
        apply(json!({})).unwrap();
        assert_eq!(options.heartbeat(), None);
        options.forget().unwrap();
        options.forget().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
