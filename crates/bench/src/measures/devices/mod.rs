//! `muster-bench devices`: what many devices cost the registry.

mod import;
mod muster;
mod postgres;
mod rows;

use std::{path::Path, time::Duration};

use anyhow::Result;
use serde::Serialize;
use store::Engine;

use self::muster::Effort;
use super::raw_sled::Records;
use crate::{
    output::{Findings, number},
    programs::Programs,
    servers::{Postgres, muster::registry_store},
};

/// Rows read back as samples for bare sled.
const SAMPLE: usize = 20_000;

/// Registering, finding and changing devices, beside PostgreSQL and bare sled
///
/// For each size a fleet is imported from a table by `muster device import`, the server started again, 50 devices of
/// a site asked for by a query, the whole fleet searched without an index, devices changed one at a time and many at
/// once, a dynamic group made, and devices changed that join and leave it. PostgreSQL, where it is installed, has the
/// same rows with fitting indexes and durable commits, and is asked by pgbench over a Unix socket. Bare sled gets the
/// registry's records, without those of indexes, in groups of the size that the registry made.
/// *Growth* says how many times as much a thing costs as at the size before: 1 is flat.
///
/// A million devices take up to 20 GB of disk and of memory, and an hour. What is being done is told meanwhile.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  muster-bench devices
  muster-bench devices --sizes 1000000
  muster-bench devices --sizes 1000000 --engine redb")]
pub(crate) struct Devices {
    /// Devices in the fleet, for each run
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000])]
    sizes: Vec<usize>,
    /// Seconds for each figure
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Changes under way where many are made at once
    #[arg(long, default_value_t = 64)]
    window: usize,
    /// The engine that keeps Muster's stores: sled or redb
    #[arg(long, default_value_t, value_parser = str::parse::<Engine>)]
    engine: Engine,
}

/// All sizes.
#[derive(Debug, Serialize)]
pub(crate) struct DeviceFindings {
    peer: Option<String>,
    engine: &'static str,
    lines: Vec<Line>,
}

/// One figure at one size.
#[derive(Debug, Serialize)]
struct Line {
    devices: usize,
    what: &'static str,
    muster: f64,
    postgres: Option<f64>,
    raw_sled: Option<f64>,
    /// Whether a larger figure is the better one.
    is_rate: bool,
    /// How many times as dear as at the size before.
    growth: Option<f64>,
}

impl Devices {
    pub(crate) async fn run(self, programs: &Programs) -> Result<DeviceFindings> {
        let peer = Postgres::start(&programs.work)?;
        let effort = Effort {
            span: Duration::from_secs_f64(self.seconds),
            window: self.window,
            engine: self.engine,
        };
        let mut lines = Vec::new();
        for devices in self.sizes {
            let place = tempfile::tempdir_in(&programs.work)?;
            let folder = place.path().join("installation");
            let ours = muster::measure(programs, &folder, devices, effort).await?;
            let raw = match effort.engine {
                Engine::Sled => Some(Raw::measure(&folder, &programs.work, &ours, devices, effort)?),
                Engine::Redb => None,
            };
            let theirs = match &peer {
                Some(peer) => Some(postgres::measure(peer, devices, effort)?),
                None => None,
            };
            lines.extend(compare(devices, &ours, theirs.as_ref(), raw.as_ref()));
        }
        grow(&mut lines);
        let peer = peer.map(|peer| peer.version()).transpose()?;
        Ok(DeviceFindings {
            peer,
            engine: self.engine.word(),
            lines,
        })
    }
}

/// Holds each figure against the one at the size before.
fn grow(lines: &mut [Line]) {
    for at in 1..lines.len() {
        let (former, rest) = lines.split_at_mut(at);
        let line = &mut rest[0];
        let before = former.iter().rfind(|before| before.what == line.what);
        line.growth = before.map(|before| line.times_as_dear(before));
    }
}

/// What bare sled does with the same records.
struct Raw {
    registered: f64,
    changed: f64,
}

impl Raw {
    fn measure(
        folder: &Path,
        work: &Path,
        ours: &muster::Findings,
        devices: usize,
        effort: Effort,
    ) -> Result<Raw> {
        let store = registry_store(folder);
        let sample = devices.min(SAMPLE);
        let group = |size: f64| size.round().max(1.0) as usize;
        let registered = Records::read(&store, 0, sample)?;
        let changed = Records::read(&store, ours.first_change, sample)?;
        Ok(Raw {
            registered: registered.rate(work, group(ours.import.group), 1, effort.span)?,
            changed: changed.rate(work, group(ours.change_group), 1, effort.span)?,
        })
    }
}

