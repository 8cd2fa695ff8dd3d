//! What a connected principal can do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use contract::{
    Code, Refusal, Root,
    filter::Filter,
    id::{Principal, ServiceName},
    verb::DATA,
    wire::{self, Encoding, Wire},
};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    error::{AskError, Cause, ConnectError},
    identity::Identity,
    keeper::Keeper,
    line::{Internet, Line, Network, Unsaid},
    options::{Endpoint, Options},
    pending::{Pending, Waiting},
    subscriptions::Subscriptions,
};

/// Pause before a full queue is tried again.
const FULL: Duration = Duration::from_millis(10);
/// Bytes of a PUBLISH at QoS 1 beside topic, name, content type and payload, at most: its header, their lengths, a packet
/// id (MQTT 5, section 3.3).
const AROUND_BYTES: usize = 5 + 2 + 2 + 4 + 3 + 3;
/// How long a client that leaves tries to say so.
const GOODBYE: Duration = Duration::from_secs(1);

/// A message that is no reply: an event, a replayed event, a push.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Bytes,
    /// Which connection it came over: grows with each reconnect.
    pub connection: u64,
}

/// Where deliveries arrive.
pub type Inbox = mpsc::UnboundedReceiver<Delivery>;

/// A connected principal. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) who: Principal,
    pub(crate) root: Root,
    pub(crate) line: Arc<dyn Line>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) pending: Arc<Mutex<Pending>>,
    pub(crate) subscriptions: Arc<Mutex<Subscriptions>>,
    /// The largest packet that the server takes.
    pub(crate) packet_bytes: Arc<AtomicU32>,
    connections: watch::Receiver<u64>,
    trouble: watch::Receiver<Option<Trouble>>,
    leaving: Arc<AtomicBool>,
    patience: Duration,
}

/// Why the connection is gone.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// What the network, TLS or MQTT says.
    pub why: String,
    /// Whether trying again may help.
    pub cause: Cause,
}

impl Client {
    /// Connects. `suffix` makes the client id `{id}:{suffix}`, so that one person may have several.
    pub async fn connect(
        endpoint: &Endpoint,
        identity: &Identity,
        root: Root,
        suffix: &str,
    ) -> Result<(Client, Inbox), ConnectError> {
        let options = Options {
            suffix: suffix.to_owned(),
            ..Options::default()
        };
        Client::connect_with(endpoint, identity, root, options).await
    }

    /// Connects, and returns once the principal's own `down/` is subscribed to.
    pub async fn connect_with(
        endpoint: &Endpoint,
        identity: &Identity,
        root: Root,
        options: Options,
    ) -> Result<(Client, Inbox), ConnectError> {
        Client::connect_over(Arc::new(Internet), endpoint, identity, root, options).await
    }

    /// The same, over another network than the real one.
    pub async fn connect_over(
        network: Arc<dyn Network>,
        endpoint: &Endpoint,
        identity: &Identity,
        root: Root,
        options: Options,
    ) -> Result<(Client, Inbox), ConnectError> {
        let (line, ear) = network.open(endpoint, identity, &options);
        let (up, mut connections) = watch::channel(0);
        let (failed, mut trouble) = watch::channel(None);
        let (deliver, inbox) = mpsc::unbounded_channel();
        let own_down = root.down_filter(&identity.who);
        let client = Client {
            who: identity.who.clone(),
            root,
            line,
            network,
            pending: Arc::default(),
            subscriptions: Arc::new(Mutex::new(Subscriptions::with(own_down))),
            packet_bytes: Arc::new(AtomicU32::new(u32::MAX)),
            connections: connections.clone(),
            trouble: trouble.clone(),
            leaving: Arc::default(),
            patience: options.patience,
        };
        let keeper = Keeper::new(client.clone(), up, failed, deliver, options.backoff);
        tokio::spawn(keeper.keep(ear));
        let first = tokio::select! {
            biased;
            up = tokio::time::timeout(options.first, connections.wait_for(|n| *n > 0)) => matches!(up, Ok(Ok(_))),
            _ = trouble.changed() => false,
        };
        if first {
            return Ok((client, inbox));
        }
        let met = trouble.borrow_and_update().clone();
        let Trouble { why, cause } = met.unwrap_or(Trouble {
            why: "no answer".into(),
            cause: Cause::Network,
        });
        let endpoint = format!("{}:{}", endpoint.host, endpoint.port);
        Err(ConnectError::Failed { endpoint, why, cause })
    }

