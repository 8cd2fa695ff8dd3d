//! PUBLISH to a client, for the first time or again.

use std::sync::Arc;

use bytes::Bytes;
use mqtt_protocol_core::mqtt::{
    common::Cursor,
    packet::{
        ContentType, CorrelationData, MessageExpiryInterval, PayloadFormat, PayloadFormatIndicator, Property,
        Qos, ResponseTopic, SubscriptionIdentifier, TopicAlias, UserProperty, v3_1_1, v5_0,
    },
    result_code::MqttError,
};

use super::{Protocol, Quality, aliases::Name};

/// A message for a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Where it is published.
    pub topic: String,
    /// Its payload.
    pub payload: Bytes,
    /// MQTT 5: what it answers.
    pub correlation: Bytes,
    /// MQTT 5: the payload's type.
    pub content_type: String,
    /// As sure as the subscription allows.
    pub quality: Quality,
    /// It has been kept for whoever subscribes, or the subscription wants to know that it is.
    pub retain: bool,
    /// What few have.
    pub(crate) extras: Option<Box<Extras>>,
}

/// MQTT 5: what few messages have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    /// The identifiers of the subscriptions that it is for.
    pub(crate) identifiers: Vec<u32>,
    /// The trace that it belongs to.
    pub(crate) traceparent: String,
    /// When it is of no use any more, milliseconds since 1970.
    pub(crate) expires_ms: Option<i64>,
    /// What else one client says to others.
    pub(crate) passed: Option<Arc<Passed>>,
}

/// What goes from one client to others unaltered (MQTT-3.3.2-4, 3.3.2-15, 3.3.2-17, 3.3.2-18).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) is_text: bool,
    pub(crate) response_topic: String,
    pub(crate) user: Vec<(String, String)>,
}

impl Passed {
    fn bytes(&self) -> usize {
        let user = self.user.iter().map(|(key, value)| key.len() + value.len() + 48);
        self.response_topic.len() + user.sum::<usize>() + 64
    }
}

impl Delivery {
    /// About how much memory it holds.
    pub(crate) fn bytes(&self) -> usize {
        let extras = self.extras.as_ref().map_or(0, |extras| {
            let passed = extras.passed.as_ref().map_or(0, |passed| passed.bytes());
            extras.traceparent.len() + 4 * extras.identifiers.len() + passed + 64
        });
        self.topic.len() + self.payload.len() + self.correlation.len() + extras + 64
    }

    /// Whether one client says it to others: nothing is promised of it but that it is passed on.
    pub(crate) fn is_passed_on(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| extras.passed.is_some())
    }

    /// Whether it is of no use any more.
    pub(crate) fn has_expired(&self, wall_ms: i64) -> bool {
        let expires = self.extras.as_ref().and_then(|extras| extras.expires_ms);
        expires.is_some_and(|at| at <= wall_ms)
    }
}

/// Whether a message is sent for the first time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    First,
    Again,
}

impl Protocol {
    /// Whether another message at QoS 1 or 2 may be sent now.
    pub(crate) fn has_room(&self) -> bool {
        let theirs = self.core.get_receive_maximum_vacancy_for_send();
        !self.is_full() && theirs.is_none_or(|room| room > 0)
    }

    /// Whether the client has left as many unacknowledged as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.in_flight >= usize::from(self.most_in_flight)
    }

    /// PUBLISH. False: it could not be sent (no packet id, or larger than the client takes). Else its packet
    /// id, 0 at QoS 0.
    pub(crate) fn publish(&mut self, delivery: &Delivery, wall_ms: i64) -> Option<u16> {
        if !delivery.quality.is_acknowledged() {
            return self.send(delivery, None, Attempt::First, wall_ms).then_some(0);
        }
        let id = self.core.acquire_packet_id().ok()?;
        self.in_flight += 1;
        let sent = self.send(delivery, Some(id), Attempt::First, wall_ms);
        if !sent {
            self.release(id);
        }
        sent.then_some(id)
    }

    /// The packet id of a message that went out over another connection is in use here as well.
    pub(crate) fn reserve(&mut self, packet_id: u16) -> bool {
        self.core.register_packet_id(packet_id).is_ok()
    }

    /// PUBLISH once more, over another connection, under its reserved packet id (MQTT-4.4.0-1).
    pub(crate) fn publish_again(&mut self, packet_id: u16, delivery: &Delivery, wall_ms: i64) -> bool {
        self.in_flight += 1;
        let sent = self.send(delivery, Some(packet_id), Attempt::Again, wall_ms);
        if !sent {
            self.release(packet_id);
        }
        sent
    }

    /// PUBREL once more, over another connection, under its reserved packet id.
    ///
    /// The library counts down what is in flight at each PUBCOMP, and a packet that was restored has never
    /// been counted: so it is made to believe in a publish and its PUBREC, neither of which leaves here.
    pub(crate) fn release_again(&mut self, packet_id: u16) {
        self.in_flight += 1;
        if self.is_v5() {
            let publish = v5_0::Publish::builder().topic_name("x").map(|b| {
                b.qos(Qos::ExactlyOnce)
                    .packet_id(packet_id)
                    .payload(&b""[..])
                    .build()
            });
            if let Ok(Ok(publish)) = publish {
                let _ = self.core.checked_send(publish);
            }
        } else {
            let publish = v3_1_1::Publish::builder().topic_name("x").map(|b| {
                b.qos(Qos::ExactlyOnce)
                    .packet_id(packet_id)
                    .payload(&b""[..])
                    .build()
            });
            if let Ok(Ok(publish)) = publish {
                let _ = self.core.checked_send(publish);
            }
        }
        let [high, low] = packet_id.to_be_bytes();
        let _ = self.core.recv(&mut Cursor::new(&[0x50, 2, high, low]));
        self.released(packet_id);
    }

    fn release(&mut self, packet_id: u16) {
        let events = self.core.release_packet_id(packet_id);
        self.settle(events);
    }

    fn send(&mut self, delivery: &Delivery, packet_id: Option<u16>, attempt: Attempt, wall_ms: i64) -> bool {
        if !self.is_v5() {
            let packet = publish_v3(delivery, packet_id, attempt);
            return self.put(packet);
        }
        let name = self.aliases.as_mut().map(|aliases| aliases.name(&delivery.topic));
        let packet = publish_v5(delivery, packet_id, attempt, name, wall_ms);
        let sent = self.put(packet);
        if let (false, Some(aliases)) = (sent, &mut self.aliases) {
            aliases.forget();
        }
        sent
    }
}

