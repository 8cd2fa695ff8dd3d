//! What services send: replies that settle requests, messages, events, facts, requests of their own.

use contract::{
    Code, Leaf, Topic,
    event::{self, Source},
    id::{Kind, Principal, ServiceName},
    v1::{Beacon, Event, Fact, FactsPage, Frame, PasswordShown, Purpose},
    wire::{self, Encoding},
};
use prost::Message;
use service::Now;

use super::{Door, place};
use crate::{
    connection::Post,
    lane::{Origin, Turn},
    policy,
};

impl Door {
    /// A frame that `from` has published. What is not its own to publish is dropped and counted.
    pub fn on_frame(&mut self, from: ServiceName, frame: Frame, now: Now) {
        match frame.purpose() {
            Purpose::Taken => self.settle(from, &frame),
            Purpose::Reply | Purpose::Message => self.on_down(from, frame, now),
            Purpose::Event => self.on_event(from, &frame, now),
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
        if let Some(kept) = self.kept.get_mut(connection) {
            return kept.remains.acks.settle(from, packet_id, reason, text);
        }
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
            return self.hand_over(from, &who, &frame, now);
        }
        self.settle(from, &frame);
        match ServiceName::from_word(who.id.as_str()) {
            Some(ServiceName::FrontDoor) => self.on_own_reply(from, &name, leaf, &frame, now),
            Some(keeper) => self.lanes[place(keeper)].pass(frame),
            None => self.counts.strays += 1,
        }
    }

    /// The message goes before the acknowledgement, so that whoever waits for both has both.
    pub(super) fn hand_over(&mut self, from: ServiceName, who: &Principal, frame: &Frame, now: Now) {
        self.deliver(from, who, frame, now);
        self.settle(from, frame);
    }

    fn on_own_reply(&mut self, from: ServiceName, name: &str, leaf: Leaf, frame: &Frame, now: Now) {
        if leaf != Leaf::Accepted {
            return;
        }
        if (from, name) == (ServiceName::Registry, "password")
            && let Ok(shown) = wire::decode::<PasswordShown>(&frame.payload, "")
        {
            return self.on_password_shown(shown);
        }
        if name != "facts" {
            return;
        }
        let Ok(page) = wire::decode::<FactsPage>(&frame.payload, "") else {
            return;
        };
        let changes = self.copies.on_page(from, page, now.mono_ms);
        self.on_changes(changes, now);
        self.release_held(from, now);
        self.tick(now);
    }

    fn on_event(&mut self, from: ServiceName, frame: &Frame, now: Now) {
        let topic = &frame.topic;
        if !matches!(self.root().parse_topic(topic), Some(Topic::Event { service, .. }) if service == from) {
            self.counts.strays += 1;
            return;
        }
        let site = self.settings.site.clone();
        let payload = || {
            let event = Event::decode(frame.payload.as_ref()).ok()?;
            let source = Source {
                site: &site,
                service: from,
            };
            Some(bytes::Bytes::from(event::to_cloud_event(source, &event)))
        };
        self.show(topic, frame, payload, now);
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
                    self.release_held(from, now);
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
        frame.factory = None;
        frame.serial.clear();
        frame.content_type = Encoding::of(&frame.payload).content_type().into();
        let _ = self.lanes[place(verb.service)].push(frame, Origin::Inside, Turn::First);
    }
}