    /// Who is connected.
    pub fn who(&self) -> &Principal {
        &self.who
    }

    /// The topics' root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The same connection, with another patience for replies.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Client {
        self.patience = patience;
        self
    }

    /// Asks a service and waits for its answer.
    pub async fn ask<Reply: Wire>(
        &self,
        service: ServiceName,
        verb: &str,
        request: &impl Wire,
    ) -> Result<Reply, AskError> {
        let name = self.name();
        self.ask_as(name, service, verb, request).await
    }

    /// Asks under a name of one's own choosing: a repeat under the same name takes no effect twice.
    pub async fn ask_as<Reply: Wire>(
        &self,
        name: Bytes,
        service: ServiceName,
        verb: &str,
        request: &impl Wire,
    ) -> Result<Reply, AskError> {
        let topic = self.root.up(&self.who, service, verb);
        let payload = wire::encode(request, Encoding::Protobuf);
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            topic: topic.clone(),
            payload: payload.clone(),
            answer,
        };
        self.pending.lock().add(name.clone(), waiting);
        // Also when the caller loses patience, or is dropped.
        let _forget = Forget(&self.pending, &name);
        let answer = async {
            self.publish(name.clone(), topic, payload).await?;
            answered.await.map_err(|_| AskError::Closed)
        };
        match tokio::time::timeout(self.patience, answer).await {
            Ok(answer) => wire::decode(&answer??, "").map_err(|refusal| AskError::BadReply(refusal.message)),
            Err(_) => Err(self.silence(service)),
        }
    }

    /// Tells a service something that needs no answer. It is lost with the connection.
    pub async fn tell(&self, service: ServiceName, verb: &str, message: &impl Wire) -> Result<(), AskError> {
        let name = self.name();
        let topic = self.root.up(&self.who, service, verb);
        self.publish(name, topic, wire::encode(message, Encoding::Protobuf))
            .await
    }

    /// Says something to whoever listens to this device. It is lost with the connection.
    pub async fn say(&self, payload: Bytes) -> Result<(), AskError> {
        let topic = self.root.up(&self.who, ServiceName::FrontDoor, DATA);
        self.publish(self.name(), topic, payload).await
    }

    /// Subscribes, now and after each reconnect. Returns when the front door has granted it; a filter that it
    /// refuses is an error, and is not asked for again.
    pub async fn subscribe(&self, filter: &str) -> Result<(), AskError> {
        filter
            .parse::<Filter>()
            .map_err(|bad| Refusal::invalid("filter", bad.to_string()))?;
        let granted = self.subscriptions.lock().want(filter);
        let answer = async {
            self.subscribe_to(filter).await?;
            granted.await.map_err(|_| AskError::Closed)
        };
        match tokio::time::timeout(self.patience, answer).await {
            Ok(granted) => Ok(granted??),
            Err(_) => Err(self.silence(ServiceName::FrontDoor)),
        }
    }

    /// Counts connections: a change means that deliveries may have been missed.
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.connections.clone()
    }

    /// Why the connection is gone, each time it is.
    pub fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.trouble.clone()
    }

    /// Leaves for good: returns when that is said, or when it cannot be.
    pub async fn disconnect(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        let mut connections = self.connections.clone();
        let said = async {
            self.line.leave().await;
            while connections.changed().await.is_ok() {}
        };
        let _ = tokio::time::timeout(GOODBYE, said).await;
    }

    /// Whether it wants no other connection once this one is gone.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Sends a subscription, as soon as there is room.
    pub(crate) async fn subscribe_to(&self, filter: &str) -> Result<(), AskError> {
        while !self.try_subscribe(filter)? {
            tokio::time::sleep(FULL).await;
        }
        Ok(())
    }

    /// Queues a subscription, or not if the queue is full. Filter and packet go into their queues under one
    /// lock, so that each packet id finds its filter.
    fn try_subscribe(&self, filter: &str) -> Result<bool, AskError> {
        let mut subscriptions = self.subscriptions.lock();
        if subscriptions.is_closed() {
            return Err(AskError::Closed);
        }
        let queued = self.line.subscribe(filter).is_ok();
        if queued {
            subscriptions.subscribing(filter);
        }
        Ok(queued)
    }

    /// A fresh name for a request.
    fn name(&self) -> Bytes {
        let mut name = [0; 12];
        self.network.random(&mut name);
        Bytes::from(hex::encode(name))
    }

    fn silence(&self, service: ServiceName) -> AskError {
        AskError::Silence {
            service,
            waited: self.patience,
        }
    }

    pub(crate) async fn publish(&self, name: Bytes, topic: String, payload: Bytes) -> Result<(), AskError> {
        self.demand_room(&name, &topic, &payload)?;
        while !self.try_publish(&name, &topic, &payload)? {
            tokio::time::sleep(FULL).await;
        }
        Ok(())
    }

    /// A packet larger than the server takes would end the connection, and each one after it on which it is sent again.
    fn demand_room(&self, name: &Bytes, topic: &str, payload: &Bytes) -> Result<(), Refusal> {
        let content_type = Encoding::of(payload).content_type();
        let bytes = AROUND_BYTES + topic.len() + name.len() + content_type.len() + payload.len();
        let most = self.packet_bytes.load(Ordering::Relaxed);
        if u32::try_from(bytes).is_ok_and(|bytes| bytes <= most) {
            return Ok(());
        }
        let text = format!(
            "this request would be a packet of {bytes} bytes, and the server takes {most} at most (limits.packet_bytes); \
             it was not sent: ask for less at a time"
        );
        Err(Refusal::new(Code::TooLarge, text))
    }

    /// Queues a publish, or not if the queue is full. Name and packet go into their queues under one lock,
    /// so that each packet id finds its name.
    fn try_publish(&self, name: &Bytes, topic: &str, payload: &Bytes) -> Result<bool, AskError> {
        let mut pending = self.pending.lock();
        match self.line.publish(name, topic, payload) {
            Ok(()) => pending.publishing(name.clone()),
            Err(Unsaid::Full) if pending.is_closed() => return Err(AskError::Closed),
            Err(Unsaid::Full) => return Ok(false),
            Err(Unsaid::Closed) => return Err(AskError::Closed),
        }
        Ok(true)
    }
}

