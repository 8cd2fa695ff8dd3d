//! Sessions without a connection: what waits for them, and how long they have.
//!
//! The promise to such a client: an answer or an order at QoS 1 or 2 that its subscriptions are for is there
//! when it comes back, or its session is not, which the CONNACK says (session present 0). Events go, the
//! oldest first, when there is no room: their sequence shows the gap, and a replay fills it. Nothing outlives
//! the front door's process. Of a new session whose client was not heard after the CONNACK nothing is told when it comes
//! back: that CONNACK may be lost, and the client would take a session present for the one that it had before.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

use contract::id::{Kind, Principal};

use crate::{
    connection::Remains,
    limits::{Hoard, Limits},
    meter::{Limit, Meter},
    peer::Caller,
    policy::Standing,
    protocol::Delivery,
    roll::Roll,
    subscriptions::Subscriptions,
};

/// One of them.
pub(super) struct KeptSession {
    pub(super) caller: Arc<Caller>,
    pub(super) client_id: String,
    pub(super) standing: Arc<Standing>,
    pub(super) subscriptions: Subscriptions,
    pub(super) v5: bool,
    pub(super) follows_events: bool,
    pub(super) remains: Remains,
    /// When its last connection was over, milliseconds since 1970.
    pub(super) since_ms: i64,
    /// When it is over, and when its will is due, monotonic milliseconds.
    pub(super) until_ms: u64,
    pub(super) will_ms: Option<u64>,
    /// When it was given something of a shared subscription.
    pub(super) served: u64,
}

/// All of them, each by the number of the connection that it had last.
#[derive(Default)]
pub(super) struct Kept {
    sessions: BTreeMap<u64, KeptSession>,
    by_principal: Roll,
    by_serial: HashMap<String, Vec<u64>>,
    followers: BTreeSet<u64>,
    /// When something is to be done with which.
    due: BTreeSet<(u64, u64)>,
    devices: usize,
    bytes: usize,
    /// How often its limits were met.
    met: Meter,
}

/// Whether a message for a kept session has been kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Yes, and so many older events made way.
    Kept { dropped: u64 },
    /// The session is over: there was no room, and nothing in it may go.
    Over,
}

impl KeptSession {
    fn due_ms(&self) -> u64 {
        self.until_ms.min(self.will_ms.unwrap_or(u64::MAX))
    }

    /// Which limit it is over.
    fn over(&self, hoard: Hoard, all_are: bool) -> Option<Limit> {
        let is_device = self.caller.principal.kind == Kind::Device;
        if self.remains.len() > hoard.messages {
            Some(if is_device {
                Limit::KeptDeviceMessages
            } else {
                Limit::KeptPersonMessages
            })
        } else if self.remains.bytes() > hoard.bytes {
            Some(if is_device {
                Limit::KeptDeviceBytes
            } else {
                Limit::KeptPersonBytes
            })
        } else {
            all_are.then_some(Limit::KeptBytes)
        }
    }

    fn hoard(&self, limits: &Limits) -> Hoard {
        match self.caller.principal.kind {
            Kind::Device => limits.kept_for_device,
            _ => limits.kept_for_person,
        }
    }
}

