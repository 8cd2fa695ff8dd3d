//! Granting what connections ask for.

use contract::{ServiceName, Topic, notice, topic::measure, v1::Frame, verb::Verb};
use service::{
    Now,
    planted::{self, Mistake},
};

use super::{Door, place, retained::Message};
use crate::{
    connection::{Connection, Forward, HandOut, Post, Wish},
    directory::Session,
    judge::{self, NotGranted},
    lane::{Full, Origin},
    meter::Limit,
    policy::Offer,
    protocol::{Delivery, Extras, Handling, Subscription},
    subscriptions::{Added, Pattern},
};

/// MQTT 5's reason code of a PUBACK and a PUBREC: nobody has subscribed to it (MQTT 5, table 3-4).
const NO_SUBSCRIBERS: u8 = 0x10;
/// MQTT 5's reason codes of a SUBACK (MQTT 5, table 3-8).
const SUB_NOT_AUTHORIZED: u8 = 0x87;
const SUB_FILTER_INVALID: u8 = 0x8F;
const SUB_QUOTA: u8 = 0x97;
const SUB_SHARED: u8 = 0x9E;

impl Door {
    /// Grants or refuses all that a connection wishes. To be called after everything that a connection does.
    pub fn serve(&mut self, connection: &mut Connection, now: Now) {
        while let Some(wish) = connection.take_wish() {
            let leaving = self.directory.get(connection.id()).is_some_and(|s| s.leaving);
            let asks = matches!(
                wish,
                Wish::Forward(_) | Wish::Receipt { .. } | Wish::Ask(_) | Wish::HandOut(_)
            );
            let late = matches!(wish, Wish::Ask(_)) && connection.over().is_some();
            if (leaving && asks) || late {
                // Who has to go asks for nothing more; what was not answered comes again.
                if let Some((service, packet_id)) = wish.owed() {
                    connection.lose(service, packet_id);
                }
                continue;
            }
            match wish {
                Wish::Admit(hello) => self.admit(connection, &hello, now),
                Wish::Forward(forward) => self.forward(connection, *forward, now),
                Wish::Receipt { verb, frame } => self.receive(verb, *frame),
                Wish::Ask(forward) => self.answer(connection.id(), *forward, now),
                Wish::HandOut(hand_out) => self.pass_on(connection, &hand_out, now),
                Wish::Met(limit) => self.meter.count(limit),
                Wish::Subscribe {
                    packet_id,
                    subscriptions,
                } => self.subscribe_all(connection, packet_id, &subscriptions, now),
                Wish::Unsubscribe { packet_id, filters } => {
                    let id = connection.id();
                    let existed: Vec<_> = filters
                        .iter()
                        .map(|f| self.directory.unsubscribe(id, f))
                        .collect();
                    connection.unsubscribed(packet_id, &existed);
                }
                Wish::Tell(delivery) => {
                    let wants = self
                        .directory
                        .get(connection.id())
                        .is_some_and(|s| s.wants(&delivery.topic).is_some());
                    if wants {
                        connection.post(Post::Deliver(delivery), now);
                    }
                }
                Wish::Farewell(text) => {
                    if let Some(session) = self.directory.get_mut(connection.id()) {
                        session.farewell = text;
                    }
                }
                Wish::Notice { what, detail } => self.notice_here(connection, what, detail, now),
            }
        }
    }

    /// What a device says is acknowledged when it has been handed out, whether or not anybody listened.
    fn pass_on(&mut self, connection: &mut Connection, hand_out: &HandOut, now: Now) {
        let reached = self.hand_out(&hand_out.delivery, now);
        if let Some(packet_id) = hand_out.packet_id {
            let settled = Post::Settled {
                service: ServiceName::FrontDoor,
                packet_id,
                reason: if reached == 0 { NO_SUBSCRIBERS } else { 0 },
                text: String::new(),
            };
            connection.post(settled, now);
        }
    }

    fn forward(&mut self, connection: &mut Connection, forward: Forward, now: Now) {
        let Some(forward) = self.unless_too_early(connection.address(), forward, now) else {
            return;
        };
        let Forward {
            verb,
            frame,
            packet_id,
            turn,
        } = forward;
        let id = connection.id();
        let origin = Origin::Connection {
            connection: id,
            packet_id,
        };
        if connection.over().is_some() && packet_id.is_none() {
            // A will: nobody is left to be answered, and it is not forgotten with its connection.
            let _ = self.lanes[place(verb.service)].push(frame, Origin::Inside, turn);
            return;
        }
        let overtakes = connection.has_stalled(verb.service);
        let greedy = packet_id.is_none() && !self.may_send_unheld(id);
        let lane = &mut self.lanes[place(verb.service)];
        let pushed = match overtakes || greedy {
            true => Err(Full(Box::new(frame), greedy.then_some(Limit::Unheld))),
            false => lane.push(frame, origin, turn),
        };
        if let Err(Full(_, Some(limit))) = &pushed {
            self.meter.count(*limit);
        }
        match (pushed, packet_id) {
            (Ok(_), Some(packet_id)) => {
                self.counts.requests += 1;
                if planted::is(Mistake::AckInMemory) {
                    self.acknowledge_at_once(id, verb.service, packet_id);
                }
            }
            (Ok(_), None) => {
                self.counts.requests += 1;
                self.count_unheld(id, 1);
            }
            // It comes again: nothing is left of it.
            (Err(_), Some(packet_id)) if connection.over().is_some() => {
                connection.lose(verb.service, packet_id);
            }
            (Err(Full(frame, _)), Some(_)) => {
                lane.stall(id);
                connection.stall(Forward {
                    verb,
                    frame: *frame,
                    packet_id,
                    turn,
                });
            }
            (Err(Full(frame, _)), None) => connection.refuse_busy(Forward {
                verb,
                frame: *frame,
                packet_id,
                turn,
            }),
        }
    }

