//! Packets from a client, without their version's differences.

use bytes::Bytes;
use mqtt_protocol_core::mqtt::{
    common::Cursor,
    packet::{self, GenericPacket, PayloadFormat, Property, RetainHandling},
};

use contract::topic::measure;

use super::{Heard, Hello, Protocol, Quality, Reason, TOO_LARGE, header, hello, take_repeats};

/// A packet, as far as the front door cares.
#[derive(Debug)]
pub(crate) enum Packet {
    /// CONNECT.
    Connect(Box<Hello>),
    /// PUBLISH.
    Publish(Publish),
    /// PUBLISH at QoS 2 under a packet id that is in use, over this connection or an earlier one.
    Repeated { packet_id: u16, duplicate: bool },
    /// PUBACK of something that was sent to the client.
    Acknowledged { packet_id: u16 },
    /// PUBREC of something that was sent to the client.
    Received { packet_id: u16, refused: bool },
    /// PUBREL of something that the client sent.
    Released { packet_id: u16 },
    /// PUBCOMP of something that was sent to the client.
    Completed { packet_id: u16 },
    /// SUBSCRIBE.
    Subscribe {
        packet_id: u16,
        subscriptions: Vec<Subscription>,
    },
    /// UNSUBSCRIBE.
    Unsubscribe { packet_id: u16, filters: Vec<String> },
    /// PINGREQ.
    Ping,
    /// DISCONNECT.
    Disconnect {
        /// The will is wanted nevertheless (MQTT 5, 0x04).
        with_will: bool,
        /// The session is to be kept for so long, seconds, which is not what was said before.
        expiry_s: Option<u32>,
    },
    /// Nothing a server should get.
    Other,
}

impl Packet {
    /// How much the client wants by it that costs others something, in publishes. Acknowledgements cost nothing: there are
    /// no more of them than the server has sent messages.
    pub(crate) fn requests(&self) -> usize {
        match self {
            Packet::Publish(_) | Packet::Repeated { .. } | Packet::Ping => 1,
            Packet::Subscribe { subscriptions, .. } => subscriptions.len(),
            Packet::Unsubscribe { filters, .. } => filters.len(),
            _ => 0,
        }
    }
}

/// A message from a client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Publish {
    /// `None` at QoS 0.
    pub(crate) packet_id: Option<u16>,
    pub(crate) quality: Quality,
    /// It may have been sent before.
    pub(crate) duplicate: bool,
    pub(crate) retain: bool,
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) correlation: Bytes,
    pub(crate) response_topic: String,
    pub(crate) content_type: String,
    pub(crate) traceparent: String,
    /// MQTT 5: for how long it is of use, seconds.
    pub(crate) expiry_s: Option<u32>,
    /// MQTT 5: the payload is UTF-8.
    pub(crate) is_text: bool,
    /// MQTT 5: user properties, in their order.
    pub(crate) user: Vec<(String, String)>,
}

/// One filter of a SUBSCRIBE.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) filter: String,
    pub(crate) options: Options,
    pub(crate) handling: Handling,
}

/// What a subscription is to be like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The most that messages come with.
    pub(crate) quality: Quality,
    /// Nothing comes that the client itself has published: here nothing ever does.
    pub(crate) no_local: bool,
    /// Whether a message is retained is told even when it has just been published.
    pub(crate) retain_as_published: bool,
    /// The subscription's number; 0 for none.
    pub(crate) identifier: u32,
}

/// What a new subscription wants of retained messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Handling {
    /// All that match.
    #[default]
    Send,
    /// All that match, unless the subscription was there.
    SendIfNew,
    /// None.
    Keep,
}

impl Protocol {
    /// Reads on to the end of the first packet that `bytes` completes; says how many bytes that took.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> (Vec<Heard>, usize) {
        if let Err((reason, text)) = self.place.walk(bytes) {
            if reason == Reason::PacketTooLarge && header::begins_mqtt_5(bytes) {
                self.out.extend_from_slice(TOO_LARGE);
            }
            self.dismiss(reason, text);
            return (vec![Heard::Broken(reason, text.into())], bytes.len());
        }
        let mut cursor = Cursor::new(bytes);
        let mut events = self.core.recv(&mut cursor);
        let consumed = usize::try_from(cursor.position()).unwrap_or(bytes.len());
        let repeated = take_repeats(&mut events, self.place.is_duplicate());
        let mut heard = self.settle(events);
        heard.extend(repeated);
        (heard, consumed)
    }
}

