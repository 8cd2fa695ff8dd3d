//! What services send: replies that settle requests, messages, events, facts, requests of their own.

use contract::{
    Code, Leaf, Topic,
    event::{self, Source},
    id::{Kind, Principal, ServiceName},
    v1::{Beacon, Event, Fact, FactsPage, Frame, Purpose},
    wire::{self, Encoding},
};
use prost::Message;
use service::Now;

use super::{Door, place};
use crate::{
    connection::Post,
    lane::{Origin, Turn},
    policy,
    protocol::Delivery,
};

impl Door {
    /// A frame that `from` has published. What is not its own to publish is dropped and counted.
    pub fn on_frame(&mut self, from: ServiceName, frame: Frame, now: Now) {
        match frame.purpose() {
            Purpose::Taken => self.settle(from, &frame),
            Purpose::Reply | Purpose::Message => self.on_down(from, frame, now),
            Purpose::Event => self.on_event(from, &frame),
            Purpose::Fact | Purpose::Beacon => self.on_fact(from, frame, now),
            Purpose::Request => self.on_request(from, frame),
            Purpose::Unspecified => self.counts.strays += 1,
        }
    }

    /// Releases the request that a reply or a `taken` answers.
    fn settle(&mut self, from: ServiceName, frame: &Frame) {
        let Some(number) = frame.request else { return };
        let Some(origin) = self.lanes[place(from)].release(number) else {
            return;
        };
        for stalled in self.lanes[place(from)].take_stalled() {
            self.posts.push_back((stalled, Post::Retry));
        }
        let Origin::Connection {
            connection,
            packet_id,
        } = origin
        else {
            return;
        };
        let Some(packet_id) = packet_id else {
            return self.count_unheld(connection, -1);
        };
        let code = Code::from_word(&frame.rejected);
        let reason = code.map_or(0, Code::mqtt_reason);
        let text = frame.reason.clone();
        self.posts.push_back((
            connection,
            Post::Settled {
                service: from,
                packet_id,
                reason,
                text,
            },
        ));
    }

    fn on_down(&mut self, from: ServiceName, frame: Frame, now: Now) {
        let Some(Topic::Down {
            who,
            service,
            name,
            leaf,
        }) = self.root().parse_topic(&frame.topic)
        else {
            self.counts.strays += 1;
            return;
        };
        if service != from {
            self.counts.strays += 1;
            return;
        }
        if who.kind != Kind::Service {
            if !self.copies.has_caught_up(from) {
                return self.hold(from, who, frame);
            }
            return self.hand_over(from, &who, &frame);
        }
        self.settle(from, &frame);
        match ServiceName::from_word(who.id.as_str()) {
            Some(ServiceName::FrontDoor) => self.on_own_reply(from, &name, leaf, &frame, now),
            Some(keeper) => self.lanes[place(keeper)].pass(frame),
            None => self.counts.strays += 1,
        }
    }

    /// The message goes before the acknowledgement, so that whoever waits for both has both.
    pub(super) fn hand_over(&mut self, from: ServiceName, who: &Principal, frame: &Frame) {
        self.deliver(from, who, frame);
        self.settle(from, frame);
    }

    /// Puts a message before a principal's sessions that want it. A claim's belongs to one connection.
    fn deliver(&mut self, from: ServiceName, who: &Principal, frame: &Frame) {
        let topic = if frame.response_topic.is_empty() {
            &frame.topic
        } else {
            &frame.response_topic
        };
        let mut wanting = Vec::new();
        for connection in self.directory.of(who) {
            let Some(session) = self.directory.get(*connection).filter(|s| !s.leaving) else {
                continue;
            };
            let theirs = (who.kind != Kind::Claim || *connection == frame.connection)
                && policy::hears(&session.standing, from);
            // MQTT 3.1.1 has no response topic.
            let topic = if session.v5 { topic } else { &frame.topic };
            if let Some(at_least_once) = session.wants(topic).filter(|_| theirs) {
                wanting.push((*connection, topic.clone(), at_least_once));
            }
        }
        for (connection, topic, at_least_once) in wanting {
            self.counts.delivered += 1;
            let delivery = Delivery {
                topic,
                payload: frame.payload.clone(),
                correlation: frame.correlation.clone(),
                content_type: frame.content_type.clone(),
                at_least_once,
            };
            self.posts.push_back((connection, Post::Deliver(delivery)));
        }
    }

    fn on_own_reply(&mut self, from: ServiceName, name: &str, leaf: Leaf, frame: &Frame, now: Now) {
        if name != "facts" || leaf != Leaf::Accepted {
            return;
        }
        let Ok(page) = wire::decode::<FactsPage>(&frame.payload, "") else {
            return;
        };
        let changes = self.copies.on_page(from, page, now.mono_ms);
        self.on_changes(changes, now);
        self.release_held(from);
        self.tick(now);
    }

    fn on_event(&mut self, from: ServiceName, frame: &Frame) {
        let topic = &frame.topic;
        if !matches!(self.root().parse_topic(topic), Some(Topic::Event { service, .. }) if service == from) {
            self.counts.strays += 1;
            return;
        }
        let following = self.directory.event_followers().filter(|(_, s)| s.may_see(topic));
        let wanting: Vec<_> = following
            .filter_map(|(id, s)| Some((id, s.wants(topic)?)))
            .collect();
        if wanting.is_empty() {
            return;
        }
        let Ok(event) = Event::decode(frame.payload.as_ref()) else {
            return;
        };
        let source = Source {
            site: &self.settings.site,
            service: from,
        };
        let payload = bytes::Bytes::from(event::to_cloud_event(source, &event));
        for (connection, at_least_once) in wanting {
            self.counts.delivered += 1;
            let delivery = Delivery {
                topic: topic.clone(),
                payload: payload.clone(),
                content_type: event::CONTENT_TYPE.into(),
                at_least_once,
                ..Delivery::default()
            };
            self.posts.push_back((connection, Post::Deliver(delivery)));
        }
    }

    fn on_fact(&mut self, from: ServiceName, frame: Frame, now: Now) {
        if !matches!(self.root().parse_topic(&frame.topic), Some(Topic::Fact { service, .. }) if service == from)
        {
            self.counts.strays += 1;
            return;
        }
        match frame.purpose() {
            Purpose::Beacon => {
                if let Ok(beacon) = Beacon::decode(frame.payload.as_ref()) {
                    self.copies.on_beacon(from, &beacon, now.mono_ms);
                }
            }
            _ => {
                if let Ok(fact) = Fact::decode(frame.payload.as_ref()) {
                    let changes = self.copies.on_fact(from, &fact, now.mono_ms);
                    self.on_changes(changes, now);
                    self.release_held(from);
                }
            }
        }
        for keeper in ServiceName::KEEPERS.into_iter().filter(|keeper| *keeper != from) {
            self.lanes[place(keeper)].pass(frame.clone());
        }
    }

    /// A service asks another; it is held in that one's window like anybody's request.
    fn on_request(&mut self, from: ServiceName, mut frame: Frame) {
        let Some(Topic::Up { who, verb }) = self.root().parse_topic(&frame.topic) else {
            self.counts.strays += 1;
            return;
        };
        if who != Principal::from(from) || !policy::service_may(from, verb) {
            self.counts.strays += 1;
            return;
        }
        frame.connection = 0;
        frame.batch.clear();
        frame.serial.clear();
        frame.content_type = Encoding::of(&frame.payload).content_type().into();
        let _ = self.lanes[place(verb.service)].push(frame, Origin::Inside, Turn::First);
    }
}
