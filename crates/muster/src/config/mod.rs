//! The configuration: one TOML file, each setting also by `MUSTER_SECTION__NAME` in the environment.
//! This is the only place that reads either, and it names every bad setting at once.

mod environment;
#[cfg(test)]
mod fuzz;
mod limits;
mod profiles;
mod reader;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use broker::Limits;
use contract::{Root, login::TOKEN_LIFETIME_MAX_MS, v1::Criticality};
use store::{Engine, StartCheck};

pub(crate) use self::environment::variable;
use self::{environment::Environment, reader::Reader};
use crate::{backup::STAGED, exit::Failure, folder::Folder};

/// The lifetimes that can be set for one criticality.
const LIFETIMES: [(Criticality, &str); 4] = [
    (Criticality::Low, "pki.lifetimes.low"),
    (Criticality::Medium, "pki.lifetimes.medium"),
    (Criticality::High, "pki.lifetimes.high"),
    (Criticality::Critical, "pki.lifetimes.critical"),
];

/// All settings of an installation, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The installation's folder; relative paths begin there.
    pub folder: Folder,
    /// The installation's name: part of every certificate and event.
    pub site: String,
    /// The levels that all topics begin with.
    pub root: Root,
    /// Where devices, operators and integrators connect.
    pub principals: SocketAddr,
    /// Where the same connect over WebSocket.
    pub websocket: Option<SocketAddr>,
    /// Origins of pages whose browsers may connect over WebSocket.
    pub websocket_origins: Vec<String>,
    /// Whether operators and integrators may log in over WebSocket, without a certificate.
    pub websocket_login: bool,
    /// Where devices enrol over HTTPS (RFC 7030).
    pub est: Option<SocketAddr>,
    /// The claim of those who enrol without a certificate.
    pub est_claim: Option<contract::Id>,
    /// Where services connect; loopback only.
    pub services: SocketAddr,
    /// Health and metrics over HTTP.
    pub http: SocketAddr,
    /// A listener without TLS that believes a user name; loopback only, for tests and measurements.
    pub insecure: Option<SocketAddr>,
    /// The folder of the services' states.
    pub state: PathBuf,
    /// Memory for each store's cache.
    pub cache_bytes: u64,
    /// Free space below which nothing is written.
    pub reserve_bytes: u64,
    /// What keeps the databases.
    pub engine: Engine,
    /// What is read of a database before it is served from.
    pub check: StartCheck,
    /// Bytes on disk for each of the records' above which a database is written anew at the start; 0 is never.
    pub compact_above: u32,
    /// Where the passphrase of the issuing key is read from, when it has one.
    pub passphrase_file: Option<PathBuf>,
    /// Keys that may sign firmware, PEM files.
    pub release_keys: Vec<PathBuf>,
    /// Signatures that firmware needs.
    pub release_threshold: usize,
    /// How long a device may be away before it counts as offline.
    pub grace: Duration,
    /// How long a retiring device's receipt is waited for.
    pub retire_wait: Duration,
    /// How long a device certificate lasts.
    pub device_lifetime: Duration,
    /// The same for devices of one criticality, where that differs.
    pub lifetimes: Vec<(Criticality, Duration)>,
    /// What devices' certificates are like by type and criticality, before all of that.
    pub profiles: Vec<provisioning::DeviceProfile>,
    /// Certificates a minute under one claim, where the claim does not say.
    pub claims_per_minute: u32,
    /// How long the former certificate still works after the next one was first used.
    pub overlap: Duration,
    /// How long after its end a device's certificate still asks for the next one.
    pub renew_after: Duration,
    /// Whether an operator must admit the key of such a device first.
    pub renew_after_admitted: bool,
    /// How long the server's certificate lasts.
    pub server_lifetime: Duration,
    /// How long before its end the server's certificate is renewed; zero is only by hand.
    pub server_renew_before: Option<Duration>,
    /// What keeps one client from harming others, at the front door.
    pub limits: Limits,
    /// The longest that a token may open.
    pub token_lifetime: Duration,
    /// How long entries of the audit logs are kept; zero is for ever.
    pub audit_keep: Duration,
    /// How long events are kept; zero is for ever.
    pub events_keep: Duration,
    /// How many events each service keeps; 0 is any number.
    pub events_most: u64,
    /// What is logged, as tracing's filter.
    pub log: String,
    /// Logs as JSON.
    pub log_json: bool,
}

