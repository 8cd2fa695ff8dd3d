//! Who is connected, and what they subscribed to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

use contract::id::{Kind, Principal};

use crate::{
    limits::Limits,
    meter::Limit,
    peer::Caller,
    policy::Standing,
    protocol::Options,
    roll::Roll,
    subscriptions::{Added, Pattern, Subscriptions, Wanted},
    takeovers::Takeovers,
    transport::{Backlog, Listener, Transport},
};

/// One session.
pub(crate) struct Session {
    /// Its connection has the same.
    pub(crate) caller: Arc<Caller>,
    pub(crate) client_id: String,
    pub(crate) standing: Arc<Standing>,
    pub(crate) address: String,
    pub(crate) transport: Transport,
    /// When it connected, milliseconds since 1970.
    pub(crate) since_ms: i64,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) v5: bool,
    pub(crate) keep_alive_s: u16,
    pub(crate) subscriptions: Subscriptions,
    /// Requests at QoS 0 that wait for their service.
    pub(crate) unheld: u32,
    /// It has been told to go.
    pub(crate) leaving: bool,
    /// What it was told when it was sent away.
    pub(crate) farewell: String,
    /// It begins anew, whatever there was before.
    pub(crate) clean: bool,
    /// Its session has not parted from an earlier connection.
    pub(crate) waits: bool,
    /// Its session is to outlive this connection.
    pub(crate) outlives: bool,
    /// It is, and has not parted from it.
    pub(crate) keeps: bool,
    /// When it was given something of a shared subscription.
    pub(crate) served: u64,
}

/// All sessions, by what they are asked for.
#[derive(Default)]
pub(crate) struct Directory {
    /// Numbers only grow, and a tree that grows at one end has half of its places empty: let them be small.
    sessions: BTreeMap<u64, Box<Session>>,
    by_principal: Roll,
    by_serial: HashMap<String, Vec<u64>>,
    event_followers: BTreeSet<u64>,
    claims: usize,
    by_listener: [usize; Listener::ALL.len()],
    pub(crate) takeovers: Takeovers,
}

/// Why there is no room for a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The front door has all the connections it may, by this limit.
    Door(Limit),
    /// The principal has all the sessions it may, by this limit.
    Principal(Limit),
}

impl Directory {
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn get(&self, connection: u64) -> Option<&Session> {
        self.sessions.get(&connection).map(Box::as_ref)
    }

    pub(crate) fn get_mut(&mut self, connection: u64) -> Option<&mut Session> {
        self.sessions.get_mut(&connection).map(Box::as_mut)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Session)> {
        self.sessions.iter().map(|(id, session)| (*id, &**session))
    }

    /// The sessions of a principal.
    pub(crate) fn of(&self, who: &Principal) -> &[u64] {
        self.by_principal.of(who)
    }

    /// The first principal with a session, from there on.
    pub(crate) fn next_principal(&self, from: Bound<&Principal>) -> Option<&Principal> {
        self.by_principal.next(from)
    }

    /// How many sessions came by a listener.
    pub(crate) fn over_listener(&self, listener: Listener) -> usize {
        self.by_listener[listener as usize]
    }

    /// The sessions over a certificate.
    pub(crate) fn over(&self, serial: &str) -> Vec<u64> {
        self.by_serial.get(serial).cloned().unwrap_or_default()
    }

    /// How many sessions of a principal are there to stay.
    pub(crate) fn staying(&self, who: &Principal) -> usize {
        self.of(who)
            .iter()
            .filter(|id| self.get(**id).is_some_and(|s| !s.leaving))
            .count()
    }

    /// The session that a new one of this client id takes over. Claims take over nobody: anyone of a batch
    /// may choose any id.
    pub(crate) fn taken_over(&self, who: &Principal, client_id: &str) -> Option<u64> {
        if who.kind == Kind::Claim {
            return None;
        }
        let same = |id: &&u64| {
            self.get(**id)
                .is_some_and(|s| s.client_id == client_id && !s.leaving)
        };
        self.of(who).iter().find(same).copied()
    }