fn publish_v5(
    delivery: &Delivery,
    packet_id: Option<u16>,
    attempt: Attempt,
    name: Option<Name>,
    wall_ms: i64,
) -> Result<v5_0::Publish, MqttError> {
    let mut props: Vec<Property> = Vec::new();
    let topic = match name {
        None => delivery.topic.as_str(),
        Some(Name::New(alias)) => {
            props.push(TopicAlias::new(alias)?.into());
            delivery.topic.as_str()
        }
        Some(Name::Known(alias)) => {
            props.push(TopicAlias::new(alias)?.into());
            ""
        }
    };
    if !delivery.correlation.is_empty() {
        props.push(CorrelationData::new(delivery.correlation.to_vec())?.into());
    }
    if !delivery.content_type.is_empty() {
        props.push(ContentType::new(delivery.content_type.as_str())?.into());
    }
    if let Some(extras) = &delivery.extras {
        add_extras(&mut props, extras, wall_ms)?;
    }
    let mut builder = v5_0::Publish::builder()
        .qos(delivery.quality.into())
        .dup(attempt == Attempt::Again)
        .retain(delivery.retain)
        .props(props)
        .payload(delivery.payload.as_ref());
    if !topic.is_empty() {
        builder = builder.topic_name(topic)?;
    }
    match packet_id {
        Some(id) => builder.packet_id(id).build(),
        None => builder.build(),
    }
}

fn add_extras(props: &mut Vec<Property>, extras: &Extras, wall_ms: i64) -> Result<(), MqttError> {
    for identifier in &extras.identifiers {
        props.push(SubscriptionIdentifier::new(*identifier)?.into());
    }
    if !extras.traceparent.is_empty() {
        props.push(UserProperty::new("traceparent", extras.traceparent.as_str())?.into());
    }
    if let Some(at) = extras.expires_ms {
        // What is left of it (MQTT-3.3.2-6).
        let left = u64::try_from(at.saturating_sub(wall_ms)).unwrap_or_default();
        let seconds = u32::try_from(left.div_ceil(1_000)).unwrap_or(u32::MAX);
        props.push(MessageExpiryInterval::new(seconds)?.into());
    }
    if let Some(passed) = &extras.passed {
        add_passed(props, passed)?;
    }
    Ok(())
}

fn add_passed(props: &mut Vec<Property>, passed: &Passed) -> Result<(), MqttError> {
    if passed.is_text {
        props.push(PayloadFormatIndicator::new(PayloadFormat::String)?.into());
    }
    if !passed.response_topic.is_empty() {
        props.push(ResponseTopic::new(passed.response_topic.as_str())?.into());
    }
    for (key, value) in &passed.user {
        props.push(UserProperty::new(key.as_str(), value.as_str())?.into());
    }
    Ok(())
}

fn publish_v3(
    delivery: &Delivery,
    packet_id: Option<u16>,
    attempt: Attempt,
) -> Result<v3_1_1::Publish, MqttError> {
    let builder = v3_1_1::Publish::builder()
        .topic_name(delivery.topic.as_str())?
        .qos(delivery.quality.into())
        .dup(attempt == Attempt::Again)
        .retain(delivery.retain)
        .payload(delivery.payload.as_ref());
    match packet_id {
        Some(id) => builder.packet_id(id).build(),
        None => builder.build(),
    }
}