impl Config {
    /// Reads `muster.toml` in a folder.
    pub fn read(folder: &Path) -> Result<Config, Failure> {
        Config::read_with(folder, Environment::of_this_process())
    }

    fn read_with(folder: &Path, environment: Environment) -> Result<Config, Failure> {
        let folder = Folder::at(folder);
        if !folder.config().exists() && folder.path().join(STAGED).exists() {
            let message = format!(
                "{} was about to be filled by `muster restore`, and that was cut off; type the same command again",
                folder.path().display()
            );
            return Err(Failure::usage(message));
        }
        if crate::init::waits(&folder) {
            let message = format!(
                "the installation in {0} waits for its root's answer: `muster --dir {0} ca import ANSWER`",
                folder.path().display()
            );
            return Err(Failure::usage(message));
        }
        if !folder.config().exists() {
            let message = format!(
                "there is no installation in {}; make one with `muster --dir {} init`",
                folder.path().display(),
                folder.path().display()
            );
            return Err(Failure::usage(message));
        }
        let mut reader = Reader::open(&folder.config(), environment)?;
        let config = read_all(folder, &mut reader);
        reader.finish()?;
        Ok(config)
    }

    /// Where the passphrase of the issuing key is read from; a file's path is whole.
    pub(crate) fn passphrase_source(&self) -> Option<PathBuf> {
        let source = self.passphrase_file.as_deref();
        source.map(|source| crate::passphrase::resolved(self.folder.path(), source))
    }

    /// A path of the configuration, relative to the installation's folder.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.path().join(path)
    }
}

