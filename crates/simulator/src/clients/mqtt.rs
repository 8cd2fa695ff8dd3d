//! A client's side of one MQTT connection: what its library remembers, and nothing of what it is for.

use std::collections::{BTreeMap, BTreeSet};

use super::codec::{self, Packet};

/// Seconds of silence that the client allows itself.
const KEEP_ALIVE_S: u16 = 10;
/// Without a sign of life for so long it takes the connection for dead, milliseconds.
const DEAD_MS: u64 = 20_000;

/// What has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Got {
    /// It is let in; whoever named no filters subscribes by himself.
    Connected,
    /// A subscription of his was answered.
    Granted { id: u16, reason: u8 },
    /// It is let in, and what it subscribed to is granted.
    Ready,
    /// It is not let in.
    Refused(u8),
    /// A publish of its own was acknowledged, with this reason code.
    Acknowledged { id: u16, reason: u8 },
    /// A message.
    Message {
        topic: String,
        name: Option<Vec<u8>>,
        payload: Vec<u8>,
    },
    /// The server lets it go.
    LetGo(u8),
    /// The server broke the protocol.
    Broken(String),
}

/// How a client speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) v5: bool,
    /// At which QoS it publishes and subscribes: 1 or 2.
    pub(crate) qos: u8,
    /// MQTT 5: for how long its session is kept behind it, seconds. It remembers none itself.
    pub(crate) expiry_s: u32,
}

/// The connection.
pub(crate) struct Mqtt {
    v5: bool,
    qos: u8,
    /// QoS 2: what was received and not completed, of its own and of the server's messages.
    received: BTreeSet<u16>,
    unreleased: BTreeSet<u16>,
    filters: Vec<String>,
    buffer: Vec<u8>,
    pub(crate) out: Vec<u8>,
    next_id: u16,
    /// Publishes without an acknowledgement: topic and payload.
    open: BTreeMap<u16, (String, Vec<u8>)>,
    /// How often each was sent again, and may be acknowledged again.
    repeated: BTreeMap<u16, u32>,
    is_in: bool,
    ready: bool,
    heard_ms: u64,
    pinged_ms: u64,
}

impl Mqtt {
    /// Begins: the CONNECT is in the output.
    pub(crate) fn begin(manner: Manner, client_id: &str, filters: Vec<String>, now_ms: u64) -> Mqtt {
        let Manner { v5, qos, expiry_s } = manner;
        Mqtt {
            v5,
            qos,
            received: BTreeSet::new(),
            unreleased: BTreeSet::new(),
            filters,
            buffer: Vec::new(),
            out: codec::connect(v5, client_id, KEEP_ALIVE_S, expiry_s),
            next_id: 1,
            open: BTreeMap::new(),
            repeated: BTreeMap::new(),
            is_in: false,
            ready: false,
            heard_ms: now_ms,
            pinged_ms: now_ms,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Publishes; the packet id comes back.
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8]) -> u16 {
        let id = self.next_id;
        self.next_id = if id == u16::MAX { 1 } else { id + 1 };
        self.out
            .extend(codec::publish(self.v5, self.qos, id, false, topic, payload));
        self.open.insert(id, (topic.to_owned(), payload.to_vec()));
        id
    }

    /// Whether it is let in.
    pub(crate) fn is_in(&self) -> bool {
        self.is_in
    }

    fn take_id(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = if id == u16::MAX { 1 } else { id + 1 };
        id
    }

    /// Publishes at QoS 1, with correlation data; the packet id comes back.
    pub(crate) fn publish_named(&mut self, topic: &str, name: &[u8], payload: &[u8]) -> u16 {
        let id = self.take_id();
        self.out.extend(codec::publish_named(id, topic, name, payload));
        self.open.insert(id, (topic.to_owned(), payload.to_vec()));
        id
    }

    /// Subscribes at QoS 1; the packet id comes back.
    pub(crate) fn subscribe(&mut self, filter: String) -> u16 {
        let id = self.take_id();
        self.out.extend(codec::subscribe(self.v5, 1, id, &[filter]));
        id
    }

