//! A device: it claims, asks for its certificate, reports, and obeys when it is to retire.

use std::collections::BTreeMap;

use contract::{Id, Kind, Principal, ServiceName, topic::Leaf};
use serde_json::{Value, json};
use session::Peer;

use super::{Client, Dial, Got, Manner, Memory, Mqtt, Scene, down_filter};
use crate::{
    genesis,
    invariant::{Invariant, Violation},
    witness::Witness,
};

/// Reports under way.
const WINDOW: usize = 4;
/// Refused connections in a row until it takes its certificate for dead and claims anew.
const REFUSALS: u32 = 6;
/// A request without an answer is sent again after this time, milliseconds.
const IMPATIENT_MS: u64 = 10_000;
/// Time between two reports, milliseconds.
const PACE: (u64, u64) = (80, 900);

/// A report that is not acknowledged.
struct Report {
    number: u64,
    packet_id: Option<u16>,
}

/// The device.
pub(crate) struct Device {
    id: Id,
    place: usize,
    /// How it speaks once it has its certificate.
    manner: Manner,
    memory: Option<Memory>,
    /// The certificate in use, on its disk.
    certified: Option<Peer>,
    /// The one that it takes for dead while it asks for another.
    former: Option<Peer>,
    /// The batch's certificate, as the factory put it in.
    batch: Option<Peer>,
    attempt: usize,
    /// Since when the request is under way that it made as a claim.
    asked_ms: Option<u64>,
    refusals: u32,
    retiring: bool,
    gone: bool,
    number: u64,
    open: Vec<Report>,
    next_report_ms: u64,
    /// It reports until then.
    until_ms: u64,
    erased: Option<u16>,
    /// When it connects again.
    pause_ms: u64,
    /// Receipt of the erased keys by packet id.
    beats: BTreeMap<u16, ()>,
}

impl Device {
    pub(crate) fn new(id: Id, place: usize, manner: Manner, until_ms: u64) -> Device {
        Device {
            id,
            place,
            manner,
            memory: None,
            certified: None,
            former: None,
            batch: None,
            attempt: 0,
            asked_ms: None,
            refusals: 0,
            retiring: false,
            gone: false,
            number: 0,
            open: Vec::new(),
            next_report_ms: 0,
            until_ms,
            erased: None,
            pause_ms: 0,
            beats: BTreeMap::new(),
        }
    }

    fn who(&self) -> Principal {
        let kind = if self.certified.is_some() {
            Kind::Device
        } else {
            Kind::Claim
        };
        Principal::new(kind, self.id.clone())
    }

    fn serial(&self) -> String {
        match &self.certified {
            Some(Peer::Certified { serial, .. }) => serial.clone(),
            _ => String::new(),
        }
    }

    fn up(&self, service: ServiceName, verb: &str) -> String {
        crate::world::root().up(&self.who(), service, verb)
    }

    fn request_id(&self) -> String {
        format!("sign-{}-{}", self.id, self.attempt)
    }

    /// Asks for a certificate. The same request until it is answered: the answer may be on its way.
    fn ask(&mut self, mqtt: &mut Mqtt, scene: &mut Scene) {
        let Ok(csr) = genesis::request(self.id.as_str(), self.place * 8 + self.attempt % 8) else {
            return;
        };
        let payload = json!({ "request_id": self.request_id(), "csr": csr });
        mqtt.publish(
            &self.up(ServiceName::Provisioning, "sign"),
            payload.to_string().as_bytes(),
        );
        self.asked_ms = Some(scene.now_ms);
        scene.story.tell(scene.now_ms, || {
            format!("{} asks for a certificate ({})", self.id, self.request_id())
        });
    }

    fn report(&mut self, mqtt: &mut Mqtt, scene: &mut Scene, number: u64) -> u16 {
        let payload =
            json!({ "request_id": format!("r-{number}"), "attributes": { "n": number.to_string() } });
        scene
            .witness
            .sent(self.id.as_str(), number, &self.serial(), scene.now_ms);
        mqtt.publish(
            &self.up(ServiceName::Registry, "report"),
            payload.to_string().as_bytes(),
        )
    }

    /// What is not acknowledged is sent again, in order, before anything new.
    fn resume(&mut self, mqtt: &mut Mqtt, scene: &mut Scene) {
        let numbers: Vec<_> = self.open.iter().map(|report| report.number).collect();
        for (place, number) in numbers.into_iter().enumerate() {
            let id = self.report(mqtt, scene, number);
            self.open[place].packet_id = Some(id);
        }
        let standing = self.up(ServiceName::Registry, "standing");
        mqtt.publish(&standing, b"{}");
        if self.retiring {
            self.erase(mqtt);
        }
    }

