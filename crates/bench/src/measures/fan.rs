//! `muster-bench fan`: what devices say to whoever listens, many to one and one to many.

use std::time::Duration;

use anyhow::Result;
use contract::{Kind, Principal, Root, ServiceName, verb::DATA};
use serde::Serialize;

use crate::{
    fleet::{self, Fleet, Transport, operator::Operator},
    load::{Figures, Load, Span, fan},
    output::{Findings, number},
    programs::Programs,
    servers::{Mosquitto, Muster, Place, Process, muster},
    wire::{Login, Proof, tls::Credentials},
};

const FILTER: &str = "muster/v1/devices/+/up/front-door/data";
/// Sessions of one integrator; there are as many integrators as that takes.
const SESSIONS: usize = 16;

/// What devices say to whoever listens, many to one and one to many, beside Mosquitto
///
/// A message is timed from its device to each listener; the next takes its place when all have it. Muster looks up for
/// each message who may hear it; Mosquitto has the same patterns in an access file.
#[derive(Debug, clap::Args)]
pub(crate) struct Fans {
    /// Devices that speak to one listener
    #[arg(long, default_value_t = 200)]
    devices: usize,
    /// Listeners to one device
    #[arg(long, default_value_t = 1000)]
    listeners: usize,
    /// Messages of one device under way
    #[arg(long, default_value_t = 16)]
    window: u16,
    /// Seconds before the measured time
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds measured, for each variant and each server
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct FanFindings {
    peer: String,
    window: u16,
    variants: Vec<Variant>,
}

#[derive(Debug, Serialize)]
struct Variant {
    devices: usize,
    listeners: usize,
    transport: Transport,
    quality: u8,
    muster: Figures,
    muster_cpu_us: f64,
    mosquitto: Figures,
    mosquitto_cpu_us: f64,
    ratio_to_mosquitto: f64,
}

/// What one variant is like.
#[derive(Clone, Copy)]
struct Shape {
    devices: usize,
    listeners: usize,
    transport: Transport,
    quality: u8,
}

struct Rig {
    fleet: Fleet,
    /// Integrators by name, each with its certificate.
    people: Vec<(String, Credentials)>,
    window: u16,
    span: Span,
}

impl Fans {
    pub(crate) async fn run(self, programs: &Programs) -> Result<FanFindings> {
        let peer = programs.peer()?;
        let fleet = fleet::fleet(programs, self.devices).await?;
        let tls = muster::tls_files(&fleet.folder);
        let muster = Muster::start(&programs.muster, &fleet.folder)?;
        let mosquitto = Mosquitto::start(&programs.mosquitto, &programs.work.join("peer"), &tls)?;
        let operator = Operator::connect(&fleet.folder, muster.place).await?;
        let mut people = Vec::new();
        for n in 0..self.listeners.div_ceil(SESSIONS) {
            let id = format!("i-{n:03}");
            people.push((id.clone(), operator.integrator(&id).await?));
        }
        operator.leave().await;
        let rig = Rig {
            fleet,
            people,
            window: self.window,
            span: Span {
                warm_up: Duration::from_secs_f64(self.warm_up),
                measured: Duration::from_secs_f64(self.seconds),
            },
        };
        let mut variants = Vec::new();
        for shape in self.shapes() {
            variants.push(rig.measure(shape, &muster, &mosquitto).await?);
        }
        muster.process.stop()?;
        mosquitto.process.stop()?;
        Ok(FanFindings {
            peer,
            window: self.window,
            variants,
        })
    }

