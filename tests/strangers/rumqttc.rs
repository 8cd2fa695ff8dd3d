//! rumqttc as anybody would use it, in both of its versions of MQTT, with somebody's certificate.

use std::{path::Path, sync::Arc, time::Duration};

use rumqttc::{TlsConfiguration, Transport};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use world::World;

use crate::wire;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that wait for the network.
const QUEUE: usize = 16;

/// The version of MQTT that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// 3.1.1
    Three,
    /// 5
    Five,
}

/// What came, whichever version it came in.
#[derive(Debug)]
enum Got {
    Connected,
    /// Whether the filter was granted.
    Subscribed(bool),
    /// Whether the PUBACK says that it is done; one of MQTT 3.1.1 always does.
    Acknowledged(bool),
    Message(Message),
    Lost(String),
}

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Value,
    pub(crate) correlation: Option<Vec<u8>>,
}

enum Client {
    Three(rumqttc::AsyncClient),
    Five(rumqttc::v5::AsyncClient),
}

/// Somebody who is connected.
pub(crate) struct Rumqttc {
    /// `muster/v1/devices/pump-7`.
    me: String,
    client: Client,
    got: UnboundedReceiver<Got>,
    messages: Vec<Message>,
}

impl Rumqttc {
    /// Connects somebody, `devices/pump-7` for example.
    pub(crate) async fn connect(
        world: &World,
        who: &str,
        suffix: &str,
        home: &Path,
        version: Version,
    ) -> Rumqttc {
        let (_, id) = who.split_once('/').unwrap();
        let client_id = format!("{id}{suffix}");
        let tls = wire::tls(&world.roots(), Some(home));
        let port = world.endpoint().port;
        let (tell, got) = unbounded_channel();
        let client = match version {
            Version::Three => three(&client_id, port, tls, tell),
            Version::Five => five(&client_id, port, tls, tell),
        };
        let mut somebody = Rumqttc {
            me: format!("muster/v1/{who}"),
            client,
            got,
            messages: Vec::new(),
        };
        somebody
            .until("CONNACK", |got| matches!(got, Got::Connected).then_some(()))
            .await;
        somebody
    }

    /// A topic below its own `up/`.
    pub(crate) fn up(&self, verb: &str) -> String {
        format!("{}/up/{verb}", self.me)
    }

    /// A filter below its own `down/`.
    pub(crate) fn down(&self, rest: &str) -> String {
        format!("{}/down/{rest}", self.me)
    }

    /// Subscribes; whether it was granted.
    pub(crate) async fn subscribe(&mut self, filter: &str) -> bool {
        match &self.client {
            Client::Three(client) => client.subscribe(filter, rumqttc::QoS::AtLeastOnce).await.unwrap(),
            Client::Five(client) => client
                .subscribe(filter, rumqttc::v5::mqttbytes::QoS::AtLeastOnce)
                .await
                .unwrap(),
        }
        let answer = |got: &Got| match got {
            Got::Subscribed(granted) => Some(*granted),
            _ => None,
        };
        self.until("SUBACK", answer).await
    }

