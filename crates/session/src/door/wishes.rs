//! Granting what connections ask for.

use contract::filter::Filter;
use service::Now;

use super::{Door, place};
use crate::{
    connection::{Connection, Forward, Wish},
    lane::{Full, Origin},
    policy,
    protocol::Subscription,
};

/// MQTT 5's reason codes of a SUBACK (MQTT 5, table 3-8).
const SUB_NOT_AUTHORIZED: u8 = 0x87;
const SUB_FILTER_INVALID: u8 = 0x8F;
const SUB_QUOTA: u8 = 0x97;
const SUB_SHARED: u8 = 0x9E;

impl Door {
    /// Grants or refuses all that a connection wishes. To be called after everything that a connection does.
    pub fn serve(&mut self, connection: &mut Connection, now: Now) {
        while let Some(wish) = connection.take_wish() {
            match wish {
                Wish::Admit(hello) => self.admit(connection, &hello, now),
                Wish::Forward(forward) => self.forward(connection, *forward),
                Wish::Receipt { verb, frame } => {
                    let sender = frame.topic.clone();
                    if !self.lanes[place(verb.service)].receipt(sender, verb.name, *frame) {
                        self.counts.refused += 1;
                    }
                }
                Wish::Subscribe {
                    packet_id,
                    subscriptions,
                } => {
                    let granted: Vec<_> = subscriptions
                        .iter()
                        .map(|s| self.subscribe(connection, s, now))
                        .collect();
                    connection.subscribed(packet_id, &granted);
                }
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
                        connection.post(crate::Post::Deliver(delivery), now);
                    }
                }
                Wish::Notice { what, detail } => self.notice_here(connection, what, detail, now),
            }
        }
    }

    fn forward(&mut self, connection: &mut Connection, forward: Forward) {
        let Forward {
            verb,
            frame,
            packet_id,
        } = forward;
        let origin = Origin::Connection {
            connection: connection.id(),
            packet_id,
        };
        let lane = &mut self.lanes[place(verb.service)];
        match lane.push(frame, origin) {
            Ok(_) => self.counts.requests += 1,
            Err(Full(frame)) => {
                let forward = Forward {
                    verb,
                    frame: *frame,
                    packet_id,
                };
                match packet_id {
                    Some(_) => {
                        lane.stall(connection.id());
                        connection.stall(forward);
                    }
                    None => connection.refuse_busy(forward),
                }
            }
        }
    }

    fn subscribe(&mut self, connection: &Connection, wanted: &Subscription, now: Now) -> Result<bool, u8> {
        if wanted.filter.starts_with("$share/") {
            return Err(SUB_SHARED);
        }
        let filter: Filter = wanted.filter.parse().map_err(|_| SUB_FILTER_INVALID)?;
        let id = connection.id();
        let Some(session) = self.directory.get(id) else {
            return Err(SUB_NOT_AUTHORIZED);
        };
        let who = session.caller.principal.clone();
        if !policy::subscribe(self.root(), &who, &session.standing, &filter) {
            self.notice(
                &who,
                "subscribe-denied",
                wanted.filter.clone(),
                connection.address(),
                now,
            );
            return Err(SUB_NOT_AUTHORIZED);
        }
        let is_event = !self.root().own_down_covers(&who, &filter);
        let limits = self.settings.limits.clone();
        if !self
            .directory
            .subscribe(id, filter, wanted.at_least_once, is_event, &limits)
        {
            return Err(SUB_QUOTA);
        }
        Ok(wanted.at_least_once)
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
