//! Lines of the log that strangers bring about: the first is written, what is like it within a minute is counted and
//! told at the end of the minute.
//!
//! [`Repeats`] is sans I/O. Who writes asks with [`Lines::tells`], and calls [`Lines::tell_due`] from time to time.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use parking_lot::Mutex;
use tracing::info;

/// For how long what is like a line that was written is only counted, milliseconds.
const EVERY_MS: u64 = 60_000;
/// Lines that are told apart within that time. What comes beyond has one line for all: nobody fills the log from many
/// addresses either.
const MOST: usize = 600;

/// What makes lines alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Like {
    /// Why.
    pub(crate) why: String,
    /// Who, where somebody has shown that; of claims the batch.
    pub(crate) who: String,
    /// From where. Of IPv6 the network that one client has, a /64.
    pub(crate) from: IpAddr,
}

impl Like {
    pub(crate) fn new(why: &str, who: &str, from: IpAddr) -> Like {
        let from = match from.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address => address,
        };
        Like {
            why: why.to_owned(),
            who: who.to_owned(),
            from,
        }
    }
}

/// What was not written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Untold {
    /// Like what; nothing where there were too many to be told apart.
    pub(crate) like: Option<Like>,
    /// How many.
    pub(crate) more: u64,
}

struct Repeat {
    since_ms: u64,
    more: u64,
}

#[derive(Default)]
pub(crate) struct Repeats {
    told: BTreeMap<Like, Repeat>,
    /// Those beyond, as long as there are any.
    beyond: Option<Repeat>,
}

impl Repeats {
    /// Whether a line is written; else it is counted.
    pub(crate) fn is_told(&mut self, like: &Like, now_ms: u64) -> bool {
        if let Some(repeat) = self.told.get_mut(like) {
            repeat.more += 1;
            return false;
        }
        let fresh = Repeat {
            since_ms: now_ms,
            more: 0,
        };
        if self.told.len() < MOST {
            self.told.insert(like.clone(), fresh);
            return true;
        }
        self.beyond.get_or_insert(fresh).more += 1;
        false
    }

    /// What was not written within the time that ended now.
    pub(crate) fn due(&mut self, now_ms: u64) -> Vec<Untold> {
        self.take(
            |repeat| now_ms.saturating_sub(repeat.since_ms) >= EVERY_MS,
            now_ms,
        )
    }

    /// All that was not written: nobody will ask again.
    pub(crate) fn rest(&mut self, now_ms: u64) -> Vec<Untold> {
        self.take(|_| true, now_ms)
    }

    /// Whatever goes on stays, for another while; whatever does not is forgotten.
    fn take(&mut self, is_due: impl Fn(&Repeat) -> bool, now_ms: u64) -> Vec<Untold> {
        let mut untold = Vec::new();
        self.told.retain(|like, repeat| {
            if !is_due(repeat) {
                return true;
            }
            let more = std::mem::take(&mut repeat.more);
            repeat.since_ms = now_ms;
            if more > 0 {
                let like = Some(like.clone());
                untold.push(Untold { like, more });
            }
            more > 0
        });
        if let Some(Repeat { more, .. }) = self.beyond.take_if(|beyond| is_due(beyond)) {
            untold.push(Untold { like: None, more });
        }
        untold
    }
}

/// The lines of one log. Times are monotonic milliseconds.
#[derive(Default)]
pub struct Lines(Mutex<Repeats>);

impl Lines {
    /// Whether a line about somebody who was refused, or let go, is written; else it is counted.
    pub fn tells(&self, why: &str, who: &str, from: IpAddr, now_ms: u64) -> bool {
        let like = Like::new(why, who, from);
        self.0.lock().is_told(&like, now_ms)
    }

    /// Writes what was only counted, when its time has come.
    pub fn tell_due(&self, now_ms: u64) {
        let due = self.0.lock().due(now_ms);
        due.into_iter().for_each(tell);
    }

    /// The same, when nobody comes any more.
    pub fn tell_rest(&self, now_ms: u64) {
        let rest = self.0.lock().rest(now_ms);
        rest.into_iter().for_each(tell);
    }
}

fn tell(Untold { like, more }: Untold) {
    match like {
        Some(Like { why, who, from }) => info!(why, who, address = %from, "and {more} more like it"),
        None => info!("and {more} more, from too many addresses to tell them apart"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(why: &str, who: &str, from: &str) -> Like {
        Like::new(why, who, from.parse().unwrap())
    }

    #[test]
    fn the_first_is_written_and_the_others_are_counted_to_the_last() {
        let mut repeats = Repeats::default();
        let one = like("unknown CA", "", "192.0.2.7");
        assert!(repeats.is_told(&one, 5));
        for now in 6..1_006 {
            assert!(!repeats.is_told(&one, now));
        }
        for (why, who, from) in [
            ("expired", "", "192.0.2.7"),
            ("unknown CA", "devices/pump-7", "192.0.2.7"),
            ("unknown CA", "", "192.0.2.8"),
        ] {
            assert!(repeats.is_told(&like(why, who, from), 6), "{why} {who} {from}");
        }
        assert_eq!(repeats.due(EVERY_MS + 4), []);
        let like = Some(one.clone());
        assert_eq!(repeats.due(EVERY_MS + 6), [Untold { like, more: 1_000 }]);
        assert!(!repeats.is_told(&one, EVERY_MS + 7), "it goes on");
        assert_eq!(repeats.due(2 * EVERY_MS + 6).len(), 1);
        assert_eq!(repeats.due(3 * EVERY_MS + 6), []);
        assert!(repeats.is_told(&one, 3 * EVERY_MS + 7), "it begins anew");
    }

    #[test]
    fn however_many_addresses_there_are_the_lines_are_bounded() {
        let mut repeats = Repeats::default();
        let written = (0..10_000_u32).filter(|n| {
            let like = Like::new("no certificate", "", IpAddr::V4((*n).into()));
            repeats.is_told(&like, 0)
        });
        assert_eq!(written.count(), MOST);
        let more = 10_000 - MOST as u64;
        assert_eq!(repeats.due(EVERY_MS), [Untold { like: None, more }]);
        assert_eq!(repeats.rest(EVERY_MS), []);
    }

    #[test]
    fn a_client_s_ipv6_network_is_one_address() {
        let from = |text: &str| like("", "", text).from;
        assert_eq!(from("2001:db8::1"), from("2001:db8::ffff:1"));
        assert_ne!(from("2001:db8::1"), from("2001:db8:0:1::1"));
        assert_eq!(from("::ffff:192.0.2.7"), from("192.0.2.7"));
    }
}
