//! Provisioning in its host loop, with a registry and a front door that the test plays.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use contract::{
    Leaf, Principal, Root, ServiceName, Topic,
    v1::{
        self, CertificateStatus, Criticality, DeviceFact, Event, Fact, FactsPage, Frame, PrincipalFact,
        Purpose, Restriction, Role, Stage,
    },
    wire::{self, Encoding, Wire},
};
use pki::{Authority, Charter, KeyKind, Serial, Subtree};
use prost::Message;
use provisioning::{Effects, ISSUERS_CHANGED, Issuers, NextKey, Provisioning, Server, Settings};
use service::{
    Amount, Context, Effect, Entropy, HostLoop, Input, Measure, Now, QueryContext,
    store::{Batch, Blobs, Store},
};
use store::{MemoryBlobs, MemoryStore};

pub(crate) const ADA: &str = "operators/ada";
pub(crate) const START: i64 = 1_800_000_000_000;
const DAY: u64 = 86_400_000;

/// Bytes that differ from draw to draw.
#[derive(Default)]
struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes.iter_mut() {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 33) as u8;
        }
    }
}

pub(crate) struct World {
    host: HostLoop<Provisioning>,
    service: Provisioning,
    root: Authority,
    pub(crate) authority: Arc<Authority>,
    /// Trusted beside the one that signs.
    issuers: Issuers,
    pub(crate) root_pem: String,
    pub(crate) store: MemoryStore,
    pub(crate) blobs: Arc<MemoryBlobs>,
    entropy: Counter,
    pub(crate) now_ms: i64,
    pub(crate) frames: Vec<Frame>,
    /// Effects that were ordered; run at once unless held.
    pub(crate) effects: Vec<Effect>,
    pub(crate) hold_effects: bool,
    /// What was counted and timed.
    pub(crate) measures: Vec<Measure>,
    /// The factory certificate over which is asked.
    pub(crate) shown: Option<v1::FactoryCertificate>,
    number: u64,
    facts: u64,
    /// Holds the server's key.
    pub(crate) server: Arc<PlayedServer>,
}

/// The server's key and certificate, in memory.
#[derive(Default)]
pub(crate) struct PlayedServer {
    next_key: Mutex<Option<String>>,
    /// What it serves with.
    pub(crate) chain: Mutex<String>,
    /// Its disk is full.
    pub(crate) is_full: std::sync::atomic::AtomicBool,
}

impl PlayedServer {
    fn demand_room(&self) -> Result<(), String> {
        match self.is_full.load(std::sync::atomic::Ordering::Relaxed) {
            true => Err("no space left".into()),
            false => Ok(()),
        }
    }
}

impl Server for PlayedServer {
    fn next_key(&self) -> Result<NextKey, String> {
        let mut next = self.next_key.lock().unwrap();
        let key = next.get_or_insert_with(|| pki::generate_key(KeyKind::P256).unwrap().to_string());
        let serving = pki::ServerCertificate::parse_pem(&self.chain.lock().unwrap());
        Ok(NextKey {
            csr_pem: pki::csr_for(key, "front-door").unwrap(),
            serving: serving.map(|read| read.fingerprint_sha256).unwrap_or_default(),
        })
    }

    fn install(&self, chain_pem: &str) -> Result<(), String> {
        self.demand_room()?;
        let mut chain = self.chain.lock().unwrap();
        if *chain != chain_pem {
            let key = self.next_key.lock().unwrap().take().ok_or("no key waits")?;
            let key = pki::PublicKey::of_private(&key).unwrap().fingerprint_sha256();
            let read = pki::ServerCertificate::parse_pem(chain_pem).unwrap();
            assert_eq!(read.key_fingerprint_sha256, key);
            *chain = chain_pem.to_owned();
        }
        Ok(())
    }
}

pub(crate) type Answered<R> = Result<R, v1::Rejection>;

