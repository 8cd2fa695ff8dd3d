//! Traffic towards all four services at once, and a journal of every acknowledgement.
//!
//! Each worker has one request under way. What is not acknowledged is asked again under the same request id until
//! it is, so whatever the services hold must be what the journal says.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use client::{AskError, Endpoint};
use contract::{ServiceName, v1};
use rustls::ClientConfig;
use tokio::task::JoinSet;

use crate::{
    crew::{Crew, ROLLOUT},
    wire::{self, Wire},
    world::{Person, now_ms},
};

/// What may still have been on its way when a fault began.
const ECHO: Duration = Duration::from_millis(50);
/// How long a service may take to acknowledge again.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two requests of an operator's worker: the load shall be many-sided, not large.
const BREATH: Duration = Duration::from_millis(20);
/// Before a connection that failed is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// Something that only grows: what was last sent, and what was last acknowledged.
#[derive(Default, Clone, Copy)]
pub(crate) struct Counter {
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
}

/// Something that was made once: under which request id, and what it was answered with (a version, or a
/// certificate's serial).
pub(crate) struct Made {
    pub(crate) name: Bytes,
    pub(crate) answer: String,
}

/// What was acknowledged.
#[derive(Default)]
pub struct Journal {
    /// Devices' reports.
    pub(crate) reports: BTreeMap<String, Counter>,
    pub(crate) devices: BTreeMap<String, Made>,
    pub(crate) claims: BTreeMap<String, Made>,
    pub(crate) rules: BTreeMap<String, Made>,
    /// The rollout's version.
    pub(crate) rollout: Counter,
    /// Answers that nobody should ever be given.
    pub(crate) odd: Vec<String>,
    /// When each service last acknowledged.
    last: BTreeMap<ServiceName, Instant>,
    /// How much was acknowledged.
    pub(crate) acknowledged: u64,
}

impl Journal {
    fn acknowledged(&mut self, service: ServiceName) {
        self.acknowledged += 1;
        self.last.insert(service, Instant::now());
    }

    fn steered(&mut self, version: u64) {
        self.acknowledged(ServiceName::Rollout);
        self.rollout.acknowledged = version;
    }

    fn made(&mut self, what: What, id: String, made: Made) {
        self.acknowledged(what.service());
        let list = match what {
            What::Device => &mut self.devices,
            What::Claim => &mut self.claims,
            What::Rule => &mut self.rules,
        };
        list.insert(id, made);
    }
}

/// Workers, and the journal that they write.
pub struct Load {
    journal: Arc<Mutex<Journal>>,
    stop: Arc<AtomicBool>,
    workers: JoinSet<()>,
}

impl Load {
    /// Begins, through this endpoint.
    pub async fn begin(crew: &Crew, endpoint: &Endpoint) -> Load {
        let mut load = Load {
            journal: Arc::default(),
            stop: Arc::default(),
            workers: JoinSet::new(),
        };
        for (name, identity) in &crew.asking {
            let device = crew.connect(endpoint, identity, "").await;
            load.workers.spawn(load.worker(device).report(name.clone()));
        }
        for (name, tls) in &crew.publishing {
            let publisher = Publisher {
                port: endpoint.port,
                tls: tls.clone(),
                name: name.clone(),
                journal: load.journal.clone(),
                stop: load.stop.clone(),
            };
            load.workers.spawn(publisher.publish());
        }
        for what in [What::Device, What::Claim, What::Rule] {
            let admin = crew.connect(endpoint, &crew.admin, what.word()).await;
            load.workers.spawn(load.worker(admin).make(what));
        }
        let admin = crew.connect(endpoint, &crew.admin, "steer").await;
        load.workers.spawn(load.worker(admin).steer());
        load.recovered(&ServiceName::KEEPERS, Instant::now()).await;
        load
    }

    fn worker(&self, person: Person) -> Worker {
        Worker {
            person,
            journal: self.journal.clone(),
            stop: self.stop.clone(),
        }
    }

