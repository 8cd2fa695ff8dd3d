//! `muster-bench fan`: many to one, and one to many.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::requests::UP;
use crate::{
    fleet::{self, Fleet, Transport, operator::Operator},
    load::{
        Span,
        fan::{Fan as Load, Qos},
        report,
    },
    output::{Findings, number},
    programs::Programs,
    servers::{Mosquitto, Muster, Place, Process, muster},
    wire::{Login, Proof},
};

/// What Muster tells of reports.
const EVENTS: &str = "muster/v1/events/registry/devices/+/reported";
/// Sessions that one integrator may have.
const EACH: usize = 16;

/// Messages from many to one and from one to many, at QoS 0 and 1
///
/// On Muster a message is a device's report: the registry commits it, and tells it as an event to integrators. On
/// Mosquitto it is the publish itself. A device has so many messages under way that not all have heard; what is counted
/// and timed is each hearing, from the publish on. Without TLS, which `requests` measures.
#[derive(Debug, clap::Args)]
pub(crate) struct Fan {
    /// Devices that publish to one consumer
    #[arg(long, default_value_t = 200)]
    devices: usize,
    /// Consumers of one device
    #[arg(long, default_value_t = 1_000)]
    consumers: usize,
    /// Messages of one device that are under way
    #[arg(long, default_value_t = 16)]
    window: usize,
    /// Seconds before the measured time
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds measured, for each variant and each server
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// All variants.
#[derive(Debug, Serialize)]
pub(crate) struct FanFindings {
    peer: String,
    window: usize,
    variants: Vec<Variant>,
}

#[derive(Debug, Serialize)]
struct Variant {
    publishers: usize,
    consumers: usize,
    qos: Qos,
    muster: Heard,
    mosquitto: Heard,
    ratio_to_mosquitto: f64,
}

#[derive(Debug, Serialize)]
struct Heard {
    messages_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// The server's CPU time for each hearing, microseconds.
    cpu_us: f64,
    lost: u64,
}

/// A server, and how its consumers come in.
struct Side<'a> {
    process: &'a Process,
    place: Place,
    filter: &'static str,
}

impl Fan {
    pub(crate) async fn run(self, programs: &Programs) -> Result<FanFindings> {
        let peer = programs.peer()?;
        let fleet = fleet::fleet(programs, self.devices.max(1)).await?;
        let muster = Muster::start(&programs.muster, &fleet.folder)?;
        let people = self.consumers.div_ceil(EACH);
        let operator = Operator::connect(&fleet.folder, muster.place).await?;
        operator.make_integrators((0..people).map(integrator)).await?;
        let tls = muster::tls_files(&fleet.folder);
        let mosquitto = Mosquitto::start(&programs.mosquitto, &programs.work.join("peer"), &tls)?;
        let ours = Side {
            process: &muster.process,
            place: muster.place,
            filter: EVENTS,
        };
        let theirs = Side {
            process: &mosquitto.process,
            place: mosquitto.place,
            filter: UP,
        };
        let mut variants = Vec::new();
        for (publishers, consumers) in [(self.devices, 1), (1, self.consumers)] {
            for qos in [0, 1] {
                eprintln!("{publishers} to {consumers}, QoS {qos}");
                let muster = self.heard(&fleet, &ours, publishers, consumers, qos).await?;
                let mosquitto = self.heard(&fleet, &theirs, publishers, consumers, qos).await?;
                variants.push(Variant {
                    publishers,
                    consumers,
                    qos,
                    ratio_to_mosquitto: muster.messages_per_second / mosquitto.messages_per_second,
                    muster,
                    mosquitto,
                });
            }
        }
        muster.process.stop()?;
        mosquitto.process.stop()?;
        Ok(FanFindings {
            peer,
            window: self.window,
            variants,
        })
    }

    async fn heard(
        &self,
        fleet: &Fleet,
        side: &Side<'_>,
        publishers: usize,
        consumers: usize,
        qos: Qos,
    ) -> Result<Heard> {
        let logins = fleet.logins(publishers, Transport::Plain, side.place);
        let publishers = logins.into_iter().zip(&fleet.devices);
        let publishers =
            publishers.map(|(login, device)| Ok((login, report::template_at(qos, &device.id.parse()?))));
        let span = Span {
            warm_up: Duration::from_secs_f64(self.warm_up),
            measured: Duration::from_secs_f64(self.seconds),
        };
        let load = Load {
            publishers: publishers.collect::<Result<_>>()?,
            consumers: (0..consumers).map(|n| consumer(n, side.place)).collect(),
            filter: side.filter,
            qos,
            window: self.window,
        };
        let fanned = load.run(span, side.process).await?;
        let figures = fanned.figures;
        Ok(Heard {
            messages_per_second: figures.acks_per_second,
            p50_ms: figures.p50_ms,
            p99_ms: figures.p99_ms,
            max_ms: figures.max_ms,
            cpu_us: fanned.cpu.as_secs_f64() * 1e6 / figures.measured as f64,
            lost: fanned.lost,
        })
    }
}

fn integrator(number: usize) -> String {
    format!("fan-{number}")
}

/// One of an integrator's sessions.
fn consumer(number: usize, place: Place) -> Login {
    let id = integrator(number / EACH);
    Login {
        address: place.plain,
        client_id: format!("{id}:{}", number % EACH),
        proof: Proof::UserName(format!("integrators/{id}")),
        number,
    }
}

impl Findings for FanFindings {
    fn heading(&self) -> String {
        format!(
            "{} messages of each device under way, without TLS; peer: {}",
            self.window, self.peer
        )
    }

    fn columns(&self) -> Vec<&'static str> {
        vec![
            "",
            "messages/s",
            "p50 ms",
            "p99 ms",
            "max ms",
            "CPU µs each",
            "lost",
            "Muster is",
        ]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.variants.iter().flat_map(Variant::rows).collect()
    }
}

impl Variant {
    fn rows(&self) -> [Vec<String>; 2] {
        let ratio = format!("× {}", number(self.ratio_to_mosquitto));
        [
            self.row("Muster", &self.muster, String::new()),
            self.row("Mosquitto", &self.mosquitto, ratio),
        ]
    }

    fn row(&self, server: &str, heard: &Heard, ratio: String) -> Vec<String> {
        let name = format!(
            "{} to {}, QoS {}: {server}",
            self.publishers, self.consumers, self.qos
        );
        let values = [
            heard.messages_per_second,
            heard.p50_ms,
            heard.p99_ms,
            heard.max_ms,
            heard.cpu_us,
        ];
        std::iter::once(name)
            .chain(values.map(number))
            .chain([heard.lost.to_string(), ratio])
            .collect()
    }
}
