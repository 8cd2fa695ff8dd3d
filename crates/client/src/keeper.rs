//! Polls the connection, and makes it again.

use std::sync::Arc;

use contract::{Code, Leaf, Refusal, Topic, v1::Rejection, wire};
use rumqttc::{
    Outgoing,
    v5::{
        ConnectionError, Event, EventLoop,
        mqttbytes::v5::{Packet, Publish, SubAck},
    },
};
use tokio::sync::{mpsc, watch};

use crate::{
    backoff::Backoff,
    connection::{Client, Delivery, Trouble},
    error::Cause,
};

pub(crate) struct Keeper {
    client: Client,
    up: watch::Sender<u64>,
    failed: watch::Sender<Option<Trouble>>,
    deliver: mpsc::UnboundedSender<Delivery>,
    backoff: Backoff,
    connection: u64,
    /// Connected, but not yet subscribed.
    fresh: bool,
}

impl Keeper {
    pub(crate) fn new(
        client: Client,
        up: watch::Sender<u64>,
        failed: watch::Sender<Option<Trouble>>,
        deliver: mpsc::UnboundedSender<Delivery>,
        backoff: Backoff,
    ) -> Keeper {
        Keeper {
            client,
            up,
            failed,
            deliver,
            backoff,
            connection: 0,
            fresh: false,
        }
    }

    pub(crate) async fn keep(mut self, mut eventloop: EventLoop) {
        loop {
            match eventloop.poll().await {
                Ok(Event::Incoming(packet)) => self.on_packet(packet),
                Ok(Event::Outgoing(Outgoing::Publish(packet))) => {
                    self.client.pending.lock().published(packet)
                }
                Ok(Event::Outgoing(Outgoing::Subscribe(packet))) => {
                    self.client.subscriptions.lock().subscribed(packet)
                }
                Ok(Event::Outgoing(Outgoing::Disconnect)) => break,
                Ok(_) => {}
                Err(ConnectionError::RequestsDone) => break,
                Err(error) => {
                    self.on_loss(&error, &mut eventloop);
                    if self.is_alone() {
                        break;
                    }
                    tokio::time::sleep(self.backoff.pause(rand::random())).await;
                }
            }
            if self.is_alone() {
                break;
            }
        }
        self.client.pending.lock().close();
        self.client.subscriptions.lock().close();
    }

    /// Nobody holds the client or the inbox any more.
    fn is_alone(&self) -> bool {
        self.deliver.is_closed() && Arc::strong_count(&self.client.pending) == 1
    }

    /// What rumqttc would send again is sent by us, under the same names. Its own cleaning leaves old events
    /// and a packet that collided, which would block the next connection.
    fn on_loss(&mut self, error: &ConnectionError, eventloop: &mut EventLoop) {
        tracing::debug!(%error, "the connection is gone");
        let mut pending = self.client.pending.lock();
        let mut subscriptions = self.client.subscriptions.lock();
        eventloop.clean();
        eventloop.pending.clear();
        eventloop.state.events.clear();
        eventloop.state.collision = None;
        pending.lost();
        subscriptions.lost();
        drop((pending, subscriptions));
        self.fresh = false;
        self.failed.send_replace(Some(Trouble {
            why: error.to_string(),
            cause: Cause::of(error),
        }));
    }

    fn on_packet(&mut self, packet: Packet) {
        match packet {
            Packet::ConnAck(_) => {
                self.fresh = true;
                self.subscribe_again();
            }
            Packet::SubAck(ack) => self.on_suback(&ack),
            Packet::PubAck(ack) => {
                let text = ack.properties.as_ref().and_then(|p| p.reason_string.as_deref());
                self.client
                    .pending
                    .lock()
                    .acknowledged(ack.pkid, ack.reason, text);
            }
            Packet::Publish(publish) => self.on_publish(publish),
            _ => {}
        }
    }

    /// In order, the principal's own `down/` first.
    fn subscribe_again(&self) {
        let filters = self.client.subscriptions.lock().filters();
        let client = self.client.clone();
        tokio::spawn(async move {
            for filter in filters {
                if client.subscribe_to(&filter).await.is_err() {
                    return;
                }
            }
        });
    }

    fn on_suback(&mut self, ack: &SubAck) {
        let Some(answered) = self.client.subscriptions.lock().acknowledged(ack) else {
            return;
        };
        if let Some(refusal) = answered.untold {
            let filter = &answered.filter;
            tracing::warn!(%filter, %refusal, "a subscription that is kept up is refused; its messages do not come");
        }
        let own = answered.filter == self.client.root.down_filter(&self.client.who);
        if own && std::mem::take(&mut self.fresh) {
            self.connection += 1;
            self.backoff.reset();
            self.send_again();
            self.up.send_replace(self.connection);
        }
    }

    fn send_again(&self) {
        let again = self.client.pending.lock().again();
        for (name, topic, payload) in again {
            let client = self.client.clone();
            tokio::spawn(async move { client.publish(name, topic, payload).await });
        }
    }

    fn on_publish(&self, publish: Publish) {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        let name = publish
            .properties
            .as_ref()
            .and_then(|p| p.correlation_data.clone());
        let leaf = match self.client.root.parse_topic(&topic) {
            Some(Topic::Down { leaf, .. }) => leaf,
            _ => Leaf::Push,
        };
        match (name, leaf) {
            (Some(name), Leaf::Accepted) => self.client.pending.lock().answer(&name, Ok(publish.payload)),
            (Some(name), Leaf::Rejected) => {
                let refusal = refusal(&publish.payload);
                self.client.pending.lock().answer(&name, Err(refusal));
            }
            _ => {
                let delivery = Delivery {
                    topic,
                    payload: publish.payload,
                    connection: self.connection,
                };
                let _ = self.deliver.send(delivery);
            }
        }
    }
}

fn refusal(payload: &[u8]) -> Refusal {
    let Ok(rejection) = wire::decode::<Rejection>(payload, "") else {
        return Refusal::new(Code::Internal, "the service refused in a way that does not parse");
    };
    Refusal {
        code: Code::from_word(&rejection.code).unwrap_or(Code::Internal),
        message: rejection.message,
        field: rejection.field,
        present_version: rejection.present_version,
        allowed: rejection.allowed,
        retry_after_ms: rejection.retry_after_ms,
    }
}
