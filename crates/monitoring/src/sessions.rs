//! A device's sessions as the front door tells of them: is any of them still there?

use contract::v1::Presence;
use prost::Message;

/// Live sessions that are told apart; more than the front door lets a device have.
const LIVE_MAX: usize = 16;

/// What is known of a device's sessions.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Seen {
    /// The front door's boot in which they are.
    #[prost(uint64, tag = "1")]
    pub(crate) boot: u64,
    /// The newest snapshot that named the device, or that was under way when it came.
    #[prost(uint64, tag = "2")]
    pub(crate) snapshot: u64,
    /// The newest session; a number that is not greater and not live is over.
    #[prost(uint64, tag = "3")]
    pub(crate) newest: u64,
    /// Sessions that began and have not ended.
    #[prost(uint64, repeated, tag = "4")]
    live: Vec<u64>,
    /// Sessions there are by the front door's count, whose beginning was not told.
    #[prost(uint32, tag = "5")]
    untold: u32,
    /// Until when the device may be away.
    #[prost(int64, tag = "6")]
    pub(crate) grace_until_ms: i64,
    /// When it was last told that one of them was taken over from elsewhere.
    #[prost(int64, tag = "7")]
    pub(crate) taken_over_ms: i64,
}

/// What a message means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing: it is older than what is known.
    Stale,
    /// The device is there.
    There,
    /// Its last session ended.
    Gone,
}

impl Seen {
    /// A session began.
    pub(crate) fn began(&mut self, presence: &Presence, snapshot: u64) -> News {
        self.enter(presence.boot);
        let known = self.live.contains(&presence.session);
        if !known && presence.session <= self.newest {
            return News::Stale;
        }
        self.snapshot = self.snapshot.max(snapshot);
        self.add(presence);
        News::There
    }

    /// A session ended.
    pub(crate) fn ended(&mut self, presence: &Presence) -> News {
        self.enter(presence.boot);
        let session = presence.session;
        let known = self.live.contains(&session);
        let untold = !known && (session > self.newest || self.untold > 0);
        if !known && !untold {
            return News::Stale;
        }
        self.newest = self.newest.max(session);
        self.live.retain(|live| *live != session);
        // The count is believed about older sessions, not about one that began since.
        if presence.sessions == 0 {
            self.live.retain(|live| *live > session);
        }
        self.untold = presence.sessions.saturating_sub(self.live.len() as u32);
        if self.is_there() { News::There } else { News::Gone }
    }

    /// A snapshot names one of its sessions.
    pub(crate) fn named(&mut self, presence: &Presence, snapshot: u64) -> News {
        let again = self.boot == presence.boot && self.snapshot == snapshot;
        self.enter(presence.boot);
        if !again {
            // What began since the snapshot was taken is told after it, or has a greater number.
            self.live.retain(|live| *live > presence.session);
        }
        self.snapshot = snapshot;
        self.add(presence);
        News::There
    }

    /// The front door no longer speaks of any session.
    pub(crate) fn forgotten(&mut self) {
        self.live.clear();
        self.untold = 0;
    }

    /// Whether any session is there.
    pub(crate) fn is_there(&self) -> bool {
        !self.live.is_empty() || self.untold > 0
    }

    /// A new boot ends everything before it, and its numbers begin anew.
    fn enter(&mut self, boot: u64) {
        if boot != self.boot {
            *self = Seen {
                boot,
                grace_until_ms: self.grace_until_ms,
                taken_over_ms: self.taken_over_ms,
                ..Seen::default()
            };
        }
    }

    fn add(&mut self, presence: &Presence) {
        self.newest = self.newest.max(presence.session);
        if !self.live.contains(&presence.session) {
            self.live.push(presence.session);
        }
        if self.live.len() > LIVE_MAX {
            self.live.remove(0);
        }
        self.untold = presence.sessions.saturating_sub(self.live.len() as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `+7/1` (session 7 began, there are 1), `-7/0` (it ended) and `=7/1` (a snapshot names it).
    fn play(messages: &str) -> String {
        let mut seen = Seen::default();
        let mut step = |word: &str| {
            let (session, sessions) = word[1..].split_once('/').unwrap();
            let presence = Presence {
                boot: 1,
                session: session.parse().unwrap(),
                sessions: sessions.parse().unwrap(),
                ..Presence::default()
            };
            match &word[..1] {
                "+" => seen.began(&presence, 0),
                "-" => seen.ended(&presence),
                _ => seen.named(&presence, 5),
            }
        };
        let letter = |news| match news {
            News::Stale => 's',
            News::There => 't',
            News::Gone => 'g',
        };
        messages.split(' ').map(|word| letter(step(word))).collect()
    }

    #[test]
    fn sessions_of_a_device() {
        for (messages, expected, why) in [
            ("+7/1 -7/0", "tg", "one session"),
            ("+7/1 +8/1 -7/1 -8/0", "tttg", "taken over"),
            (
                "+7/1 +8/1 -7/0",
                "ttt",
                "the end of the old one does not end the new one",
            ),
            ("+7/1 +8/1 -8/0", "ttg", "the old one's end was never told"),
            ("+7/1 +8/2 -8/1 -7/0", "tttg", "two at once, the newer ends first"),
            (
                "+7/1 -7/0 +8/1 +7/1 -7/0 +8/1",
                "tgtsst",
                "told again from the beginning",
            ),
            ("-7/0", "g", "its beginning was not told"),
            ("-7/0 -7/0", "gs", "told twice"),
            ("=7/2 -7/1 -6/0", "ttg", "one of two was named"),
            ("=7/2 =8/2 -7/1 -8/0", "tttg", "both were named"),
            ("+7/1 +9/1 =9/1 -9/0", "tttg", "the snapshot knows that 7 is over"),
        ] {
            assert_eq!(play(messages), expected, "{why}");
        }
    }
}