impl World {
    pub(crate) fn new() -> World {
        World::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> World {
        let charter = |n: u8, years: u64| Charter {
            site: "hq",
            key: KeyKind::P256,
            serial: Serial::from_random([n; 16]),
            now_ms: START,
            lifetime_ms: years * 365 * DAY,
        };
        let root = pki::create_root(&charter(1, 20)).unwrap();
        let root_authority = Authority::open(&root.chain_pem, &root.key_pem, START).unwrap();
        let issuing = pki::create_issuing(&root_authority, &charter(2, 10)).unwrap();
        let authority = Arc::new(Authority::open(&issuing.chain_pem, &issuing.key_pem, START).unwrap());
        let issuers = Issuers::new(authority.clone(), Vec::new());
        let service = Provisioning::new(settings, root.chain_pem.clone(), issuers.clone());
        let store = MemoryStore::new(7);
        let ada = PrincipalFact {
            id: "ada".into(),
            kind: "operators".into(),
            role: Role::Admin as i32,
            ..Default::default()
        };
        let mut rows = Batch::default();
        let registry = ServiceName::Registry;
        let (key, row) =
            service::inspect::copied_fact(registry, "principal", "operators.ada", ada.encode_to_vec());
        rows.put(key, row);
        store.commit(&rows).unwrap();
        let host = open(&service, &store);
        let mut world = World {
            host,
            service,
            root: root_authority,
            authority,
            issuers,
            root_pem: root.chain_pem,
            store,
            blobs: Arc::default(),
            entropy: Counter(9),
            now_ms: START,
            frames: Vec::new(),
            effects: Vec::new(),
            hold_effects: false,
            measures: Vec::new(),
            shown: None,
            number: 0,
            facts: 0,
            server: Arc::default(),
        };
        world.follow();
        world.tell_device("pump-7", Stage::Registered);
        world.tell_person("operators", "bob", false);
        world
    }

    /// The process dies and starts again: effects whose result is not known run again.
    pub(crate) fn restart(&mut self) {
        self.host = open(&self.service, &self.store);
        self.effects = self.host.pending_effects(&self.store).unwrap();
        self.follow();
        self.run_effects();
    }

    /// Another issuing authority under the same root.
    pub(crate) fn another(&self, n: u8) -> Arc<Authority> {
        let charter = Charter {
            site: "hq",
            key: KeyKind::P256,
            serial: Serial::from_random([n; 16]),
            now_ms: self.now_ms,
            lifetime_ms: 10 * 365 * DAY,
        };
        let issuing = pki::create_issuing(&self.root, &charter).unwrap();
        Arc::new(Authority::open(&issuing.chain_pem, &issuing.key_pem, self.now_ms).unwrap())
    }

    /// The same, which may name these hosts and no others.
    pub(crate) fn narrow(&self, n: u8, hosts: &[&str]) -> Arc<Authority> {
        let charter = Charter {
            site: "hq",
            key: KeyKind::P256,
            serial: Serial::from_random([n; 16]),
            now_ms: self.now_ms,
            lifetime_ms: 10 * 365 * DAY,
        };
        let permitted = hosts
            .iter()
            .map(|text| Subtree::network(text).or(Subtree::domain(text)));
        let permitted: Vec<_> = permitted.map(Option::unwrap).collect();
        let key = pki::generate_key(KeyKind::P256).unwrap();
        let own = pki::PublicKey::of_private(&key).unwrap();
        let chain = pki::certify_issuing(&self.root, &own, &charter, &permitted).unwrap();
        Arc::new(Authority::open(&chain, &key, self.now_ms).unwrap())
    }

    /// The process starts again, with other authorities.
    pub(crate) fn restart_under(&mut self, signing: &Arc<Authority>, others: &[&Arc<Authority>]) {
        self.authority = signing.clone();
        self.issuers = Issuers::new(signing.clone(), cloned(others));
        let roots = self.root_pem.clone();
        self.service = Provisioning::new(Settings::default(), roots, self.issuers.clone());
        self.restart();
        self.round(vec![Input::Woken(ISSUERS_CHANGED.into())]);
    }

    /// Other authorities take their places while it runs.
    pub(crate) fn go_on_under(&mut self, signing: &Arc<Authority>, others: &[&Arc<Authority>]) {
        self.authority = signing.clone();
        self.issuers.change(signing.clone(), cloned(others));
        self.round(vec![Input::Woken(ISSUERS_CHANGED.into())]);
    }

    /// Connects, and hears that it knows all that was told.
    pub(crate) fn follow(&mut self) {
        let before = self.frames.len();
        self.round(vec![Input::Connected]);
        let asked = self.frames[before..]
            .iter()
            .find(|f| f.topic.ends_with("/up/registry/facts"))
            .cloned();
        let ask: v1::FactsAfter = wire::decode(&asked.unwrap().payload, "").unwrap();
        let page = FactsPage {
            request_id: ask.request_id,
            epoch: 3,
            last: self.facts,
            complete: true,
            ..FactsPage::default()
        };
        let me = Principal::from(ServiceName::Provisioning);
        let topic = Root::default().down(&me, ServiceName::Registry, "facts", Leaf::Accepted);
        let mut frame = Frame {
            topic,
            payload: wire::encode(&page, Encoding::Protobuf),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Reply);
        self.round(vec![Input::Frame(frame)]);
    }

    fn tell(&mut self, entity: &str, id: &str, value: &impl Message) {
        self.tell_bytes(entity, id, Some(value.encode_to_vec()));
    }

    /// A fact as bytes; `None`: the thing is gone.
    pub(crate) fn tell_bytes(&mut self, entity: &str, id: &str, value: Option<Vec<u8>>) {
        self.facts += 1;
        let fact = Fact {
            epoch: 3,
            sequence: self.facts,
            entity: entity.into(),
            id: id.into(),
            deleted: value.is_none(),
            value: value.unwrap_or_default(),
        };
        let topic = Topic::Fact {
            service: ServiceName::Registry,
            entity: entity.into(),
            id: id.into(),
        };
        let topic = Root::default().print(&topic);
        let mut frame = Frame {
            topic,
            payload: fact.encode_to_vec().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Fact);
        self.round(vec![Input::Frame(frame)]);
    }

    pub(crate) fn tell_device(&mut self, id: &str, stage: Stage) {
        self.tell_restricted(id, stage, Restriction::None);
    }

    pub(crate) fn tell_restricted(&mut self, id: &str, stage: Stage, restriction: Restriction) {
        let fact = DeviceFact {
            device_id: id.into(),
            stage: stage as i32,
            restriction: restriction as i32,
            ..DeviceFact::default()
        };
        self.tell("device", id, &fact);
    }

    /// A device of a type, with a serial number.
    pub(crate) fn tell_built(&mut self, id: &str, stage: Stage, serial_number: &str, device_type: &str) {
        let fact = DeviceFact {
            device_id: id.into(),
            stage: stage as i32,
            serial_number: serial_number.into(),
            device_type: device_type.into(),
            ..DeviceFact::default()
        };
        self.tell("device", id, &fact);
    }

    /// A registered device that comes with this key.
    pub(crate) fn tell_announced(&mut self, id: &str, fingerprint: &str) {
        let fact = DeviceFact {
            device_id: id.into(),
            stage: Stage::Registered as i32,
            key_fingerprint: fingerprint.into(),
            ..DeviceFact::default()
        };
        self.tell("device", id, &fact);
    }

    /// A registered device that matters so much.
    pub(crate) fn tell_critical(&mut self, id: &str, criticality: Criticality) {
        let fact = DeviceFact {
            device_id: id.into(),
            stage: Stage::Registered as i32,
            criticality: criticality as i32,
            ..DeviceFact::default()
        };
        self.tell("device", id, &fact);
    }

    pub(crate) fn tell_person(&mut self, kind: &str, id: &str, disabled: bool) {
        self.tell_role(kind, id, Role::Viewer, disabled);
    }

    /// These verbs need another person on devices that matter so much.
    pub(crate) fn tell_four_eyes(&mut self, verbs: &[&str], criticality: Criticality) {
        let rule = v1::FourEyesRule {
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
            criticality: criticality as i32,
            over_devices: 0,
        };
        let settings = v1::FourEyes {
            version: 1,
            rules: vec![rule],
            within_ms: 3_600_000,
        };
        self.tell("four-eyes", "settings", &settings);
    }

    /// An operator who has this role for these groups only.
    pub(crate) fn tell_scoped(&mut self, id: &str, role: Role, groups: &[&str]) {
        let grant = v1::Grant {
            role: role as i32,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..Default::default()
        };
        let fact = PrincipalFact {
            id: id.into(),
            kind: "operators".into(),
            grants: vec![grant],
            ..Default::default()
        };
        self.tell("principal", &format!("operators.{id}"), &fact);
    }

    /// A registered device in these groups.
    pub(crate) fn tell_grouped(&mut self, id: &str, groups: &[&str]) {
        let fact = DeviceFact {
            device_id: id.into(),
            stage: Stage::Registered as i32,
            restriction: Restriction::None as i32,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..DeviceFact::default()
        };
        self.tell("device", id, &fact);
    }

    pub(crate) fn tell_role(&mut self, kind: &str, id: &str, role: Role, disabled: bool) {
        let fact = PrincipalFact {
            id: id.into(),
            kind: kind.into(),
            role: role as i32,
            disabled,
            ..Default::default()
        };
        self.tell("principal", &format!("{kind}.{id}"), &fact);
    }

    /// What `muster init` left for an empty service.
    pub(crate) fn bootstrap(&mut self, requests: &[v1::RecordCertificate]) {
        let requests = requests
            .iter()
            .map(|r| ("record".to_owned(), wire::encode(r, Encoding::Json).to_vec()));
        self.round(vec![Input::Bootstrap(requests.collect())]);
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        self.now_ms += ms as i64;
        self.round(Vec::new());
    }

    /// Days pass, each with its wake-ups.
    pub(crate) fn days(&mut self, days: u64) {
        for _ in 0..days {
            self.wait(DAY);
        }
    }

    /// Asks as somebody; the answer that came, now or later within this round.
    pub(crate) fn ask<R: Wire>(&mut self, who: &str, verb: &str, request: &impl Wire) -> Answered<R> {
        self.ask_over(who, "", "", verb, request).expect("an answer")
    }

    /// Asks over a certificate; `None`: the answer is promised.
    pub(crate) fn ask_over<R: Wire>(
        &mut self,
        who: &str,
        serial: &str,
        batch: &str,
        verb: &str,
        request: &impl Wire,
    ) -> Option<Answered<R>> {
        self.number += 1;
        let correlation = format!("r-{}", self.number);
        self.ask_as(&correlation, who, serial, batch, verb, request)
    }

    pub(crate) fn ask_as<R: Wire>(
        &mut self,
        correlation: &str,
        who: &str,
        serial: &str,
        batch: &str,
        verb: &str,
        request: &impl Wire,
    ) -> Option<Answered<R>> {
        self.number += 1;
        let who: Principal = who.parse().unwrap();
        let mut frame = Frame {
            topic: Root::default().up(&who, ServiceName::Provisioning, verb),
            payload: wire::encode(request, Encoding::Protobuf),
            correlation: correlation.as_bytes().to_vec().into(),
            request: Some(v1::RequestNumber {
                boot: 1,
                number: self.number,
            }),
            serial: serial.into(),
            batch: batch.into(),
            factory: self.shown.clone().map(Box::new),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Request);
        let before = self.frames.len();
        self.round(vec![Input::Frame(frame)]);
        self.answer_since(before, correlation)
    }

    /// The reply to a request among what was published since.
    pub(crate) fn answer_since<R: Wire>(&self, before: usize, correlation: &str) -> Option<Answered<R>> {
        let reply = self.frames[before..]
            .iter()
            .find(|f| f.purpose() == Purpose::Reply && f.correlation == correlation.as_bytes())?;
        Some(match reply.rejected.is_empty() {
            true => Ok(wire::decode(&reply.payload, "").unwrap()),
            false => Err(wire::decode(&reply.payload, "").unwrap()),
        })
    }

    /// The events so far, as `subject name`; one that was sent again after a restart counts once.
    pub(crate) fn events(&self) -> Vec<String> {
        let events = self.frames.iter().filter(|f| f.purpose() == Purpose::Event);
        let events = events.map(|f| Event::decode(f.payload.as_ref()).unwrap());
        let by_sequence: BTreeMap<_, _> = events
            .map(|e| (e.sequence, format!("{} {}", e.subject, e.name)))
            .collect();
        by_sequence.into_values().collect()
    }

    /// The data of the last event of this name about this subject.
    pub(crate) fn event_data(&self, subject: &str, name: &str) -> serde_json::Value {
        let events = self.frames.iter().filter(|f| f.purpose() == Purpose::Event);
        let event = events
            .map(|f| Event::decode(f.payload.as_ref()).unwrap())
            .rfind(|e| e.subject == subject && e.name == name);
        serde_json::from_slice(&event.expect("an event").data).unwrap()
    }

    /// What the service last said of a thing, over all facts it has published; `None`: it is gone.
    pub(crate) fn fact<M: Message + Default>(&self, entity: &str, id: &str) -> Option<M> {
        let facts = self.frames.iter().filter(|f| f.purpose() == Purpose::Fact);
        let fact = facts
            .map(|f| Fact::decode(f.payload.as_ref()).unwrap())
            .rfind(|f| f.entity == entity && f.id == id)
            .expect("a fact");
        (!fact.deleted).then(|| M::decode(fact.value.as_slice()).unwrap())
    }

    /// Rounds until nothing follows from the last.
    pub(crate) fn round(&mut self, inputs: Vec<Input>) {
        self.decide(inputs);
        self.run_effects();
    }

    /// What was ordered cannot be done: the executor cannot read it.
    pub(crate) fn spoil_effects(&mut self) {
        self.hold_effects = false;
        for effect in &mut self.effects {
            effect.payload.clear();
        }
        self.round(Vec::new());
    }

    /// The executor fails on what was ordered, and has no result.
    pub(crate) fn fail_effects(&mut self) {
        self.hold_effects = false;
        let failed = std::mem::take(&mut self.effects).into_iter();
        let failed = failed.map(|effect| Input::EffectDone {
            id: effect.id,
            result: Vec::new(),
        });
        self.round(failed.collect());
    }

    fn run_effects(&mut self) {
        while !self.hold_effects && !self.effects.is_empty() {
            let executor = Effects::new(self.issuers.clone(), self.blobs.clone() as Arc<dyn Blobs>);
            let executor = executor.renewing(self.server.clone());
            let effects = std::mem::take(&mut self.effects);
            let done = effects
                .into_iter()
                .map(|e| Input::EffectDone {
                    result: executor.run(&e),
                    id: e.id,
                })
                .collect();
            self.decide(done);
        }
    }

    fn decide(&mut self, inputs: Vec<Input>) {
        let now = Now {
            wall_ms: self.now_ms,
            mono_ms: (self.now_ms - START) as u64,
        };
        let mut cx = Context {
            now,
            entropy: &mut self.entropy,
            site: "hq",
        };
        let group = self.host.decide(inputs, &self.store, &mut cx).unwrap();
        let durable = self.store.commit(group.batch()).unwrap();
        let released = group.committed(&durable);
        assert_eq!(released.warnings, Vec::<String>::new());
        self.frames.extend(released.frames);
        self.effects.extend(released.effects);
        self.measures.extend(released.measures);
        let (service, settings) = self.host.shared();
        for query in released.queries {
            let cx = QueryContext {
                now,
                blobs: &*self.blobs,
            };
            self.frames
                .extend(query.run(&*service, &settings, &self.store, &cx).unwrap().frames);
        }
    }

    /// How often something was counted or timed, by its name and its labels' values.
    pub(crate) fn counted(&self, name: &str, labels: &[&str]) -> u64 {
        let fits = |measure: &&Measure| {
            let values = measure.labels.iter().map(|(_, value)| *value);
            measure.name == format!("muster_{name}") && values.eq(labels.iter().copied())
        };
        let amounts = self.measures.iter().filter(fits).map(|m| match m.amount {
            Amount::Counted(more) => more,
            Amount::Took(_) => 1,
        });
        amounts.sum()
    }

    /// A batch for everything that begins with `pump-`; its key is returned.
    pub(crate) fn claim(&mut self, batch: &str, uses: u32) -> String {
        let asked = v1::PutClaim {
            uses,
            per_minute: 1_000_000,
            ..Default::default()
        };
        self.claim_as(batch, asked)
    }

    /// The same, with what else is asked for.
    pub(crate) fn claim_as(&mut self, batch: &str, asked: v1::PutClaim) -> String {
        let (key, csr) = key_and_csr(batch);
        let request = v1::PutClaim {
            batch: batch.into(),
            csr,
            expires_ms: self.now_ms + 3_600_000,
            id_pattern: "pump-*".into(),
            ..asked
        };
        self.ask::<v1::ClaimMade>(ADA, "put-claim", &request).unwrap();
        key
    }

    /// A person gets a certificate.
    pub(crate) fn issue(&mut self, kind: &str, id: &str) -> v1::Signed {
        let request = v1::Issue {
            kind: kind.into(),
            id: id.into(),
            csr: key_and_csr(id).1,
            ..Default::default()
        };
        self.ask(ADA, "issue", &request).unwrap()
    }

    /// A device asks for its first certificate under a batch.
    pub(crate) fn sign(&mut self, device: &str, batch: &str) -> Answered<v1::Signed> {
        let (_, csr) = key_and_csr(device);
        self.sign_with(
            device,
            batch,
            &v1::Sign {
                csr,
                ..Default::default()
            },
        )
    }

    /// The same with a key or a secret of one's choosing.
    pub(crate) fn sign_with(
        &mut self,
        device: &str,
        batch: &str,
        request: &v1::Sign,
    ) -> Answered<v1::Signed> {
        self.ask_over(&format!("claims/{device}"), "", batch, "sign", request)
            .unwrap()
    }

    pub(crate) fn used(&mut self, serial: &str) {
        let request = v1::CertificateUsed {
            serial: serial.into(),
            ..Default::default()
        };
        self.ask::<v1::Done>("services/front-door", "used", &request)
            .unwrap();
    }

    pub(crate) fn status(&mut self, serial: &str) -> CertificateStatus {
        let request = v1::ShowCertificate {
            serial: serial.into(),
            ..Default::default()
        };
        self.ask::<v1::CertificateShown>(ADA, "show", &request)
            .unwrap()
            .certificate
            .unwrap()
            .status()
    }
}

fn open(service: &Provisioning, store: &MemoryStore) -> HostLoop<Provisioning> {
    let settings = service::Settings {
        root: Root::default(),
        site: "hq".into(),
        epoch: store.epoch(),
    };
    HostLoop::open(Arc::new(service.clone()), settings, store).unwrap()
}

pub(crate) fn key_and_csr(id: &str) -> (String, String) {
    let key = pki::generate_key(KeyKind::P256).unwrap();
    let csr = pki::csr_for(&key, id).unwrap();
    (key.to_string(), csr)
}

fn cloned(authorities: &[&Arc<Authority>]) -> Vec<Arc<Authority>> {
    authorities.iter().map(|one| Arc::clone(one)).collect()
}
