//! Sessions that part from one connection and go on over another.

use contract::event;
use service::Now;

use super::{Door, kept::KeptSession};
use crate::{
    connection::{self, Admission, Admitted, Connection, Post, Remains, Wish},
    lane::{Origin, Turn},
    peer::Caller,
    policy::Offer,
    protocol::{Delivery, Will},
};

impl Door {
    /// A connection is over: its last wishes are granted, and what outlives it is put aside. To be called
    /// when it has taken all posts that were meant for it, and before [`Door::gone`].
    pub fn part(&mut self, connection: &mut Connection, now: Now) {
        self.serve(connection, now);
        let remains = connection.take_remains();
        let id = connection.id();
        let Some(session) = self.directory.get_mut(id) else {
            return;
        };
        session.leaving = true;
        let keeps = std::mem::take(&mut session.keeps) && !self.closing;
        let (caller, client_id) = (session.caller.clone(), session.client_id.clone());
        match remains {
            Some(remains) if keeps => self.keep(id, *remains, now),
            Some(remains) => self.speak(remains.will, &caller, id, now),
            None => {}
        }
        self.let_in_waiting(&caller, &client_id, now);
    }

    fn keep(&mut self, id: u64, remains: Remains, now: Now) {
        let follows_events = self.directory.follows_events(id);
        let Some(session) = self.directory.get_mut(id) else {
            return;
        };
        let delay_s = remains.will.as_ref().map(|will| will.delay_s);
        let at = |seconds: u32| now.mono_ms + u64::from(seconds) * 1_000;
        let kept = KeptSession {
            caller: session.caller.clone(),
            client_id: session.client_id.clone(),
            standing: session.standing.clone(),
            subscriptions: std::mem::take(&mut session.subscriptions),
            v5: session.v5,
            follows_events,
            since_ms: now.wall_ms,
            until_ms: at(remains.expiry_s),
            will_ms: delay_s.map(at),
            served: session.served,
            remains,
        };
        let (limits, root) = (self.settings.limits.clone(), self.settings.root.clone());
        let (kept, gone) = self
            .kept
            .add(id, kept, &limits, |delivery| may_go(&root, delivery));
        self.counts.made_way += kept.unwrap_or_default();
        for session in gone {
            self.speak(session.remains.will, &session.caller, 0, now);
        }
    }

    /// Whoever waits for a session that has parted from all its connections comes in.
    pub(super) fn let_in_waiting(&mut self, caller: &Caller, client_id: &str, now: Now) {
        let who = &caller.principal;
        if !self.directory.holders(who, client_id).is_empty() {
            return;
        }
        let Some(waiting) = self.directory.waiting(who, client_id) else {
            return;
        };
        if let Some(admitted) = self.enter(waiting, None, now) {
            let admission = Admission(Box::new(admitted));
            self.posts.push_back((waiting, Post::Admitted(admission)));
        }
    }

    /// A connection comes in: with the session that is kept for its client, or a new one.
    pub(super) fn enter(
        &mut self,
        id: u64,
        assigned_client_id: Option<String>,
        now: Now,
    ) -> Option<Admitted> {
        let session = self.directory.get_mut(id)?;
        session.waits = false;
        session.keeps = session.outlives;
        let (caller, clean) = (session.caller.clone(), session.clean);
        let standing = session.standing.clone();
        let former = self.kept.find(&caller.principal, &session.client_id);
        let kept = former.and_then(|former| Some((former, self.kept.remove(former)?)));
        let over = |kept: &KeptSession| clean || kept.until_ms <= now.mono_ms;
        let remains = match kept {
            Some((_, kept)) if over(&kept) => {
                // That session has ended, and another begins.
                self.speak(kept.remains.will, &kept.caller, 0, now);
                None
            }
            // Nothing is in it yet, and its client may not know of it. Whoever comes back has not been lost.
            Some((_, kept)) if !kept.remains.known => None,
            Some((former, kept)) => Some(self.go_on(id, former, kept)),
            None => None,
        };
        Some(Admitted {
            caller,
            standing,
            policy: self.policy.clone(),
            assigned_client_id,
            remains,
        })
    }

    fn go_on(&mut self, id: u64, former: u64, kept: KeptSession) -> Box<Remains> {
        if kept.remains.acks.is_waiting() {
            for lane in &mut self.lanes {
                lane.redirect(former, id);
            }
        }
        self.directory
            .resubscribe(id, kept.subscriptions, kept.follows_events);
        // Whoever comes back has not been lost.
        Box::new(Remains {
            will: None,
            ..kept.remains
        })
    }

    /// What is due among the sessions without a connection.
    pub(super) fn look_after_kept(&mut self, now: Now) {
        while let Some(id) = self.kept.due(now.mono_ms) {
            let Some(session) = self.kept.get_mut(id) else {
                return;
            };
            let (will, caller) = (session.remains.will.take(), session.caller.clone());
            if session.until_ms <= now.mono_ms {
                self.kept.remove(id);
            } else {
                self.kept.will_taken(id);
            }
            self.speak(will, &caller, 0, now);
        }
    }

    /// A will, if whoever left it may say that now.
    pub(super) fn speak(&mut self, will: Option<Box<Will>>, caller: &Caller, connection: u64, now: Now) {
        let Some(will) = will else { return };
        let Ok(standing) = self.standing(caller, now) else {
            return;
        };
        let root = &self.settings.root;
        let wish = connection::spoken(
            *will,
            &*self.policy,
            root,
            caller,
            &standing,
            connection,
            now.wall_ms,
        );
        match wish {
            Some(Wish::Forward(forward)) => {
                let lane = &mut self.lanes[super::place(forward.verb.service)];
                let _ = lane.push(forward.frame, Origin::Inside, Turn::First);
            }
            Some(Wish::Receipt { verb, frame }) => self.receive(verb, *frame),
            Some(Wish::HandOut(hand_out)) => drop(self.hand_out(&hand_out.delivery, now)),
            _ => {}
        }
    }

    /// Whether a session without a connection may still be, and what it may see.
    pub(super) fn review_kept(&mut self, id: u64, now: Now) {
        let Some(caller) = self.kept.get(id).map(|session| session.caller.clone()) else {
            return;
        };
        let standing = self.standing(&caller, now);
        let root = self.settings.root.clone();
        let Some(session) = self.kept.get_mut(id) else {
            return;
        };
        match standing {
            Ok(standing) if *session.standing == standing => {}
            Ok(standing) => {
                let standing = std::sync::Arc::new(standing);
                session.standing = standing.clone();
                let (events, policy, copies) = (format!("{root}/events/"), &self.policy, &self.copies);
                self.kept.sift(id, |d| {
                    let (topic, groups) = (
                        &*d.topic,
                        copies.groups_of(&root, &d.topic, || event::data_of(&d.payload)),
                    );
                    let groups = &groups[..];
                    let offer = match d.is_passed_on() {
                        true => Offer::Data { topic, groups },
                        false if topic.starts_with(&events) => Offer::Event { topic, groups },
                        false => return true,
                    };
                    policy.deliver(&caller, &standing, offer)
                });
            }
            // Whoever is shut out leaves nothing, and says nothing.
            Err(_) => drop(self.kept.remove(id)),
        }
    }
}

/// Whether a message may make way: an event, live or of a replay, which another replay brings again, or what a
/// device says to whoever listens.
pub(super) fn may_go(root: &contract::Root, delivery: &Delivery) -> bool {
    let rest = root.strip(&delivery.topic);
    delivery.is_passed_on()
        || rest.is_some_and(|rest| rest.starts_with("events/") || rest.ends_with("/replay/event"))
}