    /// Its session goes on: what is not acknowledged has been sent again, and what was for it has waited.
    fn go_on(&mut self, mqtt: &mut Mqtt, scene: &mut Scene) {
        let (id, serial) = (self.id.clone(), self.serial());
        scene
            .story
            .tell(scene.now_ms, || format!("{id} goes on with its session"));
        for report in &self.open {
            scene
                .witness
                .sent(id.as_str(), report.number, &serial, scene.now_ms);
        }
        if self.retiring && self.erased.is_none() {
            self.erase(mqtt);
        }
    }

    fn erase(&mut self, mqtt: &mut Mqtt) {
        let payload = json!({ "request_id": "erased", "erased": ["key"] });
        let id = mqtt.publish(
            &self.up(ServiceName::Registry, "erased"),
            payload.to_string().as_bytes(),
        );
        self.erased = Some(id);
    }

    fn on_certificate(&mut self, payload: &Value, scene: &mut Scene) -> Result<(), Violation> {
        let pem = payload["certificate"].as_str().unwrap_or_default();
        let peer = genesis::peer(pem).map_err(|error| Violation {
            invariant: Invariant::Certificates,
            seen: format!("{} was sent what is no certificate: {error:#}", self.id),
            at_ms: scene.now_ms,
        })?;
        if let Peer::Certified { serial, .. } = &peer {
            scene.witness.certificate_delivered(serial, scene.now_ms)?;
            scene
                .story
                .tell(scene.now_ms, || format!("{} has certificate {serial}", self.id));
        }
        self.certified = Some(peer);
        self.memory = None;
        self.asked_ms = None;
        self.refusals = 0;
        Ok(())
    }

    fn on_message(
        &mut self,
        topic: &str,
        payload: &[u8],
        mqtt: &mut Mqtt,
        scene: &mut Scene,
    ) -> Result<bool, Violation> {
        let Some(contract::Topic::Down {
            service, name, leaf, ..
        }) = crate::world::root().parse_topic(topic)
        else {
            return Ok(true);
        };
        let value: Value = serde_json::from_slice(payload).unwrap_or_default();
        match (service, name.as_str(), leaf) {
            (ServiceName::Provisioning, "sign", Leaf::Accepted)
                if self.certified.is_none() && value["request_id"] == json!(self.request_id()) =>
            {
                self.on_certificate(&value, scene)?;
                return Ok(false);
            }
            (ServiceName::Provisioning, "sign", Leaf::Rejected) => {
                scene.story.tell(scene.now_ms, || {
                    format!("{} gets no certificate: {value}", self.id)
                });
                self.attempt += 1;
                self.asked_ms = None;
                // It was only shut out for a while, perhaps.
                self.certified = self.former.take();
                self.memory = None;
                self.pause_ms = scene.now_ms + 2_000;
                return Ok(false);
            }
            (ServiceName::Registry, "report", Leaf::Rejected) => {
                let refused = value["request_id"].as_str().and_then(|id| id.strip_prefix("r-"));
                if let Some(number) = refused.and_then(|n| n.parse().ok()) {
                    scene.witness.refused(self.id.as_str(), number);
                }
            }
            (ServiceName::Registry, "standing", Leaf::Accepted)
                if value["retire"] == json!(true) && !self.retiring =>
            {
                self.retire(mqtt, scene);
            }
            (ServiceName::Registry, "retire", Leaf::Push) if !self.retiring => self.retire(mqtt, scene),
            _ => {}
        }
        Ok(true)
    }

    fn retire(&mut self, mqtt: &mut Mqtt, scene: &mut Scene) {
        scene
            .story
            .tell(scene.now_ms, || format!("{} erases its keys", self.id));
        self.retiring = true;
        self.erase(mqtt);
    }
}

impl Client for Device {
    fn dial(&mut self, scene: &mut Scene) -> Option<Dial> {
        if self.gone || scene.now_ms < self.pause_ms {
            return None;
        }
        let hopeless = scene.now_ms > self.until_ms && !scene.witness.is_registered(self.id.as_str());
        if self.certified.is_none() && hopeless {
            return None;
        }
        if self.certified.is_none() {
            self.batch = self.batch.take().or_else(|| scene.witness.batch());
        }
        let peer = self.certified.clone().or_else(|| self.batch.clone())?;
        let who = self.who();
        // Of a claim no session is kept.
        let manner = Manner {
            resumes: self.manner.resumes && self.certified.is_some(),
            ..self.manner
        };
        let (filters, memory) = (vec![down_filter(&who)], self.memory.take());
        let mqtt = Mqtt::begin(manner, self.id.as_str(), filters, memory, scene.now_ms);
        Some(Dial { peer, mqtt })
    }

