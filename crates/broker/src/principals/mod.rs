//! Listeners for principals.

mod task;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use session::{Connection, Limits, Peer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{FrontDoorConfig, FrontDoorError, Shared, tls};

/// Connections beyond the limit that are still heard, to be told that the server is busy.
const OVERFLOW: usize = 256;
/// Connections that the operating system holds until they are accepted.
const BACKLOG: u32 = 1_024;
/// Pause after the operating system refused to accept (no file descriptors are left).
const PAUSE: Duration = Duration::from_millis(100);

/// A bound listener that is not open yet.
pub(crate) struct Gate {
    socket: TcpSocket,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
}

impl Gate {
    /// Binds all that are configured; a port of 0 is chosen now.
    pub(crate) fn bind_all(config: &FrontDoorConfig) -> Result<Vec<Gate>, FrontDoorError> {
        let mut gates = Vec::new();
        if let Some(listener) = &config.principals {
            let tls = tls::server_config(&listener.tls)?;
            gates.push(Gate::bind(listener.addr, Some(TlsAcceptor::from(Arc::new(tls))))?);
        }
        if let Some(address) = config.insecure_principals {
            warn!(%address, "a listener WITHOUT TLS believes user names; it is for tests and measurements only");
            gates.push(Gate::bind(address, None)?);
        }
        Ok(gates)
    }

    fn bind(address: SocketAddr, acceptor: Option<TlsAcceptor>) -> Result<Gate, FrontDoorError> {
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
            acceptor,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.acceptor.is_some()
    }

    /// Lets principals in, until `end`.
    pub(crate) fn open(
        self,
        config: &FrontDoorConfig,
        shared: Arc<Shared>,
        end: CancellationToken,
    ) -> Result<(), FrontDoorError> {
        let address = self.address;
        let listener = self.socket.listen(BACKLOG).map_err(|e| FrontDoorError::Listen {
            address,
            why: e.to_string(),
        })?;
        info!(%address, tls = self.acceptor.is_some(), "open for principals");
        let porter = Porter {
            site: config.site.clone(),
            limits: Arc::new(config.limits.clone()),
            acceptor: self.acceptor,
            places: Arc::new(Semaphore::new(config.limits.connections + OVERFLOW)),
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
    acceptor: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    shared: Arc<Shared>,
}

impl Porter {
    async fn accept_all(self, listener: TcpListener, end: CancellationToken) {
        let porter = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                () = end.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => porter.clone().take_in(stream, address),
                Err(error) => {
                    metrics::counter!("muster_accept_errors_total").increment(1);
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn take_in(self: Arc<Self>, stream: TcpStream, address: SocketAddr) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            metrics::counter!("muster_turned_away_total").increment(1);
            return;
        };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            self.welcome(stream, address).await;
            drop(place);
        });
    }

    async fn welcome(&self, stream: TcpStream, address: SocketAddr) {
        let Some(acceptor) = &self.acceptor else {
            let connection = self.connection(Peer::Believed, address);
            return task::run(stream, connection, &self.shared).await;
        };
        let patience = Duration::from_millis(self.limits.connect_ms);
        let stream = match tokio::time::timeout(patience, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return refused(address, &error.to_string()),
            Err(_) => return refused(address, "the TLS handshake took too long"),
        };
        match tls::peer(&self.site, stream.get_ref().1.peer_certificates()) {
            Ok(peer) => {
                let connection = self.connection(peer, address);
                task::run(stream, connection, &self.shared).await;
            }
            Err(why) => refused(address, &why),
        }
    }

    fn connection(&self, peer: Peer, address: SocketAddr) -> Connection {
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
    }
}

fn refused(address: SocketAddr, why: &str) {
    metrics::counter!("muster_tls_refused_total").increment(1);
    info!(%address, why, "a connection was refused before MQTT");
}
