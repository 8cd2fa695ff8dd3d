//! One client's connection: from its first byte to its end.
//!
//! Bytes, posts from the [`Door`](crate::Door) and time go in; bytes come out, and wishes that the door
//! grants when it [serves](crate::Door::serve) the connection.

mod acks;
mod deadlines;
mod flight;
mod pace;
mod passing;
mod publishing;
mod queue;
mod remains;
mod will;
mod words;

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use contract::{Root, notice};
use service::Now;

pub use self::words::{Admission, Post, Verified};
use self::{
    acks::Acks,
    flight::Flight,
    pace::{Pace, UNFINISHED_BYTES},
    queue::Queue,
};
pub(crate) use self::{
    publishing::{Beyond, beyond, check as check_publish},
    remains::Remains,
    will::spoken,
    words::{Admitted, Forward, HandOut, Wish},
};
use crate::{
    cause::{Cause, Farewell},
    limits::Limits,
    meter::Limit,
    peer::{Caller, Peer},
    policy::{Policy, Standing},
    protocol::{Delivery, Heard, Hello, Packet, Protocol, Quality, Reason, Will},
    transport::{Backlog, Transport},
};

/// Bytes that wait to be written, beyond which a connection gets nothing more and is not read.
const OUTPUT_BYTES: usize = 256 * 1024;

/// The first byte of a CONNECT.
const CONNECT: u8 = 0x10;

enum Phase {
    /// Nothing, or a part of a CONNECT, has come.
    Silent {
        until_ms: u64,
        begun: bool,
        /// Bytes that came over the wire.
        wired: u32,
    },
    /// The door is asked. It answers at once, unless the session has to part from another connection first.
    Asking { hello: Box<Hello>, until_ms: u64 },
    /// A session.
    Open(Box<Open>),
    /// Over; what is in the output is the last.
    Over(Cause, Option<Box<Parting>>),
}

/// Who was let go, and why, for whoever reads logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parting {
    /// `devices/pump-7`; empty where nobody knows.
    pub who: String,
    /// Of a claim: the batch of its certificate.
    pub batch: String,
    /// The serial of the certificate, hex; empty without one of this installation.
    pub serial: String,
    /// What it was told; empty where nothing was.
    pub why: String,
}

impl Parting {
    fn of(caller: &Caller, why: &str) -> Parting {
        Parting {
            who: caller.principal.to_string(),
            batch: caller.batch.as_ref().map(ToString::to_string).unwrap_or_default(),
            serial: caller.serial().to_owned(),
            why: why.to_owned(),
        }
    }
}

struct Open {
    caller: Arc<Caller>,
    standing: Arc<Standing>,
    policy: Arc<dyn Policy>,
    keep_alive_ms: u64,
    heard_ms: u64,
    /// Since when it takes nothing while so much waits that it is not read either.
    choked_ms: Option<u64>,
    pace: Pace,
    acks: Acks,
    queue: Queue,
    stalled: VecDeque<Forward>,
    will: Option<Box<Will>>,
    /// For how long the client asked its session to be kept, and for how long it is, seconds.
    asked_expiry_s: u32,
    expiry_s: u32,
    /// What was sent and not answered, where the session outlives its connection.
    flight: Option<Box<Flight>>,
}

/// The connection.
pub struct Connection {
    id: u64,
    peer: Peer,
    address: Box<str>,
    transport: Transport,
    backlog: Arc<Backlog>,
    root: Root,
    limits: Arc<Limits>,
    protocol: Protocol,
    phase: Phase,
    wishes: VecDeque<Wish>,
    /// Bytes that came behind the CONNECT.
    stash: Vec<u8>,
    /// The time of day when it was last looked at, milliseconds since 1970.
    wall_ms: i64,
    /// What outlives it, once it is over.
    remains: Option<Box<Remains>>,
}

impl Connection {
    /// A connection that has just been made; `id` grows from one to the next.
    pub fn new(
        id: u64,
        peer: Peer,
        address: String,
        root: Root,
        limits: Arc<Limits>,
        now: Now,
    ) -> Connection {
        let protocol = Protocol::new((&*limits).into());
        let phase = Phase::Silent {
            until_ms: now.mono_ms + limits.connect_ms,
            begun: false,
            wired: 0,
        };
        Connection {
            id,
            peer,
            address: address.into_boxed_str(),
            transport: Transport::default(),
            backlog: Arc::default(),
            root,
            limits,
            protocol,
            phase,
            wishes: VecDeque::new(),
            stash: Vec::new(),
            wall_ms: now.wall_ms,
            remains: None,
        }
    }

