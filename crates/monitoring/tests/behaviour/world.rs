//! A monitoring service with its host loop, a store, a registry that only speaks, and a clock.

use std::{collections::BTreeMap, sync::Arc};

use contract::{
    Leaf, Principal, Root, ServiceName, Topic,
    v1::*,
    wire::{self, Encoding, Wire},
};
use monitoring::Monitoring;
use prost::Message;
use service::{
    Context, Entropy, Group, HostLoop, Input, Now, QueryContext, Released, Settings,
    store::{Pair, Read, Store},
};
use store::{MemoryBlobs, MemoryStore};

pub(crate) const START: i64 = 1_700_000_000_000;
pub(crate) const GRACE: i64 = 30_000;

struct NoEntropy;
impl Entropy for NoEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

pub(crate) struct World {
    pub(crate) store: MemoryStore,
    host: HostLoop<Monitoring>,
    pub(crate) now: i64,
    facts: BTreeMap<String, DeviceFact>,
    /// Told anew at each start.
    pub(crate) people: Vec<PrincipalFact>,
    fact_sequence: u64,
    request: u64,
    pub(crate) boot: u64,
    /// What was published and is no reply.
    pub(crate) told: Vec<Frame>,
    /// What the registry was asked.
    pub(crate) asked: Vec<RestrictDevice>,
}

pub(crate) type Answer<M> = Result<M, Box<Rejection>>;

pub(crate) fn operator() -> Principal {
    "operators/ada".parse().unwrap()
}

pub(crate) fn front_door() -> Principal {
    ServiceName::FrontDoor.into()
}

pub(crate) fn device(n: usize) -> Principal {
    format!("devices/d{n}").parse().unwrap()
}

/// A device's session began or ended.
pub(crate) fn presence(n: usize, connected: bool, session: u64, sessions: u32) -> Presence {
    Presence {
        kind: "devices".into(),
        id: format!("d{n}"),
        connected,
        session,
        sessions,
        address: "10.0.0.1:5".into(),
        protocol: "mqtt-5".into(),
        tls: "1.3".into(),
        cause: if connected {
            String::new()
        } else {
            "keep-alive".into()
        },
        ..Presence::default()
    }
}

/// Who the tests act as.
fn admin() -> PrincipalFact {
    PrincipalFact {
        id: "ada".into(),
        kind: "operators".into(),
        role: Role::Admin.into(),
        ..PrincipalFact::default()
    }
}

impl World {
    /// A world with this many active devices.
    pub(crate) fn new(devices: usize) -> World {
        let store = MemoryStore::new(1);
        let host = open(&store);
        let (now, boot) = (START, 1);
        let (facts, told, asked) = Default::default();
        let mut world = World {
            store,
            host,
            now,
            facts,
            people: vec![admin()],
            fact_sequence: 0,
            request: 0,
            boot,
            told,
            asked,
        };
        world.run(vec![Input::Connected]);
        for n in 0..devices {
            world.device(n, |_| {});
        }
        world
    }

    /// The service stops and starts again.
    pub(crate) fn restart(&mut self) {
        self.host = open(&self.store);
        self.run(vec![Input::Connected]);
    }

