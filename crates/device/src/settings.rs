//! What an integrator sets.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use artifact::PublicKey;
use client::Endpoint;
use contract::{Id, Root};

/// How a device is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the device keeps its keys, its images and how far its update is. No other process may use it.
    pub folder: PathBuf,
    /// Who it is, or hopes to be.
    pub device_id: Id,
    /// Where the front door is.
    pub server: Endpoint,
    /// What the installation's topics begin with.
    pub root: Root,
    /// The only roots that are trusted, PEM.
    pub roots_pem: String,
    /// What the device asks for its first certificate with. Needed only until it has one.
    pub claim: Option<Claim>,
    /// The keys whose signatures release firmware. With none, every update is refused.
    pub release_keys: Vec<PublicKey>,
    /// How many of these keys must have signed; one unless set.
    pub release_threshold: usize,
    /// What the device says of itself.
    pub about: About,
    /// How often it says that it is alive. A minute: half of what MQTT keep-alives usually are.
    pub heartbeat: Duration,
    /// How long a new image may take to prove itself before the old one comes back. Ten minutes: longer
    /// than a restart of the server.
    pub confirm_within: Duration,
    /// The largest image that is taken. 1 GiB, as the server.
    pub image_bytes_max: u64,
}

/// The certificate and key that a batch of devices shares until each has its own.
#[derive(Clone)]
pub struct Claim {
    /// The certificate and its chain, PEM.
    pub certificate_pem: String,
    /// Its key, PEM.
    pub key_pem: String,
    /// The device's own one-time secret, where the batch wants one.
    pub secret: Option<String>,
}

/// What a device says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct About {
    /// Its model; firmware names the models it is for.
    pub model: String,
    /// The revision of its hardware.
    pub hardware_revision: String,
    /// The firmware it was delivered with. Once an update is confirmed, that one's version is told instead.
    pub firmware_version: String,
    /// Where it is.
    pub location: Option<Location>,
    /// Anything else, at most 64. An empty value removes what was told before.
    pub attributes: BTreeMap<String, String>,
}

/// Where a device is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Location {
    /// For example `berlin/hall-3/line-7`.
    pub place: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl Settings {
    /// The least there must be; everything else has its default.
    pub fn new(
        folder: impl Into<PathBuf>,
        device_id: Id,
        server: Endpoint,
        roots_pem: impl Into<String>,
    ) -> Settings {
        Settings {
            folder: folder.into(),
            device_id,
            server,
            root: Root::default(),
            roots_pem: roots_pem.into(),
            claim: None,
            release_keys: Vec::new(),
            release_threshold: 1,
            about: About::default(),
            heartbeat: Duration::from_secs(60),
            confirm_within: Duration::from_secs(600),
            image_bytes_max: 1 << 30,
        }
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
    }
}