    /// Connections of a client that its session has not parted from, though they are told to go.
    pub(crate) fn holders(&self, who: &Principal, client_id: &str) -> Vec<u64> {
        let holds = |id: &&u64| {
            self.get(**id)
                .is_some_and(|s| s.client_id == client_id && s.leaving && s.keeps)
        };
        self.of(who).iter().filter(holds).copied().collect()
    }

    /// The connection that waits for a client's session.
    pub(crate) fn waiting(&self, who: &Principal, client_id: &str) -> Option<u64> {
        let waits = |id: &&u64| {
            self.get(**id)
                .is_some_and(|s| s.client_id == client_id && s.waits && !s.leaving)
        };
        self.of(who).iter().find(waits).copied()
    }

    /// Whether there is room for one more, besides one that is taken over.
    pub(crate) fn room_for(&self, who: &Principal, takes_over: bool, limits: &Limits) -> Result<(), NoRoom> {
        let going = usize::from(takes_over);
        let (most, limit) = match who.kind {
            Kind::Device => (limits.sessions_per_device, Limit::SessionsPerDevice),
            Kind::Claim => (limits.claims_per_id, Limit::ClaimsPerId),
            _ => (limits.sessions_per_person, Limit::SessionsPerPerson),
        };
        // Anybody of a batch may choose any id: all claims together leave room for those who have an identity.
        if who.kind == Kind::Claim && self.claims >= limits.claims.min(limits.connections.div_ceil(4)) {
            return Err(NoRoom::Door(Limit::Claims));
        }
        if self.staying(who) >= most + going {
            return Err(NoRoom::Principal(limit));
        }
        // Whoever can put things right must get in when everybody else has.
        let reserve = if who.kind == Kind::Operator {
            0
        } else {
            limits.operator_reserve()
        };
        if self.len() >= limits.connections + going {
            Err(NoRoom::Door(Limit::Connections))
        } else if self.len() + reserve >= limits.connections + going {
            Err(NoRoom::Door(Limit::OperatorReserve))
        } else {
            Ok(())
        }
    }

    pub(crate) fn add(&mut self, connection: u64, session: Session) {
        self.claims += usize::from(session.caller.principal.kind == Kind::Claim);
        self.by_listener[session.transport.listener as usize] += 1;
        self.by_principal.add(&session.caller.principal, connection);
        if !session.caller.serial().is_empty() {
            self.by_serial
                .entry(session.caller.serial().to_owned())
                .or_default()
                .push(connection);
        }
        self.sessions.insert(connection, Box::new(session));
    }

    pub(crate) fn remove(&mut self, connection: u64) -> Option<Session> {
        let session = self.sessions.remove(&connection)?;
        self.event_followers.remove(&connection);
        self.claims -= usize::from(session.caller.principal.kind == Kind::Claim);
        self.by_listener[session.transport.listener as usize] -= 1;
        self.by_principal.remove(&session.caller.principal, connection);
        forget(&mut self.by_serial, session.caller.serial(), connection);
        Some(*session)
    }

    /// Adds a subscription. `None`: there are too many.
    pub(crate) fn subscribe(
        &mut self,
        connection: u64,
        pattern: Pattern,
        options: Options,
        is_event: bool,
        limits: &Limits,
    ) -> Option<Added> {
        let session = self.sessions.get_mut(&connection)?;
        let added = session
            .subscriptions
            .add(pattern, options, limits.subscriptions)?;
        if is_event {
            self.event_followers.insert(connection);
        }
        Some(added)
    }

    /// Removes a subscription; whether it was there.
    pub(crate) fn unsubscribe(&mut self, connection: u64, filter: &str) -> bool {
        let (Some(session), Ok(pattern)) = (self.sessions.get_mut(&connection), filter.parse()) else {
            return false;
        };
        session.subscriptions.remove(&pattern)
    }