    /// Waits until all these services have acknowledged something after `since`; how long the last took.
    pub async fn recovered(&self, services: &[ServiceName], since: Instant) -> Duration {
        let deaf = since + ECHO;
        loop {
            let (last, odd) = {
                let journal = self.journal.lock().unwrap();
                (journal.last.clone(), journal.odd.clone())
            };
            assert_eq!(odd, Vec::<String>::new(), "an answer that nobody should be given");
            let silent = services
                .iter()
                .find(|service| last.get(service).is_none_or(|at| *at <= deaf));
            let Some(silent) = silent else {
                return since.elapsed();
            };
            assert!(
                since.elapsed() < PATIENCE,
                "{silent} acknowledges nothing any more"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How much was acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.journal.lock().unwrap().acknowledged
    }

    /// Lets everybody finish what is under way; the journal.
    pub async fn end(mut self) -> Journal {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.workers.join_next().await {
            ended.expect("a worker fails");
        }
        std::mem::take(&mut *self.journal.lock().unwrap())
    }
}

/// What an operator makes, again and again.
#[derive(Clone, Copy)]
enum What {
    Device,
    Claim,
    Rule,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            What::Device => "device",
            What::Claim => "claim",
            What::Rule => "rule",
        }
    }

    /// How many there may be; after that, they are made again.
    fn different(self) -> u64 {
        match self {
            What::Device | What::Claim => u64::MAX,
            // Monitoring takes 256.
            What::Rule => 200,
        }
    }

    fn service(self) -> ServiceName {
        match self {
            What::Device => ServiceName::Registry,
            What::Claim => ServiceName::Provisioning,
            What::Rule => ServiceName::Monitoring,
        }
    }
}

