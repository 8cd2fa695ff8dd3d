//! Who is connected, and what they subscribed to.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use contract::{
    filter::Filter,
    id::{Kind, Principal},
};

use crate::{limits::Limits, peer::Caller, policy::Standing};

/// One session.
pub(crate) struct Session {
    pub(crate) caller: Caller,
    pub(crate) client_id: String,
    pub(crate) standing: Arc<Standing>,
    pub(crate) address: String,
    pub(crate) v5: bool,
    pub(crate) keep_alive_s: u16,
    /// Filters, and whether at QoS 1.
    filters: BTreeMap<Filter, bool>,
    /// Requests at QoS 0 that wait for their service.
    pub(crate) unheld: u32,
    /// It has been told to go; it gets nothing more.
    pub(crate) leaving: bool,
}

/// All sessions, by what they are asked for.
#[derive(Default)]
pub(crate) struct Directory {
    sessions: BTreeMap<u64, Session>,
    by_principal: HashMap<Principal, Vec<u64>>,
    by_serial: HashMap<String, Vec<u64>>,
    event_followers: HashSet<u64>,
    claims: usize,
}

/// Why there is no room for a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The front door has all the connections it may.
    Door,
    /// The principal has all the sessions it may.
    Principal,
}

impl Directory {
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn get(&self, connection: u64) -> Option<&Session> {
        self.sessions.get(&connection)
    }

    pub(crate) fn get_mut(&mut self, connection: u64) -> Option<&mut Session> {
        self.sessions.get_mut(&connection)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Session)> {
        self.sessions.iter().map(|(id, session)| (*id, session))
    }

    /// The sessions of a principal.
    pub(crate) fn of(&self, who: &Principal) -> &[u64] {
        self.by_principal.get(who).map(Vec::as_slice).unwrap_or_default()
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

    /// Whether there is room for one more, besides one that is taken over.
    pub(crate) fn room_for(&self, who: &Principal, takes_over: bool, limits: &Limits) -> Result<(), NoRoom> {
        let going = usize::from(takes_over);
        let most = match who.kind {
            Kind::Device => limits.sessions_per_device,
            Kind::Claim => limits.claims_per_id,
            _ => limits.sessions_per_person,
        };
        // Anybody of a batch may choose any id: all claims together leave room for those who have an identity.
        if who.kind == Kind::Claim && self.claims >= limits.claims.min(limits.connections.div_ceil(4)) {
            return Err(NoRoom::Door);
        }
        if self.staying(who) >= most + going {
            return Err(NoRoom::Principal);
        }
        // Whoever can put things right must get in when everybody else has.
        let reserve = if who.kind == Kind::Operator {
            0
        } else {
            limits.operator_reserve()
        };
        if self.len() + reserve >= limits.connections + going {
            Err(NoRoom::Door)
        } else {
            Ok(())
        }
    }

    pub(crate) fn add(&mut self, connection: u64, session: Session) {
        self.claims += usize::from(session.caller.principal.kind == Kind::Claim);
        self.by_principal
            .entry(session.caller.principal.clone())
            .or_default()
            .push(connection);
        if !session.caller.serial.is_empty() {
            self.by_serial
                .entry(session.caller.serial.clone())
                .or_default()
                .push(connection);
        }
        self.sessions.insert(connection, session);
    }

    pub(crate) fn remove(&mut self, connection: u64) -> Option<Session> {
        let session = self.sessions.remove(&connection)?;
        self.event_followers.remove(&connection);
        self.claims -= usize::from(session.caller.principal.kind == Kind::Claim);
        forget(&mut self.by_principal, &session.caller.principal, connection);
        forget(&mut self.by_serial, &session.caller.serial, connection);
        Some(session)
    }

    /// Adds a subscription. False: there are too many.
    pub(crate) fn subscribe(
        &mut self,
        connection: u64,
        filter: Filter,
        at_least_once: bool,
        is_event: bool,
        limits: &Limits,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(&connection) else {
            return false;
        };
        if session.filters.len() >= limits.subscriptions && !session.filters.contains_key(&filter) {
            return false;
        }
        session.filters.insert(filter, at_least_once);
        if is_event {
            self.event_followers.insert(connection);
        }
        true
    }

    /// Removes a subscription; whether it was there.
    pub(crate) fn unsubscribe(&mut self, connection: u64, filter: &str) -> bool {
        let Some(session) = self.sessions.get_mut(&connection) else {
            return false;
        };
        let Ok(filter) = filter.parse::<Filter>() else {
            return false;
        };
        session.filters.remove(&filter).is_some()
    }

    /// Those that follow any event.
    pub(crate) fn event_followers(&self) -> impl Iterator<Item = (u64, &Session)> {
        self.event_followers
            .iter()
            .filter_map(|id| Some((*id, self.sessions.get(id)?)))
    }
}

impl Session {
    pub(crate) fn new(caller: Caller, client_id: String, standing: Arc<Standing>) -> Session {
        Session {
            caller,
            client_id,
            standing,
            address: String::new(),
            v5: false,
            keep_alive_s: 0,
            filters: BTreeMap::new(),
            unheld: 0,
            leaving: false,
        }
    }

    /// Whether a topic is for this session, and if so whether at QoS 1: the most that any of its filters grants.
    pub(crate) fn wants(&self, topic: &str) -> Option<bool> {
        let matching = self.filters.iter().filter(|(filter, _)| filter.matches(topic));
        matching.map(|(_, qos1)| *qos1).max()
    }

    /// Whether an event may be shown to it, as its grants are now.
    pub(crate) fn may_see(&self, topic: &str) -> bool {
        !self.leaving && self.standing.grants.iter().any(|grant| grant.matches(topic))
    }
}

fn forget<K: std::hash::Hash + Eq>(map: &mut HashMap<K, Vec<u64>>, key: &K, connection: u64) {
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

    fn session(who: &str, client_id: &str) -> Session {
        let principal = who.parse().unwrap();
        let caller = Caller {
            principal,
            batch: None,
            serial: "0a".into(),
            not_after_ms: None,
        };
        Session::new(caller, client_id.into(), Arc::default())
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let mut directory = Directory::default();
        directory.add(1, session("devices/a", "a"));
        directory.subscribe(1, "x/#".parse().unwrap(), true, true, &Limits::default());
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
        assert_eq!(directory.room_for(&a, false, &limits), Err(NoRoom::Principal));
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

    #[test]
    fn overlapping_filters_grant_the_best_of_them_once() {
        let mut directory = Directory::default();
        directory.add(1, session("devices/a", "a"));
        let limits = Limits::default();
        directory.subscribe(1, "x/+".parse().unwrap(), false, false, &limits);
        directory.subscribe(1, "x/#".parse().unwrap(), true, false, &limits);
        assert_eq!(directory.get(1).unwrap().wants("x/y"), Some(true));
        assert_eq!(directory.get(1).unwrap().wants("y"), None);
        assert!(directory.unsubscribe(1, "x/#") && !directory.unsubscribe(1, "x/#"));
    }
}
