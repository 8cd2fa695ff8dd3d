//! Wiring: from a configuration to a running front door and running services.

mod boot;
mod bus_file;
pub(crate) mod copies;
mod crl;
mod ends;
mod http;
mod issuers;
pub(crate) mod keys;
mod metric;
mod pki_folder;
mod sealing;
pub(crate) mod server_files;
pub(crate) mod services;
mod space;
mod survey;
mod telemetry;
mod tls_files;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use broker::{
    EstListener, FrontDoor, FrontDoorConfig, FrontDoorError, Limits, PrincipalListener, WebSocketListener,
};
use contract::id::ServiceName;
use host::{Clock, Host, SystemClock, clock::wall_ms};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::bus_file::BusFile;
pub use self::telemetry::{log_panics, log_to_stderr};
use crate::{
    config::Config,
    exit::{Exit, Failure},
};

/// Pause before a file that could not be written is tried again.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// What of an installation runs in this process.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The front door.
    pub front_door: bool,
    /// These services.
    pub services: Vec<ServiceName>,
}

impl Parts {
    /// All of it.
    pub fn all() -> Parts {
        Parts {
            front_door: true,
            services: ServiceName::KEEPERS.to_vec(),
        }
    }
}

/// Where a running installation can be reached.
#[derive(Debug, Clone, Default)]
pub struct Bound {
    /// Devices, operators and integrators, over mTLS.
    pub principals: Option<SocketAddr>,
    /// The same over WebSocket, where that is configured.
    pub websocket: Option<SocketAddr>,
    /// Devices that enrol over HTTPS, where that is configured.
    pub est: Option<SocketAddr>,
    /// Services.
    pub services: Option<SocketAddr>,
    /// Health and metrics.
    pub http: Option<SocketAddr>,
    /// The listener without TLS, where one is configured.
    pub insecure: Option<SocketAddr>,
}

/// A running installation, or a part of one.
pub struct Running {
    /// Where it can be reached.
    pub bound: Bound,
    front_door: Option<FrontDoor>,
    hosts: Vec<(ServiceName, Host)>,
    copies: Vec<copies::Desk>,
    hosts_end: CancellationToken,
    door_end: CancellationToken,
}

/// Starts. Returns when everything that was asked for is ready to serve.
pub async fn start(config: &Config, parts: &Parts) -> Result<Running> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let metrics = telemetry::install_metrics();
    metric::describe(parts);
    let (door_end, hosts_end) = (CancellationToken::new(), CancellationToken::new());
    let mut bound = Bound::default();
    // Taken before anybody is let in anywhere: whoever finds one of them in use has disturbed nobody.
    let http = http::bind(config.http).await?;
    bound.http = Some(http.local_addr()?);

    let (front_door, bus) = if parts.front_door {
        let seen = pki_folder::Look::at(&config.folder);
        let (door, bus) = open_front_door(config, door_end.clone()).await?;
        if let Some(files) = door.tls() {
            tokio::spawn(tls_files::follow(config.clone(), seen, files, door_end.clone()));
        }
        bound.services = Some(door.services_addr());
        bound.insecure = door.insecure_addr();
        (Some(door), bus)
    } else {
        let bus = BusFile::read(config)
            .context("where is the front door? start it first, with `muster serve front-door`")?;
        (None, bus)
    };
    let (mut hosts, mut copies) = (Vec::new(), Vec::new());
    let begin = |name: &ServiceName| (*name, services::Opening::begin(config, *name));
    let openings: Vec<_> = parts.services.iter().map(begin).collect();
    for opening in openings {
        let name = opening.0;
        let (host, desk) = services::start(opening, config, &bus, clock.clone(), hosts_end.clone())
            .await
            .with_context(|| format!("the {name} service does not start"))?;
        hosts.push((name, host));
        copies.push(desk);
    }
    // Now that the services' folders are ours: a second server must not point others to itself.
    if front_door.is_some() {
        tell_where(config.clone(), bus, door_end.clone());
    }
    space::watch(config, door_end.clone());
    let health = http::Health::new(&hosts, front_door.is_some());
    http::serve(http, health, metrics, crl::router(config), door_end.clone());
    if let Some(door) = &front_door {
        door.ready().await.context("the front door does not get ready")?;
        bound.principals = door.principals_addr();
        bound.websocket = door.websocket_addr();
        bound.est = door.est_addr();
        // Where the front door is, its certificate and the CAs' are.
        ends::watch(config.clone(), door_end.clone());
    }
    info!(?bound, "ready");
    Ok(Running {
        bound,
        front_door,
        hosts,
        copies,
        hosts_end,
        door_end,
    })
}

async fn open_front_door(config: &Config, end: CancellationToken) -> Result<(FrontDoor, BusFile)> {
    server_files::finish(&config.folder)?;
    let tls = tls_files::read(config)?;
    let secret = bus_file::secret(config)?;
    let limits = Limits {
        renew_after_ms: config.renew_after.as_millis() as u64,
        ..config.limits.clone()
    };
    let door = broker::start(
        FrontDoorConfig {
            site: config.site.clone(),
            root: config.root.clone(),
            boot: boot::next(&config.path(&config.state), wall_ms()),
            principals: Some(PrincipalListener {
                addr: config.principals,
                tls,
            }),
            websocket: config.websocket.map(|addr| WebSocketListener {
                addr,
                origins: config.websocket_origins.clone(),
                login: config.websocket_login,
            }),
            est: config.est.map(|addr| EstListener {
                addr,
                claim: config.est_claim.clone(),
            }),
            services: config.services,
            service_secret: secret.clone(),
            insecure_principals: config.insecure,
            policy: None,
            limits,
            clock: Arc::new(wall_ms),
        },
        end,
    )
    .await
    .map_err(unopened)?;
    let bus = BusFile {
        address: door.services_addr(),
        secret,
    };
    Ok((door, bus))
}

/// What an operator can do about it, where that is known; whoever starts a second server is told by the exit code too.
fn unopened(error: FrontDoorError) -> anyhow::Error {
    match error {
        FrontDoorError::OwnCertificate(_) => Failure::usage(format!("{error}; {}", keys::SERVER_LOST)).into(),
        FrontDoorError::Listen { .. } => Failure::new(Exit::Conflict, error.to_string()).into(),
        other => other.into(),
    }
}

/// Writes where services in processes of their own find the front door. A full disk is waited for: the
/// services of this process need no file.
fn tell_where(config: Config, bus: BusFile, end: CancellationToken) {
    let Err(error) = bus.write(&config) else { return };
    warn!("{error:#}; services in processes of their own do not find the front door yet");
    tokio::spawn(async move {
        while bus.write(&config).is_err() {
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(TELL_AGAIN) => {}
            }
        }
    });
}

impl Running {
    /// Runs until `stop`, or until a part dies; then ends what is left, in order.
    pub async fn until(self, stop: impl Future<Output = ()>) -> Result<()> {
        let died = async {
            match &self.front_door {
                Some(door) => door.died().await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            () = stop => Ok(()),
            error = died => Err(anyhow::Error::from(error).context("the front door died; start it again")),
        };
        self.end().await;
        ended
    }

    /// Principals are let go first, so that what they sent is decided or sent again; services follow.
    pub async fn end(self) {
        self.door_end.cancel();
        if let Some(door) = self.front_door {
            door.drained().await;
        }
        self.hosts_end.cancel();
        drop(self.copies);
        let hosts = self.hosts;
        let joined = tokio::task::spawn_blocking(move || hosts.into_iter().for_each(|(_, host)| host.join()));
        let _ = joined.await;
        info!("stopped");
    }
}
