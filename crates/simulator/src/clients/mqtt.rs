//! A client's side of one MQTT connection: what its library remembers, and nothing of what it is for.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    codec::{self, Packet},
    memory::Memory,
};

/// Seconds of silence that the client allows itself.
const KEEP_ALIVE_S: u16 = 10;
/// Without a sign of life for so long it takes the connection for dead, milliseconds.
const DEAD_MS: u64 = 20_000;
/// MQTT 5: the packet id of a PUBREL is not in use (section 3.7.2.1).
const NOT_IN_USE: u8 = 0x92;

/// What has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Got {
    /// It is let in; whoever named no filters subscribes by himself.
    Connected,
    /// A subscription of his was answered.
    Granted { id: u16, reason: u8 },
    /// It is let in, and what it subscribed to is granted.
    Ready,
    /// It is let in, and its session goes on: what was not acknowledged is sent again already.
    Resumed,
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
    /// MQTT 5: for how long its session is kept behind it, seconds.
    pub(crate) expiry_s: u32,
    /// It goes on with the session that it had, if it remembers one; else it begins anew each time.
    pub(crate) resumes: bool,
}

/// The connection.
pub(crate) struct Mqtt {
    manner: Manner,
    /// It asked for a session that begins anew.
    clean: bool,
    memory: Memory,
    /// Its session goes on over this connection.
    resumed: bool,
    /// Messages at QoS 2 that it has had over an earlier connection, and that may come once more.
    again: BTreeSet<u16>,
    filters: Vec<String>,
    buffer: Vec<u8>,
    pub(crate) out: Vec<u8>,
    /// How often each was sent again, and may be acknowledged again.
    repeated: BTreeMap<u16, u32>,
    is_in: bool,
    ready: bool,
    heard_ms: u64,
    pinged_ms: u64,
}

impl Mqtt {
    /// Begins: the CONNECT is in the output. Who remembers no session asks for none.
    pub(crate) fn begin(
        manner: Manner,
        client_id: &str,
        filters: Vec<String>,
        memory: Option<Memory>,
        now_ms: u64,
    ) -> Mqtt {
        let memory = memory.filter(|_| manner.resumes);
        let clean = memory.is_none();
        Mqtt {
            manner,
            clean,
            memory: memory.unwrap_or_default(),
            resumed: false,
            again: BTreeSet::new(),
            filters,
            buffer: Vec::new(),
            out: codec::connect(manner.v5, client_id, KEEP_ALIVE_S, manner.expiry_s, clean),
            repeated: BTreeMap::new(),
            is_in: false,
            ready: false,
            heard_ms: now_ms,
            pinged_ms: now_ms,
        }
    }