    fn on_got(&mut self, got: Got, mqtt: &mut Mqtt, scene: &mut Scene) -> Result<bool, Violation> {
        match got {
            Got::Ready if self.certified.is_some() => {
                self.refusals = 0;
                self.resume(mqtt, scene);
                Ok(true)
            }
            Got::Ready => {
                self.ask(mqtt, scene);
                Ok(true)
            }
            Got::Resumed => {
                self.refusals = 0;
                self.go_on(mqtt, scene);
                Ok(true)
            }
            Got::Refused(code) => {
                scene
                    .story
                    .tell(scene.now_ms, || format!("{} is not let in ({code:#x})", self.id));
                self.refusals += 1;
                self.pause_ms = scene.now_ms + 1_500;
                if self.refusals >= REFUSALS && self.certified.is_some() {
                    self.former = self.certified.take();
                    self.memory = None;
                    self.attempt += 1;
                    self.refusals = 0;
                }
                Ok(false)
            }
            Got::Acknowledged { id, reason } => {
                if self.erased == Some(id) && reason < 0x80 {
                    self.gone = true;
                    return Ok(false);
                }
                if let Some(place) = self.open.iter().position(|report| report.packet_id == Some(id)) {
                    let number = self.open.remove(place).number;
                    if reason >= 0x80 {
                        scene.witness.refused(self.id.as_str(), number);
                    } else {
                        scene
                            .witness
                            .acknowledged(self.id.as_str(), number, scene.now_ms)?;
                    }
                }
                Ok(true)
            }
            Got::Message { topic, payload, .. } => self.on_message(&topic, &payload, mqtt, scene),
            Got::Connected | Got::Granted { .. } => Ok(true),
            Got::LetGo(reason) => {
                scene
                    .story
                    .tell(scene.now_ms, || format!("{} is let go ({reason:#x})", self.id));
                self.pause_ms = scene.now_ms + 500;
                Ok(false)
            }
            Got::Broken(what) => Err(Violation {
                invariant: Invariant::Answered,
                seen: format!("{}: {what}", self.id),
                at_ms: scene.now_ms,
            }),
        }
    }

    fn act(&mut self, mqtt: &mut Mqtt, scene: &mut Scene) -> Result<bool, Violation> {
        // An answer that was promised is lost with the service that had it: the repeat gets it.
        if mqtt.is_ready() && self.asked_ms.is_some_and(|at| scene.now_ms > at + IMPATIENT_MS) {
            self.ask(mqtt, scene);
        }
        if !mqtt.is_ready() || self.certified.is_none() || self.retiring {
            return Ok(true);
        }
        if scene.now_ms >= self.next_report_ms && scene.now_ms < self.until_ms && self.open.len() < WINDOW {
            self.number += 1;
            let number = self.number;
            let packet_id = Some(self.report(mqtt, scene, number));
            self.open.push(Report { number, packet_id });
            self.next_report_ms = scene.now_ms + scene.dice.between(PACE.0, PACE.1);
        }
        if scene.dice.percent(5) {
            let topic = self.up(ServiceName::Monitoring, "heartbeat");
            let id = mqtt.publish(&topic, br#"{"metrics":{"temperature":21.5}}"#);
            self.beats.insert(id, ());
        }
        if scene.dice.percent(2)
            && let Some(id) = self.open.first().and_then(|report| report.packet_id)
        {
            mqtt.repeat(id);
        }
        Ok(true)
    }

    fn on_lost(&mut self, last: Mqtt, scene: &mut Scene) {
        self.asked_ms = None;
        self.beats.clear();
        self.memory = last.into_memory();
        if self.memory.is_none() {
            self.erased = None;
            self.open.iter_mut().for_each(|report| report.packet_id = None);
        }
        self.pause_ms = self.pause_ms.max(scene.now_ms + scene.dice.between(20, 800));
    }

    fn lose_power(&mut self) {
        // The reports that were not acknowledged were in its memory alone.
        self.open.clear();
        self.memory = None;
        self.erased = None;
    }

    fn waits_for(&self, witness: &Witness) -> Option<String> {
        if self.gone || witness.is_shut_out(self.id.as_str()) || !witness.is_registered(self.id.as_str()) {
            return None;
        }
        if self.certified.is_none() && witness.batch().is_some() {
            return Some(format!("{} has no certificate", self.id));
        }
        (!self.open.is_empty()).then(|| format!("{} waits for {} acknowledgements", self.id, self.open.len()))
    }
}
