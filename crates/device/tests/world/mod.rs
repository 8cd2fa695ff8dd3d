//! A harbour: its authorities, and a front door with services behind it that are played.

#![allow(dead_code, clippy::disallowed_methods)]

mod door;
mod lenient;
mod services;
mod site;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use artifact::SigningKey;
use bytes::Bytes;
use contract::{
    Leaf, Root,
    id::{Id, Kind, Principal, ServiceName},
    v1::*,
    wire::{Encoding, Wire, encode},
};
use device::{Claim, Endpoint, PublicKey, Settings};
use parking_lot::Mutex;
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::task::AbortHandle;

pub(crate) use site::Site;

pub(crate) const BLOCK: usize = 1024;

/// What a message to a principal is.
pub(crate) type Outbox = tokio::sync::mpsc::UnboundedSender<(String, Option<Bytes>, Bytes)>;

pub(crate) struct World {
    pub(crate) site: Arc<Site>,
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) address: SocketAddr,
    listener: AbortHandle,
    dir: tempfile::TempDir,
}

/// What the played services know.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) connections: HashMap<u64, (Principal, Outbox, AbortHandle)>,
    pub(crate) connected: u64,
    /// Lifetime of the next certificates.
    pub(crate) lifetime_ms: u64,
    pub(crate) serials: u64,
    pub(crate) answers: HashMap<(Principal, Bytes), Bytes>,
    /// Nobody gets a certificate.
    pub(crate) refuses_to_sign: bool,
    /// The next certificate is for somebody else.
    pub(crate) signs_for_another: bool,
    pub(crate) revoked: bool,
    /// Serials that are not let in.
    pub(crate) refused: Vec<String>,
    pub(crate) reports: Vec<(Id, Report)>,
    /// Who asked for the next certificate.
    pub(crate) renewals: Vec<Id>,
    pub(crate) heartbeats: u64,
    /// What was said to whoever listens.
    pub(crate) said: Vec<(Id, Vec<u8>)>,
    pub(crate) assigned: HashMap<Id, Assignment>,
    pub(crate) image: Vec<u8>,
    pub(crate) blocks: usize,
    /// Pause before each block.
    pub(crate) slow: Duration,
    /// Questions for an assignment.
    pub(crate) asked: usize,
    /// How long an answer to them is under way.
    pub(crate) late: Duration,
    pub(crate) damages_blocks: bool,
    pub(crate) updates: Vec<(Id, UpdateState, String)>,
    pub(crate) retiring: bool,
    /// What devices are to be set to.
    pub(crate) config: ConfigState,
    pub(crate) configs_asked: usize,
    pub(crate) config_reports: Vec<ReportConfig>,
    /// What they say of it is taken and not acknowledged.
    pub(crate) mute_on_config: bool,
    /// What devices are to do, in order.
    pub(crate) orders: Vec<CommandOrder>,
    pub(crate) command_reports: Vec<ReportCommand>,
    /// The pieces of a long output, and how many have come.
    pub(crate) output: Vec<u8>,
    pub(crate) pieces: usize,
    /// This one is taken and not acknowledged.
    pub(crate) mute_at_piece: usize,
    /// The end of a command is taken and not acknowledged.
    pub(crate) mute_on_end: bool,
    pub(crate) erased: Vec<Erased>,
    /// Receipts are taken and not acknowledged.
    pub(crate) mute_on_erased: bool,
}

