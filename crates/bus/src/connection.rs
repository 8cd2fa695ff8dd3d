//! One connection after the other, each a fresh client.

use std::{collections::HashMap, collections::VecDeque, sync::Arc, time::Duration};

use contract::{Topic, v1::Envelope};
use parking_lot::Mutex;
use prost::Message;
use rumqttc::{
    NetworkOptions, Outgoing as Sent,
    v5::{
        AsyncClient, Event, EventLoop, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{Packet, SubscribeReasonCode},
        },
    },
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{BusConfig, BusEvent, Outgoing, envelope};

/// Largest MQTT packet on the bus, bytes.
const PACKET_BYTES: u32 = 4 * 1024 * 1024;
/// Envelopes under way to the broker, and as many in the queue before it: 32 MiB at the very most. rumqttc sets
/// a slot aside for each, and 65,535 of them (13 MB a service) if it is not told.
const IN_FLIGHT: u16 = 64;
/// First and longest pause between attempts to connect.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long the acknowledgements of the last envelopes are waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

pub(crate) async fn keep(
    config: BusConfig,
    events: impl Fn(BusEvent) + Send + Sync + 'static,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
    shutdown: CancellationToken,
) {
    let mut pause = PAUSE.0;
    let mut connection = 0;
    loop {
        let (client, eventloop) = AsyncClient::new(options(&config), usize::from(IN_FLIGHT));
        connection += 1;
        let mut session = Session {
            config: &config,
            events: &events,
            connection,
            up: false,
            heads: Heads::default(),
        };
        let why = session.run(client, eventloop, &mut queue, &shutdown).await;
        if shutdown.is_cancelled() {
            break;
        }
        if session.up {
            pause = PAUSE.0;
            warn!(service = %config.service, %why, "the bus is gone; connecting again");
            events(BusEvent::Disconnected { why });
        } else {
            debug!(service = %config.service, %why, "the bus is not there yet");
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE.1),
        }
    }
}

fn options(config: &BusConfig) -> MqttOptions {
    let name = config.service.word();
    let mut options = MqttOptions::new(name, config.address.ip().to_string(), config.address.port());
    options.set_credentials(format!("services/{name}"), config.secret.clone());
    options.set_clean_start(true);
    options.set_keep_alive(Duration::from_secs(10));
    options.set_max_packet_size(Some(PACKET_BYTES));
    options.set_outgoing_inflight_upper_limit(IN_FLIGHT);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    options
}

/// Which event each envelope under way ends with. Packet ids are given when rumqttc writes, in the order
/// of our publishes, so the two halves are matched by order and then by id.
#[derive(Clone, Default)]
struct Heads(Arc<Mutex<Matching>>);

#[derive(Default)]
struct Matching {
    unsent: VecDeque<u64>,
    unacknowledged: HashMap<u16, u64>,
}

impl Heads {
    fn queued(&self, head: u64) {
        self.0.lock().unsent.push_back(head);
    }

    fn sent(&self, id: u16) {
        let mut matching = self.0.lock();
        if let Some(head) = matching.unsent.pop_front() {
            matching.unacknowledged.insert(id, head);
        }
    }

    fn acknowledged(&self, id: u16) -> Option<u64> {
        self.0.lock().unacknowledged.remove(&id)
    }

    fn is_empty(&self) -> bool {
        let matching = self.0.lock();
        matching.unsent.is_empty() && matching.unacknowledged.is_empty()
    }
}

struct Session<'a, F> {
    config: &'a BusConfig,
    events: &'a F,
    connection: u64,
    up: bool,
    heads: Heads,
}