    /// The connection is gone: what is remembered of its session, by whoever goes on with it.
    pub(crate) fn into_memory(self) -> Option<Memory> {
        let has_one = self.is_in || !self.clean;
        (self.manner.resumes && has_one).then_some(self.memory)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Publishes; the packet id comes back.
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8]) -> u16 {
        let Manner { v5, qos, .. } = self.manner;
        let id = self.memory.take_id();
        self.out
            .extend(codec::publish(v5, qos, id, false, topic, payload));
        let sent = (topic.to_owned(), payload.to_vec());
        self.memory.open.insert(id, sent);
        id
    }

    /// Whether it is let in.
    pub(crate) fn is_in(&self) -> bool {
        self.is_in
    }

    /// Publishes at QoS 1, with correlation data; the packet id comes back.
    pub(crate) fn publish_named(&mut self, topic: &str, name: &[u8], payload: &[u8]) -> u16 {
        let id = self.memory.take_id();
        self.out.extend(codec::publish_named(id, topic, name, payload));
        let sent = (topic.to_owned(), payload.to_vec());
        self.memory.open.insert(id, sent);
        id
    }

    /// Subscribes at QoS 1; the packet id comes back.
    pub(crate) fn subscribe(&mut self, filter: String) -> u16 {
        let id = self.memory.take_id();
        self.out
            .extend(codec::subscribe(self.manner.v5, 1, id, &[filter]));
        id
    }

    /// Sends an open publish once more over the same connection, as impatient libraries of MQTT 3.1.1 do. (At
    /// QoS 2 it might cross its PUBREC, and would then be another.)
    pub(crate) fn repeat(&mut self, id: u16) {
        let Manner { v5, qos, .. } = self.manner;
        let impatient = !v5 && qos == 1;
        if let Some((topic, payload)) = self.memory.open.get(&id).filter(|_| impatient) {
            *self.repeated.entry(id).or_default() += 1;
            self.out.extend(codec::publish(v5, 1, id, true, topic, payload));
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
        while let Some(packet) = codec::take(self.manner.v5, &mut self.buffer) {
            got.extend(self.on_packet(packet));
        }
        got
    }

    fn on_packet(&mut self, packet: Packet) -> Option<Got> {
        Some(match packet {
            Packet::Connack { present, code: 0 } if !self.is_in => return self.on_welcome(present),
            Packet::Connack { code, .. } if !self.is_in => Got::Refused(code),
            Packet::Suback { id, codes } if self.is_in => self.on_granted(id, &codes),
            Packet::Puback { id, reason } => match self.memory.open.remove(&id) {
                Some(_) => Got::Acknowledged { id, reason },
                None if self.was_repeated(id) => return None,
                None => Got::Broken(format!("packet {id} was acknowledged, which is not open")),
            },
            Packet::Pubrec { id, reason } => match self.memory.open.remove(&id) {
                Some(_) => {
                    if reason < 0x80 {
                        self.out.extend(codec::pubrel(id));
                        self.memory.received.insert(id);
                    }
                    Got::Acknowledged { id, reason }
                }
                None => Got::Broken(format!("packet {id} was received, which is not open")),
            },
            Packet::Pubcomp { id, reason }
                if (reason == 0 || reason == NOT_IN_USE && self.resumed)
                    && self.memory.received.remove(&id) =>
            {
                return None;
            }
            Packet::Pubrel { id } if self.is_releasable(id) => {
                self.memory.completed.insert(id);
                self.out.extend(codec::pubcomp(id));
                return None;
            }
            Packet::Publish { dup: true, topic, .. } if !self.resumed => {
                Got::Broken(format!("{topic} came as a repetition, over a session of its own"))
            }
            Packet::Publish {
                topic,
                qos,
                id,
                name,
                payload,
                ..
            } => {
                let message = Got::Message { topic, name, payload };
                return self.on_message(qos, id, message);
            }
            Packet::Pong => return None,
            Packet::Disconnect { reason } if self.manner.v5 => Got::LetGo(reason),
            other => Got::Broken(format!("{other:?} does not belong here")),
        })
    }

    /// It is let in, and hears whether its session was there.
    fn on_welcome(&mut self, present: bool) -> Option<Got> {
        self.is_in = true;
        if present && self.clean {
            return Some(Got::Broken("a session goes on that was to begin anew".to_owned()));
        }
        self.resumed = present;
        if present {
            self.send_again();
        } else {
            self.memory = Memory::default();
        }
        if self.filters.is_empty() {
            return Some(Got::Connected);
        }
        if present && self.memory.subscribed {
            self.ready = true;
            return Some(Got::Resumed);
        }
        let id = self.memory.take_id();
        let Manner { v5, qos, .. } = self.manner;
        self.out.extend(codec::subscribe(v5, qos, id, &self.filters));
        None
    }

    /// What was not acknowledged, in the order of the first time (MQTT-4.4.0-1, 4.6.0-1).
    fn send_again(&mut self) {
        let Manner { v5, qos, .. } = self.manner;
        for (id, (topic, payload)) in &self.memory.open {
            self.out
                .extend(codec::publish(v5, qos, *id, true, topic, payload));
        }
        let released = self.memory.received.iter();
        self.out.extend(released.flat_map(|id| codec::pubrel(*id)));
        self.again.clone_from(&self.memory.unreleased);
    }

    fn on_granted(&mut self, id: u16, codes: &[u8]) -> Got {
        if self.filters.is_empty() {
            let refused = codes.first().copied().filter(|code| *code >= 0x80);
            let reason = refused.unwrap_or_default();
            return Got::Granted { id, reason };
        }
        if codes.iter().all(|code| *code <= self.manner.qos) {
            self.memory.subscribed = true;
            self.ready = true;
            return Got::Ready;
        }
        Got::Broken(format!("a subscription was answered {codes:?}"))
    }

    fn on_message(&mut self, qos: u8, id: Option<u16>, message: Got) -> Option<Got> {
        let (2, Some(id)) = (qos, id) else {
            self.out.extend(id.map(codec::puback).unwrap_or_default());
            return Some(message);
        };
        self.out.extend(codec::pubrec(id));
        self.memory.completed.remove(&id);
        if self.memory.unreleased.insert(id) {
            return Some(message);
        }
        let twice = || Got::Broken(format!("packet {id} came twice over one connection"));
        (!self.again.remove(&id)).then(twice)
    }

    /// Whether a PUBREL belongs here: a second one only if the first came over an earlier connection.
    fn is_releasable(&mut self, id: u16) -> bool {
        self.memory.unreleased.remove(&id) || self.resumed && self.memory.completed.contains(&id)
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
