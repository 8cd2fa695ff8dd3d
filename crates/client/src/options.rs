//! Where to connect, and how.

use std::time::Duration;

use rumqttc::{NetworkOptions, TlsConfiguration, Transport, v5::MqttOptions};

use crate::{backoff::Backoff, identity::Identity};

/// How long the first connection may take.
const FIRST: Duration = Duration::from_secs(10);
/// How long a reply is waited for unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest packet taken, bytes.
const PACKET_BYTES: u32 = 1024 * 1024;
/// Requests under way at once. rumqttc sets a slot aside for each, 13 MB for its default of 65,535.
const INFLIGHT_MAX: u16 = 128;

/// Where the front door is.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// A name or an address that the server's certificate names.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// How a connection is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Makes the client id `{id}:{suffix}`; empty leaves it at `{id}`.
    pub suffix: String,
    /// Pauses before connecting again.
    pub backoff: Backoff,
    /// How long the first connection may take.
    pub first: Duration,
    /// How long a reply is waited for.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            suffix: String::new(),
            backoff: Backoff::new(Duration::from_millis(300), Duration::from_secs(5)),
            first: FIRST,
            patience: PATIENCE,
        }
    }
}

impl Options {
    pub(crate) fn mqtt(&self, endpoint: &Endpoint, identity: &Identity) -> MqttOptions {
        let id = match self.suffix.as_str() {
            "" => identity.who.id.to_string(),
            suffix => format!("{}:{suffix}", identity.who.id),
        };
        let mut options = MqttOptions::new(id, endpoint.host.clone(), endpoint.port);
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(
            identity.tls.clone(),
        )));
        options.set_clean_start(true);
        options.set_keep_alive(Duration::from_secs(30));
        options.set_max_packet_size(Some(PACKET_BYTES));
        options.set_outgoing_inflight_upper_limit(INFLIGHT_MAX);
        options.set_connection_timeout(self.first.as_secs().max(1));
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        options
    }
}
