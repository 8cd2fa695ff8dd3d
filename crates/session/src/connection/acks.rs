//! Publishes of a client that wait for their acknowledgement. It leaves in the order of the publishes to the
//! same service; across services as they come. At QoS 2 the PUBREC is that acknowledgement, and its packet
//! id stays in use until the PUBREL (MQTT 5, section 4.3.3).

use std::collections::BTreeSet;

use contract::id::ServiceName;

use crate::protocol::{Publish, Quality};

/// Publishes for which an idle connection holds room.
const IDLE: usize = 4;

/// A publish that waits, or whose turn has not come.
#[derive(Debug)]
struct Waiting {
    service: ServiceName,
    packet_id: u16,
    quality: Quality,
    over: Over,
    settled: Option<(u8, String)>,
}

/// Over which connection a publish came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// This one, at this time.
    This { since_ms: u64 },
    /// An earlier one of the same session: it is acknowledged when the client has sent it again.
    Earlier,
}

/// An acknowledgement whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) packet_id: u16,
    pub(super) quality: Quality,
    pub(super) reason: u8,
    pub(super) text: String,
}

/// What a publish under a packet id that is in use is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Nothing of the kind: the packet id is free.
    None,
    /// It joins the one that waits, and may be acknowledged for that service.
    Joins(ServiceName),
    /// Its PUBREC was sent; it is sent again.
    Received,
    /// It breaks the protocol.
    Forbidden,
}

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    /// In the order of the publishes, whatever the service: a window is short.
    line: Vec<Waiting>,
    /// Those of this connection.
    len: usize,
    /// Packet ids whose PUBREC was sent and whose PUBREL has not come.
    received: BTreeSet<u16>,
}

impl Acks {
    /// Publishes of this connection that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Packet ids that are in use at QoS 2, beside those that wait.
    pub(super) fn received(&self) -> impl Iterator<Item = u16> + '_ {
        self.received.iter().copied()
    }

    /// How many those are.
    pub(super) fn received_len(&self) -> usize {
        self.received.len()
    }

    /// Publishes that wait, over whichever connection they came.
    pub(crate) fn waiting(&self) -> usize {
        self.line.len()
    }

    /// Whether there is anything that another connection could go on with.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.line.is_empty()
    }

    /// What a publish with this packet id is to those before it. One that came over an earlier connection
    /// counts among this connection's from now on, if this is the same.
    pub(super) fn meet(&mut self, packet_id: u16, publish: &Publish, now_ms: u64) -> Repeat {
        if self.received.contains(&packet_id) {
            return match publish.quality {
                Quality::ExactlyOnce => Repeat::Received,
                _ => Repeat::Forbidden,
            };
        }
        let Some(waiting) = self.line.iter_mut().find(|w| w.packet_id == packet_id) else {
            return Repeat::None;
        };
        let service = waiting.service;
        let same = waiting.quality == publish.quality;
        match waiting.over {
            Over::This { .. } if same && publish.duplicate => Repeat::Joins(service),
            Over::This { .. } => Repeat::Forbidden,
            // At QoS 2 the mark makes no difference (MQTT-4.3.3-10).
            Over::Earlier if same && (publish.duplicate || publish.quality == Quality::ExactlyOnce) => {
                waiting.over = Over::This { since_ms: now_ms };
                self.len += 1;
                Repeat::Joins(service)
            }
            // The client has forgotten it; what it sends now is something else.
            Over::Earlier => {
                self.forget(service, packet_id);
                Repeat::None
            }
        }
    }

    /// What a publish is whose packet id the library knows to be in use at QoS 2, and of which it says no more.
    pub(super) fn meet_repeated(&mut self, packet_id: u16, duplicate: bool, now_ms: u64) -> Repeat {
        let publish = Publish {
            quality: Quality::ExactlyOnce,
            duplicate,
            ..Publish::default()
        };
        self.meet(packet_id, &publish, now_ms)
    }

    /// A publish waits from now on.
    pub(super) fn expect(&mut self, service: ServiceName, packet_id: u16, quality: Quality, now_ms: u64) {
        self.line.push(Waiting {
            service,
            packet_id,
            quality,
            over: Over::This { since_ms: now_ms },
            settled: None,
        });
        self.len += 1;
    }

    /// A publish has reached nobody, and will not.
    pub(super) fn forget(&mut self, service: ServiceName, packet_id: u16) {
        self.line
            .retain(|w| w.service != service || w.packet_id != packet_id);
        self.len = self.line.iter().filter(|w| w.is_here()).count();
    }

    /// The service has answered.
    pub(crate) fn settle(&mut self, service: ServiceName, packet_id: u16, reason: u8, text: String) {
        let found = |w: &&mut Waiting| w.service == service && w.packet_id == packet_id;
        if let Some(waiting) = self.line.iter_mut().find(found) {
            waiting.settled = Some((reason, text));
        }
    }

    /// What may be sent now.
    pub(super) fn take(&mut self, service: ServiceName) -> Vec<Ack> {
        let mut ready = Vec::new();
        // Those of earlier connections that the client has not sent again hold up nobody.
        let next = |w: &Waiting| w.service == service && w.is_here();
        while let Some(place) = self.line.iter().position(next) {
            if self.line[place].settled.is_none() {
                break;
            }
            let waiting = self.line.remove(place);
            let (reason, text) = waiting.settled.unwrap_or_default();
            ready.push(Ack {
                packet_id: waiting.packet_id,
                quality: waiting.quality,
                reason,
                text,
            });
            self.len -= 1;
        }
        if self.line.is_empty() {
            self.line.shrink_to(IDLE);
        }
        ready
    }

    /// The PUBREC of this packet id was sent.
    pub(super) fn keep_received(&mut self, packet_id: u16) {
        self.received.insert(packet_id);
    }

    /// PUBREL. `None`: the publish still waits, which breaks the protocol; else whether the id was in use.
    pub(super) fn release(&mut self, packet_id: u16) -> Option<bool> {
        if self.received.remove(&packet_id) {
            return Some(true);
        }
        let waits = self.line.iter().any(|w| w.packet_id == packet_id);
        (!waits).then_some(false)
    }

    /// Since when the oldest waits.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.line.iter().filter_map(Waiting::since_ms).min()
    }

    /// The connection is over. What the client had not sent again over it is forgotten: it had its chance.
    pub(super) fn outlive(&mut self) {
        self.line.retain(Waiting::is_here);
        self.line.iter_mut().for_each(|w| w.over = Over::Earlier);
        self.len = 0;
    }
}