    /// Publishes at QoS 1; whether the PUBACK says that it is done.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &str) -> bool {
        self.publish_with(topic, payload, None).await
    }

    /// The same with correlation data and a response topic, which MQTT 5 alone has.
    pub(crate) async fn publish_with(
        &mut self,
        topic: &str,
        payload: &str,
        reply: Option<(&[u8], &str)>,
    ) -> bool {
        match &self.client {
            Client::Three(client) => client
                .publish(topic, rumqttc::QoS::AtLeastOnce, false, payload)
                .await
                .unwrap(),
            Client::Five(client) => {
                let properties = rumqttc::v5::mqttbytes::v5::PublishProperties {
                    correlation_data: reply.map(|(name, _)| name.to_vec().into()),
                    response_topic: reply.map(|(_, topic)| topic.to_owned()),
                    ..Default::default()
                };
                let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
                let payload = payload.to_owned();
                client
                    .publish_with_properties(topic, qos, false, payload, properties)
                    .await
                    .unwrap();
            }
        }
        let answer = |got: &Got| match got {
            Got::Acknowledged(done) => Some(*done),
            _ => None,
        };
        self.until("PUBACK", answer).await
    }

    /// Whether a publish is refused: by its PUBACK, or in MQTT 3.1.1 by a message.
    pub(crate) async fn is_denied(&mut self, topic: &str, payload: &str) -> bool {
        let done = self.publish(topic, payload).await;
        if matches!(self.client, Client::Five(_)) {
            return !done;
        }
        let told = self.next("down/front-door/publish/rejected").await.payload;
        told["code"] == "denied" && told["topic"] == topic
    }

    /// The next message whose topic ends like this.
    pub(crate) async fn next(&mut self, topic_end: &str) -> Message {
        loop {
            if let Some(at) = self.messages.iter().position(|m| m.topic.ends_with(topic_end)) {
                return self.messages.remove(at);
            }
            let more = self.messages.len();
            let came = |_: &Got| Some(());
            self.until(topic_end, came).await;
            assert!(self.messages.len() > more, "something else than {topic_end} came");
        }
    }

    pub(crate) async fn leave(mut self) {
        match &self.client {
            Client::Three(client) => client.disconnect().await.unwrap(),
            Client::Five(client) => client.disconnect().await.unwrap(),
        }
        let lost = |got: &Got| matches!(got, Got::Lost(_)).then_some(());
        self.until("end", lost).await;
    }

    /// Waits for something; messages that come meanwhile are kept.
    async fn until<T>(&mut self, what: &str, fits: impl Fn(&Got) -> Option<T>) -> T {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let got = tokio::time::timeout_at(end, self.got.recv()).await;
            let got = got.unwrap_or_else(|_| panic!("{}: no {what} in time", self.me));
            let got = got.unwrap_or_else(|| panic!("{}: no {what}, it ended", self.me));
            let found = fits(&got);
            match got {
                Got::Message(message) => self.messages.push(message),
                Got::Lost(why) if found.is_none() => panic!("{}: no {what}, but {why}", self.me),
                _ => {}
            }
            if let Some(found) = found {
                return found;
            }
        }
    }
}

fn transport(tls: Arc<ClientConfig>) -> Transport {
    Transport::tls_with_config(TlsConfiguration::Rustls(tls))
}

fn three(client_id: &str, port: u16, tls: Arc<ClientConfig>, tell: UnboundedSender<Got>) -> Client {
    use rumqttc::{Event, Packet, SubscribeReasonCode};
    let mut options = rumqttc::MqttOptions::new(client_id, "127.0.0.1", port);
    options
        .set_transport(transport(tls))
        .set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = rumqttc::AsyncClient::new(options, QUEUE);
    tokio::spawn(async move {
        loop {
            let got = match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => Got::Connected,
                Ok(Event::Incoming(Packet::SubAck(ack))) => {
                    let granted = |code: &SubscribeReasonCode| *code != SubscribeReasonCode::Failure;
                    Got::Subscribed(ack.return_codes.iter().all(granted))
                }
                Ok(Event::Incoming(Packet::PubAck(_))) => Got::Acknowledged(true),
                Ok(Event::Incoming(Packet::Publish(publish))) => Got::Message(Message {
                    payload: serde_json::from_slice(&publish.payload).unwrap(),
                    topic: publish.topic,
                    correlation: None,
                }),
                Ok(_) => continue,
                Err(error) => Got::Lost(error.to_string()),
            };
            if tell_and_is_over(&tell, got) {
                return;
            }
        }
    });
    Client::Three(client)
}

fn five(client_id: &str, port: u16, tls: Arc<ClientConfig>, tell: UnboundedSender<Got>) -> Client {
    use rumqttc::v5::{
        Event,
        mqttbytes::v5::{Packet, PubAckReason, SubscribeReasonCode},
    };
    let mut options = rumqttc::v5::MqttOptions::new(client_id, "127.0.0.1", port);
    options
        .set_transport(transport(tls))
        .set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = rumqttc::v5::AsyncClient::new(options, QUEUE);
    tokio::spawn(async move {
        loop {
            let got = match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => Got::Connected,
                Ok(Event::Incoming(Packet::SubAck(ack))) => {
                    let granted =
                        |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
                    Got::Subscribed(ack.return_codes.iter().all(granted))
                }
                Ok(Event::Incoming(Packet::PubAck(ack))) => {
                    Got::Acknowledged(ack.reason == PubAckReason::Success)
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => Got::Message(Message {
                    topic: String::from_utf8(publish.topic.to_vec()).unwrap(),
                    payload: serde_json::from_slice(&publish.payload).unwrap(),
                    correlation: publish
                        .properties
                        .and_then(|p| p.correlation_data)
                        .map(|name| name.to_vec()),
                }),
                Ok(_) => continue,
                Err(error) => Got::Lost(error.to_string()),
            };
            if tell_and_is_over(&tell, got) {
                return;
            }
        }
    });
    Client::Five(client)
}

fn tell_and_is_over(tell: &UnboundedSender<Got>, got: Got) -> bool {
    let lost = matches!(got, Got::Lost(_));
    tell.send(got).is_err() || lost
}
