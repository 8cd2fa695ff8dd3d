//! What an integrator sets.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use artifact::PublicKey;
use client::{Endpoint, Identity};
use contract::{Id, Root, limits};
use pki::KeyKind;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::error::Error;

/// The longest duration that is taken: 30 days.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

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
    /// The roots that are trusted, PEM. Another one is only if one of these vouches for it with a link.
    pub roots_pem: String,
    /// What the device asks for its first certificate with. Needed only until it has one.
    pub claim: Option<Claim>,
    /// What its manufacturer gave it. Asked with in place of a claim.
    pub factory: Option<Factory>,
    /// The kind of the keys that it makes: P-256 unless set, which every TLS stack knows. A device that has a key takes one
    /// of another kind when it renews.
    pub key_kind: KeyKind,
    /// The keys whose signatures release firmware. With none, every update is refused.
    pub release_keys: Vec<PublicKey>,
    /// How many of these keys must have signed; one unless set.
    pub release_threshold: usize,
    /// The keys of operators whose signatures count on commands. They are set here alone: the server cannot add one.
    pub command_keys: Vec<PublicKey>,
    /// The names of the commands that are begun only with such a signature; `*` stands for all.
    pub signed_commands: Vec<String>,
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

/// The certificate and key that a manufacturer put into the device (IDevID, IEEE 802.1AR).
#[derive(Clone)]
pub struct Factory {
    /// The certificate and the CAs between it and the manufacturer's, PEM.
    pub certificate_pem: String,
    /// Its key, PEM.
    pub key_pem: String,
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
            factory: None,
            key_kind: KeyKind::default(),
            release_keys: Vec::new(),
            release_threshold: 1,
            command_keys: Vec::new(),
            signed_commands: Vec::new(),
            about: About::default(),
            heartbeat: Duration::from_secs(60),
            confirm_within: Duration::from_secs(600),
            image_bytes_max: 1 << 30,
        }
    }
}

impl Settings {
    /// Whether there is anything that a first certificate can be asked for with.
    pub(crate) fn has_way_in(&self) -> bool {
        self.factory.is_some() || self.claim.is_some()
    }

    /// Who the device is until it has its first certificate, and trusts these roots; `None`: there is nothing to ask with.
    pub(crate) fn way_in(&self, roots: &str) -> Option<Result<Identity, Error>> {
        let id = &self.device_id;
        let (setting, read) = match (&self.factory, &self.claim) {
            (Some(own), _) => (
                "factory",
                Identity::factory(&own.certificate_pem, &own.key_pem, roots, id.clone()),
            ),
            (None, Some(claim)) => (
                "claim",
                Identity::from_pem(&claim.certificate_pem, &claim.key_pem, roots)
                    .map(|identity| identity.hoping_for(id.clone())),
            ),
            (None, None) => return None,
        };
        Some(read.map_err(|e| Error::Setting {
            setting,
            why: e.to_string(),
        }))
    }

    /// Whether these make sense. What the server would refuse of them for ever is refused here, at once.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |setting, why: &str| {
            let why = why.to_owned();
            Err(Error::Setting { setting, why })
        };
        let duration = |time: Duration| !time.is_zero() && time <= LONGEST;
        let mut roots = CertificateDer::pem_slice_iter(self.roots_pem.as_bytes()).peekable();
        if roots.peek().is_none() || roots.any(|root| root.is_err()) {
            return wrong(
                "roots_pem",
                "there must be certificates in PEM form, and nothing else",
            );
        }
        if !duration(self.heartbeat) {
            return wrong("heartbeat", "it must be more than nothing and at most 30 days");
        }
        if !duration(self.confirm_within) {
            return wrong(
                "confirm_within",
                "it must be more than nothing and at most 30 days",
            );
        }
        self.about.check().or_else(|(setting, why)| wrong(setting, why))
    }
}

impl About {
    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let fits = |text: &str, most| text.chars().count() <= most && !text.contains(char::is_control);
        let bounded = self.attributes.iter().all(|(key, value)| {
            !key.is_empty() && fits(key, limits::KEY_CHARS) && value.chars().count() <= limits::VALUE_CHARS
        });
        if self.attributes.len() > limits::ENTRIES_MAX || !bounded {
            return Err((
                "about.attributes",
                "at most 64, with keys of 1 to 128 and values of up to 1024 characters",
            ));
        }
        let on_earth = |location: &Location| {
            (-90.0..=90.0).contains(&location.latitude) && (-180.0..=180.0).contains(&location.longitude)
        };
        if !self.location.as_ref().is_none_or(on_earth) {
            return Err((
                "about.location",
                "latitude is between -90 and 90, longitude between -180 and 180",
            ));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Factory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Factory").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use pki::{Charter, KeyKind, Serial};

    use super::*;

    fn settings() -> Settings {
        let charter = Charter {
            site: "harbour",
            key: KeyKind::P256,
            serial: Serial::from_random([1; 16]),
            now_ms: 1_800_000_000_000,
            lifetime_ms: 1_000_000_000,
        };
        let server = Endpoint {
            host: "localhost".into(),
            port: 8883,
        };
        let roots = pki::create_root(&charter).unwrap().chain_pem;
        Settings::new("/nonexistent", "pump-7".parse().unwrap(), server, roots)
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        assert!(settings().check().is_ok());
        type Change = fn(&mut Settings);
        let cases: [(&str, Change); 8] = [
            ("roots_pem", |s| s.roots_pem.clear()),
            ("roots_pem", |s| {
                s.roots_pem
                    .push_str("-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n")
            }),
            ("heartbeat", |s| s.heartbeat = Duration::ZERO),
            ("confirm_within", |s| s.confirm_within = Duration::MAX),
            ("about.location", |s| {
                s.about.location = Some(Location {
                    latitude: f64::NAN,
                    ..Location::default()
                });
            }),
            ("about.attributes", |s| {
                drop(s.about.attributes.insert(String::new(), "x".into()))
            }),
            ("about.attributes", |s| {
                drop(s.about.attributes.insert("k".into(), "x".repeat(1_025)))
            }),
            ("about.attributes", |s| {
                s.about
                    .attributes
                    .extend((0..65).map(|n| (n.to_string(), String::new())))
            }),
        ];
        for (name, change) in cases {
            let mut settings = settings();
            change(&mut settings);
            let refused = settings.check();
            assert!(
                matches!(&refused, Err(Error::Setting { setting, .. }) if *setting == name),
                "{refused:?}"
            );
        }
    }
}