pub(super) fn read(packet: GenericPacket<u16>) -> Heard {
    let packet = match take(packet) {
        Ok(packet) => packet,
        Err((reason, text)) => return Heard::Broken(reason, text.into()),
    };
    match fault(&packet) {
        Some((reason, text)) => Heard::Broken(reason, text.into()),
        None => Heard::Packet(packet),
    }
}

/// What the library lets pass, in one version or in both.
fn fault(packet: &Packet) -> Option<(Reason, &'static str)> {
    let packet_id = match packet {
        Packet::Publish(publish) => publish.packet_id,
        Packet::Subscribe { packet_id, .. }
        | Packet::Unsubscribe { packet_id, .. }
        | Packet::Released { packet_id } => Some(*packet_id),
        _ => None,
    };
    if packet_id == Some(0) {
        return Some((Reason::ProtocolError, "a packet id is never 0")); // MQTT-2.2.1-3
    }
    let topic = match packet {
        Packet::Publish(publish) => &publish.topic,
        Packet::Connect(hello) => &hello.will.as_ref()?.publish.topic,
        _ => return None,
    };
    // MQTT-4.7.3-1, 4.7.3-2. A topic with a wildcard is refused as one that is nobody's.
    let bad = topic.is_empty() || topic.contains('\0');
    bad.then_some((
        Reason::ProtocolError,
        "a topic has at least one character, and no zero",
    ))
}

