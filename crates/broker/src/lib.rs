//! The front door's tokio edge, around rumqttd's router.
//!
//! ```text
//! principals ── TLS ── task ─┐                                   ┌─ task ── loopback ── services
//!                            ├─ Door (one mutex) ─ lanes ─► router ┤
//! principals ── TLS ── task ─┘        ▲                   (5 topics)└─ task ── loopback ── services
//!                                     └──────── out ◄─────────────────────┘
//! ```
//!
//! What may be decided is decided in [`session`]; here are sockets, threads and time. rumqttd's listeners
//! are not used: it routes five topics between a handful of links, whatever the fleet's size.
//!
//! Invariants:
//! - Only this crate names rumqttd, and only `router/` within it.
//! - What lies in each of the router's topics is counted at both ends and bounded well below what its log
//!   holds; each message carries a number, and a gap ends the front door with an error. Never a zombie.
//! - The listeners for principals open when the copies of facts are whole, not before.
#![forbid(unsafe_code)]

mod config;
mod descriptors;
mod entrance;
mod farewell;
mod mailbox;
mod metric;
mod passwords;
mod principals;
mod repeats;
mod router;
mod services;
mod shared;
mod tls;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use session::{Door, DoorSettings, DoorStatus, Listener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::config::{
    EstListener, FrontDoorConfig, PrincipalListener, TlsMaterial, WallClock, WebSocketListener,
};
pub use self::farewell::see_out;
pub use self::metric::METRICS;
pub use self::repeats::Lines;
use self::{entrance::Entrance, principals::Gate, router::Router, shared::Shared, tls::Handshakes};
pub use session::{Hoard, Limits};

/// How often the door looks at the time.
const TICK: Duration = Duration::from_millis(100);
/// How long principals get to leave at shutdown.
const DRAIN: Duration = Duration::from_secs(3);

/// Why the front door does not run.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FrontDoorError {
    /// An address is taken, or may not be used.
    #[error("cannot listen on {address} (listen.{setting}): {why}; is another instance running?")]
    Listen {
        /// Whose address, as the configuration names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        why: String,
    },
    /// The roots or the issuing CAs' certificates do not fit.
    #[error("the server's TLS files do not fit: {0}")]
    Tls(String),
    /// The server's own certificate or key cannot be used, or one is not the other's.
    #[error("the server's TLS files do not fit: {0}")]
    OwnCertificate(String),
    /// The router's thread ended, or lost a message.
    #[error("the router failed: {0}")]
    Router(String),
    /// The front door was stopped first.
    #[error("it was stopped")]
    Stopped,
}

/// A running front door.
pub struct FrontDoor {
    shared: Arc<Shared>,
    services: SocketAddr,
    principals: Option<SocketAddr>,
    websocket: Option<SocketAddr>,
    est: Option<SocketAddr>,
    insecure: Option<SocketAddr>,
    open: watch::Receiver<bool>,
    handshakes: Option<Arc<Handshakes>>,
    entrance: Arc<Entrance>,
    end: CancellationToken,
}

/// The TLS files of a running front door.
#[derive(Clone)]
pub struct TlsFiles(Arc<Handshakes>);

impl TlsFiles {
    /// Takes others for the handshakes to come. Nobody is dropped; files that do not fit change nothing.
    ///
    /// # Errors
    /// [`FrontDoorError::Tls`] says what does not fit.
    pub fn change(&self, material: &TlsMaterial) -> Result<(), FrontDoorError> {
        self.0.change(material)
    }
}

/// Starts it: the listener for services is open when this returns, those for principals are bound and
/// open by themselves when the registry and provisioning have told their facts. `end` lets everybody go.
pub async fn start(mut config: FrontDoorConfig, end: CancellationToken) -> Result<FrontDoor, FrontDoorError> {
    config.limits = descriptors::fit(config.limits);
    let settings = DoorSettings {
        site: config.site.clone(),
        root: config.root.clone(),
        boot: config.boot,
        limits: Arc::new(config.limits.clone()),
    };
    let door = match &config.policy {
        Some(policy) => Door::new(settings).under(policy.clone()),
        None => Door::new(settings),
    };
    let (shared, checks) = Shared::new(door, config.clock.clone(), config.root.clone());
    let shared = Arc::new(shared);
    let secure = config.principals.as_ref();
    let handshakes = secure.map(|listener| Handshakes::new(&listener.tls, config.limits.renew_after_ms));
    let handshakes = handshakes.transpose()?.map(Arc::new);
    // All addresses are taken before anybody is let in at any of them.
    let gates = Gate::bind_all(&config, handshakes.as_ref())?;
    let router = Router::start(&shared).map_err(FrontDoorError::Router)?;
    let services = services::listen(&config, shared.clone(), router).await?;
    let address = |listener| {
        let gate = gates.iter().find(|gate| gate.listener() == listener);
        gate.map(Gate::address)
    };
    let [principals, websocket, est, insecure] = Listener::ALL.map(address);
    let (opened, open) = watch::channel(false);
    let entrance = Entrance::new(&config.limits);
    tokio::spawn(keep_time(
        shared.clone(),
        handshakes.clone(),
        entrance.clone(),
        end.clone(),
    ));
    tokio::spawn(passwords::compare(shared.clone(), checks, end.clone()));
    tokio::spawn(open_when_whole(
        shared.clone(),
        handshakes.clone(),
        config,
        entrance.clone(),
        gates,
        opened,
        end.clone(),
    ));
    Ok(FrontDoor {
        shared,
        services,
        principals,
        websocket,
        est,
        insecure,
        open,
        handshakes,
        entrance,
        end,
    })
}

