//! MQTT 3.1.1 and 5 in one set of words: packets in, packets out.
//!
//! The library parses, numbers and bounds; what is acknowledged, and when, is ours to say.

mod aliases;
mod delivery;
mod header;
mod hello;
mod incoming;
mod outgoing;
mod quality;
mod welcome;

use bytes::{Bytes, BytesMut};
use mqtt_protocol_core::mqtt::{
    Connection, Version,
    connection::{ConnectionOptions, Event, Sendable},
    packet::{GenericPacket, GenericPacketTrait},
    result_code::MqttError,
    role,
};

pub use delivery::Delivery;
pub(crate) use delivery::{Extras, Passed};
pub(crate) use hello::{Hello, Presented, Will};
pub(crate) use incoming::{Handling, Options, Packet, Publish, Subscription};
pub(crate) use outgoing::Known;
pub use quality::Quality;
pub(crate) use welcome::Welcome;

use self::aliases::Aliases;
use crate::limits::Limits;

/// CONNACK of MQTT 3.1.1: unacceptable protocol level.
const WRONG_VERSION: &[u8] = &[0x20, 2, 0, 1];
/// CONNACK of MQTT 5: packet too large.
const TOO_LARGE: &[u8] = &[0x20, 3, 0, Reason::PacketTooLarge as u8, 0];

/// What a client must be told when it is refused or let go; the values are MQTT 5's reason codes
/// (MQTT 5, section 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // the standard's names
pub enum Reason {
    Malformed = 0x81,
    ProtocolError = 0x82,
    BadVersion = 0x84,
    BadClientId = 0x85,
    BadLogin = 0x86,
    NotAuthorized = 0x87,
    ServerBusy = 0x89,
    ShuttingDown = 0x8B,
    BadAuthentication = 0x8C,
    KeepAlive = 0x8D,
    TakenOver = 0x8E,
    TopicNameInvalid = 0x90,
    ReceiveMaximum = 0x93,
    TopicAliasInvalid = 0x94,
    PacketTooLarge = 0x95,
    QuotaExceeded = 0x97,
    Administrative = 0x98,
    RetainNotSupported = 0x9A,
    ConnectionRate = 0x9F,
}

/// A protocol event.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A packet.
    Packet(Packet),
    /// The client broke the protocol; what it is told is written already.
    Broken(Reason, String),
}

/// What of one client is held at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Its CONNECT, bytes.
    pub(crate) hello_bytes: u32,
    /// Any packet, bytes.
    pub(crate) packet_bytes: u32,
    /// Messages at QoS 1 or 2 that it leaves unacknowledged, whatever it says it takes.
    pub(crate) in_flight: u16,
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Bounds {
        Bounds {
            hello_bytes: limits.hello_bytes,
            packet_bytes: limits.packet_bytes,
            in_flight: limits.in_flight,
        }
    }
}

/// The protocol's state for one connection.
pub(crate) struct Protocol {
    core: Connection<role::Server>,
    out: BytesMut,
    /// Where in a packet the client is.
    place: header::Header,
    /// Messages at QoS 1 or 2 that the client has not acknowledged.
    in_flight: usize,
    /// The most of them.
    most_in_flight: u16,
    /// It takes reason strings (MQTT-3.1.2-29).
    takes_reasons: bool,
    /// Topics that the client knows by number.
    aliases: Option<Box<Aliases>>,
}

impl Protocol {
    /// A connection that has said nothing yet.
    pub(crate) fn new(bounds: Bounds) -> Protocol {
        let options = ConnectionOptions::new().maximum_packet_size_recv(bounds.packet_bytes);
        Protocol {
            core: Connection::with_options(Version::Undetermined, options),
            out: BytesMut::new(),
            place: header::Header::of_a_stranger(bounds.hello_bytes),
            in_flight: 0,
            most_in_flight: bounds.in_flight,
            takes_reasons: true,
            aliases: None,
        }
    }

