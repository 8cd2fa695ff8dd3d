//! What a client subscribes to, and who waits to hear whether it may.

use std::collections::{HashMap, VecDeque};

use contract::{Code, Refusal};
use tokio::sync::oneshot;

/// Whether a subscription is granted.
pub(crate) type Granted = Result<(), Refusal>;

/// Filters, made again after each reconnect. rumqttc gives packet ids in the order of our subscriptions, so
/// each answer is matched by order and then by id.
#[derive(Default)]
pub(crate) struct Subscriptions {
    wanted: Vec<Wanted>,
    unsent: VecDeque<String>,
    sent: HashMap<u16, String>,
    closed: bool,
}

/// A filter has been answered.
pub(crate) struct Acknowledged {
    pub(crate) filter: String,
    /// A refusal that nobody waited for.
    pub(crate) untold: Option<Refusal>,
}

struct Wanted {
    filter: String,
    waiting: Vec<oneshot::Sender<Granted>>,
}

impl Subscriptions {
    /// Subscriptions that always begin with this one, whatever is answered to it.
    pub(crate) fn with(filter: String) -> Subscriptions {
        let waiting = Vec::new();
        Subscriptions {
            wanted: vec![Wanted { filter, waiting }],
            ..Subscriptions::default()
        }
    }

    /// Wants this filter from now on; what comes back says whether it is granted.
    pub(crate) fn want(&mut self, filter: &str) -> oneshot::Receiver<Granted> {
        let (answer, answered) = oneshot::channel();
        if self.closed {
            return answered;
        }
        match self.wanted.iter_mut().find(|wanted| wanted.filter == filter) {
            Some(wanted) => wanted.waiting.push(answer),
            None => self.wanted.push(Wanted {
                filter: filter.to_owned(),
                waiting: vec![answer],
            }),
        }
        answered
    }

    /// All that is wanted, to be subscribed to on a new connection.
    pub(crate) fn filters(&self) -> Vec<String> {
        self.wanted.iter().map(|wanted| wanted.filter.clone()).collect()
    }

    pub(crate) fn subscribing(&mut self, filter: &str) {
        self.unsent.push_back(filter.to_owned());
    }

    pub(crate) fn subscribed(&mut self, packet: u16) {
        if let Some(filter) = self.unsent.pop_front() {
            self.sent.insert(packet, filter);
        }
    }

    /// Tells whoever waits. A filter that was refused to them is not asked for again; one that was granted
    /// before and is now refused is, since the grant may come back.
    pub(crate) fn acknowledged(
        &mut self,
        packet: u16,
        reason: u8,
        text: Option<String>,
    ) -> Option<Acknowledged> {
        let filter = self.sent.remove(&packet)?;
        let granted = granted(reason, text);
        let at = self.wanted.iter().position(|wanted| wanted.filter == filter)?;
        let waiting = std::mem::take(&mut self.wanted[at].waiting);
        if granted.is_err() && !waiting.is_empty() {
            self.wanted.remove(at);
        }
        let told = !waiting.is_empty();
        for answer in waiting {
            // Nobody may be waiting any more.
            let _ = answer.send(granted.clone());
        }
        let untold = granted.err().filter(|_| !told);
        Some(Acknowledged { filter, untold })
    }

    /// The connection is gone; whoever waits hears of the next one.
    pub(crate) fn lost(&mut self) {
        self.unsent.clear();
        self.sent.clear();
    }

    /// There will be no further connection.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.wanted.clear();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// What MQTT 5's reason code of a subscription means.
fn granted(reason: u8, text: Option<String>) -> Granted {
    let (code, message) = match reason {
        0..0x80 => return Ok(()),
        0x87 => (Code::Denied, "you have no grant for this subscription"),
        0x97 => (
            Code::Limit,
            "this session has as many subscriptions as it may have",
        ),
        0x8F | 0x9E | 0xA2 => (Code::Invalid, "the front door takes no such filter"),
        _ => (Code::Busy, "the front door cannot subscribe you now; try again"),
    };
    Err(Refusal::new(code, text.unwrap_or_else(|| message.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(subscriptions: &mut Subscriptions, filter: &str, packet: u16) {
        subscriptions.subscribing(filter);
        subscriptions.subscribed(packet);
    }

    #[test]
    fn each_hears_of_its_own_and_what_is_refused_is_not_wanted_any_more() {
        let mut subscriptions = Subscriptions::default();
        let (mut own, mut other) = (subscriptions.want("own"), subscriptions.want("other"));
        send(&mut subscriptions, "own", 1);
        send(&mut subscriptions, "other", 2);
        let answered = subscriptions.acknowledged(2, 0x87, None).unwrap();
        assert!(answered.filter == "other" && answered.untold.is_none());
        assert!(own.try_recv().is_err(), "not yet");
        assert_eq!(other.try_recv().unwrap().unwrap_err().code, Code::Denied);
        assert_eq!(subscriptions.acknowledged(1, 0, None).unwrap().filter, "own");
        assert!(own.try_recv().unwrap().is_ok());
        assert_eq!(subscriptions.filters(), ["own"]);
    }

    #[test]
    fn an_answer_that_was_lost_comes_over_the_next_connection() {
        let mut subscriptions = Subscriptions::default();
        let mut answer = subscriptions.want("own");
        send(&mut subscriptions, "own", 1);
        subscriptions.lost();
        assert!(subscriptions.acknowledged(1, 0, None).is_none());
        assert!(answer.try_recv().is_err(), "an answer of the former connection");
        send(&mut subscriptions, "own", 1);
        subscriptions.acknowledged(1, 0, None);
        assert!(answer.try_recv().unwrap().is_ok());
    }

    #[test]
    fn a_grant_that_was_withdrawn_is_asked_for_again() {
        let mut subscriptions = Subscriptions::with("first".into());
        let _answer = subscriptions.want("own");
        send(&mut subscriptions, "own", 1);
        subscriptions.acknowledged(1, 0, None);
        subscriptions.lost();
        for (filter, packet) in [("first", 1), ("own", 2)] {
            send(&mut subscriptions, filter, packet);
            let untold = subscriptions.acknowledged(packet, 0x87, None).unwrap().untold;
            assert_eq!(untold.unwrap().code, Code::Denied);
        }
        assert_eq!(subscriptions.filters(), ["first", "own"]);
    }

    #[test]
    fn whoever_waits_when_it_closes_is_told() {
        use oneshot::error::TryRecvError::Closed;
        let mut subscriptions = Subscriptions::default();
        let mut waiting = subscriptions.want("own");
        subscriptions.close();
        assert_eq!(waiting.try_recv().unwrap_err(), Closed);
        assert_eq!(subscriptions.want("own").try_recv().unwrap_err(), Closed);
    }
}