impl FrontDoor {
    /// Where services connect.
    pub fn services_addr(&self) -> SocketAddr {
        self.services
    }

    /// Where principals connect over mTLS.
    pub fn principals_addr(&self) -> Option<SocketAddr> {
        self.principals
    }

    /// Where principals connect over WebSocket and mTLS.
    pub fn websocket_addr(&self) -> Option<SocketAddr> {
        self.websocket
    }

    /// Where devices enrol over HTTPS.
    pub fn est_addr(&self) -> Option<SocketAddr> {
        self.est
    }

    /// Where principals connect without TLS.
    pub fn insecure_addr(&self) -> Option<SocketAddr> {
        self.insecure
    }

    /// By which its TLS files can be changed while it runs; nothing where no listener has TLS.
    pub fn tls(&self) -> Option<TlsFiles> {
        self.handshakes.clone().map(TlsFiles)
    }

    /// How it is.
    pub fn status(&self) -> DoorStatus {
        self.shared.status()
    }

    /// Resolves when principals are let in.
    pub async fn ready(&self) -> Result<(), FrontDoorError> {
        let mut open = self.open.clone();
        tokio::select! {
            opened = open.wait_for(|open| *open) => opened.map(|_| ()).map_err(|_| FrontDoorError::Stopped),
            error = self.died() => Err(error),
        }
    }

    /// Resolves when it can serve no longer.
    pub async fn died(&self) -> FrontDoorError {
        FrontDoorError::Router(self.shared.died().await)
    }

    /// Lets everybody go, and waits for that: what they sent is answered, or they will send it again, and they hear why
    /// they must go.
    pub async fn drained(self) {
        self.end.cancel();
        self.shared.with_door(|door, _| door.close());
        let gone = async {
            while self.shared.status().sessions + self.entrance.parting() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(DRAIN, gone).await.is_err() {
            warn!("some principals did not leave in time");
        }
    }
}

/// Lets the door look at the time, and tells its counts.
async fn keep_time(
    shared: Arc<Shared>,
    handshakes: Option<Arc<Handshakes>>,
    entrance: Arc<Entrance>,
    end: CancellationToken,
) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Before the first facts there is nothing to be stale.
    let mut stale = true;
    let mut told = false;
    loop {
        tokio::select! {
            () = end.cancelled() => return shared.tell_repeats_at_last(),
            _ = tick.tick() => {}
        }
        shared.tell_repeats();
        let met = entrance.met();
        shared.with_door(|door, now| {
            door.tell_lobby(met);
            door.tick(now);
        });
        tell_manufacturers(&shared, handshakes.as_deref());
        let status = shared.status();
        shared.tell_metrics(&status);
        if status.stale != stale {
            stale = status.stale;
            if stale {
                warn!("the registry or provisioning is silent: who may do what is as it was last known");
            } else if std::mem::replace(&mut told, true) {
                info!("the facts are fresh again");
            }
        }
    }
}

/// Handshakes trust the manufacturers that the facts name, within a tick. Whom they let in no more, the door knows at
/// once.
fn tell_manufacturers(shared: &Shared, handshakes: Option<&Handshakes>) {
    let Some(handshakes) = handshakes else { return };
    let known = handshakes.change_known();
    let Some((change, manufacturers)) = shared.with_door(|door, _| door.manufacturers_since(known)) else {
        return;
    };
    if let Err(error) = handshakes.trust(change, manufacturers) {
        tracing::error!(%error, "the manufacturers cannot be changed");
    }
}

async fn open_when_whole(
    shared: Arc<Shared>,
    handshakes: Option<Arc<Handshakes>>,
    config: FrontDoorConfig,
    entrance: Arc<Entrance>,
    gates: Vec<Gate>,
    opened: watch::Sender<bool>,
    end: CancellationToken,
) {
    while !shared.with_door(|door, _| door.is_whole()) {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
    tell_manufacturers(&shared, handshakes.as_deref());
    let listening: Result<Vec<_>, _> = gates.into_iter().map(Gate::listen).collect();
    match listening {
        Ok(all) => {
            for gate in all {
                gate.open(&config, shared.clone(), entrance.clone(), end.clone());
            }
        }
        Err(error) => return shared.die(error.to_string()),
    }
    opened.send_replace(true);
    end.cancelled().await;
}