struct Worker {
    person: Person,
    journal: Arc<Mutex<Journal>>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Asks until there is an answer. A refusal is an answer, and is odd: all that is asked here may be.
    async fn insist<R: contract::wire::Wire>(
        &self,
        name: &Bytes,
        service: ServiceName,
        verb: &str,
        request: &impl contract::wire::Wire,
    ) -> Option<R> {
        loop {
            let client = &self.person.client;
            match client.ask_as(name.clone(), service, verb, request).await {
                Ok(reply) => return Some(reply),
                Err(AskError::Refused(refusal)) if refusal.code == contract::Code::Busy => {}
                Err(AskError::Silence { .. }) => {}
                // A final answer, and no acknowledgement: no certificate is issued on a clock that was set back.
                Err(AskError::Refused(refusal)) if refusal.message.contains("clock stands") => return None,
                Err(error) => {
                    let odd = format!("{service}/{verb} {name:?}: {error}");
                    self.journal.lock().unwrap().odd.push(odd);
                    return None;
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// A device reports a growing counter, and says that it is alive.
    async fn report(self, device: String) {
        for counter in 1.. {
            if !self.goes_on() {
                return;
            }
            let sent =
                |journal: &mut Journal| journal.reports.entry(device.clone()).or_default().sent = counter;
            sent(&mut self.journal.lock().unwrap());
            let report = v1::Report {
                attributes: [("counter".to_owned(), counter.to_string())].into(),
                ..v1::Report::default()
            };
            let name = Bytes::from(format!("{device}-{counter}"));
            let answer: Option<v1::Changed> =
                self.insist(&name, ServiceName::Registry, "report", &report).await;
            if answer.is_some() {
                let mut journal = self.journal.lock().unwrap();
                journal.acknowledged(ServiceName::Registry);
                journal.reports.entry(device.clone()).or_default().acknowledged = counter;
            }
            let beat = v1::Heartbeat {
                uptime_ms: counter,
                metrics: [("counter".to_owned(), counter as f64)].into(),
                ..v1::Heartbeat::default()
            };
            // Acknowledged on receipt: nothing is promised, so nothing is written down.
            let _ = self
                .person
                .client
                .tell(ServiceName::Monitoring, "heartbeat", &beat)
                .await;
        }
    }

    /// An operator makes one thing after the other.
    async fn make(self, what: What) {
        for number in 0.. {
            if !self.goes_on() {
                return;
            }
            let id = format!("{}-{:06}", what.word(), number % what.different());
            let name = Bytes::from(format!("make-{}-{number}", what.word()));
            let answer = match what {
                What::Device => self.make_device(&name, &id).await,
                What::Claim => self.make_claim(&name, &id).await,
                What::Rule => self.make_rule(&name, &id).await,
            };
            if let Some(answer) = answer {
                let made = Made { name, answer };
                self.journal.lock().unwrap().made(what, id, made);
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    async fn make_device(&self, name: &Bytes, id: &str) -> Option<String> {
        let request = device(id);
        let changed: v1::Changed = self
            .insist(name, ServiceName::Registry, "register", &request)
            .await?;
        Some(changed.version.to_string())
    }

    async fn make_claim(&self, name: &Bytes, id: &str) -> Option<String> {
        let key = pki::generate_key(pki::KeyKind::P256).unwrap();
        let request = v1::PutClaim {
            batch: id.into(),
            csr: pki::csr_for(&key, id).unwrap(),
            uses: 1,
            expires_ms: now_ms() + 7 * 24 * 3_600_000,
            ..v1::PutClaim::default()
        };
        let service = ServiceName::Provisioning;
        let made: v1::ClaimMade = self.insist(name, service, "put-claim", &request).await?;
        Some(made.serial)
    }

    async fn make_rule(&self, name: &Bytes, id: &str) -> Option<String> {
        let request = v1::PutRule {
            rule: Some(rule(id)),
            ..v1::PutRule::default()
        };
        let changed: v1::Changed = self
            .insist(name, ServiceName::Monitoring, "put-rule", &request)
            .await?;
        Some(changed.version.to_string())
    }

    /// An operator pauses and resumes a rollout: each is one version more.
    async fn steer(self) {
        let mut version = 1;
        for number in 0.. {
            if !self.goes_on() {
                return;
            }
            self.journal.lock().unwrap().rollout.sent = version + 1;
            let request = v1::SteerRollout {
                rollout_id: ROLLOUT.into(),
                expected_version: version,
                ..v1::SteerRollout::default()
            };
            let verb = if number % 2 == 0 { "pause" } else { "resume" };
            let name = Bytes::from(format!("steer-{number}"));
            let changed: Option<v1::Changed> = self.insist(&name, ServiceName::Rollout, verb, &request).await;
            let Some(changed) = changed else { return };
            version = changed.version;
            self.journal.lock().unwrap().steered(version);
            tokio::time::sleep(BREATH).await;
        }
    }
}

/// The device that is registered under an id.
pub(crate) fn device(id: &str) -> v1::RegisterDevice {
    v1::RegisterDevice {
        device_id: id.into(),
        ..v1::RegisterDevice::default()
    }
}

/// The rule that is made under an id.
pub(crate) fn rule(id: &str) -> v1::Rule {
    v1::Rule {
        rule_id: id.into(),
        metric: format!("never.{id}"),
        comparison: v1::Comparison::Above.into(),
        threshold: 1e9,
        severity: v1::Severity::Low.into(),
        ..v1::Rule::default()
    }
}

/// A device that knows nothing but PUBLISH and PUBACK.
struct Publisher {
    port: u16,
    tls: Arc<ClientConfig>,
    name: String,
    journal: Arc<Mutex<Journal>>,
    stop: Arc<AtomicBool>,
}

impl Publisher {
    async fn publish(self) {
        let mut counter = 1;
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(mut wire) = self.enter().await {
                while !self.stop.load(Ordering::Relaxed) && self.one(&mut wire, counter).await {
                    counter += 1;
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn enter(&self) -> Option<Wire> {
        let opening = Wire::open(self.port, self.tls.clone());
        let opened = tokio::time::timeout(Duration::from_secs(10), opening).await;
        let mut wire = opened.ok()?.ok()?;
        wire.send(&wire::connect(&self.name)).await;
        let connack = wire.next().await.ok()?;
        (connack.first == 0x20 && connack.body.get(1) == Some(&0)).then_some(wire)
    }

    /// Publishes one report; whether it was acknowledged.
    async fn one(&self, wire: &mut Wire, counter: u64) -> bool {
        let entry = |journal: &mut Journal| *journal.reports.entry(self.name.clone()).or_default();
        {
            let mut journal = self.journal.lock().unwrap();
            let before = entry(&mut journal);
            let now = Counter {
                sent: counter,
                ..before
            };
            journal.reports.insert(self.name.clone(), now);
        }
        let topic = format!("muster/v1/devices/{}/up/registry/report", self.name);
        let payload = format!("{{\"attributes\":{{\"counter\":\"{counter}\"}}}}");
        wire.send(&wire::publish(0x32, &topic, "", payload.as_bytes()))
            .await;
        loop {
            let Ok(packet) = wire.next().await else {
                return false;
            };
            match (packet.first, packet.body.get(2).copied().unwrap_or(0)) {
                (0x40, 0 | 0x10) => break,
                (0x40, code) => {
                    let odd = format!("{} {counter}: reason code {code:#x}", self.name);
                    self.journal.lock().unwrap().odd.push(odd);
                    return false;
                }
                (0x30, _) => {}
                _ => return false,
            }
        }
        let mut journal = self.journal.lock().unwrap();
        journal.acknowledged(ServiceName::Registry);
        let now = Counter {
            sent: counter,
            acknowledged: counter,
        };
        journal.reports.insert(self.name.clone(), now);
        true
    }
}
