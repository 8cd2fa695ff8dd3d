//! Putting messages before sessions, those with a connection and those without.

use std::collections::BTreeMap;

use bytes::Bytes;
use contract::{
    id::{Kind, Principal, ServiceName},
    v1::{Event, Frame, Purpose},
    verb::Push,
};
use prost::Message as _;

use service::Now;

use super::{Door, keeping::may_go, kept::Outcome, retained::Message};
use crate::{
    connection::Post,
    meter::Limit,
    policy::Offer,
    protocol::{Delivery, Extras, Options, Quality},
    subscriptions::{Shared, Wanted},
};

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum To {
    Connection(u64),
    Kept(u64),
}

/// Who of a group may get a message: when it was given something last, who it is, and how it wants it.
type Members = Vec<(u64, To, Options)>;

impl Door {
    /// Puts a message before a principal's sessions that want it. A claim's belongs to one connection; a replay to the
    /// session that asked, if that one listens.
    pub(super) fn deliver(&mut self, from: ServiceName, who: &Principal, frame: &Frame, now: Now) {
        let retained = frame.purpose() == Purpose::Message && self.retain(who, frame);
        if retained && frame.payload.is_empty() {
            return;
        }
        for (to, v5, wanted) in self.wanting(from, who, frame) {
            let topic = topic_for(v5, frame).to_owned();
            let retain = retained && wanted.retain_as_published;
            let extras = v5.then(|| extras(&wanted, frame)).flatten();
            self.send(
                to,
                Delivery {
                    topic,
                    payload: frame.payload.clone(),
                    correlation: frame.correlation.clone(),
                    content_type: frame.content_type.clone(),
                    quality: wanted.quality,
                    retain,
                    extras,
                },
                now,
            );
        }
    }

    fn wanting(&self, from: ServiceName, who: &Principal, frame: &Frame) -> Vec<(To, bool, Wanted)> {
        let mut wanting = Vec::new();
        let offer = Offer::Own {
            from,
            topic: &frame.topic,
        };
        for connection in self.directory.of(who) {
            let ours = who.kind != Kind::Claim || *connection == frame.connection;
            let session = self
                .directory
                .get(*connection)
                .filter(|s| ours && s.takes_mail() && self.policy.deliver(&s.caller, &s.standing, offer));
            if let Some(session) = session
                && let Some(wanted) = session.wants(topic_for(session.v5, frame))
            {
                wanting.push((To::Connection(*connection), session.v5, wanted));
            }
        }
        for id in self.kept.of(who) {
            if let Some(session) = self.kept.get(*id)
                && self.policy.deliver(&session.caller, &session.standing, offer)
                && let Some(wanted) = session.subscriptions.want(topic_for(session.v5, frame))
            {
                wanting.push((To::Kept(*id), session.v5, wanted));
            }
        }
        let asked = |(to, ..): &(To, bool, Wanted)| match to {
            To::Connection(id) | To::Kept(id) => *id == frame.connection,
        };
        // Each session keeps a place of its own in the events: another's pages and marker would only mislead it.
        if is_of_replay(&frame.topic) && wanting.iter().any(asked) {
            wanting.retain(asked);
        }
        wanting
    }

    /// Keeps a message that the verb table marks as retained; whether it is one.
    fn retain(&mut self, who: &Principal, frame: &Frame) -> bool {
        let Some(contract::Topic::Down {
            service,
            name,
            leaf: contract::Leaf::Push,
            ..
        }) = self.root().parse_topic(&frame.topic)
        else {
            return false;
        };
        let retained = Push::find(service, who.kind, &name).is_some_and(|push| push.retained);
        if retained {
            let message = Message {
                payload: frame.payload.clone(),
                content_type: frame.content_type.clone(),
            };
            let most = self.settings.limits.retained_bytes;
            if !self.retained.set(who, &frame.topic, message, most) {
                self.meter.count(Limit::RetainedBytes);
            }
        }
        retained
    }

    /// Puts an event before whoever follows it and may see it. `payload` makes it, once.
    pub(super) fn show(
        &mut self,
        topic: &str,
        frame: &Frame,
        payload: impl FnOnce() -> Option<Bytes>,
        now: Now,
    ) {
        let data = || Event::decode(frame.payload.as_ref()).ok().map(|event| event.data);
        let groups = self.copies.groups_of(self.root(), topic, data);
        let offer = Offer::Event {
            topic,
            groups: &groups,
        };
        let followers = self.followers(topic, offer);
        if followers.is_empty() {
            return;
        }
        let Some(payload) = payload() else { return };
        for (to, wanted) in followers {
            let extras = extras(&wanted, frame);
            self.send(
                to,
                Delivery {
                    topic: topic.to_owned(),
                    payload: payload.clone(),
                    content_type: contract::event::CONTENT_TYPE.into(),
                    quality: wanted.quality,
                    extras,
                    ..Delivery::default()
                },
                now,
            );
        }
    }

