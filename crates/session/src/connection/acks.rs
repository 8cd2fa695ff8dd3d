//! Publishes that wait for their PUBACK. They leave in the order of the publishes to the same service;
//! across services as they come.

use std::collections::{BTreeMap, VecDeque};

use contract::id::ServiceName;

/// A publish that waits, or whose turn has not come.
#[derive(Debug)]
struct Waiting {
    packet_id: u16,
    since_ms: u64,
    settled: Option<(u8, String)>,
}

/// A PUBACK whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) packet_id: u16,
    pub(super) reason: u8,
    pub(super) text: String,
}

#[derive(Default)]
pub(super) struct Acks {
    by_service: BTreeMap<ServiceName, VecDeque<Waiting>>,
    len: usize,
}

impl Acks {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether a publish with this packet id waits.
    pub(super) fn awaits(&self, packet_id: u16) -> bool {
        let mut waiting = self.by_service.values().flatten();
        waiting.any(|w| w.packet_id == packet_id)
    }

    /// A publish waits from now on.
    pub(super) fn expect(&mut self, service: ServiceName, packet_id: u16, now_ms: u64) {
        let waiting = Waiting {
            packet_id,
            since_ms: now_ms,
            settled: None,
        };
        self.by_service.entry(service).or_default().push_back(waiting);
        self.len += 1;
    }

    pub(super) fn settle(&mut self, service: ServiceName, packet_id: u16, reason: u8, text: String) {
        let line = self.by_service.entry(service).or_default();
        if let Some(waiting) = line.iter_mut().find(|w| w.packet_id == packet_id) {
            waiting.settled = Some((reason, text));
        }
    }

    /// What may be sent now.
    pub(super) fn take(&mut self, service: ServiceName) -> Vec<Ack> {
        let line = self.by_service.entry(service).or_default();
        let mut ready = Vec::new();
        while line.front().is_some_and(|w| w.settled.is_some()) {
            let Some(Waiting {
                packet_id,
                settled: Some((reason, text)),
                ..
            }) = line.pop_front()
            else {
                break;
            };
            ready.push(Ack {
                packet_id,
                reason,
                text,
            });
            self.len -= 1;
        }
        ready
    }

    /// Since when the oldest waits.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.by_service
            .values()
            .filter_map(|line| line.front())
            .map(|w| w.since_ms)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ServiceName::{Monitoring, Registry};

    #[test]
    fn acks_leave_in_order_for_each_service() {
        let mut acks = Acks::default();
        for (service, id, at) in [(Registry, 1, 10), (Registry, 2, 11), (Monitoring, 3, 12)] {
            assert!(!acks.awaits(id));
            acks.expect(service, id, at);
            assert!(acks.awaits(id));
        }
        acks.settle(Registry, 2, 0, String::new());
        assert!(acks.take(Registry).is_empty());
        acks.settle(Monitoring, 3, 0, String::new());
        assert_eq!(acks.take(Monitoring).len(), 1);
        acks.settle(Registry, 1, 0x87, "no".into());
        let ids: Vec<_> = acks
            .take(Registry)
            .into_iter()
            .map(|a| (a.packet_id, a.reason))
            .collect();
        assert_eq!(ids, [(1, 0x87), (2, 0)]);
        assert_eq!((acks.len(), acks.oldest()), (0, None));
    }
}