    fn shapes(&self) -> impl Iterator<Item = Shape> {
        let sizes = [(self.devices, 1), (1, self.listeners)];
        sizes.into_iter().flat_map(|(devices, listeners)| {
            [Transport::Plain, Transport::Mtls]
                .into_iter()
                .flat_map(move |transport| {
                    [0, 1].map(|quality| Shape {
                        devices,
                        listeners,
                        transport,
                        quality,
                    })
                })
        })
    }
}

impl Rig {
    async fn measure(&self, shape: Shape, muster: &Muster, mosquitto: &Mosquitto) -> Result<Variant> {
        eprintln!("{}", shape.words());
        let ours = self.blow(shape, muster.place, &muster.process).await?;
        let theirs = self.blow(shape, mosquitto.place, &mosquitto.process).await?;
        Ok(Variant {
            devices: shape.devices,
            listeners: shape.listeners,
            transport: shape.transport,
            quality: shape.quality,
            ratio_to_mosquitto: ours.figures.acks_per_second / theirs.figures.acks_per_second,
            muster_cpu_us: ours.cpu_us_per_request(0.0),
            mosquitto_cpu_us: theirs.cpu_us_per_request(0.0),
            muster: ours.figures,
            mosquitto: theirs.figures,
        })
    }

    async fn blow(&self, shape: Shape, place: Place, server: &Process) -> Result<Load> {
        let logins = self.fleet.logins(shape.devices, shape.transport, place);
        let speakers = logins.into_iter().map(|login| {
            let who = Principal::new(Kind::Device, login.client_id.parse()?);
            let topic = Root::default().up(&who, ServiceName::FrontDoor, DATA);
            Ok((login, topic))
        });
        let fan = fan::Fan {
            speakers: speakers.collect::<Result<_>>()?,
            listeners: self.listeners(shape, place),
            filter: FILTER,
            quality: shape.quality,
            window: self.window,
        };
        fan.blow(self.span, server).await
    }

    fn listeners(&self, shape: Shape, place: Place) -> Vec<Login> {
        let sessions = self
            .people
            .iter()
            .flat_map(|person| (0..SESSIONS).map(move |n| (person, n)));
        let login = |((id, credentials), n): (&(String, Credentials), usize)| {
            let (address, proof) = match shape.transport {
                Transport::Plain => (place.plain, Proof::UserName(format!("integrators/{id}"))),
                Transport::Mtls => (place.tls, Proof::Certificate(credentials.clone())),
            };
            Login {
                address,
                client_id: format!("{id}:{n}"),
                proof,
                number: 0,
            }
        };
        sessions.take(shape.listeners).map(login).collect()
    }
}

impl Shape {
    fn words(self) -> String {
        let Shape {
            devices, listeners, ..
        } = self;
        format!(
            "{devices} to {listeners}, {}, QoS {}",
            self.transport.word(),
            self.quality
        )
    }
}

impl Variant {
    fn rows(&self) -> [Vec<String>; 2] {
        let shape = Shape {
            devices: self.devices,
            listeners: self.listeners,
            transport: self.transport,
            quality: self.quality,
        };
        let ratio = format!("× {}", number(self.ratio_to_mosquitto));
        [
            row(&shape, "Muster", &self.muster, self.muster_cpu_us, String::new()),
            row(&shape, "Mosquitto", &self.mosquitto, self.mosquitto_cpu_us, ratio),
        ]
    }
}

fn row(shape: &Shape, server: &str, figures: &Figures, cpu_us: f64, ratio: String) -> Vec<String> {
    let values = [
        figures.acks_per_second,
        figures.p50_ms,
        figures.p99_ms,
        figures.max_ms,
        cpu_us,
    ];
    let head = std::iter::once(format!("{}: {server}", shape.words()));
    head.chain(values.map(number)).chain([ratio]).collect()
}

impl Findings for FanFindings {
    fn heading(&self) -> String {
        format!(
            "messages of {} bytes, {} of each device under way; peer: {}",
            fan::PAYLOAD_BYTES,
            self.window,
            self.peer
        )
    }

    fn columns(&self) -> Vec<&'static str> {
        vec![
            "devices to listeners",
            "heard/s",
            "p50 ms",
            "p99 ms",
            "max ms",
            "CPU µs each",
            "Muster is",
        ]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.variants.iter().flat_map(Variant::rows).collect()
    }
}