    /// The planted mistake that other brokers make: what is in memory is acknowledged.
    fn acknowledge_at_once(&mut self, connection: u64, service: ServiceName, packet_id: u16) {
        let settled = Post::Settled {
            service,
            packet_id,
            reason: 0,
            text: String::new(),
        };
        self.posts.push_back((connection, settled));
    }

    /// Requests at QoS 0 are not held back by the client's own window: they have a share of the same size.
    fn may_send_unheld(&self, connection: u64) -> bool {
        let most = u32::from(self.settings.limits.receive_maximum);
        self.directory
            .get(connection)
            .is_some_and(|session| session.unheld < most)
    }

    pub(super) fn count_unheld(&mut self, connection: u64, change: i32) {
        if let Some(session) = self.directory.get_mut(connection) {
            session.unheld = session.unheld.saturating_add_signed(change);
        }
    }

    /// A message without a promise.
    pub(super) fn receive(&mut self, verb: &'static Verb, frame: Frame) {
        let sender = frame.topic.clone();
        if !self.lanes[place(verb.service)].receipt(sender, verb.name, frame) {
            self.counts.refused += 1;
            self.meter.count(Limit::Receipts);
        }
    }

    fn subscribe_all(
        &mut self,
        connection: &mut Connection,
        packet_id: u16,
        subscriptions: &[Subscription],
        now: Now,
    ) {
        let mut granted = Vec::new();
        let mut retained = Vec::new();
        for wanted in subscriptions {
            granted.push(match self.subscribe(connection, wanted, now) {
                Ok((pattern, added)) => {
                    retained.extend(self.retained_for(connection.id(), &pattern, wanted, added));
                    Ok(wanted.options.quality)
                }
                Err(reason) => Err(reason),
            });
        }
        connection.subscribed(packet_id, &granted);
        for delivery in retained {
            connection.post(Post::Deliver(delivery), now);
        }
    }

    /// What has been kept for whoever subscribes to this.
    fn retained_for(&self, id: u64, pattern: &Pattern, wanted: &Subscription, added: Added) -> Vec<Delivery> {
        let send = match wanted.handling {
            Handling::Send => true,
            Handling::SendIfNew => added == Added::New,
            Handling::Keep => false,
        };
        let (Pattern::Plain(filter), Some(session), true) = (pattern, self.directory.get(id), send) else {
            return Vec::new();
        };
        let identifier = wanted.options.identifier;
        let extras = (identifier != 0).then(|| {
            Box::new(Extras {
                identifiers: vec![identifier],
                ..Extras::default()
            })
        });
        let matching = self.retained.matching(&session.caller.principal, filter);
        let matching = matching.filter(|(topic, _)| self.may_hear(session, topic));
        let deliver = |(topic, message): (&String, &Message)| Delivery {
            topic: topic.clone(),
            payload: message.payload.clone(),
            content_type: message.content_type.clone(),
            quality: wanted.options.quality,
            retain: true,
            extras: extras.clone(),
            ..Delivery::default()
        };
        matching.map(deliver).collect()
    }

    fn may_hear(&self, session: &Session, topic: &str) -> bool {
        let Some(Topic::Down { service: from, .. }) = self.root().parse_topic(topic) else {
            return false;
        };
        let offer = Offer::Own { from, topic };
        self.policy.deliver(&session.caller, &session.standing, offer)
    }

    fn subscribe(
        &mut self,
        connection: &Connection,
        wanted: &Subscription,
        now: Now,
    ) -> Result<(Pattern, Added), u8> {
        let id = connection.id();
        let Some(session) = self.directory.get(id) else {
            return Err(SUB_NOT_AUTHORIZED);
        };
        let (caller, standing) = (&session.caller, &session.standing);
        let granted = judge::granted(&*self.policy, self.root(), caller, standing, &wanted.filter);
        let (pattern, is_event) = match granted {
            Ok(granted) => granted,
            Err(NotGranted::Invalid) => {
                if let Err(too_long) = measure(&wanted.filter) {
                    self.meter.count(too_long.into());
                }
                return Err(SUB_FILTER_INVALID);
            }
            Err(NotGranted::Shared) => return Err(SUB_SHARED),
            Err(NotGranted::Denied) => {
                let (who, detail) = (caller.principal.clone(), wanted.filter.clone());
                self.notice(&who, notice::SUBSCRIBE_DENIED, detail, connection.address(), now);
                return Err(SUB_NOT_AUTHORIZED);
            }
        };
        let limits = self.settings.limits.clone();
        let added = self
            .directory
            .subscribe(id, pattern.clone(), wanted.options, is_event, &limits);
        if added.is_none() {
            self.meter.count(Limit::Subscriptions);
        }
        added.map(|added| (pattern, added)).ok_or(SUB_QUOTA)
    }

    fn notice_here(&mut self, connection: &Connection, what: &'static str, detail: String, now: Now) {
        let Some(session) = self.directory.get(connection.id()) else {
            // Nobody yet: a stranger's nonsense is counted, not told.
            self.counts.refused += 1;
            return;
        };
        let who = session.caller.principal.clone();
        self.notice(&who, what, detail, connection.address(), now);
    }
}