impl Kept {
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn get(&self, id: u64) -> Option<&KeptSession> {
        self.sessions.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut KeptSession> {
        self.sessions.get_mut(&id)
    }

    /// Those of a principal.
    pub(super) fn of(&self, who: &Principal) -> &[u64] {
        self.by_principal.of(who)
    }

    /// The first principal with one, from there on.
    pub(super) fn next_principal(&self, from: Bound<&Principal>) -> Option<&Principal> {
        self.by_principal.next(from)
    }

    /// How often its limits were met.
    pub(super) fn met(&self) -> &Meter {
        &self.met
    }

    /// Those whose last connection was over a certificate.
    pub(super) fn over(&self, serial: &str) -> Vec<u64> {
        self.by_serial.get(serial).cloned().unwrap_or_default()
    }

    /// Those that follow any event.
    pub(super) fn followers(&self) -> impl Iterator<Item = (u64, &KeptSession)> {
        self.followers
            .iter()
            .filter_map(|id| Some((*id, self.sessions.get(id)?)))
    }

    /// The one that goes on with this client id.
    pub(super) fn find(&self, who: &Principal, client_id: &str) -> Option<u64> {
        let same = |id: &&u64| self.get(**id).is_some_and(|kept| kept.client_id == client_id);
        self.of(who).iter().find(same).copied()
    }

    /// Keeps a session, if there is room for it; how many of its events made way. Of more than one client may
    /// have the one goes that ends first.
    pub(super) fn add(
        &mut self,
        id: u64,
        session: KeptSession,
        limits: &Limits,
        is_event: impl Fn(&Delivery) -> bool,
    ) -> (Option<u64>, Vec<KeptSession>) {
        let who = session.caller.principal.clone();
        let is_device = who.kind == Kind::Device;
        let (each, limit) = match is_device {
            true => (limits.kept_per_device, Limit::KeptPerDevice),
            false => (limits.kept_per_person, Limit::KeptPerPerson),
        };
        let mut gone = Vec::new();
        while self.of(&who).len() >= each.max(1) {
            let first = self
                .of(&who)
                .iter()
                .copied()
                .min_by_key(|id| self.get(*id).map(|s| s.until_ms));
            gone.extend(first.and_then(|first| self.remove(first)));
            self.met.count(limit);
        }
        let class = if is_device {
            self.devices
        } else {
            self.len() - self.devices
        };
        if each == 0 || class >= limits.kept {
            self.met.count(if each == 0 { limit } else { Limit::Kept });
            gone.push(session);
            return (None, gone);
        }
        self.insert(id, session);
        match self.trim(id, limits, is_event) {
            Outcome::Kept { dropped } => (Some(dropped), gone),
            Outcome::Over => {
                gone.extend(self.remove(id));
                (None, gone)
            }
        }
    }

    fn insert(&mut self, id: u64, session: KeptSession) {
        let who = session.caller.principal.clone();
        self.devices += usize::from(who.kind == Kind::Device);
        self.bytes += session.remains.bytes();
        self.due.insert((session.due_ms(), id));
        if session.follows_events {
            self.followers.insert(id);
        }
        self.by_serial
            .entry(session.caller.serial().to_owned())
            .or_default()
            .push(id);
        self.by_principal.add(&who, id);
        self.sessions.insert(id, session);
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, id: u64) -> Option<KeptSession> {
        let session = self.sessions.remove(&id)?;
        let who = &session.caller.principal;
        self.devices -= usize::from(who.kind == Kind::Device);
        self.bytes -= session.remains.bytes();
        self.due.remove(&(session.due_ms(), id));
        self.followers.remove(&id);
        crate::directory::forget(&mut self.by_serial, session.caller.serial(), id);
        self.by_principal.remove(who, id);
        Some(session)
    }

    /// A message for one of them.
    pub(super) fn deliver(
        &mut self,
        id: u64,
        delivery: Delivery,
        limits: &Limits,
        is_event: impl Fn(&Delivery) -> bool,
    ) -> Outcome {
        if let Some(session) = self.sessions.get_mut(&id) {
            let before = session.remains.bytes();
            session.remains.deliver(delivery);
            self.bytes += session.remains.bytes() - before;
        }
        self.trim(id, limits, is_event)
    }

    /// Keeps a session within its bounds, and all of them within theirs.
    fn trim(&mut self, id: u64, limits: &Limits, is_event: impl Fn(&Delivery) -> bool) -> Outcome {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Outcome::Over;
        };
        let hoard = session.hoard(limits);
        let mut dropped = 0;
        loop {
            let Some(limit) = session.over(hoard, self.bytes > limits.kept_bytes) else {
                return Outcome::Kept { dropped };
            };
            self.met.count(limit);
            let Some(oldest) = session.remains.queue.drop_oldest(&is_event) else {
                return Outcome::Over;
            };
            self.bytes -= oldest.bytes();
            dropped += 1;
        }
    }

    /// Keeps of what waits for a session only what is wanted.
    pub(super) fn sift(&mut self, id: u64, wanted: impl Fn(&Delivery) -> bool) {
        if let Some(session) = self.sessions.get_mut(&id) {
            let before = session.remains.bytes();
            session.remains.queue.retain(wanted);
            self.bytes -= before - session.remains.bytes();
        }
    }

    /// The will of this one has been taken.
    pub(super) fn will_taken(&mut self, id: u64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            self.due.remove(&(session.due_ms(), id));
            session.will_ms = None;
            self.due.insert((session.due_ms(), id));
        }
    }

    /// The next whose time has come.
    pub(super) fn due(&self, now_ms: u64) -> Option<u64> {
        self.due
            .first()
            .filter(|(at, _)| *at <= now_ms)
            .map(|(_, id)| *id)
    }
}
