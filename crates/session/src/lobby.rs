//! Connections that have not said who they are yet: how many there may be, and which of them makes way.
//!
//! A connection costs a file descriptor before anybody knows whose it is. So those that are *silent* (in the
//! TLS handshake, or before their CONNECT is granted) have a number of their own, and each address has a share
//! of it. When there is no place, the longest silent goes first: a device that has something to say gets in.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::{
    bucket::{Bucket, Rate},
    limits::Limits,
    meter::{Limit, Meter},
};

/// One address may have so much of the silent connections: a quarter.
const SHARE: usize = 4;

/// Where a connection comes from: what one client can hardly have more than one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// The machine itself: a proxy, or a measurement. It has no share of its own.
    Loopback,
    /// An IPv4 address.
    V4([u8; 4]),
    /// The network that one IPv6 client usually has, a /64.
    V6([u8; 8]),
}

impl Origin {
    pub(crate) fn of(address: IpAddr) -> Origin {
        match address.to_canonical() {
            address if address.is_loopback() => Origin::Loopback,
            IpAddr::V4(address) => Origin::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Origin::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Loopback => f.write_str("this machine"),
            Origin::V4(octets) => Ipv4Addr::from(*octets).fmt(f),
            Origin::V6([a, b, c, d, e, g, h, i]) => {
                let network = [*a, *b, *c, *d, *e, *g, *h, *i, 0, 0, 0, 0, 0, 0, 0, 0];
                write!(f, "{}/64", Ipv6Addr::from(network))
            }
        }
    }
}

/// What becomes of a connection that has just been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It has a place.
    Come {
        /// Which, until [`Lobby::left`].
        place: u64,
        /// When its handshake begins: more came than may in a second. Monotonic milliseconds.
        at_ms: u64,
    },
    /// The silent connection at this place goes first; ask again when it has left.
    Dismiss(u64),
    /// Nobody has been silent for long; ask again when somebody has left, or at this time at the latest.
    Wait {
        /// Monotonic milliseconds.
        until_ms: u64,
    },
    /// Its address has all the connections it may, or everybody has.
    Away,
}

#[derive(Debug)]
struct Silent {
    since_ms: u64,
    dismissed: bool,
}

#[derive(Debug, Default)]
struct Share {
    open: usize,
    silent: BTreeSet<u64>,
    parting: Parting,
}

/// Connections whose session has ended, and that are still listened to so that they hear why. They make way at once.
#[derive(Debug, Default)]
struct Parting(BTreeMap<u64, bool>);

impl Parting {
    /// The first that was not dismissed yet.
    fn first(&self) -> Option<u64> {
        let mut staying = self.0.iter().filter(|(_, dismissed)| !**dismissed);
        staying.next().map(|(place, _)| *place)
    }

    fn dismiss(&mut self, place: u64) {
        if let Some(dismissed) = self.0.get_mut(&place) {
            *dismissed = true;
        }
    }
}

/// All connections of principals, by where they come from.
#[derive(Debug)]
pub struct Lobby {
    /// Connections in all, silent or not.
    most: usize,
    handshakes: usize,
    per_address: usize,
    patience_ms: u64,
    rate: Rate,
    arrivals: Bucket,
    last: u64,
    /// By place, which is by age.
    silent: BTreeMap<u64, Silent>,
    parting: Parting,
    origins: HashMap<u64, Origin>,
    shares: HashMap<Origin, Share>,
    met: Meter,
}

impl Lobby {
    /// An empty one.
    pub fn new(limits: &Limits) -> Lobby {
        Lobby {
            most: limits.sockets(),
            handshakes: limits.handshakes.max(1),
            per_address: limits.per_address,
            patience_ms: limits.silent_ms,
            rate: Rate::per_second(limits.accepts_per_second),
            arrivals: Bucket::default(),
            last: 0,
            silent: BTreeMap::new(),
            parting: Parting::default(),
            origins: HashMap::new(),
            shares: HashMap::new(),
            met: Meter::default(),
        }
    }

