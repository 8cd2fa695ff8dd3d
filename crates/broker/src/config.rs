//! What a front door needs.

use std::{net::SocketAddr, sync::Arc};

use contract::{Id, Root};
use session::{Limits, Policy};

/// Reads the wall clock: milliseconds since 1970, UTC.
pub type WallClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What the listener for principals shows and whom it trusts, PEM.
#[derive(Debug, Clone)]
pub struct TlsMaterial {
    /// The server's certificate and the CAs above it.
    pub server_chain_pem: String,
    /// Its key.
    pub server_key_pem: String,
    /// The roots of client certificates.
    pub client_roots_pem: String,
    /// By which some of these vouch for others. EST tells them (RFC 7030, section 4.1.3); nobody is let in by them.
    pub root_links_pem: String,
    /// The issuing CAs whose certificates count, one or more. What a client shows above its own certificate is
    /// not looked at, so that a CA that is not among these opens nothing.
    pub issuing_pem: String,
}

/// The listener for devices, claims, operators and integrators.
#[derive(Debug, Clone)]
pub struct PrincipalListener {
    /// Where.
    pub addr: SocketAddr,
    /// With what.
    pub tls: TlsMaterial,
}

/// The listener for the same over WebSocket.
#[derive(Debug, Clone)]
pub struct WebSocketListener {
    /// Where.
    pub addr: SocketAddr,
    /// Origins of pages whose browsers may connect, as in `https://console.example.com`.
    pub origins: Vec<String>,
    /// Operators and integrators may come without a certificate, and log in.
    pub login: bool,
}

/// The listener for enrolment over secure transport (RFC 7030).
#[derive(Debug, Clone)]
pub struct EstListener {
    /// Where.
    pub addr: SocketAddr,
    /// The batch of those who show no certificate; it must want a secret or an operator's word.
    pub claim: Option<Id>,
}

/// What a front door needs.
#[derive(Clone)]
pub struct FrontDoorConfig {
    /// The installation's name.
    pub site: String,
    /// The topics' root.
    pub root: Root,
    /// Grows from start to start.
    pub boot: u64,
    /// The listener for principals, over mTLS.
    pub principals: Option<PrincipalListener>,
    /// The listener for principals over WebSocket, with the TLS of the one above.
    pub websocket: Option<WebSocketListener>,
    /// The listener for enrolment over HTTPS, with the TLS of the one for principals.
    pub est: Option<EstListener>,
    /// The listener for services; loopback.
    pub services: SocketAddr,
    /// What a service must know.
    pub service_secret: String,
    /// A listener without TLS that believes a user name such as `devices/pump-7`; for tests and
    /// measurements on loopback only.
    pub insecure_principals: Option<SocketAddr>,
    /// What principals may do; without one, the policy of device management.
    pub policy: Option<Arc<dyn Policy>>,
    /// The limits.
    pub limits: Limits,
    /// The time.
    pub clock: WallClock,
}
