//! What lies below a session's MQTT: the listener it came by, its TLS, and how much waits in it.

use std::sync::atomic::{AtomicU32, Ordering};

/// Where principals connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Listener {
    /// MQTT over TLS.
    #[default]
    Principals,
    /// MQTT over WebSocket and TLS.
    WebSocket,
    /// One request over HTTPS: enrolment over secure transport (RFC 7030).
    Est,
    /// MQTT without TLS, for tests.
    Insecure,
}

impl Listener {
    /// All of them.
    pub const ALL: [Listener; 4] = [
        Listener::Principals,
        Listener::WebSocket,
        Listener::Est,
        Listener::Insecure,
    ];

    /// Its name in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Listener::Principals => "principals",
            Listener::WebSocket => "websocket",
            Listener::Est => "est",
            Listener::Insecure => "insecure_test",
        }
    }

    /// Whether it speaks TLS.
    pub const fn is_secure(self) -> bool {
        !matches!(self, Listener::Insecure)
    }
}

/// How a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transport {
    /// By which listener.
    pub listener: Listener,
    /// The version of TLS, `1.2` or `1.3`.
    pub tls: Option<&'static str>,
}

/// How much waits in a connection: written by it, read by the door when somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    queued: AtomicU32,
    in_flight: AtomicU32,
    held: AtomicU32,
}

impl Backlog {
    /// Messages to be sent, messages sent and not acknowledged, publishes that wait for their acknowledgement.
    pub(crate) fn set(&self, queued: usize, in_flight: usize, held: usize) {
        for (number, value) in [
            (&self.queued, queued),
            (&self.in_flight, in_flight),
            (&self.held, held),
        ] {
            number.store(u32::try_from(value).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
    }

    /// The same three.
    pub(crate) fn get(&self) -> (u32, u32, u32) {
        let [queued, in_flight, held] =
            [&self.queued, &self.in_flight, &self.held].map(|number| number.load(Ordering::Relaxed));
        (queued, in_flight, held)
    }
}
