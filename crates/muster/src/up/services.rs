//! Each service with its folder, its settings and its executor.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Result, bail};
use bus::BusConfig;
use contract::id::ServiceName;
use host::{Clock, Executor, Host, HostConfig, NoEffects, OpenStore};
use provisioning::Issuers;
use service::{
    Service,
    store::{Blobs, Store, StoreError},
};
use store::{Files, OpenOptions, copy::Tapped};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    bus_file::BusFile,
    copies::{Desk, Shelf},
    issuers, keys,
    pki_folder::Look,
    sealing::Sealing,
    server_files::ServerFiles,
    survey,
};
use crate::{config::Config, exit::Failure, folder::read_secret};

/// The schema that this version writes.
const SCHEMA: u32 = 1;
/// Requests decided in one group, at most: bounds how long a commit takes.
const GROUP: usize = 2_048;
/// Threads for queries, each service.
const READERS: usize = 2;

/// A service's database on its way: each is opened on a thread of its own, for that of a large fleet takes long.
pub(super) struct Opening {
    store: JoinHandle<Result<Arc<dyn Store>, StoreError>>,
    shelf: Shelf,
}

impl Opening {
    /// Begins to open it.
    pub(super) fn begin(config: &Config, name: ServiceName) -> Opening {
        let shelf = Shelf::default();
        let open = opener_onto(config, name, shelf.clone());
        let store = tokio::task::spawn_blocking(open);
        Opening { store, shelf }
    }

    async fn end(self) -> (Result<Arc<dyn Store>, StoreError>, Shelf) {
        let died = |error: JoinError| Err(StoreError::Engine(format!("opening it ended: {error}")));
        (self.store.await.unwrap_or_else(died), self.shelf)
    }
}

/// Starts one service.
pub(super) async fn start(
    (name, opening): (ServiceName, Opening),
    config: &Config,
    bus: &BusFile,
    clock: Arc<dyn Clock>,
    end: CancellationToken,
) -> Result<(Host, Desk)> {
    let (first, shelf) = opening.end().await;
    let place = Place {
        name,
        config,
        bus,
        clock,
        end,
        first,
        shelf,
    };
    match name {
        ServiceName::Registry => {
            let sealing = Sealing::with(keys::retirement_key(config)?);
            place.start(registry(config), |_| Arc::new(sealing))
        }
        ServiceName::Provisioning => {
            let seen = Look::at(&config.folder);
            let issuers = issuers::open(config)?;
            let (service, signers) = (provisioning(config, issuers.clone())?, issuers.clone());
            let server = Arc::new(ServerFiles::of(&config.folder));
            let (config, end) = (config.clone(), place.end.clone());
            let now_ms = place.clock.now().wall_ms;
            let fits = move |store: &dyn Store| {
                provisioning::demand_clock(store, now_ms).map_err(|why| Failure::usage(why).into())
            };
            let started = place.start_if(service, fits, |blobs| {
                let effects = provisioning::Effects::new(signers, blobs).renewing(server);
                Arc::new(ProvisioningEffects(effects))
            })?;
            tokio::spawn(issuers::follow(config, seen, issuers, started.0.waker(), end));
            Ok(started)
        }
        ServiceName::Rollout => {
            let service = rollout::Rollout::new(keys::release_keys(config)?);
            place.start(service, |blobs| {
                Arc::new(RolloutEffects(rollout::SealExecutor { blobs }))
            })
        }
        ServiceName::Monitoring => {
            let settings = monitoring::Settings {
                grace_ms: config.grace.as_millis() as u64,
            };
            place.start(monitoring::Monitoring::new(settings), |_| Arc::new(NoEffects))
        }
        ServiceName::FrontDoor => bail!("the front door is no service"),
    }
}

/// The registry, as configured.
pub(crate) fn registry(config: &Config) -> registry::Registry {
    registry::Registry::new(registry::Settings {
        retire_wait_ms: config.retire_wait.as_millis() as u64,
        token_lifetime_ms: config.token_lifetime.as_millis() as u64,
    })
}

/// Provisioning, as configured.
pub(crate) fn provisioning(config: &Config, issuers: Issuers) -> Result<provisioning::Provisioning> {
    let roots = keys::roots(config)?;
    issuers.link(keys::root_links(config)?);
    let settings = provisioning_settings(config);
    Ok(provisioning::Provisioning::new(settings, roots, issuers))
}

fn provisioning_settings(config: &Config) -> provisioning::Settings {
    provisioning::Settings {
        device_lifetime_ms: config.device_lifetime.as_millis() as u64,
        lifetimes_ms: config
            .lifetimes
            .iter()
            .map(|(of, lifetime)| (*of, lifetime.as_millis() as u64))
            .collect(),
        profiles: config.profiles.clone(),
        per_minute: config.claims_per_minute,
        overlap_ms: config.overlap.as_millis() as u64,
        renew_after_ms: config.renew_after.as_millis() as u64,
        renew_after_admitted: config.renew_after_admitted,
        server_lifetime_ms: config.server_lifetime.as_millis() as u64,
        server_renew_before_ms: config.server_renew_before.map(|before| before.as_millis() as u64),
        ..provisioning::Settings::default()
    }
}