    /// How it came.
    #[must_use]
    pub fn over_transport(self, transport: Transport) -> Connection {
        Connection { transport, ..self }
    }

    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    pub(crate) fn backlog(&self) -> Arc<Backlog> {
        self.backlog.clone()
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where it comes from.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Who it is, once it is let in.
    pub fn caller(&self) -> Option<&Caller> {
        match &self.phase {
            Phase::Open(open) => Some(&open.caller),
            _ => None,
        }
    }

    /// Whether nobody vouched for whoever made it.
    pub fn is_nobodys(&self) -> bool {
        self.peer == Peer::Nobody
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Bytes from the client.
    pub fn receive(&mut self, bytes: &[u8], now: Now) {
        self.wall_ms = now.wall_ms;
        match &mut self.phase {
            Phase::Open(open) => {
                open.heard_ms = now.mono_ms;
                if let Some(flight) = &mut open.flight {
                    flight.heard();
                }
            }
            Phase::Silent { begun, .. } => {
                let begins = !std::mem::replace(begun, true);
                // Whatever begins otherwise is no MQTT: its length is not waited for (MQTT-3.1.0-1).
                if begins && bytes.first() != Some(&CONNECT) {
                    return self.broken(Reason::ProtocolError, "the first packet is no CONNECT".into());
                }
            }
            _ => {}
        }
        if self.stash.is_empty() {
            self.read(bytes, now);
        } else {
            self.stash.extend_from_slice(bytes);
        }
        if let Phase::Open(open) = &mut self.phase
            && let Some(limit) = open.pace.charge(bytes.len(), &self.limits, now.mono_ms)
        {
            self.met(limit);
        }
        self.tell_backlog();
    }

    /// So many bytes have come over the wire, before what they carry is [received](Connection::receive). TLS and WebSocket
    /// add their own, and a client may send nothing else.
    pub fn wired(&mut self, bytes: usize, now: Now) {
        let limit = match &mut self.phase {
            Phase::Open(open) => open.pace.wired(bytes, &self.limits, now.mono_ms),
            Phase::Silent { wired, .. } => {
                *wired = wired.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
                if *wired <= self.limits.hello_bytes.saturating_add(UNFINISHED_BYTES) {
                    return;
                }
                let text = "too much came, and no CONNECT";
                return self.broken(Reason::PacketTooLarge, text.into());
            }
            _ => None,
        };
        limit.into_iter().for_each(|limit| self.met(limit));
    }

    /// Whoever asks the door how much waits here reads it.
    fn tell_backlog(&self) {
        if let Phase::Open(open) = &self.phase {
            self.backlog
                .set(open.queue.len(), self.protocol.in_flight(), open.acks.len());
        }
    }

    fn met(&mut self, limit: Limit) {
        self.wishes.push_back(Wish::Met(limit));
    }

    /// Reads packet by packet. A client may send more behind its CONNECT: that is kept until it is let in.
    fn read(&mut self, mut bytes: &[u8], now: Now) {
        while !bytes.is_empty() {
            match self.phase {
                Phase::Over(..) => return,
                Phase::Asking { .. } => return self.stash.extend_from_slice(bytes),
                _ => {}
            }
            let (heard, consumed) = self.protocol.read(bytes);
            bytes = bytes.get(consumed.max(1)..).unwrap_or_default();
            for heard in heard {
                match heard {
                    Heard::Packet(packet) => self.on_packet(packet, now),
                    Heard::Broken(reason, text) => self.broken(reason, text),
                }
            }
        }
    }

    fn on_packet(&mut self, packet: Packet, now: Now) {
        if let Phase::Open(open) = &mut self.phase {
            open.pace.asked(packet.requests());
        }
        match (&mut self.phase, packet) {
            (Phase::Silent { .. }, Packet::Connect(mut hello)) => {
                let presented = hello.take_password();
                self.wishes.push_back(Wish::Admit(Box::new(Hello {
                    presented,
                    ..*hello.clone()
                })));
                let until_ms = now.mono_ms + self.limits.connect_ms;
                self.phase = Phase::Asking { hello, until_ms };
            }
            (Phase::Open(_), Packet::Publish(publish)) => self.on_publish(publish, now),
            (Phase::Open(_), Packet::Repeated { packet_id, duplicate }) => {
                self.on_repeated(packet_id, duplicate, now);
            }
            (Phase::Open(_), Packet::Released { packet_id }) => self.on_released(packet_id),
            (Phase::Open(open), Packet::Acknowledged { packet_id } | Packet::Completed { packet_id }) => {
                open.done(packet_id);
                self.flush();
            }
            (Phase::Open(open), Packet::Received { packet_id, refused }) => {
                match refused {
                    true => open.done(packet_id),
                    false => {
                        open.received(packet_id);
                        self.protocol.released(packet_id);
                    }
                }
                self.flush();
            }
            (Phase::Open(_), Packet::Ping) => self.protocol.pong(),
            (
                Phase::Open(_),
                Packet::Subscribe {
                    packet_id,
                    subscriptions,
                },
            ) => {
                self.wishes.push_back(Wish::Subscribe {
                    packet_id,
                    subscriptions,
                });
            }
            (Phase::Open(_), Packet::Unsubscribe { packet_id, filters }) => {
                self.wishes.push_back(Wish::Unsubscribe { packet_id, filters });
            }
            (Phase::Open(_), Packet::Disconnect { with_will, expiry_s }) => {
                self.on_disconnect(with_will, expiry_s);
            }
            _ => self.broken(Reason::ProtocolError, "a packet that does not belong here".into()),
        }
    }

    fn on_disconnect(&mut self, with_will: bool, expiry_s: Option<u32>) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        if let Some(expiry_s) = expiry_s {
            // MQTT 5, section 3.14.2.2.2.
            if open.asked_expiry_s == 0 && expiry_s > 0 {
                let text = "a session that was to end with its connection is not kept after all";
                self.protocol.dismiss(Reason::ProtocolError, text);
                return self.broken(Reason::ProtocolError, text.into());
            }
            open.expiry_s = passing::granted(expiry_s, &open.caller, &self.limits);
        }
        if !with_will {
            open.will = None;
        }
        self.phase_over(Cause::Clean, "");
    }

    fn broken(&mut self, reason: Reason, text: String) {
        let what = if reason == Reason::PacketTooLarge {
            notice::TOO_LARGE
        } else {
            notice::MALFORMED
        };
        match reason {
            Reason::PacketTooLarge if matches!(self.phase, Phase::Silent { .. }) => {
                self.met(Limit::HelloBytes);
            }
            Reason::PacketTooLarge => self.met(Limit::PacketBytes),
            Reason::TopicAliasInvalid => self.met(Limit::TopicAliases),
            _ => {}
        }
        let why = text.clone();
        if matches!(self.phase, Phase::Open(_)) {
            self.wishes.push_back(Wish::Farewell(text.clone()));
        }
        self.wishes.push_back(Wish::Notice { what, detail: text });
        // The library has told an MQTT 5 client already.
        self.phase_over(Cause::ProtocolError, &why);
    }

    /// The door does not let it in.
    pub(crate) fn refuse(&mut self, reason: Reason, text: &str) {
        self.protocol.refuse(reason, text);
        let parting = self.parting(text);
        self.phase = Phase::Over(Cause::NotAuthorized, Some(Box::new(parting)));
    }

    /// Who it is as far as is known, and why it goes.
    fn parting(&self, why: &str) -> Parting {
        let asked = match &self.phase {
            Phase::Open(open) => return Parting::of(&open.caller, why),
            Phase::Asking { hello, .. } => self
                .peer
                .caller(&hello.client_id, hello.user_name.as_deref())
                .ok(),
            Phase::Silent { .. } | Phase::Over(..) => None,
        };
        match (asked, &self.peer) {
            (Some(caller), _) => Parting::of(&caller, why),
            (None, Peer::Certified { kind, id, serial, .. }) => Parting {
                who: format!("{}/{id}", kind.word()),
                serial: serial.clone(),
                why: why.to_owned(),
                ..Parting::default()
            },
            (None, _) => Parting {
                why: why.to_owned(),
                ..Parting::default()
            },
        }
    }

    /// Something from the door.
    pub fn post(&mut self, post: Post, now: Now) {
        self.wall_ms = now.wall_ms;
        match (&mut self.phase, post) {
            (
                Phase::Open(_),
                Post::Settled {
                    service,
                    packet_id,
                    reason,
                    text,
                },
            ) => {
                self.settle(service, packet_id, reason, text);
                self.heard_again(now);
            }
            (Phase::Open(open), Post::Deliver(delivery)) => {
                open.queue.push(delivery);
                self.flush();
            }
            (Phase::Open(open), Post::Standing(standing)) => open.standing = standing,
            (Phase::Open(_), Post::Retry) => {
                self.retry();
                self.heard_again(now);
            }
            (Phase::Open(_) | Phase::Asking { .. }, Post::Leave(farewell)) => self.leave(farewell),
            (Phase::Asking { .. }, Post::Admitted(Admission(admitted))) => self.admit(*admitted, now),
            (Phase::Asking { hello, .. }, Post::Verified(Verified(credential))) => {
                hello.verified = Some(credential);
                self.wishes.push_back(Wish::Admit(hello.clone()));
            }
            (Phase::Over(..), Post::Admitted(Admission(admitted))) => self.pass_back(*admitted),
            (Phase::Over(..), post) => self.post_late(post),
            _ => {}
        }
        self.tell_backlog();
    }

    /// While it was not read, its silence was ours.
    fn heard_again(&mut self, now: Now) {
        if let Phase::Open(open) = &mut self.phase {
            open.heard_ms = now.mono_ms;
        }
    }

    /// A request found the window full: it waits, and the connection is not read until there is room.
    pub(crate) fn stall(&mut self, forward: Forward) {
        if let Phase::Open(open) = &mut self.phase {
            open.stalled.push_back(forward);
        }
    }

    /// Sends what waits, as far as the client and its socket take it.
    pub fn flush(&mut self) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        while self.protocol.output_len() < OUTPUT_BYTES {
            let was_full = self.protocol.is_full();
            if !open.send_next(&mut self.protocol, self.wall_ms) {
                break;
            }
            if self.protocol.is_full() && !was_full {
                self.wishes.push_back(Wish::Met(Limit::InFlight));
            }
        }
        while let Some(limit) = open.queue.over(&self.limits) {
            self.wishes.push_back(Wish::Met(limit));
            // What devices say to whoever listens makes way for what somebody waits for.
            if open.queue.drop_oldest(Delivery::is_passed_on).is_some() {
                continue;
            }
            let text = "you take your messages too slowly; connect again and replay what you missed";
            return self.leave(Farewell::new(Reason::QuotaExceeded, Cause::Slow, text));
        }
    }

