//! A rollout service with its host loop, a store, files, a registry that only speaks, and a clock.

use std::{collections::BTreeMap, sync::Arc};

use artifact::MANIFEST_TYPE;
use artifact::{KeyState, Keyring, SigningKey, TrustedKey};
use contract::{
    Kind, Leaf, Principal, Root, ServiceName, Topic,
    v1::*,
    wire::{self, Encoding, Wire},
};
use prost::Message;
use rollout::{Rollout, SealExecutor};
use service::{
    Context, Entropy, Group, HostLoop, Input, Now, QueryContext, Released, Settings,
    store::{Pair, Read, Store},
};
use sha2::{Digest, Sha256};
use store::{MemoryBlobs, MemoryStore};

pub(crate) const START: i64 = 1_700_000_000_000;

struct NoEntropy;
impl Entropy for NoEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) blobs: Arc<MemoryBlobs>,
    host: HostLoop<Rollout>,
    pub(crate) now: i64,
    facts: BTreeMap<String, DeviceFact>,
    /// Told anew at each start.
    pub(crate) people: Vec<PrincipalFact>,
    pub(crate) four_eyes: Option<FourEyes>,
    fact_sequence: u64,
    request: u64,
    /// Effects are run at once unless told to wait.
    pub(crate) effects_wait: bool,
    /// What was published and is no reply.
    pub(crate) told: Vec<Frame>,
    pub(crate) trusted: Vec<SigningKey>,
    /// The certificate that whoever asks has shown.
    pub(crate) serial: String,
}

pub(crate) type Answer<M> = Result<M, Box<Rejection>>;

pub(crate) fn operator() -> Principal {
    "operators/ada".parse().unwrap()
}

pub(crate) fn device(n: usize) -> Principal {
    format!("devices/d{n}").parse().unwrap()
}

pub(crate) fn release_key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