struct ProvisioningEffects(provisioning::Effects);

impl Executor for ProvisioningEffects {
    fn run(&self, effect: &service::Effect) -> Vec<u8> {
        self.0.run(effect)
    }

    fn takes_long(&self, effect: &service::Effect) -> bool {
        self.0.takes_long(effect)
    }
}

struct RolloutEffects(rollout::SealExecutor);

impl Executor for RolloutEffects {
    fn run(&self, effect: &service::Effect) -> Vec<u8> {
        self.0.run(effect)
    }
}

/// Where a service runs.
struct Place<'a> {
    name: ServiceName,
    config: &'a Config,
    bus: &'a BusFile,
    clock: Arc<dyn Clock>,
    end: CancellationToken,
    first: Result<Arc<dyn Store>, StoreError>,
    shelf: Shelf,
}

impl Place<'_> {
    fn start<S: Service>(
        self,
        service: S,
        executor: impl FnOnce(Arc<dyn Blobs>) -> Arc<dyn Executor>,
    ) -> Result<(Host, Desk)> {
        self.start_if(service, |_| Ok(()), executor)
    }

    /// The same where the state that is there fits.
    fn start_if<S: Service>(
        self,
        service: S,
        fits: impl FnOnce(&dyn Store) -> Result<()>,
        executor: impl FnOnce(Arc<dyn Blobs>) -> Arc<dyn Executor>,
    ) -> Result<(Host, Desk)> {
        let blobs: Arc<dyn Blobs> =
            Arc::new(Files::open(files(self.config, self.name))?.with_reserve(self.config.reserve_bytes));
        let executor = executor(blobs.clone());
        let host_config = HostConfig {
            site: self.config.site.clone(),
            bus: BusConfig {
                service: self.name,
                root: self.config.root.clone(),
                address: self.bus.address,
                secret: self.bus.secret.clone(),
            },
            readers: READERS,
            group: GROUP,
            bootstrap: self.bootstrap()?,
            clock: self.clock.clone(),
            audit_keep: self.config.audit_keep,
            events_keep: self.config.events_keep,
            events_most: self.config.events_most,
        };
        let (clock, end) = (self.clock.clone(), self.end.clone());
        let shelf = self.shelf;
        let open = opener_onto(self.config, self.name, shelf.clone());
        if let Ok(store) = &self.first {
            fits(&**store)?;
        }
        let open = opened_before(self.first, open);
        let host = host::start(service, host_config, open, blobs, executor, self.end)?;
        if S::NAME == ServiceName::Provisioning {
            survey::watch(shelf.clone(), clock, end);
        }
        // Now that the folder is ours.
        Ok((host, Desk::open(folder(self.config, self.name), shelf)))
    }

    /// What `muster init` left for this service.
    fn bootstrap(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let path = self.config.folder.bootstrap(self.name);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let requests: Vec<(String, serde_json::Value)> = serde_json::from_slice(&read_secret(&path)?)?;
        requests
            .into_iter()
            .map(|(verb, payload)| Ok((verb, serde_json::to_vec(&payload)?)))
            .collect()
    }
}

/// What was opened already is what the first opening gives.
fn opened_before(first: Result<Arc<dyn Store>, StoreError>, open: OpenStore) -> OpenStore {
    let first = Mutex::new(Some(first));
    Box::new(move || {
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(&open)
    })
}

/// Where a service's database and files lie.
pub(crate) fn folder(config: &Config, name: ServiceName) -> PathBuf {
    config.path(&config.state).join(name.word())
}

/// Where a service's database lies.
pub(crate) fn database(config: &Config, name: ServiceName) -> PathBuf {
    folder(config, name).join("db")
}

/// Where a service's files lie.
pub(crate) fn files(config: &Config, name: ServiceName) -> PathBuf {
    folder(config, name).join("files")
}

/// How a service's database is opened.
pub(crate) fn options(config: &Config, name: ServiceName) -> OpenOptions {
    OpenOptions {
        cache_bytes: config.cache_bytes,
        reserve_bytes: config.reserve_bytes,
        check: config.check,
        compact_above: config.compact_above,
        ..OpenOptions::new(database(config, name), rand::random::<u64>() | 1, SCHEMA)
    }
}

/// Opens a service's database.
pub(crate) fn opener(config: &Config, name: ServiceName) -> OpenStore {
    opener_onto(config, name, Shelf::default())
}

/// Opens a service's database, and puts it where copies of it are made from.
fn opener_onto(config: &Config, name: ServiceName, shelf: Shelf) -> OpenStore {
    let config = config.clone();
    Box::new(move || -> Result<Arc<dyn Store>, StoreError> {
        let store = Arc::new(Tapped::new(config.engine.open(options(&config, name))?));
        shelf.put(&store);
        Ok(store)
    })
}