    /// Lets it go.
    pub fn leave(&mut self, farewell: Farewell) {
        if farewell.cause.has_reason() && self.over().is_none() {
            self.wishes.push_back(Wish::Farewell(farewell.text.clone()));
        }
        match &mut self.phase {
            Phase::Open(open) => {
                // Who is shut out does not speak any more, not by a will either, and nothing is kept of it.
                if farewell.reason == Reason::NotAuthorized {
                    open.will = None;
                    open.expiry_s = 0;
                }
                self.protocol.dismiss(farewell.reason, &farewell.text);
            }
            Phase::Asking { .. } => self.protocol.refuse(farewell.reason, &farewell.text),
            _ => {}
        }
        self.phase_over(farewell.cause, &farewell.text);
    }

    /// The socket is gone.
    pub fn closed(&mut self) {
        self.phase_over(Cause::Network, "");
    }

    /// Why it is over, if it is: what [`Connection::take_output`] gives is then the last.
    pub fn over(&self) -> Option<Cause> {
        match self.phase {
            Phase::Over(cause, _) => Some(cause),
            _ => None,
        }
    }

    /// Who it was, and what it was told, once it is over.
    pub fn parted(&self) -> Option<&Parting> {
        match &self.phase {
            Phase::Over(_, parting) => parting.as_deref(),
            _ => None,
        }
    }

