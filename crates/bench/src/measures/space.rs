//! What a store takes on disk for each byte of its rows, over a year of a fleet in time-lapse.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use service::store::Batch;
use store::{Database, Engine, OpenOptions, Stopped};

use crate::output::{Findings, number};

/// Devices whose rows go into one commit.
const GROUP: u64 = 500;
/// What a device's record, a presence record and an event have, about as in a real registry.
const RECORD: usize = 220;
const STATUS: usize = 140;
const EVENT: usize = 250;
/// How often a device comes and goes in a day.
const CHANGES: u64 = 2;

/// What a store takes on disk for each byte of its rows, over a year of a fleet in time-lapse
///
/// Each day every device reports once (its record is written again, an event added) and comes and goes twice
/// (its status is written again). The order of the devices is another one each day.
#[derive(Args)]
#[command(after_help = "Example:\n  muster-bench space --devices 10000 --days 365 --kept 30")]
pub(crate) struct Space {
    /// Devices in the fleet
    #[arg(long, default_value_t = 10_000)]
    devices: u64,
    /// Days to live through
    #[arg(long, default_value_t = 365)]
    days: u64,
    /// Days for which events are kept; 0 is for ever
    #[arg(long, default_value_t = 0)]
    kept: u64,
    /// Only this engine: sled or redb
    #[arg(long, value_parser = str::parse::<Engine>)]
    engine: Option<Engine>,
    /// Where the stores are made
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
}

/// What was found.
#[derive(Serialize)]
pub(crate) struct Found {
    devices: u64,
    days: u64,
    kept: u64,
    rows: Vec<Moment>,
}

/// A store at one moment.
#[derive(Serialize)]
struct Moment {
    engine: &'static str,
    moment: String,
    live_bytes: u64,
    disk_bytes: u64,
    amplification: f64,
    /// What it has cost since the last moment.
    seconds: f64,
}

impl Space {
    pub(crate) fn run(&self) -> Result<Found> {
        let engines = self
            .engine
            .map_or(vec![Engine::Sled, Engine::Redb], |one| vec![one]);
        let mut rows = Vec::new();
        for engine in engines {
            rows.extend(self.year(engine)?);
        }
        Ok(Found {
            devices: self.devices,
            days: self.days,
            kept: self.kept,
            rows,
        })
    }

    fn year(&self, engine: Engine) -> Result<Vec<Moment>> {
        let place = tempfile::tempdir_in(&self.folder)?;
        let options = OpenOptions {
            compact_above: 0,
            ..OpenOptions::new(place.path().join("db"), 1, 1)
        };
        let store = engine.open(options.clone())?;
        let mut moments = Vec::new();
        let mut begun = Instant::now();
        for day in 0..self.days {
            self.day(&store, day)?;
            if (day + 1) % self.days.div_ceil(12).max(1) == 0 || day + 1 == self.days {
                let moment = format!("day {}", day + 1);
                moments.push(self.moment(engine, moment, day, store.size_on_disk()?, begun.elapsed()));
                begun = Instant::now();
            }
        }
        drop(store);
        let last = self.days.saturating_sub(1);
        let closed = engine.open(options.clone())?.size_on_disk()?;
        moments.push(self.moment(engine, "closed, opened".into(), last, closed, begun.elapsed()));
        begun = Instant::now();
        let stopped = Stopped::find(options.clone())?.context("the store has gone")?;
        stopped.compact()?;
        let slim = engine.open(options)?.size_on_disk()?;
        moments.push(self.moment(engine, "written anew".into(), last, slim, begun.elapsed()));
        Ok(moments)
    }

    fn day(&self, store: &Arc<dyn Database>, day: u64) -> Result<()> {
        for first in (0..self.devices).step_by(GROUP as usize) {
            let group = first..(first + GROUP).min(self.devices);
            store.commit(&self.reports(day, group.clone()))?;
            for change in 0..CHANGES {
                store.commit(&self.changes(day, change, group.clone()))?;
            }
        }
        Ok(())
    }