impl<F: Fn(BusEvent)> Session<'_, F> {
    /// Runs until the connection is lost; says why.
    async fn run(
        &mut self,
        client: AsyncClient,
        mut eventloop: EventLoop,
        queue: &mut mpsc::UnboundedReceiver<Outgoing>,
        shutdown: &CancellationToken,
    ) -> String {
        let inward = Topic::Bus {
            service: self.config.service,
            outward: false,
        };
        let subscribed = client.try_subscribe(self.config.root.print(&inward), QoS::AtMostOnce);
        if let Err(error) = subscribed {
            return error.to_string();
        }
        let publisher = publish_all(self.config, &client, queue, self.heads.clone(), self.connection);
        tokio::pin!(publisher);
        let drained = drained(shutdown, self.heads.clone());
        tokio::pin!(drained);
        let mut has_more = true;
        loop {
            let polled = tokio::select! {
                polled = eventloop.poll() => polled,
                // At a shutdown the host goes first: what it has said last is on its way.
                () = &mut publisher, if has_more => match shutdown.is_cancelled() {
                    true => {
                        has_more = false;
                        continue;
                    }
                    false => return "the service is gone".into(),
                },
                () = &mut drained => {
                    let _ = client.try_disconnect();
                    let _ = tokio::time::timeout(LAST_WORDS, said_goodbye(&mut eventloop)).await;
                    return "shutting down".into();
                }
            };
            match polled {
                Ok(event) => {
                    if let Some(why) = self.on_event(event) {
                        return why;
                    }
                }
                Err(error) => return error.to_string(),
            }
        }
    }

    fn on_event(&mut self, event: Event) -> Option<String> {
        match event {
            Event::Incoming(Packet::Publish(publish)) => match Envelope::decode(publish.payload) {
                Ok(envelope) => (self.events)(BusEvent::Frames(envelope.frames)),
                Err(error) => return Some(format!("the front door sent what is no envelope: {error}")),
            },
            Event::Incoming(Packet::PubAck(ack)) => {
                if let Some(event) = self.heads.acknowledged(ack.pkid).filter(|head| *head > 0) {
                    (self.events)(BusEvent::Taken { event });
                }
            }
            Event::Incoming(Packet::SubAck(ack)) => {
                let granted = ack
                    .return_codes
                    .iter()
                    .all(|code| matches!(code, SubscribeReasonCode::Success(_)));
                if !granted {
                    return Some("the front door refuses the subscription".into());
                }
                self.up = true;
                (self.events)(BusEvent::Connected {
                    connection: self.connection,
                });
            }
            Event::Incoming(Packet::Disconnect(why)) => return Some(format!("{:?}", why.reason_code)),
            Event::Outgoing(Sent::Publish(id)) => self.heads.sent(id),
            _ => {}
        }
        None
    }
}

/// Until the connection's end was said: else the front door takes the service for lost.
async fn said_goodbye(eventloop: &mut EventLoop) {
    while let Ok(event) = eventloop.poll().await {
        if matches!(event, Event::Outgoing(Sent::Disconnect)) {
            return;
        }
    }
}

/// Publishes what is queued for this connection; ends when the host is gone.
async fn publish_all(
    config: &BusConfig,
    client: &AsyncClient,
    queue: &mut mpsc::UnboundedReceiver<Outgoing>,
    heads: Heads,
    connection: u64,
) {
    let topic = config.root.print(&Topic::Bus {
        service: config.service,
        outward: true,
    });
    while let Some(outgoing) = queue.recv().await {
        if outgoing.connection != connection {
            continue;
        }
        let envelopes = envelope::pack(outgoing.frames);
        let last = envelopes.len().saturating_sub(1);
        for (n, payload) in envelopes.into_iter().enumerate() {
            heads.queued(if n == last { outgoing.head } else { 0 });
            if client
                .publish(&topic, QoS::AtLeastOnce, false, payload)
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

/// Waits for the shutdown, and then for a moment until everything published has been taken.
async fn drained(shutdown: &CancellationToken, heads: Heads) {
    shutdown.cancelled().await;
    let tick = LAST_WORDS / 50;
    for _ in 0..50 {
        tokio::time::sleep(tick).await;
        if heads.is_empty() {
            return;
        }
    }
}
