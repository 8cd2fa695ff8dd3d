//! Packets from a client, without their version's differences.

use bytes::Bytes;
use mqtt_protocol_core::mqtt::{
    common::Cursor,
    packet::{self, GenericPacket, Property, Qos},
};

use super::{Heard, Protocol, Reason};

/// A packet, as far as the front door cares.
#[derive(Debug)]
pub(crate) enum Packet {
    /// CONNECT.
    Connect(Hello),
    /// PUBLISH.
    Publish(Publish),
    /// PUBACK of something that was sent to the client.
    Acknowledged,
    /// SUBSCRIBE.
    Subscribe {
        packet_id: u16,
        subscriptions: Vec<Subscription>,
    },
    /// UNSUBSCRIBE.
    Unsubscribe { packet_id: u16, filters: Vec<String> },
    /// PINGREQ.
    Ping,
    /// DISCONNECT, and whether the will is wanted nevertheless (MQTT 5, 0x04).
    Disconnect { with_will: bool },
    /// Nothing a server should get.
    Other,
}

/// What a client says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hello {
    pub(crate) client_id: String,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) keep_alive_s: u16,
    pub(crate) v5: bool,
    pub(crate) will: Option<Will>,
}

/// What a client wants to be said when it is lost.
#[derive(Debug, Clone)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
}

/// A message from a client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Publish {
    /// `None` at QoS 0.
    pub(crate) packet_id: Option<u16>,
    pub(crate) exactly_once: bool,
    /// It may have been sent before.
    pub(crate) duplicate: bool,
    pub(crate) retain: bool,
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) correlation: Bytes,
    pub(crate) response_topic: String,
    pub(crate) content_type: String,
    pub(crate) traceparent: String,
}

/// One filter of a SUBSCRIBE.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) filter: String,
    pub(crate) at_least_once: bool,
}

impl Protocol {
    /// Reads on to the end of the first packet that `bytes` completes; says how many bytes that took.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> (Vec<Heard>, usize) {
        if let Err((reason, text)) = self.place.walk(bytes) {
            self.dismiss(reason, text);
            return (vec![Heard::Broken(reason, text.into())], bytes.len());
        }
        let mut cursor = Cursor::new(bytes);
        let events = self.core.recv(&mut cursor);
        let consumed = usize::try_from(cursor.position()).unwrap_or(bytes.len());
        (self.settle(events), consumed)
    }
}

pub(super) fn read(packet: GenericPacket<u16>) -> Heard {
    let packet = match take(packet) {
        Ok(packet) => packet,
        Err((reason, text)) => return Heard::Broken(reason, text.into()),
    };
    match fault(&packet) {
        Some(text) => Heard::Broken(Reason::ProtocolError, text.into()),
        None => Heard::Packet(packet),
    }
}

/// What the library lets pass, in one version or in both.
fn fault(packet: &Packet) -> Option<&'static str> {
    let packet_id = match packet {
        Packet::Publish(publish) => publish.packet_id,
        Packet::Subscribe { packet_id, .. } | Packet::Unsubscribe { packet_id, .. } => Some(*packet_id),
        _ => None,
    };
    if packet_id == Some(0) {
        return Some("a packet id is never 0"); // MQTT-2.2.1-3
    }
    let topic = match packet {
        Packet::Publish(publish) => &publish.topic,
        Packet::Connect(Hello { will: Some(will), .. }) => &will.topic,
        _ => return None,
    };
    // MQTT-4.7.3-1, 4.7.3-2. A topic with a wildcard is refused as one that is nobody's.
    (topic.is_empty() || topic.contains('\0')).then_some("a topic has at least one character, and no zero")
}