type Fault = (Reason, &'static str);

fn take(packet: GenericPacket<u16>) -> Result<Packet, Fault> {
    Ok(match packet {
        GenericPacket::V3_1_1Connect(p) => Packet::Connect(Box::new(hello::v3(&p)?)),
        GenericPacket::V5_0Connect(p) => Packet::Connect(Box::new(hello::v5(&p)?)),
        GenericPacket::V3_1_1Publish(p) => Packet::Publish(Publish {
            packet_id: p.packet_id(),
            quality: p.qos().into(),
            duplicate: p.dup(),
            retain: p.retain(),
            topic: p.topic_name().to_owned(),
            payload: Bytes::copy_from_slice(p.payload().as_slice()),
            ..Publish::default()
        }),
        GenericPacket::V5_0Publish(p) => Packet::Publish(publish_v5(&p)?),
        GenericPacket::V3_1_1Puback(p) => Packet::Acknowledged {
            packet_id: p.packet_id(),
        },
        GenericPacket::V5_0Puback(p) => Packet::Acknowledged {
            packet_id: p.packet_id(),
        },
        GenericPacket::V3_1_1Pubrec(p) => Packet::Received {
            packet_id: p.packet_id(),
            refused: false,
        },
        GenericPacket::V5_0Pubrec(p) => Packet::Received {
            packet_id: p.packet_id(),
            // As the library sees it: whatever is no success ends the flow.
            refused: p.reason_code().is_some_and(|code| code as u8 != 0),
        },
        GenericPacket::V3_1_1Pubrel(p) => Packet::Released {
            packet_id: p.packet_id(),
        },
        GenericPacket::V5_0Pubrel(p) => Packet::Released {
            packet_id: p.packet_id(),
        },
        GenericPacket::V3_1_1Pubcomp(p) => Packet::Completed {
            packet_id: p.packet_id(),
        },
        GenericPacket::V5_0Pubcomp(p) => Packet::Completed {
            packet_id: p.packet_id(),
        },
        GenericPacket::V3_1_1Subscribe(p) => Packet::Subscribe {
            packet_id: p.packet_id(),
            subscriptions: subscriptions_v3(p.entries())?,
        },
        GenericPacket::V5_0Subscribe(p) => Packet::Subscribe {
            packet_id: p.packet_id(),
            subscriptions: subscriptions_v5(p.entries(), p.props())?,
        },
        GenericPacket::V3_1_1Unsubscribe(p) => Packet::Unsubscribe {
            packet_id: p.packet_id(),
            filters: p.entries().iter().map(|f| f.as_str().to_owned()).collect(),
        },
        GenericPacket::V5_0Unsubscribe(p) => Packet::Unsubscribe {
            packet_id: p.packet_id(),
            filters: p.entries().iter().map(|f| f.as_str().to_owned()).collect(),
        },
        GenericPacket::V3_1_1Pingreq(_) | GenericPacket::V5_0Pingreq(_) => Packet::Ping,
        GenericPacket::V3_1_1Disconnect(_) => Packet::Disconnect {
            with_will: false,
            expiry_s: None,
        },
        GenericPacket::V5_0Disconnect(p) => disconnect(&p)?,
        _ => Packet::Other,
    })
}

fn disconnect(p: &packet::v5_0::Disconnect) -> Result<Packet, Fault> {
    let mut expiry_s = None;
    for property in p.props().iter().flatten() {
        match property {
            Property::SessionExpiryInterval(p) => expiry_s = Some(p.val()),
            // MQTT 5, section 3.14.2.2.5: only a server names another.
            Property::ServerReference(_) => {
                return Err((Reason::ProtocolError, "a client does not name another server"));
            }
            _ => {}
        }
    }
    Ok(Packet::Disconnect {
        with_will: p.reason_code().is_some_and(|code| code as u8 != 0),
        expiry_s,
    })
}

fn publish_v5(p: &packet::v5_0::Publish) -> Result<Publish, Fault> {
    let mut publish = Publish {
        packet_id: p.packet_id(),
        quality: p.qos().into(),
        duplicate: p.dup(),
        retain: p.retain(),
        topic: p.topic_name().to_owned(),
        payload: Bytes::copy_from_slice(p.payload().as_slice()),
        ..Publish::default()
    };
    for property in p.props() {
        match property {
            // MQTT-3.3.4-6
            Property::SubscriptionIdentifier(_) => {
                return Err((
                    Reason::ProtocolError,
                    "a client's publish has no subscription identifier",
                ));
            }
            // What a client names by number is kept: it must be short.
            Property::TopicAlias(_) if measure(&publish.topic).is_err() => {
                return Err((Reason::TopicNameInvalid, "a topic with an alias is shorter"));
            }
            property => publish.take_property(property),
        }
    }
    Ok(publish)
}

impl Publish {
    pub(super) fn take_property(&mut self, property: &Property) {
        match property {
            Property::CorrelationData(p) => self.correlation = Bytes::copy_from_slice(p.val()),
            Property::ResponseTopic(p) => self.response_topic = p.val().to_owned(),
            Property::ContentType(p) => self.content_type = p.val().to_owned(),
            Property::MessageExpiryInterval(p) => self.expiry_s = Some(p.val()),
            Property::PayloadFormatIndicator(p) => self.is_text = p.val() == PayloadFormat::String as u8,
            Property::UserProperty(p) => {
                if p.key() == "traceparent" {
                    p.val().clone_into(&mut self.traceparent);
                }
                self.user.push((p.key().to_owned(), p.val().to_owned()));
            }
            _ => {}
        }
    }
}

fn subscriptions_v3(entries: &[packet::SubEntry]) -> Result<Vec<Subscription>, Fault> {
    let read = |entry: &packet::SubEntry| {
        if entry.sub_opts().to_buffer()[0] > 2 {
            // MQTT-3.8.3-4
            return Err((
                Reason::Malformed,
                "the upper six bits of a subscription's QoS are 0",
            ));
        }
        Ok(Subscription {
            filter: entry.topic_filter().to_owned(),
            options: Options {
                quality: entry.sub_opts().qos().into(),
                ..Options::default()
            },
            handling: Handling::Send,
        })
    };
    entries.iter().map(read).collect()
}

fn subscriptions_v5(entries: &[packet::SubEntry], props: &[Property]) -> Result<Vec<Subscription>, Fault> {
    let mut identifier = 0;
    for property in props {
        if let Property::SubscriptionIdentifier(p) = property {
            // MQTT 5, section 3.8.2.1.2: once, and never 0.
            if identifier != 0 || p.val() == 0 {
                return Err((
                    Reason::ProtocolError,
                    "a subscription has one identifier, and not 0",
                ));
            }
            identifier = p.val();
        }
    }
    let read = |entry: &packet::SubEntry| {
        let options = entry.sub_opts();
        if options.nl() && entry.topic_filter().starts_with("$share/") {
            // MQTT-3.8.3-4
            return Err((Reason::ProtocolError, "a shared subscription is never no-local"));
        }
        Ok(Subscription {
            filter: entry.topic_filter().to_owned(),
            options: Options {
                quality: options.qos().into(),
                no_local: options.nl(),
                retain_as_published: options.rap(),
                identifier,
            },
            handling: match options.rh() {
                RetainHandling::SendRetained => Handling::Send,
                RetainHandling::SendRetainedIfNotExists => Handling::SendIfNew,
                RetainHandling::DoNotSendRetained => Handling::Keep,
            },
        })
    };
    entries.iter().map(read).collect()
}