    /// Every device once a day, in an order of the day's own.
    fn device(&self, day: u64, place: u64) -> u64 {
        // Any step that shares no factor with the number of devices visits them all.
        let step = (day * 2 + 1..).find(|step| greatest_common_divisor(*step, self.devices) == 1);
        place.wrapping_mul(step.unwrap_or(1)) % self.devices.max(1)
    }

    fn reports(&self, day: u64, places: std::ops::Range<u64>) -> Batch {
        let mut batch = Batch::default();
        for place in places {
            let device = scattered(self.device(day, place));
            let number = day * self.devices + place + 1;
            batch.put(format!("sd{device:016x}"), [day as u8; RECORD]);
            batch.put(format!("ndevices/{device:016x}"), number.to_be_bytes());
            batch.put(event_key(number), [day as u8; EVENT]);
            if self.kept > 0 && day >= self.kept {
                batch.delete(event_key(number - self.kept * self.devices));
            }
        }
        batch
    }

    fn changes(&self, day: u64, change: u64, places: std::ops::Range<u64>) -> Batch {
        let mut batch = Batch::default();
        for place in places {
            let device = scattered(self.device(day, place));
            batch.put(format!("sstatus/{device:016x}"), [(day + change) as u8; STATUS]);
        }
        batch
    }

    /// What the rows have after `day`.
    fn live_bytes(&self, day: u64) -> u64 {
        let a_device = (2 + 16 + RECORD) + (9 + 16 + 8) + (8 + 16 + STATUS);
        let days = if self.kept == 0 {
            day + 1
        } else {
            self.kept.min(day + 1)
        };
        self.devices * (a_device as u64 + days * (9 + EVENT as u64))
    }

    fn moment(&self, engine: Engine, moment: String, day: u64, disk_bytes: u64, took: Duration) -> Moment {
        let live_bytes = self.live_bytes(day);
        Moment {
            engine: engine.word(),
            moment,
            live_bytes,
            disk_bytes,
            amplification: disk_bytes as f64 / live_bytes as f64,
            seconds: took.as_secs_f64(),
        }
    }
}

/// Ids are random, their records lie all over the store.
fn scattered(device: u64) -> u64 {
    device.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn event_key(number: u64) -> Vec<u8> {
    [b"e".as_slice(), &number.to_be_bytes()].concat()
}

fn greatest_common_divisor(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

impl Findings for Found {
    fn heading(&self) -> String {
        let kept = match self.kept {
            0 => "events kept for ever".to_owned(),
            days => format!("events kept for {days} days"),
        };
        format!(
            "{} devices, {} days, each with a report and {CHANGES} changes of presence; {kept}",
            self.devices, self.days
        )
    }

    fn columns(&self) -> Vec<&'static str> {
        vec!["engine, moment", "live MB", "disk MB", "disk/live", "seconds"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let megabytes = |bytes: u64| number(bytes as f64 / 1e6);
        self.rows
            .iter()
            .map(|row| {
                vec![
                    format!("{} {}", row.engine, row.moment),
                    megabytes(row.live_bytes),
                    megabytes(row.disk_bytes),
                    number(row.amplification),
                    number(row.seconds),
                ]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also that what is taken for live is what the stores hold.
    #[test]
    fn a_short_year_is_lived_through() {
        for kept in [0, 2] {
            let space = Space {
                devices: 600,
                days: 5,
                kept,
                engine: None,
                folder: std::env::temp_dir(),
            };
            let found = space.run().unwrap();
            assert!(
                found.rows.iter().all(|row| row.amplification > 0.9),
                "{:?}",
                found.rows()
            );
            let place = tempfile::tempdir().unwrap();
            let options = OpenOptions::new(place.path().join("db"), 1, 1);
            let store = Engine::Redb.open(options.clone()).unwrap();
            (0..5).for_each(|day| space.day(&store, day).unwrap());
            drop(store);
            let stats = Stopped::find(options)
                .unwrap()
                .unwrap()
                .stats(&|_| "all".into())
                .unwrap();
            assert_eq!(stats.live().bytes, space.live_bytes(4));
        }
    }
}
