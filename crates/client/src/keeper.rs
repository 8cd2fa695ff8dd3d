//! Polls the connection, and makes it again.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use contract::{Code, Leaf, Refusal, Topic, v1::Rejection, wire};
use tokio::sync::{mpsc, watch};

use crate::{
    backoff::Backoff,
    connection::{Client, Delivery, Trouble},
    error::{AskError, Cause},
    line::{Ear, Met, chance},
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

    pub(crate) async fn keep(mut self, mut ear: Box<dyn Ear>) {
        loop {
            match ear.next().await {
                Met::Left => break,
                Met::Lost { why, cause } => {
                    self.on_loss(why, cause, &mut *ear);
                    if self.wants_no_other() {
                        break;
                    }
                    let chance = chance(&*self.client.network);
                    tokio::time::sleep(self.backoff.pause(chance)).await;
                    if self.wants_no_other() {
                        break;
                    }
                }
                met => self.on_met(met),
            }
            if self.is_alone() {
                break;
            }
        }
        self.client.pending.lock().close();
        self.client.subscriptions.lock().close();
    }

    /// A connection that was lost is made again, but not for those who were leaving: whoever has come in their place
    /// would be put out.
    fn wants_no_other(&self) -> bool {
        self.client.is_leaving() || self.is_alone()
    }

    /// Nobody holds the client or the inbox any more.
    fn is_alone(&self) -> bool {
        self.deliver.is_closed() && Arc::strong_count(&self.client.pending) == 1
    }

    /// What was under way is sent again on the next connection, under the same names.
    fn on_loss(&mut self, why: String, cause: Cause, ear: &mut dyn Ear) {
        tracing::debug!(why, "the connection is gone");
        let mut pending = self.client.pending.lock();
        let mut subscriptions = self.client.subscriptions.lock();
        ear.forget();
        pending.lost();
        subscriptions.lost();
        drop((pending, subscriptions));
        self.fresh = false;
        self.failed.send_replace(Some(Trouble { why, cause }));
    }

    fn on_met(&mut self, met: Met) {
        match met {
            Met::Published(packet) => self.client.pending.lock().published(packet),
            Met::Subscribed(packet) => self.client.subscriptions.lock().subscribed(packet),
            Met::Connected { packet_bytes } => {
                let most = packet_bytes.unwrap_or(u32::MAX);
                self.client.packet_bytes.store(most, Ordering::Relaxed);
                self.fresh = true;
                self.subscribe_again();
            }
            Met::Granted { packet, reason, text } => self.on_granted(packet, reason, text),
            Met::Acknowledged { packet, reason, text } => {
                let mut pending = self.client.pending.lock();
                pending.acknowledged(packet, reason, text.as_deref());
            }
            Met::Message { topic, name, payload } => self.on_message(topic, name, payload),
            Met::Nothing | Met::Lost { .. } | Met::Left => {}
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

    fn on_granted(&mut self, packet: u16, reason: u8, text: Option<String>) {
        let acknowledged = self
            .client
            .subscriptions
            .lock()
            .acknowledged(packet, reason, text);
        let Some(answered) = acknowledged else {
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
            tokio::spawn(async move {
                let refused = client.publish(name.clone(), topic, payload).await;
                // This server takes less than the one before.
                if let Err(AskError::Refused(refusal)) = refused {
                    client.pending.lock().answer(&name, Err(refusal));
                }
            });
        }
    }

    fn on_message(&self, topic: String, name: Option<Bytes>, payload: Bytes) {
        let leaf = match self.client.root.parse_topic(&topic) {
            Some(Topic::Down { leaf, .. }) => leaf,
            _ => Leaf::Push,
        };
        match (name, leaf) {
            (Some(name), Leaf::Accepted) => self.client.pending.lock().answer(&name, Ok(payload)),
            (Some(name), Leaf::Rejected) => {
                let refusal = refusal(&payload);
                self.client.pending.lock().answer(&name, Err(refusal));
            }
            _ => {
                let delivery = Delivery {
                    topic,
                    payload,
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
        behind: String::new(),
    }
}
