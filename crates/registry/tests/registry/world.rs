//! A registry in its host loop, on a store in memory.

use std::{cell::Cell, collections::BTreeMap, sync::Arc};

use contract::{
    Leaf, Principal, Root, ServiceName, Topic,
    v1::{self, CertificateFact, CertificateStatus, Device, Event, Fact, FactsPage, Frame, Purpose},
    wire::{self, Encoding, Wire},
};
use prost::Message;
use registry::{Registry, Settings};
use service::{
    Context, Effect, Entropy, HostLoop, Input, Now, QueryContext, Released,
    store::{Batch, Pair, Read, Store, StoreError},
};
use store::{MemoryBlobs, MemoryStore};

/// Who the tests act as.
pub(crate) const ADA: &str = "operators/ada";

/// How long a device is waited for in these tests.
pub(crate) const WAIT_MS: u64 = 1_000;

struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// The world.
pub(crate) struct World {
    host: HostLoop<Registry>,
    pub(crate) store: MemoryStore,
    pub(crate) now_ms: i64,
    /// What the registry has published and not been read yet.
    pub(crate) frames: Vec<Frame>,
    /// What it has ordered to be done in the world.
    pub(crate) effects: Vec<Effect>,
    /// Records that queries have read.
    pub(crate) reads: usize,
    /// What whoever asks has shown: the serial, the login, and when it ends.
    pub(crate) over: Frame,
    number: u64,
    /// The last fact of each owner.
    fact_sequences: BTreeMap<ServiceName, u64>,
}

/// A store that counts what is read from it.
struct Counted<'a> {
    store: &'a MemoryStore,
    reads: Cell<usize>,
}

impl Read for Counted<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reads.set(self.reads.get() + 1);
        self.store.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let pairs = self.store.scan(prefix, after, limit)?;
        self.reads.set(self.reads.get() + pairs.len());
        Ok(pairs)
    }
}

/// What a request came to.
pub(crate) type Answered<R> = Result<R, v1::Rejection>;

impl World {
    pub(crate) fn new() -> World {
        let store = MemoryStore::new(7);
        // Their own records would be events of their own: the registry knows of them what the others do.
        let mut rows = Batch::default();
        for id in ["ada", "bob"] {
            let person = v1::PrincipalFact {
                id: id.into(),
                kind: "operators".into(),
                role: v1::Role::Admin.into(),
                event_filters: vec!["#".into()],
                ..Default::default()
            };
            let id = format!("operators.{id}");
            let (key, row) = service::inspect::own_fact("principal", &id, person.encode_to_vec());
            rows.put(key, row);
        }
        store.commit(&rows).unwrap();
        let host = open(&store);
        let mut world = World {
            host,
            store,
            now_ms: 1_000_000,
            frames: Vec::new(),
            effects: Vec::new(),
            reads: 0,
            over: Frame::default(),
            number: 0,
            fact_sequences: BTreeMap::new(),
        };
        world.follow();
        world
    }

    /// Everything in memory is lost and read again.
    pub(crate) fn restart(&mut self) {
        self.host = open(&self.store);
        self.follow();
    }

    /// From now on, events are kept for so long, and so many; everything in memory is lost and read again.
    pub(crate) fn keep_events(&mut self, keep_ms: u64, most: u64) {
        self.host = open(&self.store).keeping_events(keep_ms, most);
        self.follow();
    }

    /// The same for the audit log.
    pub(crate) fn keep_audit(&mut self, keep_ms: u64) {
        self.host = open(&self.store).keeping_audit(keep_ms);
        self.follow();
    }

    /// The broker has taken the events up to this one.
    pub(crate) fn taken(&mut self, event: u64) {
        self.round(vec![Input::Taken { event }]);
    }

    /// Time passes, and what was to be done by then is done.
    pub(crate) fn wait(&mut self, ms: i64) {
        self.now_ms += ms;
        self.round(Vec::new());
    }

    /// Asks with a fresh request id.
    pub(crate) fn ask<R: Wire>(&mut self, who: &str, verb: &str, request: &impl Wire) -> Answered<R> {
        let correlation = format!("r-{}", self.number + 1);
        self.ask_as(&correlation, who, verb, request)
    }

