//! Requests that wait for their reply.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use bytes::Bytes;
use contract::{Code, Refusal};
use tokio::sync::oneshot;

/// What came back: the accepted payload, or the refusal.
pub(crate) type Answer = Result<Bytes, Refusal>;

/// A request under way.
pub(crate) struct Waiting {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// Requests by name, and the order in which they were published: rumqttc gives packet ids in that order.
#[derive(Default)]
pub(crate) struct Pending {
    by_name: HashMap<Bytes, (u64, Waiting)>,
    /// How many were asked: a new connection sends what is left in the order in which it was asked.
    asked: u64,
    unsent: VecDeque<Bytes>,
    sent: HashMap<u16, Bytes>,
    closed: bool,
}

impl Pending {
    pub(crate) fn add(&mut self, name: Bytes, waiting: Waiting) {
        self.asked += 1;
        self.by_name.insert(name, (self.asked, waiting));
    }

    pub(crate) fn publishing(&mut self, name: Bytes) {
        self.unsent.push_back(name);
    }

    pub(crate) fn published(&mut self, packet: u16) {
        if let Some(name) = self.unsent.pop_front() {
            self.sent.insert(packet, name);
        }
    }

    /// A refusal of the publish itself comes in its acknowledgement; any other comes as a reply.
    pub(crate) fn acknowledged(&mut self, packet: u16, reason: u8, text: Option<&str>) {
        let Some(name) = self.sent.remove(&packet) else {
            return;
        };
        let code = match reason {
            0x87 => Code::Denied,
            0x90 => Code::UnknownVerb,
            0x97 => Code::Busy,
            _ => return,
        };
        let message = text.unwrap_or("the front door refuses this request").to_owned();
        self.answer(&name, Err(Refusal::new(code, message)));
    }

    pub(crate) fn answer(&mut self, name: &Bytes, answer: Answer) {
        if let Some((_, waiting)) = self.by_name.remove(name) {
            // Nobody may be waiting any more.
            let _ = waiting.answer.send(answer);
        }
    }

    pub(crate) fn forget(&mut self, name: &Bytes) {
        self.by_name.remove(name);
    }

    /// The connection is gone, and with it whatever was queued or under way.
    pub(crate) fn lost(&mut self) {
        self.unsent.clear();
        self.sent.clear();
    }

    /// Everything unanswered that is not under way already, to be published again on a new connection.
    pub(crate) fn again(&self) -> Vec<(Bytes, String, Bytes)> {
        let under_way: HashSet<&Bytes> = self.unsent.iter().chain(self.sent.values()).collect();
        let left = self.by_name.iter().filter(|(name, _)| !under_way.contains(name));
        let in_order: BTreeMap<_, _> = left.map(|(name, (asked, w))| (asked, (name, w))).collect();
        in_order
            .into_values()
            .map(|(name, w)| (name.clone(), w.topic.clone(), w.payload.clone()))
            .collect()
    }

    /// There will be no further connection: whoever waits, waits in vain.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.by_name.clear();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(pending: &mut Pending, name: &'static str) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        let (topic, payload) = (String::new(), Bytes::new());
        pending.add(
            Bytes::from(name),
            Waiting {
                topic,
                payload,
                answer,
            },
        );
        answered
    }

    #[test]
    fn a_refused_packet_answers_its_own_request() {
        let mut pending = Pending::default();
        let (mut first, mut second) = (ask(&mut pending, "a"), ask(&mut pending, "b"));
        for (name, packet) in [("a", 7), ("b", 8)] {
            pending.publishing(Bytes::from(name));
            pending.published(packet);
        }
        pending.acknowledged(8, 0x87, None);
        assert!(first.try_recv().is_err());
        assert_eq!(second.try_recv().unwrap().unwrap_err().code, Code::Denied);
    }

    #[test]
    fn what_was_lost_is_sent_again_and_what_is_under_way_is_not() {
        let mut pending = Pending::default();
        let _waiting = [ask(&mut pending, "a"), ask(&mut pending, "b")];
        pending.publishing(Bytes::from("a"));
        pending.published(1);
        pending.lost();
        pending.publishing(Bytes::from("b"));
        let again: Vec<_> = pending.again().into_iter().map(|(name, ..)| name).collect();
        assert_eq!(again, [Bytes::from("a")]);
    }

    #[test]
    fn whoever_waits_when_it_closes_is_told() {
        let mut pending = Pending::default();
        let mut waiting = ask(&mut pending, "a");
        pending.close();
        assert_eq!(
            waiting.try_recv().unwrap_err(),
            oneshot::error::TryRecvError::Closed
        );
    }
}