    /// Whether the client speaks MQTT 5.
    pub(crate) fn is_v5(&self) -> bool {
        self.core.get_protocol_version() == Version::V5_0
    }

    /// What is to be written to the client.
    pub(crate) fn take_output(&mut self) -> Bytes {
        self.out.split().freeze()
    }

    /// Messages that the client has not acknowledged.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Bytes to be written.
    pub(crate) fn output_len(&self) -> usize {
        self.out.len()
    }

    /// Sends a packet. False: it could not be built, or is larger than the client takes.
    fn put<T>(&mut self, packet: Result<T, MqttError>) -> bool
    where
        T: Sendable<role::Server, u16>,
    {
        let before = self.out.len();
        let events = packet.map(|p| self.core.checked_send(p)).unwrap_or_default();
        self.settle(events);
        self.out.len() > before
    }

    /// Turns the library's wishes into output; what it heard is returned.
    fn settle(&mut self, events: Vec<Event>) -> Vec<Heard> {
        let mut heard = Vec::new();
        let mut closing = false;
        for event in events {
            match event {
                Event::NotifyPacketReceived(packet) => {
                    let packet = incoming::read(packet);
                    if let Heard::Broken(reason, text) = &packet {
                        // Before the CONNACK there is no DISCONNECT (MQTT-3.14.0-1).
                        let connected = self.dismiss(*reason, text);
                        if !connected && self.is_v5() {
                            self.refuse(*reason, text);
                        }
                    }
                    heard.push(packet);
                }
                Event::RequestSendPacket { packet, .. } => {
                    self.out.extend_from_slice(&packet.to_continuous_buffer());
                }
                Event::NotifyError(error) => {
                    if error == MqttError::UnsupportedProtocolVersion && self.out.is_empty() {
                        // Whatever its version, it understands MQTT 3.1.1's answer (MQTT 3.1.1, 3.1.2-2).
                        self.out.extend_from_slice(WRONG_VERSION);
                    }
                    heard.push(Heard::Broken(reason_of(error as u16), format!("{error:?}")));
                }
                Event::RequestClose => closing = true,
                Event::NotifyPacketIdReleased(_) => self.in_flight = self.in_flight.saturating_sub(1),
                // Time is ours.
                Event::RequestTimerReset { .. } | Event::RequestTimerCancel(_) => {}
            }
        }
        if closing && !heard.iter().any(|h| matches!(h, Heard::Broken(..))) {
            heard.push(Heard::Broken(
                Reason::ProtocolError,
                "the protocol was not followed".into(),
            ));
        }
        heard
    }
}

/// On a repeated publish at QoS 2 the library sends a PUBREC by itself, whatever it was told, which would
/// acknowledge what is not settled: its wish becomes something that was heard. Nor does it answer a malformed
/// CONNECT of MQTT 3.1.1 (MQTT 3.1.1, 3.1.4-1).
fn take_repeats(events: &mut Vec<Event>, duplicate: bool) -> Option<Heard> {
    let mut repeated = None;
    events.retain(|event| {
        let Event::RequestSendPacket { packet, .. } = event else {
            return true;
        };
        let packet_id = match packet {
            GenericPacket::V3_1_1Pubrec(p) => p.packet_id(),
            GenericPacket::V5_0Pubrec(p) => p.packet_id(),
            GenericPacket::V3_1_1Connack(_) => return false,
            _ => return true,
        };
        repeated = Some(Packet::Repeated { packet_id, duplicate });
        false
    });
    repeated.map(Heard::Packet)
}

fn reason_of(error: u16) -> Reason {
    match error {
        0x81 => Reason::Malformed,
        0x84 => Reason::BadVersion,
        0x85 => Reason::BadClientId,
        0x95 => Reason::PacketTooLarge,
        0x93 => Reason::ReceiveMaximum,
        0x94 => Reason::TopicAliasInvalid,
        _ => Reason::ProtocolError,
    }
}