fn settings() -> Settings {
    Settings {
        root: Root::default(),
        site: "test".into(),
        epoch: 1,
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
    pub(crate) fn new() -> World {
        let store = MemoryStore::new(1);
        let trusted = vec![release_key()];
        let host = open(&store, &trusted);
        let mut world = World {
            store,
            blobs: Arc::default(),
            host,
            now: START,
            facts: BTreeMap::new(),
            people: vec![admin()],
            four_eyes: None,
            fact_sequence: 0,
            request: 0,
            effects_wait: false,
            told: Vec::new(),
            trusted,
            serial: String::new(),
        };
        world.run(vec![Input::Connected]);
        world
    }

    /// A world with `devices` active devices of model `pump` in group `all`, and a complete artifact.
    pub(crate) fn with_fleet(devices: usize) -> (World, String) {
        let mut world = World::new();
        for n in 0..devices {
            world.device(n, |_| {});
        }
        let artifact = world.firmware(1, "2.0.0");
        (world, artifact)
    }

    /// The service stops, whatever it was doing, and starts again.
    pub(crate) fn restart(&mut self) {
        self.host = open(&self.store, &self.trusted);
        self.run(vec![Input::Connected]);
        self.run_effects();
    }

    /// Runs the effects whose result is not known, as at a start.
    pub(crate) fn run_effects(&mut self) {
        for effect in self.host.pending_effects(&self.store).unwrap() {
            self.execute(&effect);
        }
    }

    /// The executor fails on what it was ordered, and has no result.
    pub(crate) fn fail_effects(&mut self) -> Vec<Frame> {
        let pending = self.host.pending_effects(&self.store).unwrap();
        let failed = pending.into_iter().map(|effect| Input::EffectDone {
            id: effect.id,
            result: Vec::new(),
        });
        self.run(failed.collect())
    }

    pub(crate) fn later(&mut self, ms: i64) {
        let end = self.now + ms;
        while let Some(at) = self.host.next_wake().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.run(Vec::new());
        }
        self.now = end;
    }

    pub(crate) fn next_wake(&self) -> Option<i64> {
        self.host.next_wake()
    }

    /// Lets wake-ups that are due run.
    pub(crate) fn settle(&mut self) {
        self.later(0);
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
        self.tell("device", &id, &fact);
    }

    /// The registry tells something.
    pub(crate) fn tell(&mut self, entity: &str, id: &str, value: &impl Message) {
        self.fact_sequence += 1;
        let message = Fact {
            epoch: 9,
            sequence: self.fact_sequence,
            entity: entity.into(),
            id: id.into(),
            value: value.encode_to_vec(),
            deleted: false,
        };
        let topic = Topic::Fact {
            service: ServiceName::Registry,
            entity: entity.into(),
            id: id.into(),
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
        let id = format!("r{}", self.request);
        self.ask_as(who, verb, message, &id).expect("an answer")
    }

    /// Asks under this request id; `None` when the answer comes later.
    pub(crate) fn ask_as<M: Wire, R: Wire>(
        &mut self,
        who: &Principal,
        verb: &str,
        message: &M,
        id: &str,
    ) -> Option<Answer<R>> {
        let mut frame = Frame {
            topic: Root::default().up(who, ServiceName::Rollout, verb),
            payload: wire::encode(message, Encoding::Protobuf),
            correlation: id.as_bytes().to_vec().into(),
            serial: self.serial.clone(),
            ..Frame::default()
        };
        frame.set_purpose(Purpose::Request);
        let frames = self.run(vec![Input::Frame(frame)]);
        // What was approved is answered to whoever asked for it.
        let mine = format!("/{who}/");
        let mut frames = frames;
        frames.retain(|frame| frame.topic.contains(&mine));
        assert!(frames.len() <= 1, "one answer: {frames:?}");
        frames.into_iter().next().map(|frame| read(&frame))
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
                blobs: &*self.blobs,
            };
            replies.extend(query.run(&*service, &settings, &self.store, &cx).unwrap().frames);
        }
        for frame in released.frames {
            match frame.purpose() {
                Purpose::Reply => replies.push(frame),
                Purpose::Request if frame.topic.ends_with("/up/registry/facts") => self.as_registry(&frame),
                Purpose::Taken | Purpose::Beacon => {}
                _ => self.told.push(frame),
            }
        }
        if !self.effects_wait {
            for effect in released.effects {
                replies.extend(self.execute(&effect));
            }
        }
        replies
    }

    fn execute(&mut self, effect: &service::Effect) -> Vec<Frame> {
        let result = SealExecutor {
            blobs: self.blobs.clone(),
        }
        .run(effect);
        self.run(vec![Input::EffectDone {
            id: effect.id.clone(),
            result,
        }])
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
        let settings = self.four_eyes.iter().map(|settings| Fact {
            epoch: 9,
            sequence: self.fact_sequence,
            entity: "four-eyes".into(),
            id: "settings".into(),
            value: settings.encode_to_vec(),
            deleted: false,
        });
        let page = FactsPage {
            request_id: ask.request_id,
            epoch: 9,
            facts: facts.chain(people).chain(settings).collect(),
            last: self.fact_sequence,
            complete: true,
            whole: true,
        };
        let me = Principal::from(ServiceName::Rollout);
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

    /// What was pushed to devices since the last call.
    pub(crate) fn pushes(&mut self) -> Vec<(Principal, Assignment)> {
        let (pushes, rest) = std::mem::take(&mut self.told)
            .into_iter()
            .partition(|f| f.purpose() == Purpose::Message);
        self.told = rest;
        // One without a payload takes the one before it back, and says nothing to the device.
        let (pushes, _): (Vec<Frame>, Vec<Frame>) =
            Vec::into_iter(pushes).partition(|f| !f.payload.is_empty());
        let read = |frame: Frame| match Root::default().parse_topic(&frame.topic) {
            Some(Topic::Down { who, .. }) => (who, wire::decode(&frame.payload, "").unwrap()),
            other => panic!("a push on {other:?}"),
        };
        Vec::into_iter(pushes).map(read).collect()
    }

    /// The service's own rows.
    pub(crate) fn rows(&self) -> Vec<Pair> {
        self.store.scan(b"s", None, usize::MAX).unwrap()
    }

    pub(crate) fn open_artifact(&mut self, signed: SignedManifest) -> Answer<ArtifactOpened> {
        self.ask(
            &operator(),
            "open-artifact",
            &OpenArtifact {
                signed: Some(signed),
                ..OpenArtifact::default()
            },
        )
    }

    pub(crate) fn put(&mut self, artifact: &str, offset: u64, data: &[u8]) -> Answer<Done> {
        let message = PutBlock {
            artifact_id: artifact.into(),
            offset,
            data: data.into(),
            ..PutBlock::default()
        };
        self.ask(&operator(), "put-block", &message)
    }

    pub(crate) fn seal(&mut self, artifact: &str) -> Answer<ArtifactSealed> {
        self.ask(
            &operator(),
            "seal-artifact",
            &SealArtifact {
                artifact_id: artifact.into(),
                ..SealArtifact::default()
            },
        )
    }

    /// A complete artifact.
    pub(crate) fn firmware(&mut self, sequence: u64, version: &str) -> String {
        let image = image(sequence);
        let manifest = Manifest {
            sequence,
            version: version.into(),
            ..manifest(&image)
        };
        let artifact = self
            .open_artifact(sign(&manifest, &release_key()))
            .unwrap()
            .artifact_id;
        for (n, block) in image.chunks(32 * 1024).enumerate() {
            self.put(&artifact, n as u64 * 32 * 1024, block).unwrap();
        }
        self.seal(&artifact).unwrap();
        artifact
    }

    /// Recalls a release, or lifts that.
    pub(crate) fn recall(&mut self, artifact: &str, reason: &str, undo: bool) -> Answer<Changed> {
        let message = RecallArtifact {
            artifact_id: artifact.into(),
            reason: reason.into(),
            undo,
            ..RecallArtifact::default()
        };
        self.ask(&operator(), "recall", &message)
    }

    /// The firmware there is.
    pub(crate) fn artifacts(&mut self) -> Vec<Artifact> {
        let listed: Answer<ArtifactsListed> = self.ask(&operator(), "artifacts", &ListArtifacts::default());
        listed.unwrap().artifacts
    }

    pub(crate) fn create(
        &mut self,
        rollout: &str,
        artifact: &str,
        change: impl FnOnce(&mut CreateRollout),
    ) -> Answer<Changed> {
        let mut message = CreateRollout {
            rollout_id: rollout.into(),
            artifact_id: artifact.into(),
            group: "all".into(),
            ..CreateRollout::default()
        };
        change(&mut message);
        self.ask(&operator(), "create", &message)
    }

    pub(crate) fn steer(&mut self, verb: &str, rollout: &str) -> Answer<Changed> {
        self.ask(
            &operator(),
            verb,
            &SteerRollout {
                rollout_id: rollout.into(),
                ..SteerRollout::default()
            },
        )
    }

    pub(crate) fn report(&mut self, n: usize, rollout: &str, state: UpdateState) -> Answer<Done> {
        let message = UpdateReport {
            rollout_id: rollout.into(),
            state: state as i32,
            ..UpdateReport::default()
        };
        self.ask(&device(n), "report", &message)
    }

    /// A device that runs the new firmware: it tells the registry, and then that it succeeded.
    pub(crate) fn succeed(&mut self, n: usize, rollout: &str) {
        let version = self.show(rollout).firmware_version;
        self.device(n, |fact| fact.firmware_version = version);
        self.report(n, rollout, UpdateState::Succeeded).unwrap();
    }

    pub(crate) fn assignment(&mut self, n: usize) -> Assignment {
        self.ask(&device(n), "assignment", &GetAssignment::default())
            .unwrap()
    }

    pub(crate) fn show(&mut self, rollout: &str) -> contract::v1::Rollout {
        let message = ShowRollout {
            rollout_id: rollout.into(),
            ..ShowRollout::default()
        };
        self.ask::<_, RolloutShown>(&operator(), "show", &message)
            .unwrap()
            .rollout
            .unwrap()
    }

    /// Every update of a rollout, over all pages.
    pub(crate) fn updates(&mut self, rollout: &str) -> Vec<DeviceUpdate> {
        let (mut all, mut page) = (Vec::new(), String::new());
        loop {
            let message = ListUpdates {
                rollout_id: rollout.into(),
                page_size: 3,
                page,
                ..ListUpdates::default()
            };
            let listed: UpdatesListed = self.ask(&operator(), "updates", &message).unwrap();
            all.extend(listed.updates);
            page = listed.next_page;
            if page.is_empty() {
                return all;
            }
        }
    }

    pub(crate) fn update(&mut self, rollout: &str, n: usize) -> DeviceUpdate {
        self.updates(rollout)
            .into_iter()
            .find(|u| u.device_id == format!("d{n}"))
            .unwrap()
    }
}