    /// A connection has been made.
    pub fn enter(&mut self, address: IpAddr, now_ms: u64) -> Entry {
        let origin = Origin::of(address);
        if origin != Origin::Loopback
            && let Some(share) = self.shares.get(&origin)
        {
            let silent = share.silent.len() >= self.handshakes.div_ceil(SHARE);
            if silent || share.open >= self.per_address {
                if !silent && !share.parting.0.is_empty() {
                    let first = share.parting.first();
                    let entry = self.hurry(first, now_ms);
                    return self.meet(Limit::PerAddress, entry);
                }
                let oldest = share.silent.iter().copied().find(|at| self.may_stay(*at));
                let entry = match self.make_way(oldest, now_ms) {
                    Some(entry @ Entry::Dismiss(_)) => entry,
                    _ => Entry::Away,
                };
                return self.meet(Limit::PerAddress, entry);
            }
        }
        let limit = match self.silent.len() >= self.handshakes {
            true => Limit::Handshakes,
            false => Limit::Connections,
        };
        if limit == Limit::Handshakes || self.origins.len() >= self.most {
            if limit == Limit::Connections && !self.parting.0.is_empty() {
                let entry = self.hurry(self.parting.first(), now_ms);
                return self.meet(limit, entry);
            }
            let oldest = self.silent.keys().copied().find(|at| self.may_stay(*at));
            let entry = self.make_way(oldest, now_ms).unwrap_or(Entry::Away);
            return self.meet(limit, entry);
        }
        let at_ms = self.arrive(now_ms);
        Entry::Come {
            place: self.take_place(origin, at_ms),
            at_ms,
        }
    }

    /// When somebody's handshake begins. Who is turned away took nothing of it.
    fn arrive(&mut self, now_ms: u64) -> u64 {
        let Err(wait) = self.arrivals.charge(self.rate, now_ms, 1) else {
            return now_ms;
        };
        self.met.count(Limit::AcceptsPerSecond);
        let wait_ms = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        now_ms.saturating_add(wait_ms)
    }

    fn take_place(&mut self, origin: Origin, since_ms: u64) -> u64 {
        self.last += 1;
        let silent = Silent {
            since_ms,
            dismissed: false,
        };
        self.silent.insert(self.last, silent);
        self.origins.insert(self.last, origin);
        let share = self.shares.entry(origin).or_default();
        share.open += 1;
        share.silent.insert(self.last);
        self.last
    }

    /// Counts what somebody is sent away for; who waits is looked at again.
    fn meet(&mut self, limit: Limit, entry: Entry) -> Entry {
        if !matches!(entry, Entry::Wait { .. }) {
            self.met.count(limit);
        }
        entry
    }

    fn may_stay(&self, place: u64) -> bool {
        self.silent.get(&place).is_some_and(|silent| !silent.dismissed)
    }

    /// Dismisses the oldest, if it has been silent for long. `None`: nobody is silent.
    fn make_way(&mut self, oldest: Option<u64>, now_ms: u64) -> Option<Entry> {
        let place = oldest?;
        let silent = self.silent.get_mut(&place)?;
        let until_ms = silent.since_ms + self.patience_ms;
        if now_ms < until_ms {
            return Some(Entry::Wait { until_ms });
        }
        silent.dismissed = true;
        self.met.count(Limit::Silent);
        Some(Entry::Dismiss(place))
    }

    /// Whose session has ended goes; where all of those have been told, the next waits until one has left.
    fn hurry(&mut self, first: Option<u64>, now_ms: u64) -> Entry {
        let Some(place) = first else {
            let until_ms = now_ms + self.patience_ms;
            return Entry::Wait { until_ms };
        };
        self.dismiss_parting(place);
        Entry::Dismiss(place)
    }

    fn dismiss_parting(&mut self, place: u64) {
        self.parting.dismiss(place);
        if let Some(share) = self.origins.get(&place).and_then(|o| self.shares.get_mut(o)) {
            share.parting.dismiss(place);
        }
    }

    /// No file can be opened: somebody whose session has ended goes, or the longest silent, if there is any.
    pub fn dismiss_oldest(&mut self) -> Option<u64> {
        if let Some(place) = self.parting.first() {
            self.dismiss_parting(place);
            return Some(place);
        }
        let place = self.silent.keys().copied().find(|at| self.may_stay(*at))?;
        self.silent.get_mut(&place)?.dismissed = true;
        Some(place)
    }

    /// The connection at this place has said who it is, and was let in. False: it was dismissed just before.
    pub fn admitted(&mut self, place: u64) -> bool {
        let stays = self.may_stay(place);
        if stays {
            self.hush(place);
        }
        stays
    }

    /// The session of the connection at this place has ended, and the connection is listened to until its client hears
    /// why, or somebody else needs the place. False: as many are as may shake hands; this one is closed now.
    pub fn parts(&mut self, place: u64) -> bool {
        let Some(origin) = self.origins.get(&place) else {
            return false;
        };
        if self.parting.0.len() >= self.handshakes {
            return false;
        }
        self.parting.0.insert(place, false);
        if let Some(share) = self.shares.get_mut(origin) {
            share.parting.0.insert(place, false);
        }
        true
    }