    /// Asks with this request id.
    pub(crate) fn ask_as<R: Wire>(
        &mut self,
        id: &str,
        who: &str,
        verb: &str,
        request: &impl Wire,
    ) -> Answered<R> {
        let payload = wire::encode(request, Encoding::Protobuf);
        let reply = self.ask_raw(id, who, verb, payload.to_vec());
        if reply.rejected.is_empty() {
            Ok(wire::decode(&reply.payload, "").unwrap())
        } else {
            Err(wire::decode(&reply.payload, "").unwrap())
        }
    }

    /// Asks with these bytes; there must be exactly one reply.
    pub(crate) fn ask_raw(&mut self, id: &str, who: &str, verb: &str, payload: Vec<u8>) -> Frame {
        self.number += 1;
        let number = v1::RequestNumber {
            boot: 1,
            number: self.number,
        };
        let who: Principal = who.parse().unwrap();
        let mut frame = Frame {
            topic: Root::default().up(&who, ServiceName::Registry, verb),
            payload: payload.into(),
            correlation: id.as_bytes().to_vec().into(),
            request: Some(number),
            ..self.over.clone()
        };
        frame.set_purpose(Purpose::Request);
        let before = self.frames.len();
        self.round(vec![Input::Frame(frame)]);
        let mine = |f: &&Frame| f.purpose() == Purpose::Reply && f.request == Some(number);
        let replies: Vec<_> = self.frames[before..].iter().filter(mine).cloned().collect();
        assert_eq!(replies.len(), 1, "{verb} has one reply");
        let leaf = if replies[0].rejected.is_empty() {
            Leaf::Accepted
        } else {
            Leaf::Rejected
        };
        assert_eq!(
            replies[0].topic,
            Root::default().down(&who, ServiceName::Registry, verb, leaf)
        );
        replies[0].clone()
    }

    /// What `muster init` left behind.
    pub(crate) fn bootstrap(&mut self, verb: &str, request: &impl Wire) {
        let payload = wire::encode(request, Encoding::Json).to_vec();
        self.round(vec![Input::Bootstrap(vec![(verb.to_owned(), payload)])]);
    }

    /// Provisioning's fact about a device's certificate.
    pub(crate) fn certificate(&mut self, kind: &str, id: &str, status: CertificateStatus) {
        self.certified(kind, id, "0a", status, 0);
    }

    /// The same of a certificate that ends some time.
    pub(crate) fn certified(
        &mut self,
        kind: &str,
        id: &str,
        serial: &str,
        status: CertificateStatus,
        not_after_ms: i64,
    ) {
        let mut certificate = CertificateFact {
            serial: serial.into(),
            kind: kind.into(),
            id: id.into(),
            not_after_ms,
            ..Default::default()
        };
        certificate.set_status(status);
        let value = certificate.encode_to_vec();
        self.fact(ServiceName::Provisioning, "certificate", serial, Some(value));
    }

    /// Monitoring's fact about a device; the rules are those whose alerts are open.
    pub(crate) fn status(
        &mut self,
        id: &str,
        connectivity: v1::Connectivity,
        last_seen_ms: i64,
        rules: &[&str],
    ) {
        let alert = |rule: &&str| v1::OpenAlert {
            rule_id: (*rule).to_owned(),
            severity: v1::Severity::High.into(),
        };
        let status = v1::StatusFact {
            device_id: id.into(),
            connectivity: connectivity.into(),
            last_seen_ms,
            alerts: rules.iter().map(alert).collect(),
            ..v1::StatusFact::default()
        };
        self.fact(
            ServiceName::Monitoring,
            "status",
            id,
            Some(status.encode_to_vec()),
        );
    }

