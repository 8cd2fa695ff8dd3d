//! How fast a client may speak. Whoever is faster is not read for a while: TCP tells it to wait, and nothing is lost.

use crate::{
    bucket::{Bucket, Rate},
    limits::Limits,
    meter::Limit,
};

/// What a client has said of late.
#[derive(Debug, Default)]
pub(super) struct Pace {
    requests: Bucket,
    bytes: Bucket,
    /// Since the last charge.
    asked: u32,
    /// Until when it is not read, monotonic milliseconds; 0 if it is.
    until_ms: u64,
}

impl Pace {
    /// It has asked for something.
    pub(super) fn asked(&mut self) {
        self.asked += 1;
    }

    /// Charges what has come at once, after it was read: what was not read yet nobody can count. The limit that it is
    /// beyond, for the longer.
    pub(super) fn charge(&mut self, bytes: usize, limits: &Limits, now_ms: u64) -> Option<Limit> {
        let asked = std::mem::take(&mut self.asked);
        let requests = Rate::per_second(limits.publishes_per_second);
        let requests = self.requests.charge(requests, now_ms, u64::from(asked));
        let throughput = Rate::per_second(limits.bytes_per_second);
        let bytes = self.bytes.charge(throughput, now_ms, bytes as u64);
        let (wait, limit) = match (requests, bytes) {
            (Ok(()), Ok(())) => return None,
            (requests, bytes) if requests >= bytes => (requests, Limit::PublishesPerSecond),
            (_, bytes) => (bytes, Limit::BytesPerSecond),
        };
        let wait_ms = wait.err().unwrap_or_default().as_nanos().div_ceil(1_000_000);
        self.until_ms = now_ms.saturating_add(u64::try_from(wait_ms).unwrap_or(u64::MAX));
        Some(limit)
    }

    /// Whether it is not read.
    pub(super) fn is_ahead(&self) -> bool {
        self.until_ms > 0
    }

    /// When it is read again, monotonic milliseconds.
    pub(super) fn next_time(&self) -> Option<u64> {
        self.is_ahead().then_some(self.until_ms)
    }

    /// Whether it is read again from now on.
    pub(super) fn on_time(&mut self, now_ms: u64) -> bool {
        let over = self.is_ahead() && now_ms >= self.until_ms;
        if over {
            self.until_ms = 0;
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(publishes_per_second: u32, bytes_per_second: u32) -> Limits {
        Limits {
            publishes_per_second,
            bytes_per_second,
            ..Limits::default()
        }
    }

    #[test]
    fn the_longer_wait_counts_and_is_named() {
        let limits = limits(10, 1_000);
        let mut pace = Pace::default();
        (0..12).for_each(|_| pace.asked());
        assert_eq!(pace.charge(1_100, &limits, 50), Some(Limit::PublishesPerSecond));
        assert_eq!(pace.next_time(), Some(250));
        assert!(!pace.on_time(249) && pace.is_ahead());
        assert!(pace.on_time(250) && !pace.is_ahead());
        assert!(!pace.on_time(251), "once");
        assert_eq!(pace.charge(1_000, &limits, 250), Some(Limit::BytesPerSecond));
        assert_eq!(pace.next_time(), Some(1_150));
    }

    #[test]
    fn a_wait_is_never_shorter_than_what_is_owed() {
        let limits = limits(3, 0);
        let mut pace = Pace::default();
        (0..4).for_each(|_| pace.asked());
        pace.charge(0, &limits, 0);
        assert_eq!(pace.next_time(), Some(334));
        assert!(pace.on_time(334));
        assert_eq!(pace.charge(0, &limits, 334), None);
    }
}