/// Nobody waits for this reply any more.
struct Forget<'a>(&'a Mutex<Pending>, &'a Bytes);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.lock().forget(self.1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;
    use crate::{
        backoff::Backoff,
        line::{Ear, Met, Soon},
    };

    /// A line whose server is killed as the client says that it leaves.
    #[derive(Default)]
    struct Dying(Arc<Notify>);

    impl Line for Dying {
        fn publish(&self, _: &Bytes, _: &str, _: &Bytes) -> Result<(), Unsaid> {
            Ok(())
        }

        fn subscribe(&self, _: &str) -> Result<(), Unsaid> {
            Ok(())
        }

        fn leave(&self) -> Soon<'_, ()> {
            self.0.notify_one();
            Box::pin(std::future::ready(()))
        }
    }

    impl Ear for Dying {
        fn next(&mut self) -> Soon<'_, Met> {
            Box::pin(async {
                self.0.notified().await;
                Met::Lost {
                    why: "reset".into(),
                    cause: Cause::Network,
                }
            })
        }

        fn forget(&mut self) {}
    }

    #[tokio::test]
    async fn whoever_leaves_as_the_line_is_lost_does_not_come_back() {
        let (up, connections) = watch::channel(0);
        let (failed, trouble) = watch::channel(None);
        let (deliver, _inbox) = mpsc::unbounded_channel();
        let (who, root): (Principal, _) = ("devices/pump-7".parse().unwrap(), Root::default());
        let dying = Dying::default();
        let own_down = root.down_filter(&who);
        let client = Client {
            who,
            root,
            line: Arc::new(Dying(dying.0.clone())),
            network: Arc::new(Internet),
            pending: Arc::default(),
            subscriptions: Arc::new(Mutex::new(Subscriptions::with(own_down))),
            packet_bytes: Arc::new(AtomicU32::new(u32::MAX)),
            connections,
            trouble,
            leaving: Arc::default(),
            patience: Duration::ZERO,
        };
        let pause = Duration::from_millis(1);
        let keeper = Keeper::new(client.clone(), up, failed, deliver, Backoff::new(pause, pause));
        let keeping = tokio::spawn(keeper.keep(Box::new(dying)));
        client.disconnect().await;
        let ended = tokio::time::timeout(Duration::from_secs(10), keeping).await;
        ended.expect("it wants no other line").unwrap();
    }
}
