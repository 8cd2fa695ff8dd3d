//! A door, the services as the test plays them, and clients made of bytes.

use std::{collections::BTreeMap, sync::Arc};

use contract::{
    id::{Kind, Principal, ServiceName},
    login::token_digest,
    topic::Leaf,
    v1::{
        CertificateFact, CertificateStatus, Claim, DeviceFact, Event, Fact, FactoryCertificate, FactsAfter,
        FactsPage, Frame, LoginFact, LoginToken, Manufacturer, PrincipalFact, Purpose, Restriction, Role,
        Stage,
    },
    wire,
};
use prost::Message;
use service::Now;
use session::{Connection, Door, DoorSettings, Limits, Peer, Policy, Transport};

use crate::packets::{self, Got};

pub(crate) const ROOT: &str = "muster/v1";
const EPOCH: u64 = 7;

pub(crate) struct World {
    pub(crate) door: Door,
    pub(crate) now: Now,
    pub(crate) limits: Arc<Limits>,
    /// Whose data people may read who are told of from now on.
    pub(crate) data_devices: Vec<&'static str>,
    clients: BTreeMap<u64, Connection>,
    next: u64,
    facts: BTreeMap<&'static str, u64>,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(Limits::default())
    }

    /// A door whose services are there and have told: device `pump-7` with certificate `01`, operator
    /// `ada` (admin, `0a`), integrator `erp` (registry events, `0e`), batch `lot` (`0c`).
    pub(crate) fn with(limits: Limits) -> World {
        World::build(limits, |door| door)
    }

    /// The same under a policy of one's own.
    pub(crate) fn under(policy: Arc<dyn Policy>) -> World {
        World::build(Limits::default(), |door| door.under(policy))
    }

    fn build(limits: Limits, furnish: impl FnOnce(Door) -> Door) -> World {
        let limits = Arc::new(limits);
        let settings = DoorSettings {
            site: "hq".into(),
            root: ROOT.parse().unwrap(),
            boot: 9,
            limits: limits.clone(),
        };
        let now = Now {
            wall_ms: 1_000_000,
            mono_ms: 1_000,
        };
        let mut world = World {
            door: furnish(Door::new(settings)),
            now,
            limits,
            data_devices: Vec::new(),
            clients: BTreeMap::new(),
            next: 1,
            facts: BTreeMap::new(),
        };
        for service in ServiceName::KEEPERS {
            world.door.link_up(service, now);
        }
        world.answer_facts();
        world.tell_device(Stage::Active, Restriction::None);
        world.tell_person("operators", "ada", Role::Admin, &[]);
        world.tell_person("integrators", "erp", Role::Unspecified, &["registry/#"]);
        for (serial, kind, id) in [
            ("01", "devices", "pump-7"),
            ("0a", "operators", "ada"),
            ("0e", "integrators", "erp"),
            ("0c", "claims", "lot"),
        ] {
            world.tell_certificate(serial, kind, id, CertificateStatus::Active);
        }
        for service in ServiceName::KEEPERS {
            world.take(service);
        }
        world
    }

    /// Answers the front door's questions for facts: there are none yet.
    fn answer_facts(&mut self) {
        for owner in [ServiceName::Registry, ServiceName::Provisioning] {
            for frame in self
                .take(owner)
                .into_iter()
                .filter(|f| f.topic.ends_with("/facts"))
            {
                let ask: FactsAfter = wire::decode(&frame.payload, "").unwrap();
                let page = FactsPage {
                    request_id: ask.request_id,
                    epoch: EPOCH,
                    complete: true,
                    whole: true,
                    ..FactsPage::default()
                };
                self.reply(owner, &frame, &page);
            }
        }
        assert!(self.door.is_whole());
    }

    pub(crate) fn tell_fact(&mut self, owner: ServiceName, entity: &str, id: &str, value: &impl Message) {
        let word = owner.word();
        let sequence = self.facts.entry(word).or_default();
        *sequence += 1;
        let fact = Fact {
            epoch: EPOCH,
            sequence: *sequence,
            entity: entity.into(),
            id: id.into(),
            value: value.encode_to_vec(),
            deleted: false,
        };
        let topic = format!("{ROOT}/facts/{word}/{entity}/{id}");
        let mut frame = Frame {
            topic,
            payload: fact.encode_to_vec().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Fact);
        self.door.on_frame(owner, frame, self.now);
        self.hand_out();
    }

    pub(crate) fn tell_device(&mut self, stage: Stage, restriction: Restriction) {
        self.tell_device_of("pump-7", stage, restriction);
    }

    pub(crate) fn tell_device_of(&mut self, id: &str, stage: Stage, restriction: Restriction) {
        let fact = DeviceFact {
            device_id: id.into(),
            stage: stage as i32,
            restriction: restriction as i32,
            ..DeviceFact::default()
        };
        self.tell_fact(ServiceName::Registry, "device", id, &fact);
    }

    pub(crate) fn tell_person(&mut self, kind: &str, id: &str, role: Role, filters: &[&str]) {
        let event_filters = filters.iter().map(|f| (*f).to_owned()).collect();
        let fact = PrincipalFact {
            id: id.into(),
            kind: kind.into(),
            role: role as i32,
            event_filters,
            disabled: false,
            data_devices: self.data_devices.iter().map(|d| (*d).to_owned()).collect(),
            ..PrincipalFact::default()
        };
        self.tell_fact(ServiceName::Registry, "principal", &format!("{kind}.{id}"), &fact);
    }

    /// What a person logs in with: tokens, and when each ends. Each is named as it is.
    pub(crate) fn tell_login(&mut self, kind: &str, id: &str, tokens: &[(&str, i64)]) {
        self.tell_login_with(kind, id, tokens, 0);
    }

    /// The same with a password.
    pub(crate) fn tell_login_with(&mut self, kind: &str, id: &str, tokens: &[(&str, i64)], password: u64) {
        let token = |(token, expires_ms): &(&str, i64)| LoginToken {
            token_id: (*token).into(),
            sha256: hex(&token_digest(token.as_bytes())),
            expires_ms: *expires_ms,
            ..LoginToken::default()
        };
        let fact = LoginFact {
            id: id.into(),
            kind: kind.into(),
            tokens: tokens.iter().map(token).collect(),
            password,
        };
        self.tell_fact(ServiceName::Registry, "login", &format!("{kind}.{id}"), &fact);
    }

    pub(crate) fn tell_certificate(&mut self, serial: &str, kind: &str, id: &str, status: CertificateStatus) {
        let revocation = if status == CertificateStatus::Revoked {
            "rev-1"
        } else {
            ""
        };
        let fact = CertificateFact {
            serial: serial.into(),
            kind: kind.into(),
            id: id.into(),
            status: status as i32,
            not_after_ms: i64::MAX,
            revocation: revocation.into(),
        };
        self.tell_fact(ServiceName::Provisioning, "certificate", serial, &fact);
    }

    /// What the batch `lot` opens.
    pub(crate) fn tell_batch(&mut self, id_pattern: &str, revoked: bool) {
        let claim = Claim {
            batch: "lot".into(),
            serial: "0c".into(),
            id_pattern: id_pattern.into(),
            revoked,
            ..Claim::default()
        };
        self.tell_fact(ServiceName::Provisioning, "claim", "lot", &claim);
    }

    /// An order for the device.
    pub(crate) fn order(&mut self, payload: &str) {
        self.push("rollout/assignment", payload);
    }

    /// A message that a service sends the device unasked.
    pub(crate) fn push(&mut self, name: &str, payload: &str) {
        let (service, _) = name.split_once('/').unwrap();
        let mut frame = Frame {
            topic: format!("{ROOT}/devices/pump-7/down/{name}"),
            payload: payload.to_owned().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Message);
        let from = ServiceName::from_word(service).unwrap();
        self.door.on_frame(from, frame, self.now);
        self.hand_out();
    }

    /// A message of so many bytes for the device.
    pub(crate) fn tell_device_bytes(&mut self, bytes: usize) {
        let mut frame = Frame {
            topic: format!("{ROOT}/devices/pump-7/down/registry/configuration"),
            payload: vec![b'x'; bytes].into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Message);
        self.door.on_frame(ServiceName::Registry, frame, self.now);
        self.hand_out();
    }

    /// A connection with this certificate that has said nothing yet.
    pub(crate) fn dial(&mut self, kind: Kind, id: &str, serial: &str) -> u64 {
        self.dial_until(kind, id, serial, i64::MAX)
    }

    /// The same, with a certificate that ends.
    pub(crate) fn dial_until(&mut self, kind: Kind, id: &str, serial: &str, not_after_ms: i64) -> u64 {
        self.dial_from("127.0.0.1:5", kind, id, serial, not_after_ms)
    }

    /// The same, from elsewhere.
    pub(crate) fn dial_at(&mut self, address: &str, kind: Kind, id: &str, serial: &str) -> u64 {
        self.dial_from(address, kind, id, serial, i64::MAX)
    }

    fn dial_from(&mut self, address: &str, kind: Kind, id: &str, serial: &str, not_after_ms: i64) -> u64 {
        let peer = Peer::Certified {
            kind,
            id: id.parse().unwrap(),
            serial: serial.into(),
            not_after_ms,
        };
        let (number, root) = (self.next, ROOT.parse().unwrap());
        self.next += 1;
        let connection = Connection::new(number, peer, address.into(), root, self.limits.clone(), self.now)
            .over_transport(Transport {
                tls: Some("1.3"),
                ..Transport::default()
            });
        self.clients.insert(number, connection);
        number
    }

    /// A connection of a device that showed a manufacturer's certificate.
    pub(crate) fn dial_with_factory(&mut self, manufacturer: &str, serial_number: &str) -> u64 {
        self.dial_with_factory_at("127.0.0.1:6", manufacturer, serial_number)
    }

    /// The same, from elsewhere.
    pub(crate) fn dial_with_factory_at(
        &mut self,
        address: &str,
        manufacturer: &str,
        serial_number: &str,
    ) -> u64 {
        let certificate = FactoryCertificate {
            manufacturer: manufacturer.into(),
            serial_number: serial_number.into(),
            ..FactoryCertificate::default()
        };
        let peer = Peer::Factory {
            certificate: Box::new(certificate),
            not_after_ms: i64::MAX,
        };
        let number = self.next;
        self.next += 1;
        let (root, limits) = (self.root(), self.limits.clone());
        let connection = Connection::new(number, peer, address.into(), root, limits, self.now);
        self.clients.insert(number, connection);
        number
    }

    /// A manufacturer whose certificates let devices in; of these devices not.
    pub(crate) fn tell_manufacturer(&mut self, name: &str, refused: &[&str]) {
        let manufacturer = Manufacturer {
            name: name.into(),
            ca: "its CAs".into(),
            refused: refused.iter().map(|one| (*one).to_owned()).collect(),
            ..Manufacturer::default()
        };
        self.tell_fact(ServiceName::Provisioning, "manufacturer", name, &manufacturer);
    }

    /// A connection of somebody who showed no certificate.
    pub(crate) fn dial_as_nobody(&mut self, address: &str) -> u64 {
        let number = self.next;
        self.next += 1;
        let (root, limits) = (self.root(), self.limits.clone());
        let connection = Connection::new(number, Peer::Nobody, address.into(), root, limits, self.now)
            .over_transport(Transport {
                listener: session::Listener::WebSocket,
                tls: Some("1.3"),
            });
        self.clients.insert(number, connection);
        number
    }

    /// The device, connected and subscribed to its `down/#`.
    pub(crate) fn device(&mut self, v5: bool) -> u64 {
        let client = self.dial(Kind::Device, "pump-7", "01");
        self.open(client, v5, "pump-7");
        client
    }

    /// Connects a dialled client and subscribes it to its `down/#`.
    pub(crate) fn open(&mut self, client: u64, v5: bool, client_id: &str) {
        let got = self.send(client, &packets::connect(v5, client_id, 60));
        assert_eq!((got.len(), got[0].kind, got[0].body[1]), (1, 0x20, 0), "{got:?}");
        let who = self.clients[&client].caller().unwrap().principal.clone();
        let got = self.send(
            client,
            &packets::subscribe(v5, 1, &format!("{ROOT}/{who}/down/#")),
        );
        assert_eq!(got[0].kind, 0x90);
    }

    /// Sends bytes; what came back at once is returned.
    pub(crate) fn send(&mut self, client: u64, bytes: &[u8]) -> Vec<Got> {
        let connection = self.clients.get_mut(&client).unwrap();
        connection.receive(bytes, self.now);
        self.door.serve(connection, self.now);
        self.hand_out();
        self.got(client)
    }

    /// What a client has been sent since.
    pub(crate) fn got(&mut self, client: u64) -> Vec<Got> {
        let connection = self.clients.get_mut(&client).unwrap();
        let mut bytes = Vec::new();
        loop {
            let output = connection.take_output();
            if output.is_empty() {
                return packets::split(&bytes);
            }
            bytes.extend_from_slice(&output);
        }
    }

    /// Whether the edge reads from it.
    pub(crate) fn is_read(&self, client: u64) -> bool {
        self.clients[&client].wants_bytes()
    }

    pub(crate) fn over(&self, client: u64) -> Option<&'static str> {
        self.clients[&client].over().map(session::Cause::word)
    }

    /// Who it was that is over, and why.
    pub(crate) fn parted(&self, client: u64) -> session::Parting {
        self.clients[&client].parted().cloned().unwrap_or_default()
    }

    /// These bytes come, then the connection breaks, and nobody has looked at either yet.
    pub(crate) fn lose(&mut self, client: u64, bytes: &[u8]) {
        let connection = self.clients.get_mut(&client).unwrap();
        connection.receive(bytes, self.now);
        connection.closed();
    }

    /// The edge closes what is over.
    pub(crate) fn close(&mut self, client: u64) {
        let mut connection = self.clients.remove(&client).unwrap();
        connection.closed();
        let cause = connection.over().unwrap();
        self.door.part(&mut connection, self.now);
        self.door.gone(client, cause, self.now);
        self.hand_out();
    }

    /// The passwords that are to be compared now are.
    pub(crate) fn compare(&mut self) -> usize {
        let checks = self.door.take_checks();
        for check in &checks {
            let fits = !check.verifier.is_empty() && check.verifier.as_bytes() == &check.password[..];
            self.door.checked(check.connection, fits, self.now);
        }
        self.hand_out();
        checks.len()
    }

    fn hand_out(&mut self) {
        loop {
            let posts: Vec<_> = self.door.take_posts().collect();
            if posts.is_empty() {
                return;
            }
            for (to, post) in posts {
                let Some(connection) = self.clients.get_mut(&to) else {
                    continue;
                };
                connection.post(post, self.now);
                self.door.serve(connection, self.now);
            }
        }
    }

    /// What a service is sent now.
    pub(crate) fn take(&mut self, service: ServiceName) -> Vec<Frame> {
        self.door.take_frames(service, 10_000, usize::MAX).1
    }

    /// The requests of principals among it.
    pub(crate) fn requests(&mut self, service: ServiceName) -> Vec<Frame> {
        let frames = self.take(service);
        self.only_requests(frames)
    }

    /// An owner answers a question for facts: there is nothing that was not told.
    pub(crate) fn answer_nothing_new(&mut self, owner: ServiceName, question: &Frame) {
        let ask: FactsAfter = wire::decode(&question.payload, "").unwrap();
        let page = FactsPage {
            request_id: ask.request_id,
            epoch: EPOCH,
            last: ask.after,
            complete: true,
            ..FactsPage::default()
        };
        self.reply(owner, question, &page);
    }

    /// The requests of principals among these frames.
    pub(crate) fn only_requests(&self, mut frames: Vec<Frame>) -> Vec<Frame> {
        frames.retain(|f| f.purpose() == Purpose::Request && !f.topic.contains("/services/"));
        frames
    }

    /// A service accepts a request.
    pub(crate) fn reply(&mut self, from: ServiceName, request: &Frame, message: &impl wire::Wire) {
        self.answer(from, request, wire::encode(message, wire::Encoding::Protobuf), "");
    }

    /// A service answers a request; with a code it rejects it.
    pub(crate) fn answer(&mut self, from: ServiceName, request: &Frame, payload: bytes::Bytes, code: &str) {
        let Some(contract::Topic::Up { who, verb }) = self.root().parse_topic(&request.topic) else {
            panic!()
        };
        let leaf = if code.is_empty() {
            Leaf::Accepted
        } else {
            Leaf::Rejected
        };
        let mut frame = Frame {
            topic: self.root().down(&who, from, verb.name, leaf),
            payload,
            request: request.request,
            correlation: request.correlation.clone(),
            response_topic: request.response_topic.clone(),
            connection: request.connection,
            rejected: code.into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Reply);
        self.door.on_frame(from, frame, self.now);
        self.hand_out();
    }

    /// One message of those that a service answers a request with.
    pub(crate) fn stream(&mut self, from: ServiceName, request: &Frame, name: &str) {
        let Some(contract::Topic::Up { who, .. }) = self.root().parse_topic(&request.topic) else {
            panic!()
        };
        let mut frame = Frame {
            topic: self.root().down(&who, from, name, Leaf::Push),
            connection: request.connection,
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Message);
        self.door.on_frame(from, frame, self.now);
        self.hand_out();
    }

    pub(crate) fn tell_event(&mut self, from: ServiceName, subject: &str, name: &str) {
        self.tell_event_with(from, subject, name, "{}");
    }

    /// An event with data, JSON.
    pub(crate) fn tell_event_with(&mut self, from: ServiceName, subject: &str, name: &str, data: &str) {
        let event = Event {
            sequence: 1,
            subject: subject.into(),
            name: name.into(),
            data: data.into(),
            ..Event::default()
        };
        let topic = self.root().event(from, subject, name);
        let mut frame = Frame {
            topic,
            payload: event.encode_to_vec().into(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Event);
        self.door.on_frame(from, frame, self.now);
        self.hand_out();
    }

    pub(crate) fn pass_time(&mut self, ms: u64) {
        self.now = Now {
            wall_ms: self.now.wall_ms + ms as i64,
            mono_ms: self.now.mono_ms + ms,
        };
        self.door.tick(self.now);
        for connection in self.clients.values_mut() {
            connection.on_time(self.now);
            self.door.serve(connection, self.now);
        }
        self.hand_out();
    }

    pub(crate) fn root(&self) -> contract::Root {
        ROOT.parse().unwrap()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn up(who: &str, verb: &str) -> String {
    let who: Principal = who.parse().unwrap();
    format!("{ROOT}/{who}/up/{verb}")
}
