//! How often a client takes its own session over. Two holders of one identity that both want to be connected end each
//! other's connection for ever, as fast as they can: beyond a rate the one that is there stays.

use std::{collections::HashMap, time::Duration};

use contract::id::Principal;

use crate::bucket::{Bucket, Rate};

/// How many are remembered before those are looked for that may be forgotten.
const FEW: usize = 1_024;

/// Principals that took a session over of late.
#[derive(Debug, Default)]
pub(crate) struct Takeovers {
    buckets: HashMap<Principal, Bucket>,
    /// How many there may be before the next look.
    most: usize,
}

impl Takeovers {
    /// One more, if it may; else how long until it may.
    pub(crate) fn another(&mut self, who: &Principal, rate: Rate, now_ms: u64) -> Result<(), Duration> {
        if self.buckets.len() >= self.most.max(FEW) {
            self.buckets.retain(|_, bucket| !bucket.is_full(now_ms));
            self.most = 2 * self.buckets.len();
        }
        self.buckets.entry(who.clone()).or_default().take(rate, now_ms, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_principal_has_its_own_and_whoever_is_calm_is_forgotten() {
        let rate = Rate::per_minute(2);
        let mut takeovers = Takeovers::default();
        let who = |n: usize| format!("devices/d{n}").parse::<Principal>().unwrap();
        for n in 0..10 * FEW {
            let now_ms = n as u64 * 100;
            assert_eq!(takeovers.another(&who(n), rate, now_ms), Ok(()));
            assert_eq!(takeovers.another(&who(n), rate, now_ms), Ok(()));
            let wait = takeovers.another(&who(n), rate, now_ms).unwrap_err();
            assert_eq!(wait, Duration::from_secs(30));
        }
        assert!(takeovers.buckets.len() <= 2 * FEW, "{}", takeovers.buckets.len());
        let last = who(10 * FEW - 1);
        assert!(takeovers.another(&last, rate, 1_024_000).is_err(), "not yet");
    }
}
