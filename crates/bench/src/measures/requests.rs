//! `muster-bench requests`: durable requests a second through the whole path.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use serde::Serialize;

use super::raw_sled::Records;
use crate::{
    fleet::{self, Fleet, Transport},
    load::{Crowd, Figures, Load, Span, Subscriber, report},
    output::{Findings, number},
    programs::Programs,
    servers::{Counters, Mosquitto, Muster, Work, muster},
    wire::{Login, Proof},
};

/// The registry tells its counters after it has answered.
const TELLING: Duration = Duration::from_millis(500);
/// Everything devices send.
pub(crate) const UP: &str = "muster/v1/+/+/up/#";

/// Durable requests through the whole path, beside Mosquitto and beside bare sled
///
/// Each device publishes `registry/report` at QoS 1 and waits for its PUBACKs: Muster sends them when the
/// registry has the report on disk. Mosquitto gets the same publishes from the same clients; it hands them to
/// one QoS 0 subscriber and writes nothing. Bare sled gets the registry's records in groups of the size that
/// the registry made.
#[derive(Debug, clap::Args)]
pub(crate) struct Requests {
    /// Connected devices
    #[arg(long, default_value_t = 200)]
    connections: usize,
    /// Unacknowledged publishes of each connection
    #[arg(long, value_delimiter = ',', default_values_t = [16, 1])]
    windows: Vec<u16>,
    /// Seconds before the measured time
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds measured, for each variant and each server
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// All variants.
#[derive(Debug, Serialize)]
pub(crate) struct RequestFindings {
    peer: String,
    connections: usize,
    payload_bytes: usize,
    record_bytes: usize,
    variants: Vec<Variant>,
}

#[derive(Debug, Serialize)]
struct Variant {
    transport: Transport,
    window: u16,
    muster: Figures,
    /// The server's CPU time for a request, microseconds.
    muster_cpu_us: f64,
    /// The clients' CPU time for a request to Muster, microseconds.
    muster_clients_us: f64,
    group: f64,
    keys_per_request: f64,
    commit_ms: f64,
    mosquitto: Figures,
    mosquitto_cpu_us: f64,
    mosquitto_clients_us: f64,
    /// Share of the peer's publishes that its subscriber has heard.
    mosquitto_heard: f64,
    raw_sled_per_second: f64,
    ratio_to_mosquitto: f64,
    ratio_to_raw_sled: f64,
}

struct Rig {
    fleet: Fleet,
    muster: Muster,
    mosquitto: Mosquitto,
    connections: usize,
    span: Span,
}

impl Requests {
    pub(crate) async fn run(self, programs: &Programs) -> Result<RequestFindings> {
        let peer = programs.peer()?;
        let rig = self.build(programs).await?;
        let before = Counters::read(rig.muster.http)?.events as u64;
        let mut variants = Vec::new();
        for transport in [Transport::Plain, Transport::Mtls] {
            for window in &self.windows {
                variants.push(rig.measure(transport, *window).await?);
            }
        }
        let folder = rig.end()?;
        let records = Records::read(&muster::registry_store(&folder), before, self.connections)?;
        for variant in &mut variants {
            variant.compare(&records, &programs.work, Duration::from_secs_f64(self.seconds))?;
        }
        Ok(RequestFindings {
            peer,
            connections: self.connections,
            payload_bytes: report::PAYLOAD_BYTES,
            record_bytes: records.bytes_per_request(),
            variants,
        })
    }

    async fn build(&self, programs: &Programs) -> Result<Rig> {
        let fleet = fleet::fleet(programs, self.connections).await?;
        let tls = muster::tls_files(&fleet.folder);
        Ok(Rig {
            muster: Muster::start(&programs.muster, &fleet.folder)?,
            mosquitto: Mosquitto::start(&programs.mosquitto, &programs.work.join("peer"), &tls)?,
            fleet,
            connections: self.connections,
            span: Span {
                warm_up: Duration::from_secs_f64(self.warm_up),
                measured: Duration::from_secs_f64(self.seconds),
            },
        })
    }
}

impl Rig {
    async fn measure(&self, transport: Transport, window: u16) -> Result<Variant> {
        eprintln!("{}, window {window}", transport.word());
        let (load, work) = self.rush_muster(transport, window).await?;
        let (peer, heard) = self.rush_mosquitto(transport, window).await?;
        Ok(Variant {
            transport,
            window,
            ratio_to_mosquitto: load.figures.acks_per_second / peer.figures.acks_per_second,
            muster_cpu_us: load.cpu_us_per_request(0.0),
            muster_clients_us: load.clients_us_per_request(),
            mosquitto_cpu_us: peer.cpu_us_per_request(0.0),
            mosquitto_clients_us: peer.clients_us_per_request(),
            muster: load.figures,
            group: work.group(),
            keys_per_request: work.keys_per_request(),
            commit_ms: work.commit_ms(),
            mosquitto_heard: heard as f64 / peer.figures.acknowledged as f64,
            mosquitto: peer.figures,
            raw_sled_per_second: 0.0,
            ratio_to_raw_sled: 0.0,
        })
    }

