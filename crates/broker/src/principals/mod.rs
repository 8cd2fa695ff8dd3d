//! Listeners for principals.

#[cfg(test)]
mod conformance;
mod est;
mod task;
#[cfg(test)]
mod tests;
mod websocket;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::ServerConfig;
use session::{Connection, Limit, Limits, Listener, Peer, Transport};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::task::Running;
use crate::{
    EstListener, FrontDoorConfig, FrontDoorError, Shared,
    entrance::{Entrance, Guest, Refusals},
    farewell::see_out,
    tls::{self, Demand, Handshakes, TlsStream},
};

/// Connections that the operating system holds until they are accepted.
const BACKLOG: u32 = 1_024;
/// For how many bytes a stranger who is refused is listened to, so that it hears why.
const FAREWELL_BYTES: u64 = 256 * 1024;

/// A bound listener that is not open yet.
pub(crate) struct Gate {
    socket: TcpSocket,
    address: SocketAddr,
    listener: Listener,
    handshakes: Option<Arc<Handshakes>>,
    est: Option<est::Desk>,
}

impl Gate {
    /// Binds all that are configured; a port of 0 is chosen now.
    pub(crate) fn bind_all(
        config: &FrontDoorConfig,
        handshakes: Option<&Arc<Handshakes>>,
    ) -> Result<Vec<Gate>, FrontDoorError> {
        let mut gates = Vec::new();
        if let Some(listener) = &config.principals {
            let secure = |name, address| Gate::bind(name, address, handshakes.cloned());
            gates.push(secure(Listener::Principals, listener.addr)?);
            if let Some(websocket) = &config.websocket {
                gates.push(secure(Listener::WebSocket, websocket.addr)?);
            }
            if let Some(est) = &config.est {
                gates.push(Gate::bind_est(est, handshakes)?);
            }
        }
        if let Some(address) = config.insecure_principals {
            warn!(%address, "a listener WITHOUT TLS believes user names; it is for tests and measurements only");
            gates.push(Gate::bind(Listener::Insecure, address, None)?);
        }
        Ok(gates)
    }

    /// Who enrols may have no certificate yet.
    fn bind_est(est: &EstListener, handshakes: Option<&Arc<Handshakes>>) -> Result<Gate, FrontDoorError> {
        let gate = Gate::bind(Listener::Est, est.addr, handshakes.cloned())?;
        let desk = handshakes.map(|handshakes| est::Desk::new(handshakes.clone(), est.claim.clone()));
        Ok(Gate { est: desk, ..gate })
    }