fn compare(
    devices: usize,
    ours: &muster::Findings,
    theirs: Option<&postgres::Findings>,
    raw: Option<&Raw>,
) -> Vec<Line> {
    let their = |figure: fn(&postgres::Findings) -> f64| theirs.map(figure);
    let line = |what, muster, postgres| Line {
        devices,
        what,
        muster,
        postgres,
        raw_sled: None,
        is_rate: false,
        growth: None,
    };
    let rate = |what, muster, postgres, raw_sled| Line {
        raw_sled,
        is_rate: true,
        ..line(what, muster, postgres)
    };
    let each = |bytes: f64| bytes / devices as f64;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    vec![
        rate(
            "rows imported/s",
            ours.import.per_second,
            their(|they| they.registered_per_second),
            raw.map(|raw| raw.registered),
        ),
        line("CPU µs of the server for a row", ours.import.cpu_us, None),
        line("records written for a row", ours.import.records_of_a_row, None),
        line(
            "bytes on disk each, registry",
            each(ours.disk_bytes as f64),
            their(|they| they.disk_bytes).map(each),
        ),
        line(
            "bytes on disk each, all services",
            each(ours.all_disk_bytes as f64),
            None,
        ),
        line(
            "bytes on disk each, registry, after a start",
            each(ours.started_disk_bytes as f64),
            None,
        ),
        line(
            "bytes in memory each, after the import",
            each(ours.import.memory_bytes as f64),
            None,
        ),
        line(
            "bytes in memory each, after a start",
            each(ours.memory_bytes as f64),
            None,
        ),
        line(
            "bytes in memory each, of the importing program",
            each(ours.import.client_bytes as f64),
            None,
        ),
        line("start, ms", ms(ours.start), None),
        line(
            "50 by a query, p50 ms",
            ours.query.p50_ms,
            their(|they| they.query.p50_ms),
        ),
        line(
            "50 by a query, p99 ms",
            ours.query.p99_ms,
            their(|they| they.query.p99_ms),
        ),
        line(
            "all looked at, ms",
            ms(ours.scan),
            theirs.map(|they| ms(they.scan)),
        ),
        line(
            "a change, p50 ms",
            ours.change.p50_ms,
            their(|they| they.change.p50_ms),
        ),
        line(
            "a change, p99 ms",
            ours.change.p99_ms,
            their(|they| they.change.p99_ms),
        ),
        rate(
            "changes/s, many at once",
            ours.changes.acks_per_second,
            their(|they| they.changes.per_second),
            raw.map(|raw| raw.changed),
        ),
        line("CPU µs of the server for a change", ours.change_cpu_us, None),
        line(
            "a dynamic group made, ms",
            ms(ours.settling),
            theirs.map(|they| ms(they.settling)),
        ),
        line(
            "a change of members, p50 ms",
            ours.joining.p50_ms,
            their(|they| they.joining.p50_ms),
        ),
        line(
            "a change of members, p99 ms",
            ours.joining.p99_ms,
            their(|they| they.joining.p99_ms),
        ),
    ]
}

impl Line {
    /// Above 1 where the same costs more than it did.
    fn times_as_dear(&self, before: &Line) -> f64 {
        if self.is_rate {
            before.muster / self.muster
        } else {
            self.muster / before.muster
        }
    }

    /// How many times as good as the peer.
    fn ratio(&self, other: Option<f64>) -> String {
        let Some(other) = other else {
            return String::new();
        };
        let ratio = if self.is_rate {
            self.muster / other
        } else {
            other / self.muster
        };
        format!("× {}", number(ratio))
    }
}

impl Findings for DeviceFindings {
    fn heading(&self) -> String {
        let peer = self.peer.as_deref().unwrap_or("PostgreSQL is not installed");
        format!(
            "the registry by the size of its fleet; \"as good\" above 1 is better than the other; peer: {peer}"
        )
    }

    fn columns(&self) -> Vec<&'static str> {
        vec![
            "devices: what",
            "Muster",
            "growth",
            "PostgreSQL",
            "as good",
            "bare sled",
            "as good",
        ]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let other = |figure: Option<f64>| figure.map(number).unwrap_or_default();
        let row = |line: &Line| {
            vec![
                format!("{}: {}", line.devices, line.what),
                number(line.muster),
                line.growth
                    .map(|growth| format!("x {}", number(growth)))
                    .unwrap_or_default(),
                other(line.postgres),
                line.ratio(line.postgres),
                other(line.raw_sled),
                line.ratio(line.raw_sled),
            ]
        };
        self.lines.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, grow};

    fn line(devices: usize, what: &'static str, muster: f64, is_rate: bool) -> Line {
        Line {
            devices,
            what,
            muster,
            postgres: None,
            raw_sled: None,
            is_rate,
            growth: None,
        }
    }

    #[test]
    fn what_costs_more_than_at_the_size_before_has_grown() {
        let mut lines = [
            line(1_000, "rate", 20_000.0, true),
            line(1_000, "time", 2.0, false),
            line(10_000, "rate", 10_000.0, true),
            line(10_000, "time", 1.0, false),
            line(100_000, "time", 3.0, false),
        ];
        grow(&mut lines);
        let growth = lines.map(|line| line.growth);
        assert_eq!(growth, [None, None, Some(2.0), Some(0.5), Some(3.0)]);
    }
}
