//! How often first certificates are asked for from one address. Whoever asks too early is told when, and no two of those
//! that are turned away are told the same moment: a factory behind one address comes back in a row, not at once.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use service::row;

use crate::{
    bucket::{Bucket, Rate},
    lobby::Origin,
};

/// Addresses that are remembered: beyond, that one is forgotten which has asked longest ago.
const REMEMBERED: usize = 8_192;
const MINUTE_US: i64 = 60_000_000;

/// The addresses that asked of late.
#[derive(Debug, Default)]
pub(crate) struct Enrolments {
    seen: HashMap<Origin, Seen>,
    by_age: BTreeMap<u64, Origin>,
    last_age: u64,
}

#[derive(Debug, Default)]
struct Seen {
    bucket: Bucket,
    /// The last moment that somebody who was turned away was told.
    told_us: i64,
    /// Its place by age.
    age: u64,
}

impl Enrolments {
    /// One more, if it may; else how long it has to wait. So many in a minute, and as many at once. The machine itself has
    /// no share of its own: what comes from there is a proxy's, or a measurement.
    pub(crate) fn another(&mut self, from: Origin, per_minute: u32, now_ms: u64) -> Result<(), Duration> {
        if from == Origin::Loopback || per_minute == 0 {
            return Ok(());
        }
        let mut seen = self.forget(from).unwrap_or_default();
        let taken = seen.bucket.take(Rate::per_minute(per_minute), now_ms, 1);
        let answer = taken.map_err(|free_in| seen.turn(free_in, per_minute, now_ms));
        self.keep(from, seen);
        answer
    }

    fn forget(&mut self, from: Origin) -> Option<Seen> {
        let seen = self.seen.remove(&from)?;
        self.by_age.remove(&seen.age);
        Some(seen)
    }

    fn keep(&mut self, from: Origin, seen: Seen) {
        while self.seen.len() >= REMEMBERED
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.seen.remove(&oldest);
        }
        self.last_age += 1;
        self.by_age.insert(self.last_age, from);
        let age = self.last_age;
        self.seen.insert(from, Seen { age, ..seen });
    }
}

impl Seen {
    /// When the next one that is turned away may come: after the one before it.
    fn turn(&mut self, free_in: Duration, per_minute: u32, now_ms: u64) -> Duration {
        let interval_us = MINUTE_US / i64::from(per_minute.max(1));
        let now_us = i64::try_from(now_ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let free_us = now_us.saturating_add(microseconds(free_in));
        self.told_us = row::moment(self.told_us, now_us, free_us, interval_us);
        let wait_us = u64::try_from(self.told_us.saturating_sub(now_us)).unwrap_or_default();
        // Whole milliseconds, rounded up: a moment earlier there would be none.
        Duration::from_millis(wait_us.div_ceil(1_000).max(1))
    }
}

/// Whole ones, rounded up.
fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn from(n: u32) -> Origin {
        Origin::of(Ipv4Addr::from(0x0a00_0000 + n).into())
    }

    #[test]
    fn each_address_has_its_own_and_the_machine_itself_none() {
        let mut enrolments = Enrolments::default();
        for n in 0..3 {
            assert_eq!(enrolments.another(from(n), 1, 0), Ok(()));
            assert_eq!(enrolments.another(from(n), 1, 0), Err(Duration::from_secs(60)));
        }
        for _ in 0..100 {
            assert_eq!(enrolments.another(Origin::Loopback, 1, 0), Ok(()));
            assert_eq!(enrolments.another(from(9), 0, 0), Ok(()), "0 is any number");
        }
        assert_eq!(enrolments.another(from(0), 1, 60_000), Ok(()));
    }

    /// All devices of a factory are switched on at once; each comes back when it was told to.
    #[test]
    fn a_factory_gets_in_as_fast_as_it_may_and_nobody_waits_in_vain_for_long() {
        const DEVICES: usize = 5_000;
        const PER_MINUTE: u32 = 1_200;
        let mut enrolments = Enrolments::default();
        let mut waiting = BTreeMap::from([(0_u64, DEVICES)]);
        let (mut asked, mut last_ms) = (0, 0);
        while let Some((now_ms, devices)) = waiting.pop_first() {
            // 2,600 of them wait longer than a minute, in the 600 places of half of one.
            assert!(now_ms == 0 || devices <= 6, "{devices} at {now_ms} ms");
            for _ in 0..devices {
                asked += 1;
                match enrolments.another(from(1), PER_MINUTE, now_ms) {
                    Ok(()) => last_ms = now_ms,
                    Err(wait) => *waiting.entry(now_ms + wait.as_millis() as u64).or_default() += 1,
                }
            }
        }
        // What the rate gives, a burst ahead, is 190 s.
        assert!(last_ms <= 200_000, "{last_ms} ms");
        // At once, and each of the 3,800 until its turn comes: less than three a device.
        assert!(asked <= 3 * DEVICES, "{asked} requests");
    }

    #[test]
    fn never_more_than_so_many_are_remembered_and_the_oldest_goes_first() {
        let mut enrolments = Enrolments::default();
        for n in 0..3 * REMEMBERED as u32 {
            assert_eq!(enrolments.another(from(n), 1, 0), Ok(()));
            assert!(enrolments.another(from(0), 1, 0).is_err() || n == 0);
        }
        assert_eq!(enrolments.seen.len(), REMEMBERED);
        assert_eq!(enrolments.by_age.len(), REMEMBERED);
        assert_eq!(enrolments.another(from(1), 1, 0), Ok(()), "forgotten");
    }
}
