//! One request of a principal that does not speak MQTT itself: made as a client of the front door makes it, so
//! that the same policy, limits and window hold for it.
//!
//! ```text
//! CONNECT ─► CONNACK ─► SUBSCRIBE, PUBLISH ─► the answer below `down/` ─► DISCONNECT
//! ```

use bytes::{Bytes, BytesMut};
use contract::{
    Leaf, Root,
    id::{Principal, ServiceName},
    v1::Rejection,
    wire,
};
use mqtt_protocol_core::mqtt::{
    Connection, Version,
    common::Cursor,
    connection::{Event, Sendable},
    packet::{GenericPacket, GenericPacketTrait, Qos, SubEntry, SubOpts, v5_0},
    result_code::MqttError,
    role,
};

/// More than a request waits for its service.
const KEEP_ALIVE_S: u16 = 120;

/// What is asked, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who asks; the front door compares it with the certificate.
    pub who: Principal,
    /// The client id, beginning with the principal's own.
    pub client_id: String,
    /// Whom it asks.
    pub service: ServiceName,
    /// For what.
    pub verb: &'static str,
    /// The request.
    pub payload: Bytes,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The service's answer.
    Accepted(Bytes),
    /// The service's refusal.
    Rejected(Rejection),
    /// The front door lets nobody in, or nothing through: an MQTT 5 reason code.
    TurnedAway(u8),
}

/// The client's side of it. Sends nothing by itself: bytes are taken from it and given to it.
pub struct Petition {
    core: Connection<role::Client>,
    root: Root,
    asked: Asked,
    out: BytesMut,
}

impl Petition {
    /// A request that begins with its CONNECT.
    pub fn new(root: Root, asked: Asked) -> Petition {
        let mut petition = Petition {
            core: Connection::new(Version::V5_0),
            root,
            out: BytesMut::new(),
            asked,
        };
        let hello = v5_0::Connect::builder().client_id(&petition.asked.client_id);
        petition.put(hello.and_then(|hello| hello.clean_start(true).keep_alive(KEEP_ALIVE_S).build()));
        petition
    }

    /// What is to be sent.
    pub fn take_output(&mut self) -> Bytes {
        self.out.split().freeze()
    }

    /// What has arrived; the answer, once it is there.
    pub fn receive(&mut self, bytes: &[u8]) -> Option<Answer> {
        let mut cursor = Cursor::new(bytes);
        while usize::try_from(cursor.position()).is_ok_and(|read| read < bytes.len()) {
            let before = cursor.position();
            for event in self.core.recv(&mut cursor) {
                if let Event::NotifyPacketReceived(packet) = event
                    && let Some(answer) = self.take(&packet)
                {
                    self.put(v5_0::Disconnect::builder().build());
                    return Some(answer);
                }
            }
            if cursor.position() == before {
                return None;
            }
        }
        None
    }

    fn take(&mut self, packet: &GenericPacket<u16>) -> Option<Answer> {
        match packet {
            GenericPacket::V5_0Connack(hello) => {
                let reason = hello.reason_code() as u8;
                if reason != 0 {
                    return Some(Answer::TurnedAway(reason));
                }
                self.ask();
                None
            }
            GenericPacket::V5_0Publish(said) => self.answer(said.topic_name(), said.payload().as_slice()),
            // The refusal itself came before, if there is one.
            GenericPacket::V5_0Puback(taken) => {
                let reason = taken.reason_code().map_or(0, |code| code as u8);
                (reason >= 0x80).then_some(Answer::TurnedAway(reason))
            }
            GenericPacket::V5_0Disconnect(end) => {
                Some(Answer::TurnedAway(end.reason_code().map_or(0, |code| code as u8)))
            }
            _ => None,
        }
    }

    fn ask(&mut self) {
        let Asked {
            who,
            service,
            verb,
            payload,
            ..
        } = self.asked.clone();
        let (Ok(first), Ok(second)) = (self.core.acquire_packet_id(), self.core.acquire_packet_id()) else {
            return;
        };
        let answers = SubEntry::new(self.root.down_filter(&who), SubOpts::new());
        self.put(answers.and_then(|entry| {
            v5_0::Subscribe::builder()
                .packet_id(first)
                .entries(vec![entry])
                .build()
        }));
        let topic = self.root.up(&who, service, verb);
        self.put(v5_0::Publish::builder().topic_name(topic).and_then(|publish| {
            let publish = publish.qos(Qos::AtLeastOnce).packet_id(second);
            publish.payload(payload.to_vec()).build()
        }));
    }

    fn answer(&self, topic: &str, payload: &[u8]) -> Option<Answer> {
        let Asked {
            who, service, verb, ..
        } = &self.asked;
        let is = |leaf| topic == self.root.down(who, *service, verb, leaf);
        if is(Leaf::Accepted) {
            return Some(Answer::Accepted(Bytes::copy_from_slice(payload)));
        }
        is(Leaf::Rejected).then(|| Answer::Rejected(wire::decode(payload, "").unwrap_or_default()))
    }

    /// A packet that cannot be built is not sent, and nothing will answer it.
    fn put<T: Sendable<role::Client, u16>>(&mut self, packet: Result<T, MqttError>) {
        for event in packet
            .map(|packet| self.core.checked_send(packet))
            .unwrap_or_default()
        {
            if let Event::RequestSendPacket { packet, .. } = event {
                self.out.extend_from_slice(&packet.to_continuous_buffer());
            }
        }
    }
}