    /// Whether the session of the connection at this place has ended.
    pub fn is_parting(&self, place: u64) -> bool {
        self.parting.0.contains_key(&place)
    }

    /// How many such connections there are.
    pub fn parting(&self) -> usize {
        self.parting.0.len()
    }

    /// The connection at this place is closed.
    pub fn left(&mut self, place: u64) {
        self.hush(place);
        self.parting.0.remove(&place);
        let Some(origin) = self.origins.remove(&place) else {
            return;
        };
        if let Some(share) = self.shares.get_mut(&origin) {
            share.open -= 1;
            share.parting.0.remove(&place);
            if share.open == 0 {
                self.shares.remove(&origin);
            }
        }
    }

    /// It counts among the silent no longer.
    fn hush(&mut self, place: u64) {
        self.silent.remove(&place);
        if let Some(share) = self.origins.get(&place).and_then(|o| self.shares.get_mut(o)) {
            share.silent.remove(&place);
        }
    }

    /// How often its limits were met.
    pub fn met(&self) -> &Meter {
        &self.met
    }

    /// How many are silent.
    pub fn silent(&self) -> usize {
        self.silent.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lobby(connections: usize, handshakes: usize, per_address: usize) -> Lobby {
        Lobby::new(&Limits {
            connections,
            handshakes,
            per_address,
            silent_ms: 2_000,
            ..Limits::default()
        })
    }

    fn from(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn come(lobby: &mut Lobby, address: &str, now_ms: u64) -> u64 {
        match lobby.enter(from(address), now_ms) {
            Entry::Come { place, .. } => place,
            other => panic!("{address} at {now_ms}: {other:?}"),
        }
    }

    #[test]
    fn the_longest_silent_makes_way_when_it_has_had_its_time() {
        let mut lobby = lobby(100, 4, 100);
        let places: Vec<_> = (1..=4)
            .map(|n| come(&mut lobby, &format!("10.0.0.{n}"), 1_000 + n))
            .collect();
        let device = from("10.0.1.1");
        assert_eq!(lobby.enter(device, 1_500), Entry::Wait { until_ms: 3_001 });
        assert_eq!(lobby.enter(device, 3_001), Entry::Dismiss(places[0]));
        assert_eq!(
            lobby.enter(device, 3_001),
            Entry::Wait { until_ms: 3_002 },
            "its place is free when it has left"
        );
        lobby.left(places[0]);
        assert!(matches!(lobby.enter(device, 3_001), Entry::Come { .. }));
    }

    #[test]
    fn who_is_let_in_is_silent_no_longer_and_makes_way_for_nobody() {
        let mut lobby = lobby(1, 2, 100);
        let device = come(&mut lobby, "10.0.0.1", 0);
        assert!(lobby.admitted(device));
        come(&mut lobby, "10.0.0.2", 0);
        let last = come(&mut lobby, "10.0.0.3", 0);
        assert!(lobby.admitted(last));
        assert_eq!(lobby.silent(), 1);
        let dismissed = lobby.enter(from("10.0.0.4"), 9_000);
        assert_eq!(dismissed, Entry::Dismiss(device + 1));
        assert!(!lobby.admitted(device + 1), "too late");
        lobby.left(device + 1);
        let another = come(&mut lobby, "10.0.0.4", 9_000);
        assert!(lobby.admitted(another));
        assert_eq!(
            lobby.enter(from("10.0.0.5"), 99_000),
            Entry::Away,
            "all have sessions"
        );
    }

    #[test]
    fn one_address_has_a_share_of_the_silent_and_turns_away_only_itself() {
        let mut lobby = lobby(100, 8, 100);
        let first = come(&mut lobby, "10.0.0.1", 0);
        come(&mut lobby, "10.0.0.1", 0);
        assert_eq!(lobby.enter(from("10.0.0.1"), 1_000), Entry::Away);
        assert_eq!(lobby.enter(from("::ffff:10.0.0.1"), 1_000), Entry::Away);
        come(&mut lobby, "10.0.0.2", 1_000);
        assert_eq!(lobby.enter(from("10.0.0.1"), 2_000), Entry::Dismiss(first));
    }

    #[test]
    fn one_address_has_a_share_of_all_and_a_network_is_one_address() {
        let mut lobby = lobby(100, 100, 2);
        for n in 1..=2 {
            let place = come(&mut lobby, &format!("2001:db8::{n}"), 0);
            assert!(lobby.admitted(place));
        }
        assert_eq!(lobby.enter(from("2001:db8::3"), 9_000), Entry::Away);
        come(&mut lobby, "2001:db8:0:1::1", 9_000);
        for _ in 0..20 {
            come(&mut lobby, "127.0.0.1", 9_000);
        }
    }

    #[test]
    fn more_than_may_in_a_second_wait_and_are_counted_once_each() {
        let mut lobby = Lobby::new(&Limits {
            accepts_per_second: 10,
            per_address: 12,
            ..Limits::default()
        });
        let at = |lobby: &mut Lobby, address: &str, now_ms| match lobby.enter(from(address), now_ms) {
            Entry::Come { at_ms, .. } => Some(at_ms),
            _ => None,
        };
        for _ in 0..10 {
            assert_eq!(at(&mut lobby, "10.0.0.1", 1_000), Some(1_000));
        }
        assert_eq!(at(&mut lobby, "10.0.0.1", 1_000), Some(1_100));
        assert_eq!(at(&mut lobby, "10.0.0.1", 1_100), Some(1_200));
        for _ in 0..100 {
            assert_eq!(at(&mut lobby, "10.0.0.1", 1_200), None, "turned away");
        }
        assert_eq!(
            at(&mut lobby, "10.0.0.2", 1_200),
            Some(1_300),
            "and holds up nobody"
        );
        assert_eq!(lobby.met().of(Limit::AcceptsPerSecond), 3);
        assert_eq!(at(&mut lobby, "10.0.0.2", 9_000), Some(9_000));
    }

    #[test]
    fn whose_session_has_ended_makes_way_at_once_and_is_no_more_than_may_shake_hands() {
        // Of an address that has all it may.
        let mut one = lobby(100, 100, 2);
        let places = [0, 0].map(|at| come(&mut one, "10.0.0.1", at));
        assert!(places.iter().all(|place| one.admitted(*place)));
        assert_eq!(one.enter(from("10.0.0.1"), 1), Entry::Away);
        assert!(one.parts(places[1]));
        assert_eq!(one.enter(from("10.0.0.1"), 1), Entry::Dismiss(places[1]));
        let wait = Entry::Wait { until_ms: 2_001 };
        assert_eq!(
            one.enter(from("10.0.0.1"), 1),
            wait,
            "it is not turned away meanwhile"
        );
        assert_eq!(one.met().of(Limit::PerAddress), 2);
        one.left(places[1]);
        assert!(matches!(one.enter(from("10.0.0.1"), 1), Entry::Come { .. }));
        // Of all that there are.
        let mut all = lobby(3, 2, 100);
        let places = [1, 2, 3, 4].map(|n| {
            let place = come(&mut all, &format!("10.0.0.{n}"), 0);
            assert!(all.admitted(place));
            place
        });
        come(&mut all, "10.0.0.5", 0);
        let device = from("10.0.1.1");
        assert_eq!(all.enter(device, 1), Entry::Wait { until_ms: 2_000 });
        assert!(all.parts(places[0]) && all.parts(places[2]));
        assert!(!all.parts(places[3]), "no more than may shake hands");
        assert_eq!(all.parting(), 2);
        assert_eq!(all.enter(device, 1), Entry::Dismiss(places[0]));
        assert_eq!(all.dismiss_oldest(), Some(places[2]), "before whoever is silent");
        assert_eq!(all.enter(device, 1), Entry::Wait { until_ms: 2_001 });
        all.left(places[0]);
        assert!(matches!(all.enter(device, 1), Entry::Come { .. }));
    }

    #[test]
    fn what_has_left_leaves_nothing_behind() {
        let mut lobby = lobby(4, 4, 4);
        for n in 0..50 {
            let place = come(&mut lobby, "10.0.0.1", n);
            if n % 2 == 0 {
                assert!(lobby.admitted(place) && lobby.parts(place));
            }
            lobby.left(place);
        }
        assert_eq!(lobby.parting(), 0);
        assert!(lobby.silent.is_empty() && lobby.origins.is_empty() && lobby.shares.is_empty());
        let silent = come(&mut lobby, "10.0.0.1", 60);
        assert_eq!(lobby.dismiss_oldest(), Some(silent));
        assert_eq!(lobby.dismiss_oldest(), None, "once is enough");
    }
}
