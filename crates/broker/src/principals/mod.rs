//! Listeners for principals.

#[cfg(test)]
mod conformance;
mod est;
mod task;
#[cfg(test)]
mod tests;
mod websocket;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use session::{Connection, Limit, Limits, Listener, Peer, Transport};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    EstListener, FrontDoorConfig, FrontDoorError, PrincipalListener, Shared,
    entrance::{Entrance, Guest, Refusals},
    tls::{self, Demand},
};

/// Connections that the operating system holds until they are accepted.
const BACKLOG: u32 = 1_024;

/// A bound listener that is not open yet.
pub(crate) struct Gate {
    socket: TcpSocket,
    address: SocketAddr,
    listener: Listener,
    acceptor: Option<TlsAcceptor>,
    est: Option<est::Desk>,
}

impl Gate {
    /// Binds all that are configured; a port of 0 is chosen now.
    pub(crate) fn bind_all(config: &FrontDoorConfig) -> Result<Vec<Gate>, FrontDoorError> {
        let mut gates = Vec::new();
        if let Some(listener) = &config.principals {
            let tls = tls::server_config(&listener.tls, config.limits.renew_after_ms, Demand::Certificate)?;
            let acceptor = TlsAcceptor::from(Arc::new(tls));
            let secure = |name, address| Gate::bind(name, address, Some(acceptor.clone()));
            gates.push(secure(Listener::Principals, listener.addr)?);
            if let Some(websocket) = &config.websocket {
                gates.push(secure(Listener::WebSocket, websocket.addr)?);
            }
            if let Some(est) = &config.est {
                gates.push(Gate::bind_est(config, listener, est)?);
            }
        }
        if let Some(address) = config.insecure_principals {
            warn!(%address, "a listener WITHOUT TLS believes user names; it is for tests and measurements only");
            gates.push(Gate::bind(Listener::Insecure, address, None)?);
        }
        Ok(gates)
    }

    /// Who enrols may have no certificate yet.
    fn bind_est(
        config: &FrontDoorConfig,
        principals: &PrincipalListener,
        est: &EstListener,
    ) -> Result<Gate, FrontDoorError> {
        let tls = tls::server_config(&principals.tls, config.limits.renew_after_ms, Demand::Nothing)?;
        let gate = Gate::bind(Listener::Est, est.addr, Some(TlsAcceptor::from(Arc::new(tls))))?;
        let desk = est::Desk::new(&principals.tls, est.claim.clone())?;
        Ok(Gate {
            est: Some(desk),
            ..gate
        })
    }

    fn bind(
        listener: Listener,
        address: SocketAddr,
        acceptor: Option<TlsAcceptor>,
    ) -> Result<Gate, FrontDoorError> {
        let refuse = |e: std::io::Error| FrontDoorError::Listen {
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
            acceptor,
            est: None,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn listener(&self) -> Listener {
        self.listener
    }

    /// Lets principals in, until `end`.
    pub(crate) fn open(
        self,
        config: &FrontDoorConfig,
        shared: Arc<Shared>,
        entrance: Arc<Entrance>,
        end: CancellationToken,
    ) -> Result<(), FrontDoorError> {
        let address = self.address;
        let listener = self.socket.listen(BACKLOG).map_err(|e| FrontDoorError::Listen {
            address,
            why: e.to_string(),
        })?;
        let name = self.listener.word();
        info!(%address, listener = name, tls = self.acceptor.is_some(), "open for principals");
        shared.with_door(|door, _| door.listens(self.listener, address.to_string()));
        let porter = Porter {
            site: config.site.clone(),
            limits: Arc::new(config.limits.clone()),
            listener: self.listener,
            origins: config.websocket.iter().flat_map(|w| w.origins.clone()).collect(),
            acceptor: self.acceptor,
            est: self.est,
            entrance,
            shared,
        };
        tokio::spawn(porter.accept_all(listener, end));
        Ok(())
    }
}

/// Accepts connections, each in a task of its own, so that a slow one holds up nobody.
struct Porter {
    site: String,
    limits: Arc<Limits>,
    listener: Listener,
    origins: Vec<String>,
    acceptor: Option<TlsAcceptor>,
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
                tokio::spawn(async move { porter.welcome(stream, address, guest).await });
            }
        }
    }

    async fn welcome(&self, stream: TcpStream, address: SocketAddr, mut guest: Guest) {
        let Some(acceptor) = &self.acceptor else {
            let connection = self.connection(Peer::Believed, None, address);
            return task::run(stream, connection, &self.shared, guest).await;
        };
        let deadline = Instant::now() + Duration::from_millis(self.limits.connect_ms);
        let Some(shaken) = self
            .in_time(deadline, address, &mut guest, shake(acceptor, stream))
            .await
        else {
            return;
        };
        if let Some(desk) = &self.est {
            return desk.attend(self, shaken, address, deadline, guest).await;
        }
        let peer = match tls::peer(&self.site, shaken.get_ref().1.peer_certificates()) {
            Ok(peer) => peer,
            Err(why) => return refused(address, &why),
        };
        let connection = self.connection(peer, tls::version(shaken.get_ref().1), address);
        if self.listener != Listener::WebSocket {
            return task::run(shaken, connection, &self.shared, guest).await;
        }
        let most_bytes = self.limits.packet_bytes as usize;
        let upgrade = websocket::accept(shaken, &self.origins, most_bytes);
        if let Some(frames) = self.in_time(deadline, address, &mut guest, upgrade).await {
            task::run(frames, connection, &self.shared, guest).await;
        }
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
                // Counted; a line for each would let a flood fill the log.
                debug!(%address, "others waited, and its handshake did not end");
                return None;
            }
            shaken = tokio::time::timeout_at(deadline, handshake) => shaken,
        };
        match shaken {
            Ok(Ok(shaken)) => return Some(shaken),
            Ok(Err(why)) => refused(address, &why),
            Err(_) => {
                self.shared.with_door(|door, _| door.met(Limit::Connect));
                refused(address, "the handshake took too long");
            }
        }
        None
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

async fn shake(acceptor: &TlsAcceptor, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    acceptor.accept(stream).await.map_err(|error| error.to_string())
}

fn refused(address: SocketAddr, why: &str) {
    metrics::counter!("muster_tls_refused_total").increment(1);
    info!(%address, why, "a connection was refused before MQTT");
}
