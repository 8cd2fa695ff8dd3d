//! MQTT 3.1.1 and 5 in one set of words: packets in, packets out.
//!
//! The library parses, numbers and bounds; what is acknowledged, and when, is ours to say.

mod header;
mod incoming;
mod outgoing;

use bytes::{Bytes, BytesMut};
use mqtt_protocol_core::mqtt::{
    Connection, Version,
    connection::{ConnectionOptions, Event},
    packet::GenericPacketTrait,
    role,
};

pub(crate) use incoming::{Hello, Packet, Publish, Subscription, Will};
pub use outgoing::Delivery;
pub(crate) use outgoing::Welcome;

/// Messages at QoS 1 that one client may leave unacknowledged, whatever it says it takes.
const IN_FLIGHT: usize = 256;

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
    NotAuthorized = 0x87,
    ServerBusy = 0x89,
    ShuttingDown = 0x8B,
    KeepAlive = 0x8D,
    TakenOver = 0x8E,
    PacketTooLarge = 0x95,
    QuotaExceeded = 0x97,
    Administrative = 0x98,
    QosNotSupported = 0x9B,
}

/// A protocol event.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A packet.
    Packet(Packet),
    /// The client broke the protocol; what it is told is written already.
    Broken(Reason, String),
}

/// The protocol's state for one connection.
pub(crate) struct Protocol {
    core: Connection<role::Server>,
    out: BytesMut,
    /// Where in a packet the client is.
    place: header::Place,
    /// Messages at QoS 1 that the client has not acknowledged.
    in_flight: usize,
}

impl Protocol {
    /// A connection that has said nothing yet.
    pub(crate) fn new(packet_bytes: u32) -> Protocol {
        let options = ConnectionOptions::new().maximum_packet_size_recv(packet_bytes);
        Protocol {
            core: Connection::with_options(Version::Undetermined, options),
            out: BytesMut::new(),
            place: header::Place::default(),
            in_flight: 0,
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

    /// Bytes to be written.
    pub(crate) fn output_len(&self) -> usize {
        self.out.len()
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
                        self.dismiss(*reason, text);
                    }
                    heard.push(packet);
                }
                Event::RequestSendPacket { packet, .. } => {
                    self.out.extend_from_slice(&packet.to_continuous_buffer());
                }
                Event::NotifyError(error) => {
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

fn reason_of(error: u16) -> Reason {
    match error {
        0x81 => Reason::Malformed,
        0x84 => Reason::BadVersion,
        0x85 => Reason::BadClientId,
        0x95 => Reason::PacketTooLarge,
        0x93 => Reason::QuotaExceeded,
        _ => Reason::ProtocolError,
    }
}