pub(crate) fn image(n: u64) -> Vec<u8> {
    (0..70_000u32).map(|i| (u64::from(i) * n % 251) as u8).collect()
}

pub(crate) fn manifest(image: &[u8]) -> Manifest {
    Manifest {
        schema: 1,
        name: "pump-fw".into(),
        version: "2.0.0".into(),
        sequence: 1,
        models: vec!["pump".into()],
        size: image.len() as u64,
        sha256: Sha256::digest(image).to_vec(),
        block_size: 4096,
        ..Manifest::default()
    }
}

pub(crate) fn sign(manifest: &Manifest, key: &SigningKey) -> SignedManifest {
    let payload = manifest.encode_to_vec();
    let signature = artifact::sign(MANIFEST_TYPE, &payload, key);
    let signature = ManifestSignature {
        key_id: signature.keyid,
        signature: signature.sig,
    };
    SignedManifest {
        payload_type: MANIFEST_TYPE.into(),
        payload,
        signatures: vec![signature],
    }
}

fn open(store: &MemoryStore, trusted: &[SigningKey]) -> HostLoop<Rollout> {
    let keys = trusted.iter().map(|key| TrustedKey {
        key: key.public_key(),
        state: KeyState::Active,
    });
    let service = Rollout::new(Keyring::new(keys, 1).unwrap());
    HostLoop::open(Arc::new(service), settings(), store).unwrap()
}

fn read<R: Wire>(frame: &Frame) -> Answer<R> {
    match frame.rejected.is_empty() {
        true => Ok(wire::decode(&frame.payload, "").unwrap()),
        false => Err(Box::new(wire::decode(&frame.payload, "").unwrap())),
    }
}

#[test]
fn principals_are_devices() {
    assert_eq!(device(3).kind, Kind::Device);
}