    /// An acknowledgement of MQTT 3.1.1 does not say whether the report was refused; the events do.
    async fn rush_muster(&self, transport: Transport, window: u16) -> Result<(Load, Work)> {
        let devices = self.fleet.first(self.connections, transport, self.muster.place)?;
        let crowd = Crowd::connect(devices).await?;
        let before = Counters::read(self.muster.http)?;
        let load = crowd.rush(window, self.span, &self.muster.process).await?;
        tokio::time::sleep(TELLING).await;
        let work = Counters::read(self.muster.http)?.since(before);
        ensure!(
            work.events() >= load.figures.acknowledged as f64,
            "{} reports were acknowledged, but only {} events came of them",
            load.figures.acknowledged,
            work.events()
        );
        Ok((load, work))
    }

    async fn rush_mosquitto(&self, transport: Transport, window: u16) -> Result<(Load, u64)> {
        let place = self.mosquitto.place;
        let subscriber = Subscriber::start(&listener(place.plain), UP).await?;
        let crowd = Crowd::connect(self.fleet.first(self.connections, transport, place)?).await?;
        let load = crowd.rush(window, self.span, &self.mosquitto.process).await?;
        tokio::time::sleep(TELLING).await;
        Ok((load, subscriber.heard()))
    }

    /// Ends both servers; the installation's folder stays.
    fn end(self) -> Result<std::path::PathBuf> {
        self.muster.process.stop()?;
        self.mosquitto.process.stop()?;
        Ok(self.fleet.folder)
    }
}

/// Who hears what devices say on Mosquitto.
pub(crate) fn listener(address: std::net::SocketAddr) -> Login {
    let proof = Proof::UserName("services/registry".into());
    Login {
        address,
        client_id: "listener".into(),
        proof,
        number: 0,
    }
}

impl Variant {
    fn compare(&mut self, records: &Records, work: &Path, span: Duration) -> Result<()> {
        let group = self.group.round().max(1.0) as usize;
        self.raw_sled_per_second = records.rate(
            work,
            group,
            usize::from(self.window),
            span.min(Duration::from_secs(5)),
        )?;
        self.ratio_to_raw_sled = self.muster.acks_per_second / self.raw_sled_per_second;
        Ok(())
    }

    fn rows(&self) -> [Vec<String>; 3] {
        let ratio = |value: f64| format!("× {}", number(value));
        let sled = format!("bare sled, groups of {}", number(self.group));
        let rate = vec![number(self.raw_sled_per_second)];
        [
            self.row(
                "Muster",
                numbers(&self.muster, self.muster_cpu_us, self.muster_clients_us),
                String::new(),
            ),
            self.row(
                "Mosquitto",
                numbers(&self.mosquitto, self.mosquitto_cpu_us, self.mosquitto_clients_us),
                ratio(self.ratio_to_mosquitto),
            ),
            self.row(&sled, rate, ratio(self.ratio_to_raw_sled)),
        ]
    }

    fn row(&self, name: &str, mut numbers: Vec<String>, ratio: String) -> Vec<String> {
        numbers.resize(NUMBERS, String::new());
        let head = format!("{}, {}: {name}", self.transport.word(), self.window);
        [vec![head], numbers, vec![ratio]].concat()
    }
}

/// Columns between the variant and the ratio.
const NUMBERS: usize = 6;

fn numbers(figures: &Figures, cpu_us: f64, clients_us: f64) -> Vec<String> {
    let Figures {
        acks_per_second,
        p50_ms,
        p99_ms,
        max_ms,
        ..
    } = *figures;
    [acks_per_second, p50_ms, p99_ms, max_ms, cpu_us, clients_us]
        .map(number)
        .to_vec()
}

impl Findings for RequestFindings {
    fn heading(&self) -> String {
        format!(
            "{} connections, reports of {} bytes that leave {} bytes of records; peer: {}",
            self.connections, self.payload_bytes, self.record_bytes, self.peer
        )
    }

    fn columns(&self) -> Vec<&'static str> {
        vec![
            "transport, window",
            "acks/s",
            "p50 ms",
            "p99 ms",
            "max ms",
            "CPU µs",
            "clients' µs",
            "Muster is",
        ]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.variants.iter().flat_map(Variant::rows).collect()
    }
}