    pub(crate) fn later(&mut self, ms: i64) {
        let end = self.now + ms;
        while let Some(at) = self.host.next_wake().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.run(Vec::new());
        }
        self.now = end;
    }

    /// Time passes while the service is away.
    pub(crate) fn away(&mut self, ms: i64) {
        self.now += ms;
        self.restart();
    }

    pub(crate) fn device(&mut self, n: usize, change: impl FnOnce(&mut DeviceFact)) {
        let id = format!("d{n}");
        let mut fact = self.facts.get(&id).cloned().unwrap_or_else(|| DeviceFact {
            device_id: id.clone(),
            stage: Stage::Active as i32,
            restriction: Restriction::None as i32,
            criticality: Criticality::Medium as i32,
            groups: vec!["all".into()],
            model: "pump".into(),
            firmware_version: "1.0.0".into(),
            ..DeviceFact::default()
        });
        change(&mut fact);
        self.facts.insert(id.clone(), fact.clone());
        self.fact_sequence += 1;
        let message = Fact {
            epoch: 9,
            sequence: self.fact_sequence,
            entity: "device".into(),
            id: id.clone(),
            value: fact.encode_to_vec(),
            deleted: false,
        };
        let topic = Topic::Fact {
            service: ServiceName::Registry,
            entity: "device".into(),
            id,
        };
        let mut frame = Frame {
            topic: Root::default().print(&topic),
            payload: message.encode_to_vec().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Fact);
        self.run(vec![Input::Frame(frame)]);
    }

    pub(crate) fn ask<M: Wire, R: Wire>(&mut self, who: &Principal, verb: &str, message: &M) -> Answer<R> {
        self.request += 1;
        let mut frame = Frame {
            topic: Root::default().up(who, ServiceName::Monitoring, verb),
            payload: wire::encode(message, Encoding::Protobuf),
            correlation: format!("r{}", self.request).into_bytes().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Request);
        let mut frames = self.run(vec![Input::Frame(frame)]);
        assert_eq!(frames.len(), 1, "one answer: {frames:?}");
        read(&frames.remove(0))
    }

    fn run(&mut self, inputs: Vec<Input>) -> Vec<Frame> {
        let mono_ms = (self.now - START) as u64;
        let mut entropy = NoEntropy;
        let now = Now {
            wall_ms: self.now,
            mono_ms,
        };
        let mut cx = Context {
            now,
            entropy: &mut entropy,
            site: "test",
        };
        let group = self.host.decide(inputs, &self.store, &mut cx).unwrap();
        let released = self.commit(group);
        assert_eq!(released.warnings, Vec::<String>::new());
        let (service, settings) = self.host.shared();
        let mut replies = Vec::new();
        for query in released.queries {
            let cx = QueryContext {
                now,
                blobs: &MemoryBlobs::new(),
            };
            replies.extend(query.run(&*service, &settings, &self.store, &cx).unwrap().frames);
        }
        for frame in released.frames {
            match frame.purpose() {
                Purpose::Reply => replies.push(frame),
                Purpose::Request if frame.topic.ends_with("/facts") => self.as_registry(&frame),
                Purpose::Request => self.asked.push(wire::decode(&frame.payload, "").unwrap()),
                Purpose::Taken | Purpose::Beacon => {}
                _ => self.told.push(frame),
            }
        }
        replies
    }

    fn commit<R>(&mut self, group: Group<R>) -> Released<R> {
        match group.without_writes() {
            Ok(released) => released,
            Err(group) => {
                let proof = self.store.commit(group.batch()).unwrap();
                group.committed(&proof)
            }
        }
    }

    fn as_registry(&mut self, question: &Frame) {
        let ask: FactsAfter = wire::decode(&question.payload, "").unwrap();
        let facts = (1..).zip(&self.facts).map(|(sequence, (id, fact))| Fact {
            epoch: 9,
            sequence,
            entity: "device".into(),
            id: id.clone(),
            value: fact.encode_to_vec(),
            deleted: false,
        });
        let people = self.people.iter().map(|person| Fact {
            epoch: 9,
            sequence: self.fact_sequence,
            entity: "principal".into(),
            id: format!("{}.{}", person.kind, person.id),
            value: person.encode_to_vec(),
            deleted: false,
        });
        let page = FactsPage {
            request_id: ask.request_id,
            epoch: 9,
            facts: facts.chain(people).collect(),
            last: self.fact_sequence,
            complete: true,
            whole: true,
        };
        let me = Principal::from(ServiceName::Monitoring);
        let mut frame = Frame {
            topic: Root::default().down(&me, ServiceName::Registry, "facts", Leaf::Accepted),
            payload: wire::encode(&page, Encoding::Protobuf),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Reply);
        self.run(vec![Input::Frame(frame)]);
    }

    /// The names of the events so far, as `subject name`; one that was sent again counts once.
    pub(crate) fn events(&self) -> Vec<String> {
        let events = self.told.iter().filter(|frame| frame.purpose() == Purpose::Event);
        let events = events.map(|frame| Event::decode(frame.payload.as_ref()).unwrap());
        let by_sequence: BTreeMap<_, _> = events
            .map(|e| (e.sequence, format!("{} {}", e.subject, e.name)))
            .collect();
        by_sequence.into_values().collect()
    }

    /// The facts of devices' status so far.
    pub(crate) fn facts(&self) -> Vec<(String, Option<StatusFact>)> {
        let facts = self.told.iter().filter(|frame| frame.purpose() == Purpose::Fact);
        let facts = facts.map(|frame| Fact::decode(frame.payload.as_ref()).unwrap());
        let read = |fact: Fact| {
            let value = (!fact.deleted).then(|| StatusFact::decode(fact.value.as_slice()).unwrap());
            (fact.id, value)
        };
        facts.map(read).collect()
    }

    /// What the newest event of this name says.
    pub(crate) fn event_data(&self, name: &str) -> serde_json::Value {
        let events = self.told.iter().filter(|frame| frame.purpose() == Purpose::Event);
        let events = events.map(|frame| Event::decode(frame.payload.as_ref()).unwrap());
        let newest = events
            .filter(|event| event.name == name)
            .max_by_key(|event| event.sequence);
        serde_json::from_slice(&newest.unwrap().data).unwrap()
    }

    /// The service's own rows.
    pub(crate) fn rows(&self) -> Vec<Pair> {
        self.store.scan(b"s", None, usize::MAX).unwrap()
    }

    pub(crate) fn presence(&mut self, message: Presence) {
        let message = Presence {
            boot: self.boot,
            ..message
        };
        let _: Done = self.ask(&front_door(), "presence", &message).unwrap();
    }

    pub(crate) fn connect(&mut self, n: usize, session: u64) {
        self.presence(presence(n, true, session, 1));
    }

    pub(crate) fn disconnect(&mut self, n: usize, session: u64) {
        self.presence(presence(n, false, session, 0));
    }

    /// A snapshot in one page.
    pub(crate) fn snapshot(&mut self, number: u64, present: &[(usize, u64)]) {
        let present = present
            .iter()
            .map(|(n, session)| presence(*n, true, *session, 1))
            .collect();
        let message = PresenceSnapshot {
            boot: self.boot,
            snapshot: number,
            present,
            complete: true,
            ..Default::default()
        };
        let _: Done = self.ask(&front_door(), "presence-snapshot", &message).unwrap();
        self.later(0);
    }

    pub(crate) fn heartbeat(&mut self, n: usize, metrics: &[(&str, f64)]) -> Answer<Done> {
        let metrics = metrics
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect();
        self.ask(
            &device(n),
            "heartbeat",
            &Heartbeat {
                metrics,
                ..Heartbeat::default()
            },
        )
    }

    pub(crate) fn violate(&mut self, n: usize, count: u32) {
        let message = SecurityNotice {
            kind: "devices".into(),
            id: format!("d{n}"),
            what: "publish-denied".into(),
            count,
            ..SecurityNotice::default()
        };
        let _: Done = self.ask(&front_door(), "security", &message).unwrap();
    }

    /// Somebody was not let in.
    pub(crate) fn not_let_in(&mut self, kind: &str, id: &str, why: &str) {
        let message = SecurityNotice {
            kind: kind.into(),
            id: id.into(),
            what: "connect-denied".into(),
            detail: why.into(),
            address: "10.0.0.7:5".into(),
            time_ms: self.now,
            count: 1,
            serial: "0a".into(),
            ..SecurityNotice::default()
        };
        let _: Done = self.ask(&front_door(), "security", &message).unwrap();
    }

    /// What is told of somebody who was not let in: why, and how often.
    pub(crate) fn refused(&mut self, kind: &str, id: &str) -> Option<(String, u64)> {
        let ask = ShowRefused {
            kind: kind.into(),
            id: id.into(),
            ..ShowRefused::default()
        };
        let shown: RefusedShown = self.ask(&operator(), "refused", &ask).unwrap();
        shown.refused.map(|refused| (refused.why, refused.count))
    }

    /// Logins in somebody's name failed.
    pub(crate) fn login_failed(&mut self, kind: &str, id: &str, count: u32) {
        let message = SecurityNotice {
            kind: kind.into(),
            id: id.into(),
            what: "login-failed".into(),
            detail: "no token of theirs".into(),
            address: "10.0.0.9:5".into(),
            count,
            ..SecurityNotice::default()
        };
        let _: Done = self.ask(&front_door(), "security", &message).unwrap();
    }

    /// An operator closed somebody's connections.
    pub(crate) fn kicked(&mut self, kind: &str, id: &str) {
        let message = SecurityNotice {
            kind: kind.into(),
            id: id.into(),
            what: "kicked".into(),
            by: "operators/ada".into(),
            detail: "it floods".into(),
            count: 1,
            ..SecurityNotice::default()
        };
        let _: Done = self.ask(&front_door(), "security", &message).unwrap();
    }

    pub(crate) fn rule(&mut self, id: &str, change: impl FnOnce(&mut Rule)) -> Answer<Changed> {
        let mut rule = Rule {
            rule_id: id.into(),
            metric: "temperature".into(),
            comparison: Comparison::Above as i32,
            threshold: 80.0,
            ..Rule::default()
        };
        change(&mut rule);
        self.ask(
            &operator(),
            "put-rule",
            &PutRule {
                rule: Some(rule),
                ..PutRule::default()
            },
        )
    }

    pub(crate) fn remove_rule(&mut self, id: &str) -> Answer<Done> {
        self.ask(
            &operator(),
            "remove-rule",
            &RemoveRule {
                rule_id: id.into(),
                ..RemoveRule::default()
            },
        )
    }

    pub(crate) fn status(&mut self, n: usize) -> DeviceStatus {
        let message = ShowStatus {
            device_id: format!("d{n}"),
            ..ShowStatus::default()
        };
        self.ask::<_, StatusShown>(&operator(), "show", &message)
            .unwrap()
            .status
            .unwrap()
    }

    pub(crate) fn connectivity(&mut self, n: usize) -> Connectivity {
        self.status(n).connectivity()
    }

    pub(crate) fn statuses(&mut self) -> Vec<DeviceStatus> {
        let message = ListStatus {
            page_size: 500,
            ..ListStatus::default()
        };
        self.ask::<_, StatusListed>(&operator(), "list", &message)
            .unwrap()
            .devices
    }

    pub(crate) fn alerts(&mut self, include_cleared: bool) -> Vec<Alert> {
        let (mut all, mut page) = (Vec::new(), String::new());
        loop {
            let message = ListAlerts {
                include_cleared,
                page_size: 3,
                page,
                ..ListAlerts::default()
            };
            let listed: AlertsListed = self.ask(&operator(), "alerts", &message).unwrap();
            all.extend(listed.alerts);
            page = listed.next_page;
            if page.is_empty() {
                return all;
            }
        }
    }

    pub(crate) fn summary(&mut self) -> Summary {
        let summary: Summary = self.ask(&operator(), "summary", &Summarize::default()).unwrap();
        Summary {
            request_id: String::new(),
            ..summary
        }
    }
}

fn open(store: &MemoryStore) -> HostLoop<Monitoring> {
    let settings = Settings {
        root: Root::default(),
        site: "test".into(),
        epoch: 1,
    };
    let service = Monitoring::new(monitoring::Settings {
        grace_ms: GRACE as u64,
    });
    HostLoop::open(Arc::new(service), settings, store).unwrap()
}

fn read<R: Wire>(frame: &Frame) -> Answer<R> {
    match frame.rejected.is_empty() {
        true => Ok(wire::decode(&frame.payload, "").unwrap()),
        false => Err(Box::new(wire::decode(&frame.payload, "").unwrap())),
    }
}