    fn bind(
        listener: Listener,
        address: SocketAddr,
        handshakes: Option<Arc<Handshakes>>,
    ) -> Result<Gate, FrontDoorError> {
        let refuse = |e: std::io::Error| FrontDoorError::Listen {
            setting: listener.word(),
            address,
            why: e.to_string(),
        };
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }
        .map_err(refuse)?;
        socket.set_reuseaddr(true).map_err(refuse)?;
        socket.bind(address).map_err(refuse)?;
        let address = socket.local_addr().map_err(refuse)?;
        Ok(Gate {
            socket,
            address,
            listener,
            handshakes,
            est: None,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn listener(&self) -> Listener {
        self.listener
    }

    /// From now on whoever comes waits in the operating system. Another program may have been quicker.
    pub(crate) fn listen(self) -> Result<Listening, FrontDoorError> {
        let Gate {
            socket,
            address,
            listener,
            handshakes,
            est,
        } = self;
        let refuse = |e: std::io::Error| FrontDoorError::Listen {
            setting: listener.word(),
            address,
            why: e.to_string(),
        };
        Ok(Listening {
            socket: socket.listen(BACKLOG).map_err(refuse)?,
            address,
            listener,
            handshakes,
            est,
        })
    }
}

/// A listener that nobody is let in by yet.
pub(crate) struct Listening {
    socket: TcpListener,
    address: SocketAddr,
    listener: Listener,
    handshakes: Option<Arc<Handshakes>>,
    est: Option<est::Desk>,
}

impl Listening {
    /// Lets principals in, until `end`.
    pub(crate) fn open(
        self,
        config: &FrontDoorConfig,
        shared: Arc<Shared>,
        entrance: Arc<Entrance>,
        end: CancellationToken,
    ) {
        let address = self.address;
        let name = self.listener.word();
        info!(%address, listener = name, tls = self.handshakes.is_some(), "open for principals");
        shared.with_door(|door, _| door.listens(self.listener, address.to_string()));
        let porter = Porter {
            site: config.site.clone(),
            limits: Arc::new(config.limits.clone()),
            listener: self.listener,
            origins: config.websocket.iter().flat_map(|w| w.origins.clone()).collect(),
            login: self.listener == Listener::WebSocket && config.websocket.iter().any(|w| w.login),
            handshakes: self.handshakes,
            est: self.est,
            entrance,
            shared,
        };
        tokio::spawn(porter.accept_all(self.socket, end));
    }
}

/// Accepts connections, each in a task of its own, so that a slow one holds up nobody.
struct Porter {
    site: String,
    limits: Arc<Limits>,
    listener: Listener,
    origins: Vec<String>,
    /// Whether people may come without a certificate.
    login: bool,
    handshakes: Option<Arc<Handshakes>>,
    est: Option<est::Desk>,
    entrance: Arc<Entrance>,
    shared: Arc<Shared>,
}

impl Porter {
    async fn accept_all(self, listener: TcpListener, end: CancellationToken) {
        let porter = Arc::new(self);
        let accepting = porter.accept(listener);
        tokio::select! {
            () = end.cancelled() => {}
            () = accepting => {}
        }
    }

    async fn accept(self: &Arc<Self>, listener: TcpListener) {
        let mut refusals = Refusals::of("principals");
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    refusals.sit_out(&error, &self.entrance).await;
                    continue;
                }
            };
            refusals.over();
            if let Some(guest) = self.entrance.enter(address.ip()).await {
                let _ = stream.set_nodelay(true);
                let porter = self.clone();
                tokio::spawn(async move {
                    // What a handshake needs lies beside the task, which lasts as long as the connection. In a task of its
                    // own, freed when the next one was made, it took its room once for every connection.
                    if let Some(session) = Box::pin(porter.welcome(stream, address, guest)).await {
                        drop(porter);
                        session.await;
                    }
                });
            }
        }
    }

    /// Shakes hands. What follows comes back: a connection does not hold what its handshakes needed.
    async fn welcome(&self, stream: TcpStream, address: SocketAddr, mut guest: Guest) -> Option<Running> {
        let shared = self.shared.clone();
        let Some(handshakes) = &self.handshakes else {
            let connection = self.connection(Peer::Believed, None, address);
            return Some(task::run(stream, connection, shared, guest));
        };
        let demand = match self.listener {
            Listener::Est => Demand::Nothing,
            _ if self.login => Demand::Nothing,
            _ => Demand::Certificate,
        };
        let deadline = Instant::now() + Duration::from_millis(self.limits.connect_ms);
        let (config, clients) = handshakes.next(demand);
        let shaking = shake(config, stream);
        let shaken = self.in_time(deadline, address, &mut guest, shaking).await?;
        let peer = match shaken.state().peer_certificates() {
            None if demand == Demand::Nothing => Ok(Peer::Nobody),
            shown => clients.peer(&self.site, shown, shared.now().wall_ms),
        };
        let peer = match peer {
            Ok(peer) => peer,
            Err(why) => {
                self.refuse(address, &why);
                return None;
            }
        };
        if let Some(desk) = &self.est {
            Box::pin(desk.attend(self, (shaken, peer), address, deadline, guest)).await;
            return None;
        }
        let connection = self.connection(peer, tls::version(shaken.state()), address);
        if self.listener != Listener::WebSocket {
            return Some(task::run(shaken, connection, shared, guest));
        }
        let terms = websocket::Terms {
            origins: &self.origins,
            is_ours: |host: &str| handshakes.are_for(host),
            most_bytes: self.limits.packet_bytes as usize,
            is_stranger: connection.is_nobodys(),
        };
        let upgrade = Box::pin(websocket::accept(shaken, terms));
        let frames = self.in_time(deadline, address, &mut guest, upgrade).await?;
        Some(task::run(frames, connection, shared, guest))
    }

    /// A handshake, if it comes to its end before the deadline and nobody else needs the place.
    async fn in_time<T>(
        &self,
        deadline: Instant,
        address: SocketAddr,
        guest: &mut Guest,
        handshake: impl Future<Output = Result<T, String>>,
    ) -> Option<T> {
        let shaken = tokio::select! {
            () = guest.dismissed() => {
                // Counted, and told of by whatever else is full.
                debug!(%address, "others waited, and its handshake did not end");
                return None;
            }
            shaken = tokio::time::timeout_at(deadline, handshake) => shaken,
        };
        match shaken {
            Ok(Ok(shaken)) => return Some(shaken),
            Ok(Err(why)) => self.refuse(address, &why),
            Err(_) => {
                self.shared.with_door(|door, _| door.met(Limit::Connect));
                self.refuse(address, "the handshake took too long");
            }
        }
        None
    }

    fn refuse(&self, address: SocketAddr, why: &str) {
        metrics::counter!("muster_tls_refused_total").increment(1);
        if self.shared.tells(why, "", address.ip()) {
            info!(%address, why, "a connection was refused before MQTT");
        }
    }

    fn connection(&self, peer: Peer, tls: Option<&'static str>, address: SocketAddr) -> Connection {
        let id = self.shared.next_connection();
        let root = self.shared.root.clone();
        Connection::new(
            id,
            peer,
            address.to_string(),
            root,
            self.limits.clone(),
            self.shared.now(),
        )
        .over_transport(Transport {
            listener: self.listener,
            tls,
        })
    }
}

pub(crate) async fn shake(
    config: Arc<ServerConfig>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    match tls::accept(config, stream).await {
        Ok(shaken) => Ok(shaken),
        Err((error, stream)) => {
            see_out(stream, FAREWELL_BYTES).await;
            Err(error.to_string())
        }
    }
}
