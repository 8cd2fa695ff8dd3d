//! What an agent is set to.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use device::{About, Claim, Endpoint, Factory, Id, KeyKind, Location, PublicKey, Root, Settings};

use crate::{health::HealthCheck, metrics::Metrics, reboot::Reboot};

/// How an agent is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it keeps its keys and images. No other process may use it.
    pub folder: PathBuf,
    /// Who it is, or hopes to be.
    pub device_id: Id,
    /// Where the front door is.
    pub server: Endpoint,
    /// What the installation's topics begin with.
    pub root: Root,
    /// The roots that are trusted, PEM. Another one is only if one of these vouches for it with a link.
    pub roots_pem: String,
    /// What it asks for its first certificate with. Needed only until it has one.
    pub claim: Option<Claim>,
    /// What its manufacturer gave it. Asked with in place of a claim.
    pub factory: Option<Factory>,
    /// The kind of the keys that it makes.
    pub key_kind: KeyKind,
    /// The keys whose signatures release firmware. With none, every update is refused.
    pub release_keys: Vec<PublicKey>,
    /// The keys of operators whose signatures count on commands.
    pub command_keys: Vec<PublicKey>,
    /// The commands that it begins only with such a signature; `*` stands for all. `wipe` unless set.
    pub signed_commands: Vec<String>,
    /// Its model.
    pub model: String,
    /// The revision of its hardware.
    pub hardware_revision: String,
    /// The firmware it was delivered with.
    pub firmware_version: String,
    /// How often it says that it is alive.
    pub heartbeat: Duration,
    /// How long a new image may take to prove itself.
    pub confirm_within: Duration,
    /// What judges a new image.
    pub health: HealthCheck,
    /// Where it is.
    pub location: Option<Location>,
    /// Anything else that it says of itself.
    pub attributes: BTreeMap<String, String>,
    /// What its heartbeats tell.
    pub metrics: Metrics,
    /// What restarts its machine; without it, it does not do that.
    pub reboot: Option<Reboot>,
}

impl Config {
    /// The least there must be; everything else has its default.
    pub fn new(
        folder: impl Into<PathBuf>,
        device_id: Id,
        server: Endpoint,
        roots_pem: impl Into<String>,
    ) -> Config {
        let Settings {
            folder,
            device_id,
            server,
            root,
            roots_pem,
            key_kind,
            heartbeat,
            confirm_within,
            ..
        } = Settings::new(folder, device_id, server, roots_pem);
        Config {
            folder,
            device_id,
            server,
            root,
            roots_pem,
            claim: None,
            factory: None,
            key_kind,
            release_keys: Vec::new(),
            command_keys: Vec::new(),
            signed_commands: vec!["wipe".to_owned()],
            model: "reference".into(),
            hardware_revision: String::new(),
            firmware_version: "1.0.0".into(),
            heartbeat,
            confirm_within,
            health: HealthCheck::default(),
            location: None,
            attributes: BTreeMap::new(),
            metrics: Metrics::default(),
            reboot: None,
        }
    }

    pub(crate) fn into_parts(self) -> (Settings, HealthCheck, Metrics) {
        let about = About {
            model: self.model,
            hardware_revision: self.hardware_revision,
            firmware_version: self.firmware_version,
            location: self.location,
            attributes: self.attributes,
        };
        let settings = Settings {
            root: self.root,
            claim: self.claim,
            factory: self.factory,
            key_kind: self.key_kind,
            release_keys: self.release_keys,
            command_keys: self.command_keys,
            signed_commands: self.signed_commands,
            about,
            heartbeat: self.heartbeat,
            confirm_within: self.confirm_within,
            ..Settings::new(self.folder, self.device_id, self.server, self.roots_pem)
        };
        (settings, self.health, self.metrics)
    }
}
