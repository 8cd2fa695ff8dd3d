//! The raw limit of durable requests: the very records that the registry wrote, into a store of their own.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use service::store::{Batch, Pair, Read, Store};
use store::{OpenOptions, SledStore};

/// Schema of the store; what `muster up` gives it.
const SCHEMA: u32 = 1;
/// Events that are taken as a sample.
const SAMPLE: usize = 20_000;

/// What reports leave in the registry's store: an event each, and for each device its record and the
/// number of its last event.
pub(crate) struct Records {
    events: Vec<Vec<u8>>,
    devices: Vec<Pair>,
    numbers: Vec<Pair>,
    heads: Vec<Pair>,
}

impl Records {
    /// Reads them back from the store of a Muster that has ended, events after a number.
    pub(crate) fn read(path: &Path, after: u64, devices: usize) -> Result<Records> {
        let store = SledStore::open(OpenOptions::new(path, 1, SCHEMA))?;
        let events = store.scan(b"e", Some(&event_key(after)), SAMPLE)?;
        let records = Records {
            events: events.into_iter().map(|(_, event)| event).collect(),
            devices: store.scan(b"sd", None, devices)?,
            numbers: store.scan(b"ndevices/", None, devices)?,
            heads: store.scan(b"h", None, 1)?,
        };
        let lacking = records.events.is_empty() || records.devices.is_empty() || records.numbers.is_empty();
        ensure!(
            !lacking,
            "the registry's store does not hold what reports leave there"
        );
        Ok(records)
    }

    /// Bytes of values and keys that one report leaves.
    pub(crate) fn bytes_per_request(&self) -> usize {
        let mean = |pairs: &[Pair]| {
            pairs
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum::<usize>()
                / pairs.len().max(1)
        };
        let events: usize = self.events.iter().map(Vec::len).sum();
        event_key(0).len() + events / self.events.len() + mean(&self.devices) + mean(&self.numbers)
    }

    /// Requests a second when nothing but commits of this many requests is done. Only the commits count.
    /// A device's `window` of requests comes in a row, as it does from the wire.
    pub(crate) fn rate(&self, folder: &Path, group: usize, window: usize, span: Duration) -> Result<f64> {
        let place = tempfile::tempdir_in(folder)?;
        let store = SledStore::open(OpenOptions::new(place.path().join("db"), 1, SCHEMA))?;
        let (mut committed, mut took) = (0, Duration::ZERO);
        while took < span {
            let batch = self.batch(committed, group, window);
            let begun = Instant::now();
            store.commit(&batch)?;
            took += begun.elapsed();
            committed += group;
        }
        Ok(committed as f64 / took.as_secs_f64())
    }

    fn batch(&self, first: usize, count: usize, window: usize) -> Batch {
        let mut batch = Batch::default();
        for n in first..first + count {
            let device = n / window.max(1);
            batch.put(
                event_key(n as u64 + 1),
                self.events[n % self.events.len()].as_slice(),
            );
            for (key, value) in [
                &self.devices[device % self.devices.len()],
                &self.numbers[device % self.numbers.len()],
            ] {
                batch.put(key.as_slice(), value.as_slice());
            }
        }
        for (key, value) in &self.heads {
            batch.put(key.as_slice(), value.as_slice());
        }
        batch
    }
}

fn event_key(sequence: u64) -> Vec<u8> {
    [b"e".as_slice(), &sequence.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back_and_committed_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry");
        let store = SledStore::open(OpenOptions::new(&path, 1, SCHEMA)).unwrap();
        let mut batch = Batch::default();
        (1..=9).for_each(|n| batch.put(event_key(n), [b'e'; 91]));
        for key in ["sda", "sdb", "sp", "ndevices/a", "ndevices/b", "npeople/a", "h"] {
            batch.put(key, [b'x'; 50]);
        }
        store.commit(&batch).unwrap();
        drop(store);

        let records = Records::read(&path, 4, 2).unwrap();
        assert_eq!(
            (records.events.len(), records.devices.len(), records.numbers.len()),
            (5, 2, 2)
        );
        assert_eq!(records.bytes_per_request(), 9 + 91 + 3 + 50 + 10 + 50);
        // An event each, the devices with their numbers, and the heads.
        assert_eq!(records.batch(7, 4, 1).len(), 4 + 2 * 2 + 1);
        assert_eq!(records.batch(8, 4, 4).len(), 4 + 2 + 1);
        assert!(
            records
                .rate(folder.path(), 4, 1, Duration::from_millis(50))
                .unwrap()
                > 0.0
        );
    }
}