fn take(packet: GenericPacket<u16>) -> Result<Packet, (Reason, &'static str)> {
    Ok(match packet {
        GenericPacket::V3_1_1Connect(p) => Packet::Connect(hello_v3(&p)),
        GenericPacket::V5_0Connect(p) => {
            if p.props()
                .iter()
                .any(|p| matches!(p, Property::AuthenticationMethod(_)))
            {
                return Err((Reason::ProtocolError, "enhanced authentication is not supported"));
            }
            Packet::Connect(hello_v5(&p))
        }
        GenericPacket::V3_1_1Publish(p) => Packet::Publish(Publish {
            packet_id: p.packet_id(),
            exactly_once: p.qos() == Qos::ExactlyOnce,
            duplicate: p.dup(),
            retain: p.retain(),
            topic: p.topic_name().to_owned(),
            payload: Bytes::copy_from_slice(p.payload().as_slice()),
            ..Publish::default()
        }),
        GenericPacket::V5_0Publish(p) => Packet::Publish(publish_v5(&p)),
        GenericPacket::V3_1_1Puback(_) | GenericPacket::V5_0Puback(_) => Packet::Acknowledged,
        GenericPacket::V3_1_1Subscribe(p) => {
            let reserved = |entry: &packet::SubEntry| entry.sub_opts().to_buffer()[0] > 2;
            if p.entries().iter().any(reserved) {
                // MQTT-3.8.3-4
                let text = "the upper six bits of a subscription's QoS are 0";
                return Err((Reason::Malformed, text));
            }
            Packet::Subscribe {
                packet_id: p.packet_id(),
                subscriptions: subscriptions(p.entries()),
            }
        }
        GenericPacket::V5_0Subscribe(p) => Packet::Subscribe {
            packet_id: p.packet_id(),
            subscriptions: subscriptions(p.entries()),
        },
        GenericPacket::V3_1_1Unsubscribe(p) => {
            let filters = p.entries().iter().map(|f| f.as_str().to_owned()).collect();
            Packet::Unsubscribe {
                packet_id: p.packet_id(),
                filters,
            }
        }
        GenericPacket::V5_0Unsubscribe(p) => {
            let filters = p.entries().iter().map(|f| f.as_str().to_owned()).collect();
            Packet::Unsubscribe {
                packet_id: p.packet_id(),
                filters,
            }
        }
        GenericPacket::V3_1_1Pingreq(_) | GenericPacket::V5_0Pingreq(_) => Packet::Ping,
        GenericPacket::V3_1_1Disconnect(_) => Packet::Disconnect { with_will: false },
        GenericPacket::V5_0Disconnect(p) => {
            let code = p.reason_code().map(|code| code as u8);
            Packet::Disconnect {
                with_will: code.is_some_and(|code| code != 0),
            }
        }
        _ => Packet::Other,
    })
}

fn hello_v3(p: &packet::v3_1_1::Connect) -> Hello {
    Hello {
        client_id: p.client_id().to_owned(),
        user_name: p.user_name().map(str::to_owned),
        password: p.password().map(<[u8]>::to_vec),
        keep_alive_s: p.keep_alive(),
        v5: false,
        will: will(p.will_topic(), p.will_payload()),
    }
}

fn hello_v5(p: &packet::v5_0::Connect) -> Hello {
    Hello {
        client_id: p.client_id().to_owned(),
        user_name: p.user_name().map(str::to_owned),
        password: p.password().map(<[u8]>::to_vec),
        keep_alive_s: p.keep_alive(),
        v5: true,
        will: will(p.will_topic(), p.will_payload()),
    }
}

fn will(topic: Option<&str>, payload: Option<&[u8]>) -> Option<Will> {
    let payload = Bytes::copy_from_slice(payload.unwrap_or_default());
    topic.map(|topic| Will {
        topic: topic.to_owned(),
        payload,
    })
}

fn publish_v5(p: &packet::v5_0::Publish) -> Publish {
    let mut publish = Publish {
        packet_id: p.packet_id(),
        exactly_once: p.qos() == Qos::ExactlyOnce,
        duplicate: p.dup(),
        retain: p.retain(),
        topic: p.topic_name().to_owned(),
        payload: Bytes::copy_from_slice(p.payload().as_slice()),
        ..Publish::default()
    };
    for property in p.props() {
        match property {
            Property::CorrelationData(p) => publish.correlation = Bytes::copy_from_slice(p.val()),
            Property::ResponseTopic(p) => publish.response_topic = p.val().to_owned(),
            Property::ContentType(p) => publish.content_type = p.val().to_owned(),
            Property::UserProperty(p) if p.key() == "traceparent" => publish.traceparent = p.val().to_owned(),
            _ => {}
        }
    }
    publish
}

fn subscriptions(entries: &[packet::SubEntry]) -> Vec<Subscription> {
    let read = |entry: &packet::SubEntry| Subscription {
        filter: entry.topic_filter().to_owned(),
        at_least_once: entry.sub_opts().qos() != Qos::AtMostOnce,
    };
    entries.iter().map(read).collect()
}
