//! A service's connection to the front door: MQTT 5 with a secret, one subscription, envelopes both ways.

use bytes::Bytes;
use contract::{Root, Topic, id::ServiceName};
use service::Now;

use crate::lane::Leaving;
use crate::protocol::{Bounds, Delivery, Heard, Hello, Packet, Protocol, Publish, Quality, Reason, Welcome};

/// Largest packet of a service, bytes: an envelope.
const PACKET_BYTES: u32 = 4 * 1024 * 1024;
/// Time for the CONNECT, milliseconds.
const CONNECT_MS: u64 = 5_000;

/// What a service's connection has come to.
#[derive(Debug)]
pub enum LinkEvent {
    /// This service is there. Answered by [`ServiceLink::listening`], when what is sent to it arrives.
    Joined(ServiceName),
    /// An envelope from it. It has been acknowledged: it is in memory.
    Out(Bytes),
    /// The connection is over; what is in the output is the last.
    Over {
        /// Why, for people.
        why: String,
        /// Whether it said goodbye.
        leaving: Leaving,
    },
}

enum Phase {
    Silent { until_ms: u64 },
    Known(ServiceName),
    Asked { service: ServiceName, packet_id: u16 },
    Listening(ServiceName),
    Over,
}

/// The connection.
pub struct ServiceLink {
    root: Root,
    secret: String,
    protocol: Protocol,
    phase: Phase,
    keep_alive_ms: u64,
    heard_ms: u64,
}

impl ServiceLink {
    /// A connection that has just been made. `secret` is what a service must know.
    pub fn new(root: Root, secret: String, now: Now) -> ServiceLink {
        ServiceLink {
            root,
            secret,
            protocol: Protocol::new(Bounds {
                hello_bytes: PACKET_BYTES,
                packet_bytes: PACKET_BYTES,
                in_flight: u16::MAX,
            }),
            phase: Phase::Silent {
                until_ms: now.mono_ms + CONNECT_MS,
            },
            keep_alive_ms: 0,
            heard_ms: now.mono_ms,
        }
    }

    /// Bytes from the service.
    pub fn receive(&mut self, mut bytes: &[u8], now: Now) -> Vec<LinkEvent> {
        self.heard_ms = now.mono_ms;
        let mut events = Vec::new();
        while !bytes.is_empty() && !matches!(self.phase, Phase::Over) {
            let (heard, consumed) = self.protocol.read(bytes);
            bytes = bytes.get(consumed.max(1)..).unwrap_or_default();
            for heard in heard {
                events.extend(match heard {
                    Heard::Packet(packet) => self.on_packet(packet),
                    Heard::Broken(_, text) => Some(self.over(text)),
                });
            }
        }
        events
    }

    fn on_packet(&mut self, packet: Packet) -> Option<LinkEvent> {
        match (&self.phase, packet) {
            (Phase::Silent { .. }, Packet::Connect(hello)) => self.on_hello(&hello),
            (
                Phase::Known(service),
                Packet::Subscribe {
                    packet_id,
                    subscriptions,
                },
            ) => {
                let service = *service;
                let inward = self.root.print(&Topic::Bus {
                    service,
                    outward: false,
                });
                if subscriptions.len() != 1 || subscriptions.iter().any(|s| s.filter != inward) {
                    self.protocol.subscribed(
                        packet_id,
                        &vec![Err(Reason::NotAuthorized as u8); subscriptions.len()],
                    );
                    return Some(self.over("a subscription that is not its own".into()));
                }
                self.phase = Phase::Asked { service, packet_id };
                Some(LinkEvent::Joined(service))
            }
            (Phase::Listening(service), Packet::Publish(publish)) => {
                let service = *service;
                self.on_publish(service, publish)
            }
            (_, Packet::Ping) => {
                self.protocol.pong();
                None
            }
            (_, Packet::Acknowledged { .. }) => None,
            (_, Packet::Disconnect { .. }) => {
                self.phase = Phase::Over;
                Some(LinkEvent::Over {
                    why: "it said goodbye".into(),
                    leaving: Leaving::Goodbye,
                })
            }
            _ => Some(self.over("a packet that does not belong here".into())),
        }
    }

    fn on_hello(&mut self, hello: &Hello) -> Option<LinkEvent> {
        let named = hello
            .user_name
            .as_deref()
            .and_then(|name| name.strip_prefix("services/"));
        let service = named
            .and_then(ServiceName::from_word)
            .filter(|s| ServiceName::KEEPERS.contains(s));
        let knows = hello
            .password
            .as_deref()
            .is_some_and(|word| same(word, self.secret.as_bytes()));
        let (Some(service), true) = (service, knows) else {
            self.protocol
                .refuse(Reason::NotAuthorized, "not a service that knows the secret");
            return Some(self.over("not a service that knows the secret".into()));
        };
        self.keep_alive_ms = u64::from(hello.keep_alive_s) * 1_500;
        self.protocol.welcome(&Welcome {
            receive_maximum: u16::MAX,
            ..Welcome::default()
        });
        self.phase = Phase::Known(service);
        None
    }

    fn on_publish(&mut self, service: ServiceName, publish: Publish) -> Option<LinkEvent> {
        if publish.topic
            != self.root.print(&Topic::Bus {
                service,
                outward: true,
            })
        {
            return Some(self.over("a publish that is not its own".into()));
        }
        if let Some(id) = publish.packet_id {
            self.protocol.acknowledge(id, 0, "");
        }
        Some(LinkEvent::Out(publish.payload))
    }

    /// What is sent to the service arrives from now on: its subscription is granted.
    pub fn listening(&mut self) {
        if let Phase::Asked { service, packet_id } = self.phase {
            self.protocol.subscribed(packet_id, &[Ok(Quality::AtMostOnce)]);
            self.phase = Phase::Listening(service);
        }
    }

    /// Sends an envelope.
    pub fn send(&mut self, envelope: Bytes) {
        if let Phase::Listening(service) = self.phase {
            let topic = self.root.print(&Topic::Bus {
                service,
                outward: false,
            });
            let delivery = Delivery {
                topic,
                payload: envelope,
                ..Delivery::default()
            };
            // An envelope is of use until it is there.
            self.protocol.publish(&delivery, 0);
        }
    }

    /// Time has passed. False: the service has been silent for too long.
    pub fn is_alive(&self, now: Now) -> bool {
        match self.phase {
            Phase::Silent { until_ms } => now.mono_ms < until_ms,
            Phase::Over => false,
            _ => self.keep_alive_ms == 0 || now.mono_ms < self.heard_ms + self.keep_alive_ms,
        }
    }

    /// What is to be written.
    pub fn take_output(&mut self) -> Bytes {
        self.protocol.take_output()
    }

    fn over(&mut self, why: String) -> LinkEvent {
        self.phase = Phase::Over;
        LinkEvent::Over {
            why,
            leaving: Leaving::Lost,
        }
    }
}

/// Compares without telling how far the two agree.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}
