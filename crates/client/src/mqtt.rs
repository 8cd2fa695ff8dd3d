//! A line over TLS, by rumqttc.

use std::sync::Arc;

use bytes::Bytes;
use contract::wire::Encoding;
use rumqttc::{
    Outgoing,
    v5::{
        AsyncClient, ClientError, ConnectionError, Event, EventLoop,
        mqttbytes::{
            QoS,
            v5::{Packet, PubAckReason, PublishProperties, SubAck, SubscribeReasonCode},
        },
    },
};

use crate::{
    error::{Cause, told},
    identity::Identity,
    line::{Ear, Line, Met, Soon, Unsaid},
    options::{Endpoint, Options},
};

/// Requests that wait for the network.
const QUEUE: usize = 256;

pub(crate) fn open(
    endpoint: &Endpoint,
    identity: &Identity,
    options: &Options,
) -> (Arc<dyn Line>, Box<dyn Ear>) {
    let (client, eventloop) = AsyncClient::new(options.mqtt(endpoint, identity), QUEUE);
    (Arc::new(Sender(client)), Box::new(Receiver(eventloop)))
}

struct Sender(AsyncClient);

impl Line for Sender {
    fn publish(&self, name: &Bytes, topic: &str, payload: &Bytes) -> Result<(), Unsaid> {
        let properties = PublishProperties {
            correlation_data: Some(name.clone()),
            content_type: Some(Encoding::of(payload).content_type().to_owned()),
            ..Default::default()
        };
        let qos = QoS::AtLeastOnce;
        let queued = self
            .0
            .try_publish_with_properties(topic, qos, false, payload.clone(), properties);
        queued.map_err(unsaid)
    }

    fn subscribe(&self, filter: &str) -> Result<(), Unsaid> {
        self.0.try_subscribe(filter, QoS::AtLeastOnce).map_err(unsaid)
    }

    fn leave(&self) -> Soon<'_, ()> {
        Box::pin(async {
            let _ = self.0.disconnect().await;
        })
    }
}

fn unsaid(error: ClientError) -> Unsaid {
    match error {
        ClientError::TryRequest(_) => Unsaid::Full,
        ClientError::Request(_) => Unsaid::Closed,
    }
}

struct Receiver(EventLoop);

impl Ear for Receiver {
    fn next(&mut self) -> Soon<'_, Met> {
        Box::pin(async { met(self.0.poll().await) })
    }

    /// What rumqttc would send again is sent by us, under the same names. Its own cleaning leaves old events
    /// and a packet that collided, which would block the next connection.
    fn forget(&mut self) {
        self.0.clean();
        self.0.pending.clear();
        self.0.state.events.clear();
        self.0.state.collision = None;
    }
}

fn met(polled: Result<Event, ConnectionError>) -> Met {
    match polled {
        Ok(Event::Incoming(packet)) => met_packet(packet),
        Ok(Event::Outgoing(Outgoing::Publish(packet))) => Met::Published(packet),
        Ok(Event::Outgoing(Outgoing::Subscribe(packet))) => Met::Subscribed(packet),
        Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(ConnectionError::RequestsDone) => Met::Left,
        Ok(_) => Met::Nothing,
        Err(error) => Met::Lost {
            why: told(&error),
            cause: Cause::of(&error),
        },
    }
}

fn met_packet(packet: Packet) -> Met {
    match packet {
        Packet::ConnAck(ack) => Met::Connected {
            packet_bytes: ack.properties.and_then(|told| told.max_packet_size),
        },
        Packet::SubAck(ack) => Met::Granted {
            packet: ack.pkid,
            reason: refusal(&ack),
            text: ack.properties.and_then(|p| p.reason_string),
        },
        Packet::PubAck(ack) => Met::Acknowledged {
            packet: ack.pkid,
            reason: match ack.reason {
                PubAckReason::NotAuthorized => 0x87,
                PubAckReason::TopicNameInvalid => 0x90,
                PubAckReason::QuotaExceeded => 0x97,
                _ => 0,
            },
            text: ack.properties.and_then(|p| p.reason_string),
        },
        Packet::Publish(publish) => Met::Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            name: publish.properties.and_then(|p| p.correlation_data),
            payload: publish.payload,
        },
        _ => Met::Nothing,
    }
}

/// The first refusal of a subscription's filters; 0 if all are granted.
fn refusal(ack: &SubAck) -> u8 {
    let refused = |code: &&SubscribeReasonCode| !matches!(code, SubscribeReasonCode::Success(_));
    match ack.return_codes.iter().find(refused) {
        None => 0,
        Some(SubscribeReasonCode::NotAuthorized) => 0x87,
        Some(SubscribeReasonCode::TopicFilterInvalid) => 0x8F,
        Some(SubscribeReasonCode::QuotaExceeded) => 0x97,
        Some(SubscribeReasonCode::SharedSubscriptionsNotSupported) => 0x9E,
        Some(SubscribeReasonCode::WildcardSubscriptionsNotSupported) => 0xA2,
        Some(_) => 0x80,
    }
}
