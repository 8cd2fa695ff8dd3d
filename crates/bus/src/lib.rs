//! The services' side of the bus: rumqttc, envelopes, reconnects.
//!
//! A service is one MQTT 5 client of the front door's listener for services. It subscribes to its own
//! `bus/{service}/in` at QoS 0 (the front door's ordered window covers loss) and publishes envelopes to
//! `bus/{service}/out` at QoS 1, whose PUBACK moves the outbox cursor. Each connection is a new client:
//! nothing of an old one is sent again, for the host publishes anew what lies past its cursors.
#![forbid(unsafe_code)]

mod connection;
mod envelope;

use std::net::SocketAddr;

use contract::{Root, id::ServiceName, v1::Frame};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Where the bus is and who we are on it.
#[derive(Clone)]
pub struct BusConfig {
    /// The service that connects.
    pub service: ServiceName,
    /// The topics' root.
    pub root: Root,
    /// The front door's listener for services.
    pub address: SocketAddr,
    /// Its secret.
    pub secret: String,
}

/// What the bus tells its host.
#[derive(Debug)]
pub enum BusEvent {
    /// Connected and subscribed: what is published from now on arrives.
    Connected {
        /// Names this connection; a publish for an older one is dropped.
        connection: u64,
    },
    /// The connection is lost; it is being made again.
    Disconnected {
        /// Why, for people.
        why: String,
    },
    /// Frames, in order.
    Frames(Vec<Frame>),
    /// The broker has taken all events up to this one.
    Taken {
        /// Its sequence.
        event: u64,
    },
}

/// Frames to be published.
struct Outgoing {
    connection: u64,
    frames: Vec<Frame>,
    head: u64,
}

/// A handle to publish with. Never blocks: what is unacknowledged is bounded by the front door's window.
#[derive(Clone)]
pub struct Bus {
    outgoing: mpsc::UnboundedSender<Outgoing>,
}

impl Bus {
    /// Publishes frames on a connection, in order. `head` is the last event among or before them: it
    /// comes back as [`BusEvent::Taken`].
    pub fn publish(&self, connection: u64, frames: Vec<Frame>, head: u64) {
        // A closed channel means that the bus has been shut down: nobody is left to tell.
        let _ = self.outgoing.send(Outgoing {
            connection,
            frames,
            head,
        });
    }
}

/// Keeps the service connected until `shutdown`; what happens goes to `events`, which must not block.
pub fn connect(
    config: BusConfig,
    events: impl Fn(BusEvent) + Send + Sync + 'static,
    shutdown: CancellationToken,
) -> (Bus, JoinHandle<()>) {
    let (outgoing, queue) = mpsc::unbounded_channel();
    let task = tokio::spawn(connection::keep(config, events, queue, shutdown));
    (Bus { outgoing }, task)
}
