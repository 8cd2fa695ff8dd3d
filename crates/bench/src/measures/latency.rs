//! `muster-bench latency`: how long a request waits for its answer when there is room, and while many connect.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::requests::{UP, listener};
use crate::{
    fleet::{self, Fleet, Transport},
    load::{Crowd, Figures, Span, Subscriber, arrivals::Storm},
    output::{Findings, number},
    programs::Programs,
    servers::{Mosquitto, Muster, Place, Process, muster},
};

/// The window by which the highest rate is found.
const WINDOW: u16 = 16;

/// How long a durable request waits for its acknowledgement, at a share of the highest rate and in a storm
///
/// The highest rate is Muster's over mTLS with windows of 16. At a tenth of it, the same for both servers, devices
/// report in turns, one report at a time; then the same while other devices connect and leave at `--storm` a second.
#[derive(Debug, clap::Args)]
pub(crate) struct Latency {
    /// Devices that report
    #[arg(long, default_value_t = 200)]
    connections: usize,
    /// The share of the highest rate
    #[arg(long, default_value_t = 0.1)]
    share: f64,
    /// Connections a second in the storm
    #[arg(long, default_value_t = 500.0)]
    storm: f64,
    /// Seconds before the measured time
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds measured, each time
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct LatencyFindings {
    peer: String,
    rate: f64,
    storm: f64,
    times: Vec<Time>,
}

#[derive(Debug, Serialize)]
struct Time {
    server: &'static str,
    storm: bool,
    figures: Figures,
    /// Connections of the storm that were made, and that failed.
    arrived: u64,
    failed: u64,
}

struct Side<'a> {
    name: &'static str,
    process: &'a Process,
    place: Place,
}

impl Latency {
    pub(crate) async fn run(self, programs: &Programs) -> Result<LatencyFindings> {
        let peer = programs.peer()?;
        let fleet = fleet::fleet(programs, self.connections * 2).await?;
        let muster = Muster::start(&programs.muster, &fleet.folder)?;
        let rate = self.highest(&fleet, &muster).await? * self.share;
        let ours = Side {
            name: "Muster",
            process: &muster.process,
            place: muster.place,
        };
        let mut times = self.times(&fleet, &ours, rate).await?;
        muster.process.stop()?;
        let tls = muster::tls_files(&fleet.folder);
        let mosquitto = Mosquitto::start(&programs.mosquitto, &programs.work.join("peer"), &tls)?;
        let _subscriber = Subscriber::start(&listener(mosquitto.place.plain), UP).await?;
        let theirs = Side {
            name: "Mosquitto",
            process: &mosquitto.process,
            place: mosquitto.place,
        };
        times.extend(self.times(&fleet, &theirs, rate).await?);
        mosquitto.process.stop()?;
        Ok(LatencyFindings {
            peer,
            rate,
            storm: self.storm,
            times,
        })
    }

    async fn highest(&self, fleet: &Fleet, muster: &Muster) -> Result<f64> {
        let crowd = Crowd::connect(fleet.first(self.connections, Transport::Mtls, muster.place)?).await?;
        let load = crowd.rush(WINDOW, self.span(), &muster.process).await?;
        Ok(load.figures.acks_per_second)
    }

    async fn times(&self, fleet: &Fleet, side: &Side<'_>, rate: f64) -> Result<Vec<Time>> {
        let mut times = Vec::new();
        for storm in [false, true] {
            eprintln!("{}{}", side.name, if storm { ", in the storm" } else { "" });
            let crowd = Crowd::connect(fleet.first(self.connections, Transport::Mtls, side.place)?).await?;
            let mut others = fleet.logins(self.connections * 2, Transport::Mtls, side.place);
            let others = others.split_off(self.connections);
            let blowing = storm.then(|| Storm::begin(others, self.storm));
            let load = crowd.stroll(rate, self.span(), side.process).await?;
            let (arrived, failed) = blowing.map_or((0, 0), Storm::end);
            times.push(Time {
                server: side.name,
                storm,
                figures: load.figures,
                arrived,
                failed,
            });
        }
        Ok(times)
    }

    fn span(&self) -> Span {
        Span {
            warm_up: Duration::from_secs_f64(self.warm_up),
            measured: Duration::from_secs_f64(self.seconds),
        }
    }
}

impl Findings for LatencyFindings {
    fn heading(&self) -> String {
        format!(
            "mTLS, {} requests a second in all; a storm is {} connections a second; peer: {}",
            number(self.rate),
            number(self.storm),
            self.peer
        )
    }

    fn columns(&self) -> Vec<&'static str> {
        vec![
            "",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "max ms",
            "connected",
            "failed",
        ]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.times.iter().map(Time::row).collect()
    }
}

impl Time {
    fn row(&self) -> Vec<String> {
        let figures = &self.figures;
        let name = format!("{}{}", self.server, if self.storm { ", storm" } else { "" });
        let values = [
            figures.acks_per_second,
            figures.p50_ms,
            figures.p99_ms,
            figures.max_ms,
        ];
        let counts = [self.arrived, self.failed].map(|count| count.to_string());
        std::iter::once(name)
            .chain(values.map(number))
            .chain(counts)
            .collect()
    }
}