fn read_all(folder: Folder, reader: &mut Reader) -> Config {
    Config {
        folder,
        site: reader.parsed("site", "muster", |text: String| {
            text.parse::<contract::Id>()
                .map(|id| id.to_string())
                .map_err(|e| e.to_string())
        }),
        root: reader.parsed("root", "muster/v1", |text: String| {
            text.parse().map_err(|e: contract::topic::BadRoot| e.to_string())
        }),
        // 8883 is the port IANA names for MQTT over TLS.
        principals: reader.address("listen.principals", "0.0.0.0:8883"),
        websocket: reader.optional_address("listen.websocket", "0.0.0.0:8884"),
        websocket_origins: reader.origins("listen.websocket_origins"),
        websocket_login: reader.value("listen.websocket_login", false),
        est: reader.optional_address("listen.est", "0.0.0.0:8085"),
        est_claim: reader.optional_id("listen.est_claim"),
        services: reader.loopback("listen.services", "127.0.0.1:0"),
        http: reader.address("listen.http", "127.0.0.1:8080"),
        insecure: reader.optional_loopback("listen.insecure_test"),
        state: reader
            .optional_path("state.folder")
            .unwrap_or_else(|| PathBuf::from("state")),
        // Four stores share a small machine; more helps only when the fleet outgrows it.
        cache_bytes: reader.mebibytes("state.cache_mib", 64),
        // Room for a segment of each store and the ballast that brings a full disk back.
        reserve_bytes: reader.mebibytes("state.reserve_mib", 64),
        engine: reader.parsed("store.engine", "sled", |text| text.parse()),
        // A missing record is worth more than the seconds that a start takes longer.
        check: reader.parsed("store.check", "rows", |text| text.parse()),
        // Above what a year of an ordinary fleet comes to: `muster-bench space`.
        compact_above: reader.value("store.compact_above", 8),
        passphrase_file: reader.optional_path("pki.passphrase_file"),
        device_lifetime: reader.duration("pki.device_lifetime", "90d"),
        lifetimes: LIFETIMES
            .into_iter()
            .filter_map(|(of, name)| Some((of, reader.optional_duration(name)?)))
            .collect(),
        profiles: profiles::read(reader),
        claims_per_minute: reader.value("pki.claims_per_minute", 3_000),
        overlap: reader.duration("pki.overlap", "1h"),
        // As long as a device may be away before its certificate ends.
        renew_after: reader.duration("pki.renew_after", "30d"),
        renew_after_admitted: reader.value("pki.renew_after_admitted", false),
        // As long as browsers and others take a server's certificate.
        server_lifetime: reader.duration("pki.server_lifetime", "398d"),
        server_renew_before: reader.optional_duration("pki.server_renew_before"),
        release_keys: reader.value("rollout.release_keys", vec![PathBuf::from("release/release.pub")]),
        release_threshold: reader.number("rollout.threshold", 1, 1..=artifact::SIGNATURES_MAX),
        // Longer than a restart of a router or a switch takes.
        grace: reader.duration("monitoring.grace", "30s"),
        retire_wait: reader.duration("registry.retire_wait", "7d"),
        limits: limits::read(reader),
        // Whoever needs one for longer can have a certificate.
        token_lifetime: reader.duration_within(
            "registry.token_lifetime",
            "31d",
            Duration::from_secs(1)..=Duration::from_millis(TOKEN_LIFETIME_MAX_MS.unsigned_abs()),
        ),
        // A year, and the time to look through it.
        audit_keep: reader.duration("audit.keep", "400d"),
        // As long as the audit log, whose heads are published in them.
        events_keep: reader.duration("events.keep", "400d"),
        events_most: reader.value("events.most", 0),
        log: reader.text("log.filter", "info,rumqttd=error,rustls=error"),
        log_json: reader.value("log.json", false),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn read(toml: &str) -> Result<Config, Failure> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("muster.toml"), toml).unwrap();
        Config::read_with(folder.path(), Environment::default())
    }

    #[test]
    fn an_empty_file_is_a_configuration() {
        let config = read("").unwrap();
        assert_eq!(config.site, "muster");
        assert_eq!(config.grace, Duration::from_secs(30));
    }

    /// Name, default and variable of each row of the reference.
    fn reference() -> impl Iterator<Item = [&'static str; 3]> {
        let page = include_str!("../../../../docs/configuration.md");
        page.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let cells = [cells.next()?, cells.next()?, cells.next()?];
            cells[2].contains("`MUSTER_").then_some(cells)
        })
    }

    /// Written as TOML; `None` where the default is no value but words.
    fn as_toml(name: &str, default: &str) -> Option<String> {
        let value = default.strip_prefix('`')?.strip_suffix('`')?;
        let is_bare = value.starts_with('[') || value.parse::<bool>().is_ok() || value.parse::<u64>().is_ok();
        Some(match is_bare {
            true => format!("{name} = {value}\n"),
            false => format!("{name} = \"{value}\"\n"),
        })
    }

    #[test]
    fn the_reference_has_each_setting_its_default_and_its_variable() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("muster.toml");
        std::fs::write(&file, "").unwrap();
        let mut reader = Reader::open(&file, Environment::default()).unwrap();
        let usual = read_all(Folder::at(folder.path()), &mut reader);
        let (mut named, mut toml) = (BTreeSet::new(), String::new());
        for [name, default, variable] in reference() {
            // Those that share a row have no default there.
            if let Some(name) = name.strip_suffix('`').filter(|name| !name.contains('`')) {
                let expected = format!("`MUSTER_{}`", name.replace('.', "__").to_uppercase());
                assert_eq!(variable, expected, "of {name}");
                named.insert(name.to_owned());
                toml += &as_toml(name, default).unwrap_or_default();
            }
        }
        for known in reader.known() {
            let is_named = named.contains(*known) || known.starts_with("pki.lifetimes.");
            assert!(is_named, "docs/configuration.md does not name `{known}`");
        }
        std::fs::write(&file, toml).unwrap();
        let said = Config::read_with(folder.path(), Environment::default()).unwrap();
        assert_eq!(format!("{said:?}"), format!("{usual:?}"));
    }

    #[test]
    fn the_environment_wins_and_texts_stay_as_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let toml = "site = \"hq\"\n[state]\ncache_mib = 1\nreserve_mib = 7";
        std::fs::write(folder.path().join("muster.toml"), toml).unwrap();
        let variables = [
            ("MUSTER_SITE", "0042"),
            ("MUSTER_STATE__CACHE_MIB", "2"),
            ("MUSTER_ROLLOUT__RELEASE_KEYS", "[\"a.pub\", \"b.pub\"]"),
            ("MUSTER_PKI__PASSPHRASE_FILE", " 007 "),
            ("MUSTER_LOG__JSON", "true"),
            ("MUSTER_AS", "ada"),
        ];
        let environment = Environment::of(variables.map(|(name, text)| (name.to_owned(), text.to_owned())));
        let config = Config::read_with(folder.path(), environment).unwrap();
        assert_eq!((config.site.as_str(), config.log_json), ("0042", true));
        assert_eq!((config.cache_bytes, config.reserve_bytes), (2 << 20, 7 << 20));
        assert_eq!(config.release_keys, [Path::new("a.pub"), Path::new("b.pub")]);
        assert_eq!(config.passphrase_file.as_deref(), Some(Path::new("007")));
    }

    #[test]
    fn lifetimes_by_criticality_are_those_that_are_set() {
        let config = read("[pki.lifetimes]\ncritical = \"14d\"\nlow = \"180d\"").unwrap();
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let expected = [(Criticality::Low, days(180)), (Criticality::Critical, days(14))];
        assert_eq!(config.lifetimes, expected);
        let failure = read("[pki.lifetimes]\ncritcal = \"14d\"").unwrap_err();
        assert!(failure.to_string().contains("pki.lifetimes.critcal"), "{failure}");
    }

    #[test]
    fn profiles_are_read_in_their_order_and_each_mistake_has_its_place() {
        let config = read(
            "[[pki.profiles]]\ntype = \"valve\"\nkeys = [\"p384\", \"ed25519\"]\nlifetime = \"14d\"\n\
             [[pki.profiles]]\ncriticality = \"high\"\ncrl = \"http://a/{issuer}.der\"\n\
             organization = \"Acme\"\npurposes = [\"1.3.6.1.5.5.7.3.14\"]\nserial_number = true",
        );
        let profiles = config.unwrap().profiles;
        assert_eq!(profiles[0].key_kinds, [pki::KeyKind::P384, pki::KeyKind::Ed25519]);
        assert_eq!(profiles[0].lifetime_ms, Some(14 * 86_400_000));
        assert_eq!(profiles[1].criticality, Some(Criticality::High));
        assert_eq!(profiles[1].purposes[0].to_string(), "1.3.6.1.5.5.7.3.14");
        assert_eq!(profiles[1].serial_number, Some(true));
        for (toml, part) in [
            ("keys = [\"rsa\"]", "number 1: `rsa`"),
            ("criticality = \"grave\"", "`grave` is no criticality"),
            ("lifetime = \"0s\"", "longer than nothing"),
            ("lifetime = \"soon\"", "`soon` is no duration"),
            ("crl = \"ftp://a\"", "no address of a revocation list"),
            ("issuer = \"a\"", "/ca/{issuer}.der"),
            ("policies = [\"one\"]", "`one`: an object identifier"),
            ("purposes = [\"1.3.6.1.5.5.7.3.1\"]", "no purpose"),
            ("organization = \"\"", "1 to 64 characters"),
            ("type = \"a b\"", "number 1"),
            ("sort = \"a\"", "pki.profiles"),
        ] {
            let failure = read(&format!("[[pki.profiles]]\n{toml}")).unwrap_err();
            assert!(failure.to_string().contains(part), "{part} in {failure}");
        }
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let toml = "site = \"a b\"\nsiet = 1\n[listen]\nprincipals = \"nowhere\"\nservices = \"8.8.8.8:1\"\n[monitoring]\ngrace = 5";
        let failure = read(toml).unwrap_err();
        assert_eq!(failure.exit, crate::exit::Exit::Usage);
        for part in [
            "site:",
            "siet:",
            "listen.principals:",
            "listen.services:",
            "monitoring.grace:",
        ] {
            assert!(failure.to_string().contains(part), "{part} in {failure}");
        }
    }
}