    /// Another service's fact.
    pub(crate) fn fact(&mut self, owner: ServiceName, entity: &str, id: &str, value: Option<Vec<u8>>) {
        let sequence = self.fact_sequences.entry(owner).or_default();
        *sequence += 1;
        let fact = Fact {
            epoch: 3,
            sequence: *sequence,
            entity: entity.into(),
            id: id.into(),
            deleted: value.is_none(),
            value: value.unwrap_or_default(),
        };
        let topic = Topic::Fact {
            service: owner,
            entity: fact.entity.clone(),
            id: fact.id.clone(),
        };
        let mut frame = Frame {
            topic: Root::default().print(&topic),
            payload: fact.encode_to_vec().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Fact);
        self.round(vec![Input::Frame(frame)]);
    }

    /// A device by its record.
    pub(crate) fn device(&mut self, id: &str) -> Device {
        let request = v1::ShowDevice {
            device_id: id.into(),
            ..Default::default()
        };
        self.ask::<v1::DeviceShown>(ADA, "show", &request)
            .unwrap()
            .device
            .unwrap()
    }

    /// Takes the events that were published since the last time, but for the audit log's heads.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let mut events = self.all_events();
        events.retain(|event| !event.subject.starts_with("audit/"));
        events
    }

    /// Takes all events that were published since the last time.
    pub(crate) fn all_events(&mut self) -> Vec<Event> {
        let frames = std::mem::take(&mut self.frames);
        let events = frames.into_iter().filter(|f| f.purpose() == Purpose::Event);
        events
            .map(|f| Event::decode(f.payload.as_ref()).unwrap())
            .collect()
    }

    /// Takes the facts of a kind that were published since the last time.
    pub(crate) fn facts<M: Message + Default>(&mut self, entity: &str) -> Vec<M> {
        let frames = std::mem::take(&mut self.frames);
        let facts = frames.iter().filter(|f| f.purpose() == Purpose::Fact);
        let facts = facts.map(|f| Fact::decode(f.payload.as_ref()).unwrap());
        facts
            .filter(|f| f.entity == entity)
            .map(|f| M::decode(f.value.as_slice()).unwrap())
            .collect()
    }

    /// The registry's own records under a prefix, by the rest of their keys.
    pub(crate) fn records(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let prefix = format!("s{prefix}");
        let rows = self.store.scan(prefix.as_bytes(), None, usize::MAX).unwrap();
        rows.into_iter()
            .map(|(k, v)| (String::from_utf8(k[prefix.len()..].to_vec()).unwrap(), v))
            .collect()
    }

    /// A device that is registered, certified and has reported.
    pub(crate) fn activate(&mut self, id: &str) {
        self.ask::<v1::Changed>(ADA, "register", &register(id)).unwrap();
        self.certificate("devices", id, CertificateStatus::Issued);
        self.ask::<v1::Changed>(&format!("devices/{id}"), "report", &v1::Report::default())
            .unwrap();
    }

    /// Connects, and answers the questions for others' facts: there are none but those that were told.
    fn follow(&mut self) {
        self.follow_from(|_, page| page);
    }

    /// Everything in memory is lost, and an owner answers with a whole copy.
    pub(crate) fn restart_with(&mut self, owner: ServiceName, facts: Vec<Fact>) {
        self.host = open(&self.store);
        self.follow_from(|of, page| match of == owner {
            true => FactsPage {
                whole: true,
                facts: facts.clone(),
                ..page
            },
            false => page,
        });
    }

    fn follow_from(&mut self, answer: impl Fn(ServiceName, FactsPage) -> FactsPage) {
        let (fresh, _) = self.round_of(vec![Input::Connected]);
        for owner in [ServiceName::Provisioning, ServiceName::Monitoring] {
            let question = fresh
                .iter()
                .find(|f| f.topic.ends_with(&format!("/up/{owner}/facts")))
                .unwrap();
            let question: v1::FactsAfter = wire::decode(&question.payload, "").unwrap();
            let page = FactsPage {
                request_id: question.request_id,
                epoch: 3,
                last: self.fact_sequences.get(&owner).copied().unwrap_or(0),
                complete: true,
                ..Default::default()
            };
            let me = Principal::from(ServiceName::Registry);
            let mut frame = Frame {
                topic: Root::default().down(&me, owner, "facts", Leaf::Accepted),
                payload: wire::encode(&answer(owner, page), Encoding::Protobuf),
                ..Frame::default()
            };
            frame.set_purpose(Purpose::Reply);
            self.round(vec![Input::Frame(frame)]);
        }
    }

    /// Takes what the registry has asked provisioning, the names of its questions with them.
    pub(crate) fn questions(&mut self) -> Vec<Frame> {
        let (asked, others) = std::mem::take(&mut self.frames)
            .into_iter()
            .partition(|frame| frame.topic.ends_with("/up/provisioning/list"));
        self.frames = others;
        asked
    }

    /// Provisioning answers one of them.
    pub(crate) fn answer(&mut self, question: &Frame, answer: Result<&v1::CertificatesListed, &str>) {
        let me = Principal::from(ServiceName::Registry);
        let leaf = if answer.is_ok() {
            Leaf::Accepted
        } else {
            Leaf::Rejected
        };
        let mut frame = Frame {
            topic: Root::default().down(&me, ServiceName::Provisioning, "list", leaf),
            correlation: question.correlation.clone(),
            payload: answer
                .map(|listed| wire::encode(listed, Encoding::Protobuf))
                .unwrap_or_default(),
            rejected: answer.err().unwrap_or_default().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Reply);
        self.round(vec![Input::Frame(frame)]);
    }

    /// An effect has come to this.
    pub(crate) fn done(&mut self, effect: &Effect, result: Vec<u8>) {
        let id = effect.id.clone();
        self.round(vec![Input::EffectDone { id, result }]);
    }

    fn round(&mut self, inputs: Vec<Input>) {
        let (frames, warnings) = self.round_of(inputs);
        assert_eq!(warnings, Vec::<String>::new());
        self.frames.extend(frames);
    }

    fn round_of(&mut self, inputs: Vec<Input>) -> (Vec<Frame>, Vec<String>) {
        let now = Now {
            wall_ms: self.now_ms,
            mono_ms: u64::try_from(self.now_ms).unwrap(),
        };
        let mut cx = Context {
            now,
            entropy: &mut Zeros,
            site: "test",
        };
        let group = self.host.decide(inputs, &self.store, &mut cx).unwrap();
        let durable = self.store.commit(group.batch()).unwrap();
        let Released {
            mut frames,
            queries,
            mut warnings,
            effects,
            ..
        } = group.committed(&durable);
        self.effects.extend(effects);
        let (service, settings) = self.host.shared();
        let blobs = MemoryBlobs::default();
        for query in queries {
            let cx = QueryContext { now, blobs: &blobs };
            let counted = Counted {
                store: &self.store,
                reads: Cell::new(0),
            };
            let done = query.run(&*service, &settings, &counted, &cx).unwrap();
            self.reads += counted.reads.get();
            frames.extend(done.frames);
            warnings.extend(done.warning);
        }
        (frames, warnings)
    }
}

fn open(store: &MemoryStore) -> HostLoop<Registry> {
    let settings = service::Settings {
        root: Root::default(),
        site: "test".into(),
        epoch: store.epoch(),
    };
    let registry = Arc::new(Registry::new(Settings {
        retire_wait_ms: WAIT_MS,
        ..Settings::default()
    }));
    HostLoop::open(registry, settings, store).unwrap()
}

/// A plain registration.
pub(crate) fn register(id: &str) -> v1::RegisterDevice {
    v1::RegisterDevice {
        device_id: id.into(),
        ..Default::default()
    }
}

/// A registration with these fields.
pub(crate) fn registered(id: &str, fields: &[(&str, &str)]) -> v1::RegisterDevice {
    v1::RegisterDevice {
        fields: pairs(fields),
        ..register(id)
    }
}

/// A change of these fields.
pub(crate) fn change(id: &str, fields: &[(&str, &str)]) -> v1::ChangeDevice {
    v1::ChangeDevice {
        device_id: id.into(),
        set: pairs(fields),
        ..Default::default()
    }
}

/// Names and values.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

/// The data of an event.
pub(crate) fn data(event: &Event) -> serde_json::Value {
    serde_json::from_slice(&event.data).unwrap()
}
