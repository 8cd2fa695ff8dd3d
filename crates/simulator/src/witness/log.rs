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
    /// What was read, also of what is no longer kept: the events after `before`.
    events: Vec<Event>,
    /// The last event that was gone when this history began: of a backup.
    before: u64,
    /// The last event that is no longer kept.
    lost: u64,
    subjects: BTreeMap<String, u64>,
    /// What anybody has ever been shown, by history and sequence.
    shown: BTreeMap<(String, u64), Value>,
    epoch: Option<u64>,
}

impl Log {
    /// Reads what is new. Sequences go on without a gap, whole and for each subject, and only events from before
    /// `past_ms` (wall clock, milliseconds since 1970) go, from the start (I6).
    pub(crate) fn read(&mut self, rows: &Rows, past_ms: Option<i64>) -> Result<Vec<Event>, String> {
        self.epoch = Some(rows.epoch());
        let (head, _) = inspect::heads(rows).map_err(|error| error.to_string())?;
        self.look_at_the_start(rows, past_ms)?;
        let held = self.last();
        if head < held {
            return Err(format!("the log has shrunk from {held} to {head}"));
        }
        let fresh = inspect::events(rows, held, usize::MAX).map_err(|error| error.to_string())?;
        for event in &fresh {
            self.add(event)?;
        }
        let last = self.last();
        if last != head {
            return Err(format!("the head says {head}, the log ends at {last}"));
        }
        Ok(fresh)
    }

    fn last(&self) -> u64 {
        self.events.last().map_or(self.before, |event| event.sequence)
    }

    fn add(&mut self, event: &Event) -> Result<(), String> {
        let last = self.last();
        if event.sequence != last + 1 {
            return Err(format!("event {} follows {last}", event.sequence));
        }
        let now = event.subject_sequence;
        let then = self.subjects.insert(event.subject.clone(), now);
        // Of a subject whose former events a backup had lost already, this is the first one to be seen.
        let then = then.unwrap_or(if self.before > 0 { now.saturating_sub(1) } else { 0 });
        if now != then + 1 {
            return Err(format!("{}: its event {now} follows {then}", event.subject));
        }
        self.events.push(event.clone());
        Ok(())
    }

    /// What is no longer kept was old enough, and what is kept has no gap.
    fn look_at_the_start(&mut self, rows: &Rows, past_ms: Option<i64>) -> Result<(), String> {
        let lost = lost(rows)?;
        if lost == self.lost {
            return Ok(());
        }
        if lost < self.lost {
            return Err(format!("event {} is there again", lost + 1));
        }
        let gone = self.events.iter().filter(|event| event.sequence > self.lost);
        for event in gone.take_while(|event| event.sequence <= lost) {
            if past_ms.is_none_or(|past| event.time_ms >= past) {
                return Err(format!("event {} was removed before its time", event.sequence));
            }
        }
        self.lost = lost;
        let kept = inspect::events(rows, 0, usize::MAX).map_err(|error| error.to_string())?;
        match kept
            .iter()
            .zip(lost + 1..)
            .find(|(event, n)| event.sequence != *n)
        {
            Some((event, n)) => Err(format!("{n} is not kept, and {} is", event.sequence)),
            None => Ok(()),
        }
    }

    /// The oldest event that is kept, if somebody was told that it is a later one.
    pub(crate) fn older_than_told(&self, epoch: &str, told: u64) -> Option<u64> {
        let known = self.epoch.is_some_and(|own| format!("{own:016x}") == epoch);
        (known && told > self.lost + 1).then_some(self.lost + 1)
    }

    /// Another history begins, with what a backup had of this one. That was looked at when it was written.
    pub(crate) fn restored(&mut self, rows: &Rows) {
        self.lost = lost(rows).unwrap_or_default();
        self.before = self.lost;
        self.events = inspect::events(rows, self.lost, usize::MAX).unwrap_or_default();
        let subjects = self.events.iter();
        self.subjects = subjects
            .map(|event| (event.subject.clone(), event.subject_sequence))
            .collect();
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
        let place = sequence.checked_sub(self.before + 1);
        let on_disk = place.and_then(|place| self.events.get(place as usize));
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

/// The last event that is no longer kept.
fn lost(rows: &Rows) -> Result<u64, String> {
    let oldest = inspect::first_event(rows).map_err(|error| error.to_string())?;
    Ok(oldest.saturating_sub(1))
}
