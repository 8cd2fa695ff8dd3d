//! The server's key and certificate, where they lie: what a renewal does there. Doing it again comes to the same.

use prost::Message;

/// Makes the server's next key.
pub(crate) const KEY: &str = "server-key";
/// Puts the server's next key and certificate in their place.
pub(crate) const INSTALL: &str = "server-install";

/// Whoever holds the server's key and certificate.
pub trait Server: Send + Sync {
    /// The key that waits for its certificate; a new one where none does.
    ///
    /// # Errors
    /// Why there is none, for people.
    fn next_key(&self) -> Result<NextKey, String>;

    /// Serves with this chain and the key that waited for it from now on. What serves already stays.
    ///
    /// # Errors
    /// Why not, for people. What served before then serves on.
    fn install(&self, chain_pem: &str) -> Result<(), String>;
}

/// The server's next key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextKey {
    /// A request for it in the front door's name, PEM.
    pub csr_pem: String,
    /// SHA-256 of the certificate that is served with, hex; empty where none can be read.
    pub serving: String,
}

/// What making a key came to.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct KeyMade {
    #[prost(string, tag = "1")]
    pub(crate) csr: String,
    #[prost(string, tag = "2")]
    pub(crate) serving: String,
    /// Why there is none.
    #[prost(string, tag = "3")]
    pub(crate) failure: String,
}

/// A certificate that is to be served with.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct InstallOrder {
    /// With the authority's after it, PEM.
    #[prost(string, tag = "1")]
    pub(crate) chain: String,
}

/// What putting it in its place came to.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Installed {
    #[prost(bool, tag = "1")]
    pub(crate) done: bool,
    /// Why it is not.
    #[prost(string, tag = "2")]
    pub(crate) failure: String,
}

const NOT_HERE: &str = "this process does not hold the server's key";

pub(crate) fn next_key(server: Option<&dyn Server>) -> KeyMade {
    match server.ok_or_else(|| NOT_HERE.into()).and_then(Server::next_key) {
        Ok(NextKey { csr_pem, serving }) => KeyMade {
            csr: csr_pem,
            serving,
            failure: String::new(),
        },
        Err(failure) => KeyMade {
            failure,
            ..KeyMade::default()
        },
    }
}

pub(crate) fn install(server: Option<&dyn Server>, order: &[u8]) -> Installed {
    let order = InstallOrder::decode(order).map_err(|e| e.to_string());
    let server = server.ok_or_else(|| NOT_HERE.to_owned());
    let done = order.and_then(|order| server?.install(&order.chain));
    Installed {
        done: done.is_ok(),
        failure: done.err().unwrap_or_default(),
    }
}