    /// What is to be written to the client, who has taken all that was given before.
    pub fn take_output(&mut self) -> Bytes {
        let output = self.protocol.take_output();
        if let Phase::Open(open) = &mut self.phase {
            open.choked_ms = None;
        }
        self.flush();
        self.tell_backlog();
        output
    }

    /// Whether more bytes should be read: what is outstanding is bounded.
    pub fn wants_bytes(&self) -> bool {
        match &self.phase {
            Phase::Silent { .. } => true,
            Phase::Asking { .. } | Phase::Over(..) => false,
            Phase::Open(open) => {
                open.acks.len() < usize::from(self.limits.receive_maximum)
                    && open.stalled.is_empty()
                    && !open.pace.is_ahead()
                    && !self.is_choked()
            }
        }
    }

    /// Whether so much waits to be written that the client is not read.
    fn is_choked(&self) -> bool {
        self.protocol.output_len() >= OUTPUT_BYTES
    }

    /// Whether the door must serve it.
    pub fn has_wishes(&self) -> bool {
        !self.wishes.is_empty()
    }

    pub(crate) fn take_wish(&mut self) -> Option<Wish> {
        let wish = self.wishes.pop_front();
        if self.wishes.is_empty() {
            // Most connections wish nothing most of the time.
            self.wishes = VecDeque::new();
        }
        wish
    }

    pub(crate) fn subscribed(&mut self, packet_id: u16, granted: &[Result<Quality, u8>]) {
        self.protocol.subscribed(packet_id, granted);
    }

    pub(crate) fn unsubscribed(&mut self, packet_id: u16, existed: &[bool]) {
        self.protocol.unsubscribed(packet_id, existed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_few_clients_use_is_beside_an_idle_connection() {
        let bytes = size_of::<Connection>() + size_of::<Open>();
        assert!(bytes <= 1_376, "{bytes} bytes");
    }
}
