//! `muster-bench scale`: what a connected device costs, and what its request costs.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tokio::time::sleep;

use super::requests::{UP, listener};
use crate::{
    fleet::{self, Fleet, Transport},
    load::{Crowd, Span, Subscriber},
    machine,
    output::{Findings, number},
    programs::Programs,
    servers::{Mosquitto, Muster, Place, Process, muster},
};

const SECOND: Duration = Duration::from_secs(1);
/// Below this share of a core a server counts as quiet.
const QUIET: f64 = 0.05;
/// Seconds after which it counts as quiet anyway; the idle time is printed.
const UNQUIET: usize = 60;
/// Files beside the connections.
const OTHER_FILES: usize = 1_000;

/// Memory and CPU time for each connected device, beside Mosquitto
///
/// For each size a fresh server gets that many idle mTLS connections, each with a certificate of its own: the
/// growth of its resident memory is divided by them. Then the devices report in turns at one and the same
/// rate: when each has reported once, the server's CPU time, less what it uses when idle, is divided by the requests.
#[derive(Debug, clap::Args)]
pub(crate) struct Scale {
    /// Connected devices
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000])]
    sizes: Vec<usize>,
    /// Requests a second, all devices together
    #[arg(long, default_value_t = 2_000.0)]
    rate: f64,
    /// Seconds before the measured time, after each device's first report
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds measured
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// All sizes.
#[derive(Debug, Serialize)]
pub(crate) struct ScaleFindings {
    peer: String,
    rate: f64,
    sizes: Vec<Size>,
}

#[derive(Debug, Serialize)]
struct Size {
    connected: usize,
    muster: Cost,
    mosquitto: Cost,
}

#[derive(Debug, Serialize)]
struct Cost {
    /// With nobody connected.
    resident_mib_before: f64,
    resident_kib_per_connection: f64,
    /// Per cent of a core, with everybody connected and silent.
    idle_percent: f64,
    cpu_us_per_request: f64,
    requests_per_second: f64,
}

impl Scale {
    pub(crate) async fn run(self, programs: &Programs) -> Result<ScaleFindings> {
        let peer = programs.peer()?;
        let most = self.sizes.iter().copied().max().unwrap_or_default();
        machine::allow_open_files(most + OTHER_FILES)?;
        let mut sizes = Vec::new();
        for connected in self.sizes.iter().copied() {
            eprintln!("{connected} devices");
            let fleet = fleet::fleet(programs, most).await?;
            sizes.push(Size {
                connected,
                muster: self.muster(programs, &fleet, connected).await?,
                mosquitto: self.mosquitto(programs, &fleet, connected).await?,
            });
        }
        Ok(ScaleFindings {
            peer,
            rate: self.rate,
            sizes,
        })
    }

    async fn muster(&self, programs: &Programs, fleet: &Fleet, connected: usize) -> Result<Cost> {
        let muster = Muster::start(&programs.muster, &fleet.folder)?;
        let cost = self.cost(&muster.process, muster.place, fleet, connected).await?;
        muster.process.stop()?;
        Ok(cost)
    }

    async fn mosquitto(&self, programs: &Programs, fleet: &Fleet, connected: usize) -> Result<Cost> {
        let (folder, tls) = (programs.work.join("peer"), muster::tls_files(&fleet.folder));
        let mosquitto = Mosquitto::start(&programs.mosquitto, &folder, &tls)?;
        let _subscriber = Subscriber::start(&listener(mosquitto.place.plain), UP).await?;
        let cost = self
            .cost(&mosquitto.process, mosquitto.place, fleet, connected)
            .await?;
        mosquitto.process.stop()?;
        Ok(cost)
    }

    async fn cost(&self, server: &Process, place: Place, fleet: &Fleet, connected: usize) -> Result<Cost> {
        quiet(server).await?;
        let empty = server.resident()?;
        let crowd = Crowd::connect(fleet.first(connected, Transport::Mtls, place)?).await?;
        let idle = quiet(server).await?;
        let grown = server.resident()?.saturating_sub(empty);
        let load = crowd.stroll(self.rate, self.span(connected), server).await?;
        Ok(Cost {
            resident_mib_before: empty as f64 / f64::from(1 << 20),
            resident_kib_per_connection: grown as f64 / 1024.0 / connected as f64,
            idle_percent: idle * 100.0,
            cpu_us_per_request: load.cpu_us_per_request(idle),
            requests_per_second: load.figures.acks_per_second,
        })
    }

    /// Every device has had its turn before the measured time: its first report makes it active, which all services hear
    /// and write down.
    fn span(&self, connected: usize) -> Span {
        Span {
            warm_up: Duration::from_secs_f64(self.warm_up + connected as f64 / self.rate),
            measured: Duration::from_secs_f64(self.seconds),
        }
    }
}

/// Waits until a server has done what connecting left to do. The share of a core that it uses then.
async fn quiet(server: &Process) -> Result<f64> {
    let mut last = server.cpu()?;
    for _ in 0..UNQUIET {
        sleep(SECOND).await;
        let now = server.cpu()?;
        if (now - last).as_secs_f64() < QUIET {
            break;
        }
        last = now;
    }
    let begun = server.cpu()?;
    sleep(3 * SECOND).await;
    Ok((server.cpu()? - begun).as_secs_f64() / 3.0)
}

impl Findings for ScaleFindings {
    fn heading(&self) -> String {
        format!(
            "mTLS, {} requests a second in all; peer: {}",
            number(self.rate),
            self.peer
        )
    }

    fn columns(&self) -> Vec<&'static str> {
        vec![
            "devices",
            "MiB before",
            "peer",
            "KiB/connection",
            "peer",
            "idle %",
            "peer",
            "CPU µs/request",
            "peer",
            "requests/s",
            "peer",
        ]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.sizes.iter().map(Size::row).collect()
    }
}

impl Size {
    fn row(&self) -> Vec<String> {
        let (ours, peer) = (&self.muster, &self.mosquitto);
        let pairs = [
            (ours.resident_mib_before, peer.resident_mib_before),
            (ours.resident_kib_per_connection, peer.resident_kib_per_connection),
            (ours.idle_percent, peer.idle_percent),
            (ours.cpu_us_per_request, peer.cpu_us_per_request),
            (ours.requests_per_second, peer.requests_per_second),
        ];
        let numbers = pairs
            .into_iter()
            .flat_map(|(ours, peer)| [number(ours), number(peer)]);
        std::iter::once(self.connected.to_string())
            .chain(numbers)
            .collect()
    }
}