    /// Puts what a device says before whoever listens and may hear it; how many those are.
    pub(super) fn hand_out(&mut self, said: &Delivery, now: Now) -> usize {
        self.counts.handed_out += 1;
        let topic = &*said.topic;
        let groups = self.copies.groups_of(self.root(), topic, || None);
        let offer = Offer::Data {
            topic,
            groups: &groups,
        };
        let followers = self.followers(topic, offer);
        let reached = followers.len();
        for (to, wanted) in followers {
            let mut extras = said.extras.clone().unwrap_or_default();
            extras.identifiers = wanted.identifiers;
            let delivery = Delivery {
                quality: said.quality.min(wanted.quality),
                extras: Some(extras),
                ..said.clone()
            };
            self.send(to, delivery, now);
        }
        reached
    }

    fn followers(&mut self, topic: &str, offer: Offer<'_>) -> Vec<(To, Wanted)> {
        let mut following = Vec::new();
        let mut groups: BTreeMap<(Principal, Shared), Members> = BTreeMap::new();
        let policy = &self.policy;
        let here = self.directory.event_followers();
        let here = here.filter(|(_, s)| s.takes_mail() && policy.deliver(&s.caller, &s.standing, offer));
        for (id, session) in here {
            let to = To::Connection(id);
            following.extend(session.wants(topic).map(|wanted| (to, wanted)));
            for (shared, options) in session.subscriptions.share(topic) {
                let group = (session.caller.principal.clone(), shared.clone());
                groups
                    .entry(group)
                    .or_default()
                    .push((session.served, to, options));
            }
        }
        let kept = self.kept.followers();
        for (id, session) in kept.filter(|(_, s)| policy.deliver(&s.caller, &s.standing, offer)) {
            let to = To::Kept(id);
            following.extend(session.subscriptions.want(topic).map(|wanted| (to, wanted)));
            for (shared, options) in session.subscriptions.share(topic) {
                let group = (session.caller.principal.clone(), shared.clone());
                groups
                    .entry(group)
                    .or_default()
                    .push((session.served, to, options));
            }
        }
        let chosen: Vec<_> = groups.into_values().filter_map(choose).collect();
        for (to, options) in chosen {
            self.served += 1;
            match to {
                To::Connection(id) => {
                    if let Some(session) = self.directory.get_mut(id) {
                        session.served = self.served;
                    }
                }
                To::Kept(id) => {
                    if let Some(session) = self.kept.get_mut(id) {
                        session.served = self.served;
                    }
                }
            }
            following.push((to, Wanted::by(options)));
        }
        following
    }

    fn send(&mut self, to: To, delivery: Delivery, now: Now) {
        self.counts.delivered += 1;
        match to {
            To::Connection(id) => self.posts.push_back((id, Post::Deliver(delivery))),
            // At QoS 0 only who is connected gets it.
            To::Kept(_) if delivery.quality == Quality::AtMostOnce => {}
            To::Kept(id) => {
                let (limits, root) = (self.settings.limits.clone(), self.settings.root.clone());
                match self.kept.deliver(id, delivery, &limits, |d| may_go(&root, d)) {
                    Outcome::Kept { dropped } => self.counts.made_way += dropped,
                    Outcome::Over => self.give_up(id, now),
                }
            }
        }
    }

    /// What was promised to a session cannot be kept: there is none any more.
    fn give_up(&mut self, id: u64, now: Now) {
        if let Some(session) = self.kept.remove(id) {
            self.speak(session.remains.will, &session.caller, 0, now);
        }
    }
}

/// The member that has waited longest, of those with a connection if there is any.
fn choose(members: Members) -> Option<(To, Options)> {
    let is_kept = |to: To| matches!(to, To::Kept(_));
    let chosen = members
        .into_iter()
        .min_by_key(|(served, to, _)| (is_kept(*to), *served, *to));
    chosen.map(|(_, to, options)| (to, options))
}

/// Whether this is an event of a replay, or how it ended: the verb stands before the last level.
fn is_of_replay(topic: &str) -> bool {
    topic.rsplit('/').nth(1) == Some("replay")
}

/// MQTT 3.1.1 has no response topic.
fn topic_for(v5: bool, frame: &Frame) -> &str {
    match v5 && !frame.response_topic.is_empty() {
        true => &frame.response_topic,
        false => &frame.topic,
    }
}

fn extras(wanted: &Wanted, frame: &Frame) -> Option<Box<Extras>> {
    let expires_ms = (frame.expires_ms != 0).then_some(frame.expires_ms);
    let some = !wanted.identifiers.is_empty() || !frame.traceparent.is_empty() || expires_ms.is_some();
    some.then(|| {
        Box::new(Extras {
            identifiers: wanted.identifiers.clone(),
            traceparent: frame.traceparent.clone(),
            expires_ms,
            passed: None,
        })
    })
}
