//! What a client needs of the network: a line that carries MQTT 5, and what is met on it. The logic above it, of
//! requests, replies and subscriptions, knows no socket.

use std::{fmt, pin::Pin, sync::Arc};

use bytes::Bytes;

use crate::{
    error::Cause,
    identity::Identity,
    mqtt,
    options::{Endpoint, Options},
};

/// A future of a line's.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where lines come from, and chance.
pub trait Network: fmt::Debug + Send + Sync {
    /// A line to a front door, not connected yet.
    fn open(
        &self,
        endpoint: &Endpoint,
        identity: &Identity,
        options: &Options,
    ) -> (Arc<dyn Line>, Box<dyn Ear>);

    /// Fills in chance: names of requests, and how long pauses are.
    fn random(&self, bytes: &mut [u8]);
}

/// A number between 0 and 1, by chance.
pub fn chance(network: &dyn Network) -> f64 {
    let mut bytes = [0; 4];
    network.random(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

/// What can be said on a line. Whatever is queued is sent in its order, at QoS 1.
pub trait Line: Send + Sync {
    /// Queues a publish, with `name` as its correlation data.
    fn publish(&self, name: &Bytes, topic: &str, payload: &Bytes) -> Result<(), Unsaid>;

    /// Queues a subscription.
    fn subscribe(&self, filter: &str) -> Result<(), Unsaid>;

    /// Leaves, politely.
    fn leave(&self) -> Soon<'_, ()>;
}

/// Why something is not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsaid {
    /// There is no room now.
    Full,
    /// Nobody listens any more.
    Closed,
}

/// What is met on a line.
pub trait Ear: Send {
    /// The next that happens. A line that is down connects when this is asked.
    fn next(&mut self) -> Soon<'_, Met>;

    /// The connection is gone: whatever the line still holds of it is forgotten.
    fn forget(&mut self);
}

/// What is met on a line.
#[derive(Debug)]
pub enum Met {
    /// It is connected.
    Connected {
        /// The largest packet that the server takes, where it says so.
        packet_bytes: Option<u32>,
    },
    /// A publish is on its way under this packet id; they leave in the order in which they were queued.
    Published(u16),
    /// A subscription is on its way under this packet id.
    Subscribed(u16),
    /// A publish was acknowledged.
    Acknowledged {
        /// Which.
        packet: u16,
        /// MQTT 5's reason code.
        reason: u8,
        /// What the server says of it.
        text: Option<String>,
    },
    /// A subscription was answered.
    Granted {
        /// Which.
        packet: u16,
        /// MQTT 5's reason code.
        reason: u8,
        /// What the server says of it.
        text: Option<String>,
    },
    /// A message.
    Message {
        /// Its topic.
        topic: String,
        /// Its correlation data.
        name: Option<Bytes>,
        /// Its payload.
        payload: Bytes,
    },
    /// Nothing that matters here.
    Nothing,
    /// The connection is gone, or none came about.
    Lost {
        /// What the network, TLS or MQTT says.
        why: String,
        /// Who is at fault.
        cause: Cause,
    },
    /// The client itself has left.
    Left,
}

/// The real network.
#[derive(Debug, Clone, Copy, Default)]
pub struct Internet;

impl Network for Internet {
    fn open(
        &self,
        endpoint: &Endpoint,
        identity: &Identity,
        options: &Options,
    ) -> (Arc<dyn Line>, Box<dyn Ear>) {
        mqtt::open(endpoint, identity, options)
    }

    fn random(&self, bytes: &mut [u8]) {
        rand::RngCore::fill_bytes(&mut rand::rng(), bytes);
    }
}
