//! One service's event log as the disk shows it, and as others were shown it.

use std::collections::BTreeMap;

use contract::{
    ServiceName,
    event::{self, Source},
    v1::Event,
};
use serde_json::Value;
use service::inspect;

use crate::{disk::Rows, genesis::SITE};

/// The log.
#[derive(Default)]
pub(crate) struct Log {
    events: Vec<Event>,
    subjects: BTreeMap<String, u64>,
    /// What anybody has ever been shown, by history and sequence.
    shown: BTreeMap<(String, u64), Value>,
    epoch: Option<u64>,
}

impl Log {
    /// Reads what is new. Sequences go on without a gap, whole and for each subject (I6).
    pub(crate) fn read(&mut self, rows: &Rows) -> Result<Vec<Event>, String> {
        self.epoch = Some(rows.epoch());
        let held = self.events.last().map_or(0, |event| event.sequence);
        let (head, _) = inspect::heads(rows).map_err(|error| error.to_string())?;
        if head < held {
            return Err(format!("the log has shrunk from {held} to {head}"));
        }
        let fresh = inspect::events(rows, held, usize::MAX).map_err(|error| error.to_string())?;
        for event in &fresh {
            let next = self.events.last().map_or(1, |last| last.sequence + 1);
            if event.sequence != next {
                return Err(format!("event {} follows {}", event.sequence, next - 1));
            }
            let subject = self.subjects.entry(event.subject.clone()).or_default();
            if event.subject_sequence != *subject + 1 {
                let (now, then) = (event.subject_sequence, *subject);
                return Err(format!("{}: its event {now} follows {then}", event.subject));
            }
            *subject = event.subject_sequence;
            self.events.push(event.clone());
        }
        let last = self.events.last().map_or(0, |event| event.sequence);
        if last != head {
            return Err(format!("the head says {head}, the log ends at {last}"));
        }
        Ok(fresh)
    }

    /// Another history begins, with what a backup had of this one.
    pub(crate) fn restored(&mut self) {
        self.events.clear();
        self.subjects.clear();
    }

    /// The present history's name and its last event. A restored history begins with the events of the
    /// former one, which keep its name: nobody can know of it before it has an event of its own.
    pub(crate) fn head(&self) -> Option<(String, u64)> {
        let last = self
            .events
            .last()
            .filter(|event| Some(event.epoch) == self.epoch)?;
        Some((format!("{:016x}", last.epoch), last.sequence))
    }

    /// Somebody has been shown an event: the same as anybody before, and as the disk has it.
    pub(crate) fn seen(&mut self, service: ServiceName, shown: &Value) -> Result<(), String> {
        let text = |field: &str| shown[field].as_str().unwrap_or_default().to_owned();
        let sequence: u64 = text("sequence").parse().unwrap_or_default();
        let key = (text("epoch"), sequence);
        if let Some(first) = self.shown.get(&key) {
            if first != shown {
                return Err(format!(
                    "event {sequence} was shown as {first} and then as {shown}"
                ));
            }
        } else {
            self.shown.insert(key.clone(), shown.clone());
        }
        let on_disk = self.events.get((sequence.max(1) - 1) as usize);
        let Some(event) = on_disk.filter(|event| format!("{:016x}", event.epoch) == key.0) else {
            let known = self.epoch.is_some_and(|epoch| format!("{epoch:016x}") == key.0);
            return if known {
                Err(format!(
                    "event {sequence} was shown, and the disk does not have it"
                ))
            } else {
                Ok(())
            };
        };
        let source = Source { site: SITE, service };
        let written: Value =
            serde_json::from_slice(&event::to_cloud_event(source, event)).unwrap_or_default();
        if written == *shown {
            Ok(())
        } else {
            Err(format!(
                "event {sequence} was shown as {shown}, the disk has {written}"
            ))
        }
    }
}
