//! How often something may happen: so many in a time, and as many at once.

use std::time::Duration;

/// So many in a period, and as many at once when there were none before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    many: u64,
    period_ns: u64,
}

impl Rate {
    /// So many a second; 0 is any number.
    pub const fn per_second(many: u32) -> Rate {
        Rate {
            many: many as u64,
            period_ns: 1_000_000_000,
        }
    }

    /// So many a minute; 0 is any number.
    pub const fn per_minute(many: u32) -> Rate {
        Rate {
            many: many as u64,
            period_ns: 60_000_000_000,
        }
    }

    /// How long it takes until so many have come in again.
    fn worth_ns(self, tokens: u64) -> u64 {
        match self.many {
            0 => 0,
            many => tokens.saturating_mul(self.period_ns) / many,
        }
    }
}

/// A token bucket, as the time at which it will be full again: what is taken moves that time on (the generic cell
/// rate algorithm, ITU-T I.371, annex A). A new one is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    full_ns: u64,
}

impl Bucket {
    /// Takes so many tokens, if they are there; else says how long until they are. More than the rate's number are
    /// never there. `now_ms` is monotonic.
    pub fn take(&mut self, rate: Rate, now_ms: u64, tokens: u64) -> Result<(), Duration> {
        let (taken, wait) = self.after(rate, now_ms, tokens);
        if wait.is_zero() {
            *self = taken;
            return Ok(());
        }
        Err(wait)
    }

    /// Takes so many tokens, there or not: they stand for what has happened already. An error says how long nothing
    /// more may.
    pub fn charge(&mut self, rate: Rate, now_ms: u64, tokens: u64) -> Result<(), Duration> {
        let (taken, wait) = self.after(rate, now_ms, tokens);
        *self = taken;
        match wait.is_zero() {
            true => Ok(()),
            false => Err(wait),
        }
    }

    /// Whether it is as good as new.
    pub fn is_full(&self, now_ms: u64) -> bool {
        self.full_ns <= nanoseconds(now_ms)
    }

    /// What it is after so many are taken, and how far that is beyond what it holds.
    fn after(self, rate: Rate, now_ms: u64, tokens: u64) -> (Bucket, Duration) {
        let now_ns = nanoseconds(now_ms);
        let full_ns = self.full_ns.max(now_ns).saturating_add(rate.worth_ns(tokens));
        let beyond_ns = full_ns.saturating_sub(now_ns.saturating_add(rate.period_ns));
        (Bucket { full_ns }, Duration::from_nanos(beyond_ns))
    }
}

fn nanoseconds(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use falsify::falsify;
    use proptest::prelude::*;

    use super::*;

    const TEN: Rate = Rate::per_second(10);

    #[test]
    fn a_period_s_worth_goes_at_once_and_the_rest_as_it_comes_in() {
        let mut bucket = Bucket::default();
        for _ in 0..10 {
            assert_eq!(bucket.take(TEN, 5_000, 1), Ok(()));
        }
        assert_eq!(bucket.take(TEN, 5_000, 1), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(TEN, 5_099, 1), Err(Duration::from_millis(1)));
        assert_eq!(bucket.take(TEN, 5_100, 1), Ok(()));
        assert!(!bucket.is_full(6_099) && bucket.is_full(6_100));
        assert_eq!(bucket.take(TEN, 9_000, 11), Err(Duration::from_millis(100)));
    }

    #[test]
    fn what_happened_already_is_owed() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.charge(TEN, 0, 10), Ok(()));
        assert_eq!(bucket.charge(TEN, 0, 25), Err(Duration::from_millis(2_500)));
        assert_eq!(bucket.charge(TEN, 2_500, 0), Ok(()), "nothing is owed any more");
        assert_eq!(bucket.charge(TEN, 2_500, 1), Err(Duration::from_millis(100)));
    }

    #[test]
    fn nothing_is_beyond_no_limit() {
        let mut bucket = Bucket::default();
        for rate in [Rate::per_second(0), Rate::per_minute(0)] {
            assert_eq!(bucket.charge(rate, 1, u64::MAX), Ok(()));
            assert_eq!(bucket.take(rate, 1, u64::MAX), Ok(()));
        }
    }

    #[test]
    fn in_no_window_of_time_is_more_taken_than_the_rate_and_one_burst() {
        let takes = prop::collection::vec((0..400_u64, 1..6_u64), 1..60);
        let found = falsify(2_000, &takes, |takes| {
            let (mut bucket, mut now_ms, mut taken) = (Bucket::default(), 0, Vec::new());
            for (pause, tokens) in takes {
                now_ms += pause;
                if bucket.take(TEN, now_ms, *tokens).is_ok() {
                    taken.push((now_ms, *tokens));
                }
            }
            for (place, (from, _)) in taken.iter().enumerate() {
                let mut sum = 0;
                for (at, tokens) in &taken[place..] {
                    sum += tokens;
                    assert!(sum * 100 <= 1_000 + (at - from), "{sum} in {} ms", at - from);
                }
            }
        });
        assert!(found.is_none(), "{found:?}");
    }
}