impl Waiting {
    fn is_here(&self) -> bool {
        self.since_ms().is_some()
    }

    fn since_ms(&self) -> Option<u64> {
        match self.over {
            Over::This { since_ms } => Some(since_ms),
            Over::Earlier => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Quality::{AtLeastOnce, ExactlyOnce};
    use ServiceName::{Monitoring, Registry};

    fn publish(quality: Quality, duplicate: bool) -> Publish {
        Publish {
            quality,
            duplicate,
            ..Publish::default()
        }
    }

    fn ids(acks: Vec<Ack>) -> Vec<(u16, u8)> {
        acks.into_iter().map(|a| (a.packet_id, a.reason)).collect()
    }

    #[test]
    fn acks_leave_in_order_for_each_service() {
        let mut acks = Acks::default();
        for (service, id, at) in [(Registry, 1, 10), (Registry, 2, 11), (Monitoring, 3, 12)] {
            acks.expect(service, id, AtLeastOnce, at);
        }
        acks.settle(Registry, 2, 0, String::new());
        assert!(acks.take(Registry).is_empty());
        acks.settle(Monitoring, 3, 0, String::new());
        assert_eq!(acks.take(Monitoring).len(), 1);
        acks.settle(Registry, 1, 0x87, "no".into());
        assert_eq!(ids(acks.take(Registry)), [(1, 0x87), (2, 0)]);
        assert_eq!((acks.len(), acks.oldest()), (0, None));
    }

    #[test]
    fn what_a_repeat_is() {
        for (waits, comes, duplicate, here, earlier) in [
            (AtLeastOnce, AtLeastOnce, true, "joins", "joins"),
            (AtLeastOnce, AtLeastOnce, false, "forbidden", "new"),
            (AtLeastOnce, ExactlyOnce, true, "forbidden", "new"),
            (ExactlyOnce, ExactlyOnce, true, "joins", "joins"),
            (ExactlyOnce, ExactlyOnce, false, "forbidden", "joins"),
            (ExactlyOnce, AtLeastOnce, true, "forbidden", "new"),
        ] {
            for (over, expected) in [("this", here), ("an earlier", earlier)] {
                let mut acks = Acks::default();
                acks.expect(Registry, 7, waits, 1);
                if over != "this" {
                    acks.outlive();
                    assert_eq!(acks.oldest(), None);
                }
                let found = match acks.meet(7, &publish(comes, duplicate), 2) {
                    Repeat::None => "new",
                    Repeat::Joins(Registry) => "joins",
                    Repeat::Forbidden => "forbidden",
                    other => panic!("{other:?}"),
                };
                assert_eq!(found, expected, "{waits:?} {comes:?} {duplicate} over {over}");
                assert_eq!(acks.len(), usize::from(found != "new"));
            }
        }
    }

    #[test]
    fn what_nobody_has_sent_again_holds_up_nobody_and_is_forgotten_at_the_next_end() {
        let mut acks = Acks::default();
        acks.expect(Registry, 1, AtLeastOnce, 1);
        acks.outlive();
        acks.settle(Registry, 1, 0, String::new());
        acks.expect(Registry, 2, AtLeastOnce, 5);
        acks.settle(Registry, 2, 0, String::new());
        assert_eq!(ids(acks.take(Registry)), [(2, 0)]);
        assert_eq!(
            acks.meet(1, &publish(AtLeastOnce, true), 6),
            Repeat::Joins(Registry)
        );
        assert_eq!(ids(acks.take(Registry)), [(1, 0)]);
        acks.expect(Registry, 3, AtLeastOnce, 7);
        acks.outlive();
        acks.outlive();
        assert!(!acks.is_waiting());
    }

    #[test]
    fn a_packet_id_is_in_use_from_its_publish_to_its_pubrel() {
        let mut acks = Acks::default();
        acks.expect(Registry, 7, ExactlyOnce, 1);
        assert_eq!(acks.release(7), None, "before the PUBREC");
        acks.settle(Registry, 7, 0, String::new());
        acks.take(Registry);
        acks.keep_received(7);
        acks.outlive();
        assert_eq!(acks.meet_repeated(7, false, 2), Repeat::Received);
        assert_eq!(acks.meet(7, &publish(AtLeastOnce, true), 2), Repeat::Forbidden);
        assert_eq!(acks.release(7), Some(true));
        assert_eq!(acks.release(7), Some(false));
    }
}
