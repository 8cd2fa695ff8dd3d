//! How fast a client may speak. Whoever is faster is not read for a while: TCP tells it to wait, and nothing is lost.

use crate::{
    bucket::{Bucket, Rate},
    limits::Limits,
    meter::Limit,
};

/// What TLS and a WebSocket may hold of a packet that is not whole, beside the packet.
pub(super) const UNFINISHED_BYTES: u32 = 64 * 1024;

/// What a client has said of late.
#[derive(Debug, Default)]
pub(super) struct Pace {
    requests: Bucket,
    bytes: Bucket,
    /// Since the last charge.
    asked: u32,
    /// Bytes that came over the wire and have not been received.
    wired: u32,
    /// Until when it is not read, monotonic milliseconds; 0 if it is.
    until_ms: u64,
}

impl Pace {
    /// It has asked for so much, in publishes.
    pub(super) fn asked(&mut self, requests: usize) {
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        self.asked = self.asked.saturating_add(requests);
    }

    /// So many bytes have come over the wire. What of them carries nothing is charged as if it did, once it is more than an
    /// unfinished packet can be.
    pub(super) fn wired(&mut self, bytes: usize, limits: &Limits, now_ms: u64) -> Option<Limit> {
        let most = limits.packet_bytes.saturating_add(UNFINISHED_BYTES);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.wired = self.wired.saturating_add(bytes);
        let nothing = self.wired.saturating_sub(most);
        self.wired -= nothing;
        match nothing {
            0 => None,
            nothing => self.charge_bytes(nothing as usize, limits, now_ms),
        }
    }

    /// Charges what has come at once, after it was read: what was not read yet nobody can count. The limit that it is
    /// beyond, for the longer.
    pub(super) fn charge(&mut self, bytes: usize, limits: &Limits, now_ms: u64) -> Option<Limit> {
        self.wired = self
            .wired
            .saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.charge_bytes(bytes, limits, now_ms)
    }

    fn charge_bytes(&mut self, bytes: usize, limits: &Limits, now_ms: u64) -> Option<Limit> {
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
        pace.asked(5);
        pace.asked(7);
        assert_eq!(pace.charge(1_100, &limits, 50), Some(Limit::PublishesPerSecond));
        assert_eq!(pace.next_time(), Some(250));
        assert!(!pace.on_time(249) && pace.is_ahead());
        assert!(pace.on_time(250) && !pace.is_ahead());
        assert!(!pace.on_time(251), "once");
        assert_eq!(pace.charge(1_000, &limits, 250), Some(Limit::BytesPerSecond));
        assert_eq!(pace.next_time(), Some(1_150));
    }

    #[test]
    fn what_carries_nothing_is_charged_and_an_unfinished_packet_is_not() {
        let limits = limits(0, 1_000);
        let most = (limits.packet_bytes + UNFINISHED_BYTES) as usize;
        let mut pace = Pace::default();
        assert_eq!(pace.wired(most, &limits, 0), None, "it may carry something yet");
        assert_eq!(pace.charge(1_000, &limits, 0), None);
        assert_eq!(pace.wired(1_000, &limits, 1_000), None);
        assert_eq!(
            pace.wired(1_000, &limits, 1_000),
            None,
            "as many as may come in a second"
        );
        assert_eq!(pace.wired(500, &limits, 1_000), Some(Limit::BytesPerSecond));
        assert_eq!(pace.next_time(), Some(1_500));
    }

    #[test]
    fn a_wait_is_never_shorter_than_what_is_owed() {
        let limits = limits(3, 0);
        let mut pace = Pace::default();
        pace.asked(4);
        pace.charge(0, &limits, 0);
        assert_eq!(pace.next_time(), Some(334));
        assert!(pace.on_time(334));
        assert_eq!(pace.charge(0, &limits, 334), None);
    }
}
