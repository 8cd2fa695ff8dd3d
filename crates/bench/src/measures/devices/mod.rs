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
#[derive(Debug, clap::Args)]
///
/// A million devices take up to 20 GB of disk and of memory, and an hour. What is being done is told meanwhile.
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
        let peer = peer.map(|peer| peer.version()).transpose()?;
        Ok(DeviceFindings {
            peer,
            engine: self.engine.word(),
            lines,
        })
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
                other(line.postgres),
                line.ratio(line.postgres),
                other(line.raw_sled),
                line.ratio(line.raw_sled),
            ]
        };
        self.lines.iter().map(row).collect()
    }
}