impl World {
    pub(crate) async fn new() -> World {
        let site = Arc::new(Site::found());
        let state = State {
            lifetime_ms: 3_600_000,
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let (address, listener) = door::open(site.clone(), state.clone(), None).await;
        World {
            site,
            state,
            address,
            listener,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn settings(&self, id: &str) -> Settings {
        let server = Endpoint {
            host: "127.0.0.1".into(),
            port: self.address.port(),
        };
        let folder = self.dir.path().join(id);
        let mut settings = Settings::new(folder, id.parse().unwrap(), server, &*self.site.roots_pem);
        settings.claim = Some(self.claim());
        settings.release_keys = vec![release_key().public_key()];
        settings.about.model = "pump".into();
        settings.about.firmware_version = "1.0.0".into();
        settings.heartbeat = Duration::from_millis(200);
        settings
    }

    pub(crate) fn claim(&self) -> Claim {
        let (certificate_pem, key_pem) = self.site.claim();
        Claim {
            certificate_pem,
            key_pem,
            secret: None,
        }
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        for (_, (_, _, task)) in self.state.lock().connections.drain() {
            task.abort();
        }
    }

    /// The server is away.
    pub(crate) fn stop(&self) {
        self.listener.abort();
        self.cut();
    }

    /// It is back, on the same port.
    pub(crate) async fn start(&mut self) {
        let (_, listener) = door::open(self.site.clone(), self.state.clone(), Some(self.address)).await;
        self.listener = listener;
    }

    /// Sends a device something that it did not ask for.
    pub(crate) fn push(&self, id: &str, service: ServiceName, name: &str, message: &impl Wire) {
        let who = Principal::new(Kind::Device, id.parse().unwrap());
        let topic = Root::default().down(&who, service, name, Leaf::Push);
        let payload = encode(message, Encoding::Protobuf);
        for (principal, outbox, _) in self.state.lock().connections.values() {
            if *principal == who {
                let _ = outbox.send((topic.clone(), None, payload.clone()));
            }
        }
    }

    /// Assigns a release to a device, and tells it if it is there.
    pub(crate) fn assign(&self, id: &str, assignment: &Assignment, image: &[u8]) {
        {
            let mut state = self.state.lock();
            state.assigned.insert(id.parse().unwrap(), assignment.clone());
            state.image = image.to_vec();
        }
        self.push(id, ServiceName::Rollout, "assignment", assignment);
    }

    /// The states a device has reported, each once.
    pub(crate) fn updates(&self, id: &str) -> Vec<UpdateState> {
        let mut states: Vec<_> = self
            .state
            .lock()
            .updates
            .iter()
            .filter(|(device, ..)| device.as_str() == id)
            .map(|(_, state, _)| *state)
            .collect();
        states.dedup();
        states
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&State) -> bool) {
        for _ in 0..6_000 {
            if holds(&self.state.lock()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it never came about that {what}");
    }
}

pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

pub(crate) fn release_key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

pub(crate) fn public_release_key() -> PublicKey {
    release_key().public_key()
}

/// An operator's own key.
pub(crate) fn command_key() -> SigningKey {
    SigningKey::from_seed(&[9; 32])
}

/// What a device is to do, signed for it with a key.
pub(crate) fn signed_order(key: &SigningKey, device: &str, order: CommandOrder) -> CommandOrder {
    let statement = CommandStatement {
        order_id: order.command_id.clone(),
        device_id: device.into(),
        name: order.name.clone(),
        arguments: order.arguments.clone(),
        not_before_ms: now_ms() - 1_000,
        expires_ms: now_ms() + 60_000,
    };
    let signature = artifact::sign(artifact::COMMAND_TYPE, &statement.encode_to_vec(), key);
    let warrant = CommandWarrant {
        not_before_ms: statement.not_before_ms,
        expires_ms: statement.expires_ms,
        signatures: vec![ManifestSignature {
            key_id: signature.keyid,
            signature: signature.sig,
        }],
    };
    CommandOrder {
        warrant: Some(warrant),
        ..order
    }
}

/// What a device is to do, as the server says it.
pub(crate) fn order(id: &str, name: &str, arguments: &str) -> CommandOrder {
    CommandOrder {
        command_id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
        state: CommandState::Sent.into(),
        remaining_ms: 60_000,
        ..CommandOrder::default()
    }
}

pub(crate) fn image(n: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i as u8).wrapping_mul(n).wrapping_add(n))
        .collect()
}

pub(crate) fn release(rollout_id: &str, sequence: u64, image: &[u8]) -> Assignment {
    let sha256 = Sha256::digest(image).to_vec();
    let manifest = Manifest {
        schema: 1,
        name: "pump-fw".into(),
        version: format!("1.{sequence}.0"),
        sequence,
        models: vec!["pump".into()],
        size: image.len() as u64,
        sha256: sha256.clone(),
        block_size: BLOCK as u32,
        ..Manifest::default()
    };
    let payload_type = "application/vnd.muster.firmware.v1+protobuf";
    let payload = manifest.encode_to_vec();
    let signature = artifact::sign(payload_type, &payload, &release_key());
    Assignment {
        rollout_id: rollout_id.into(),
        artifact_id: hex::encode(sha256),
        signed: Some(SignedManifest {
            payload_type: payload_type.into(),
            payload,
            signatures: vec![ManifestSignature {
                key_id: signature.keyid,
                signature: signature.sig,
            }],
        }),
        ..Assignment::default()
    }
}