    /// Sends an open publish once more over the same connection, as impatient libraries of MQTT 3.1.1 do. (At
    /// QoS 2 it might cross its PUBREC, and would then be another.)
    pub(crate) fn repeat(&mut self, id: u16) {
        let impatient = !self.v5 && self.qos == 1;
        if let Some((topic, payload)) = self.open.get(&id).filter(|_| impatient) {
            *self.repeated.entry(id).or_default() += 1;
            self.out
                .extend(codec::publish(self.v5, 1, id, true, topic, payload));
        }
    }

    /// Says goodbye.
    pub(crate) fn goodbye(&mut self) {
        self.out.extend(codec::disconnect());
    }

    /// Bytes from the server.
    pub(crate) fn receive(&mut self, bytes: &[u8], now_ms: u64) -> Vec<Got> {
        self.heard_ms = now_ms;
        self.buffer.extend_from_slice(bytes);
        let mut got = Vec::new();
        while let Some(packet) = codec::take(self.v5, &mut self.buffer) {
            got.extend(self.on_packet(packet));
        }
        got
    }

    fn on_packet(&mut self, packet: Packet) -> Option<Got> {
        Some(match packet {
            Packet::Connack { code: 0 } if !self.is_in => {
                self.is_in = true;
                if self.filters.is_empty() {
                    return Some(Got::Connected);
                }
                self.out
                    .extend(codec::subscribe(self.v5, self.qos, self.next_id, &self.filters));
                self.next_id += 1;
                return None;
            }
            Packet::Connack { code } if !self.is_in => Got::Refused(code),
            Packet::Suback { id, codes } if self.is_in && self.filters.is_empty() => Got::Granted {
                id,
                reason: codes
                    .first()
                    .copied()
                    .filter(|code| *code >= 0x80)
                    .unwrap_or_default(),
            },
            Packet::Suback { codes, .. } if self.is_in && codes.iter().all(|code| *code <= self.qos) => {
                self.ready = true;
                Got::Ready
            }
            Packet::Suback { codes, .. } => Got::Broken(format!("a subscription was answered {codes:?}")),
            Packet::Puback { id, reason } => match self.open.remove(&id) {
                Some(_) => Got::Acknowledged { id, reason },
                None if self.was_repeated(id) => return None,
                None => Got::Broken(format!("packet {id} was acknowledged, which is not open")),
            },
            Packet::Pubrec { id, reason } => match self.open.remove(&id) {
                Some(_) => {
                    if reason < 0x80 {
                        self.out.extend(codec::pubrel(id));
                        self.received.insert(id);
                    }
                    Got::Acknowledged { id, reason }
                }
                None => Got::Broken(format!("packet {id} was received, which is not open")),
            },
            Packet::Pubcomp { id, reason: 0 } if self.received.remove(&id) => return None,
            Packet::Pubrel { id } if self.unreleased.remove(&id) => {
                self.out.extend(codec::pubcomp(id));
                return None;
            }
            Packet::Publish {
                topic,
                qos,
                id,
                name,
                payload,
            } => match (qos, id) {
                (2, Some(id)) => {
                    self.out.extend(codec::pubrec(id));
                    if !self.unreleased.insert(id) {
                        return Some(Got::Broken(format!("packet {id} came twice over one connection")));
                    }
                    Got::Message { topic, name, payload }
                }
                (_, id) => {
                    self.out.extend(id.map(codec::puback).unwrap_or_default());
                    Got::Message { topic, name, payload }
                }
            },
            Packet::Pong => return None,
            Packet::Disconnect { reason } if self.v5 => Got::LetGo(reason),
            other => Got::Broken(format!("{other:?} does not belong here")),
        })
    }

    fn was_repeated(&mut self, id: u16) -> bool {
        let left = self.repeated.get_mut(&id).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }

    /// Time passes: it pings, or finds that nobody is there.
    pub(crate) fn is_dead(&mut self, now_ms: u64) -> bool {
        if now_ms.saturating_sub(self.heard_ms) > DEAD_MS {
            return true;
        }
        if self.is_in && now_ms.saturating_sub(self.pinged_ms) > u64::from(KEEP_ALIVE_S) * 500 {
            self.pinged_ms = now_ms;
            self.out.extend(codec::ping());
        }
        false
    }
}