    /// Subscriptions of a session that goes on.
    pub(crate) fn resubscribe(
        &mut self,
        connection: u64,
        subscriptions: Subscriptions,
        follows_events: bool,
    ) {
        let Some(session) = self.sessions.get_mut(&connection) else {
            return;
        };
        session.subscriptions = subscriptions;
        if follows_events {
            self.event_followers.insert(connection);
        }
    }

    /// Whether it follows any event.
    pub(crate) fn follows_events(&self, connection: u64) -> bool {
        self.event_followers.contains(&connection)
    }

    /// Those that follow any event.
    pub(crate) fn event_followers(&self) -> impl Iterator<Item = (u64, &Session)> {
        self.event_followers
            .iter()
            .filter_map(|id| Some((*id, self.get(*id)?)))
    }
}

impl Session {
    pub(crate) fn new(caller: Arc<Caller>, client_id: String, standing: Arc<Standing>) -> Session {
        Session {
            caller,
            client_id,
            standing,
            address: String::new(),
            transport: Transport::default(),
            since_ms: 0,
            backlog: Arc::default(),
            v5: false,
            keep_alive_s: 0,
            subscriptions: Subscriptions::default(),
            unheld: 0,
            leaving: false,
            farewell: String::new(),
            clean: true,
            waits: false,
            outlives: false,
            keeps: false,
            served: 0,
        }
    }

    /// Whether a message may be put before it. What comes for one that leaves and keeps its session waits
    /// for the next connection.
    pub(crate) fn takes_mail(&self) -> bool {
        !self.leaving || self.keeps
    }

    /// How a message is wanted, if it is for this session.
    pub(crate) fn wants(&self, topic: &str) -> Option<Wanted> {
        self.subscriptions.want(topic)
    }
}

pub(crate) fn forget(map: &mut HashMap<String, Vec<u64>>, key: &str, connection: u64) {
    if let Some(list) = map.get_mut(key) {
        list.retain(|id| *id != connection);
        if list.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Credential;

    fn session(who: &str, client_id: &str) -> Session {
        let principal = who.parse().unwrap();
        let credential = Credential::Certificate {
            serial: "0a".into(),
            not_after_ms: i64::MAX,
        };
        let caller = Caller::new(principal, credential);
        Session::new(Arc::new(caller), client_id.into(), Arc::default())
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let mut directory = Directory::default();
        directory.add(1, session("devices/a", "a"));
        directory.subscribe(
            1,
            "x/#".parse().unwrap(),
            Options::default(),
            true,
            &Limits::default(),
        );
        directory.remove(1);
        assert!(directory.by_principal.is_empty() && directory.by_serial.is_empty());
        assert!(directory.event_followers.is_empty() && directory.sessions.is_empty());
    }

    #[test]
    fn a_device_may_hold_three_and_a_takeover_needs_no_room() {
        let mut directory = Directory::default();
        let limits = Limits::default();
        for n in 0..3 {
            directory.add(n, session("devices/a", &format!("a:{n}")));
        }
        let a: Principal = "devices/a".parse().unwrap();
        assert_eq!(
            directory.room_for(&a, false, &limits),
            Err(NoRoom::Principal(Limit::SessionsPerDevice))
        );
        assert_eq!(directory.taken_over(&a, "a:1"), Some(1));
        assert_eq!(directory.room_for(&a, true, &limits), Ok(()));
        directory.get_mut(1).unwrap().leaving = true;
        assert_eq!(
            directory.room_for(&a, false, &limits),
            Ok(()),
            "who leaves makes room"
        );
    }

    #[test]
    fn claims_take_over_nobody() {
        let mut directory = Directory::default();
        directory.add(1, session("claims/a", "a"));
        assert_eq!(directory.taken_over(&"claims/a".parse().unwrap(), "a"), None);
    }
}
