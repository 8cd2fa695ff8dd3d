//! Messages that a service has for whoever subscribes: the newest of each topic that the verb table marks.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use contract::{filter::Filter, id::Principal};

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) payload: Bytes,
    pub(super) content_type: String,
}

/// All of them. A topic is one of the table's for a registered principal, so their number is bounded; their
/// bytes are by a limit.
#[derive(Default)]
pub(super) struct Retained {
    by_principal: HashMap<Principal, BTreeMap<String, Message>>,
    bytes: usize,
}

impl Retained {
    /// The newest message of a topic. One without a payload takes away what was there, as does one for which
    /// there is no room: an older one would be wrong. False: there was none.
    pub(super) fn set(&mut self, who: &Principal, topic: &str, message: Message, most_bytes: usize) -> bool {
        self.clear(who, topic);
        let bytes = size(topic, &message);
        if message.payload.is_empty() {
            return true;
        }
        if self.bytes + bytes > most_bytes {
            return false;
        }
        self.bytes += bytes;
        self.by_principal
            .entry(who.clone())
            .or_default()
            .insert(topic.to_owned(), message);
        true
    }

    fn clear(&mut self, who: &Principal, topic: &str) {
        let Some(topics) = self.by_principal.get_mut(who) else {
            return;
        };
        if let Some(message) = topics.remove(topic) {
            self.bytes -= size(topic, &message);
        }
        if topics.is_empty() {
            self.by_principal.remove(who);
        }
    }

    /// Nothing is left for somebody who is no more.
    pub(super) fn forget(&mut self, who: &Principal) {
        for (topic, message) in self.by_principal.remove(who).into_iter().flatten() {
            self.bytes -= size(&topic, &message);
        }
    }

    /// What there is for somebody who subscribes to this.
    pub(super) fn matching<'a>(
        &'a self,
        who: &Principal,
        filter: &'a Filter,
    ) -> impl Iterator<Item = (&'a String, &'a Message)> {
        let topics = self.by_principal.get(who).into_iter().flatten();
        topics.filter(|(topic, _)| filter.matches(topic))
    }
}

fn size(topic: &str, message: &Message) -> usize {
    topic.len() + message.payload.len() + message.content_type.len() + 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_found_replaced_and_taken_away() {
        let mut retained = Retained::default();
        let who: Principal = "devices/a".parse().unwrap();
        let all: Filter = "t/#".parse().unwrap();
        let message = |text: &'static str| Message {
            payload: Bytes::from_static(text.as_bytes()),
            content_type: String::new(),
        };
        let found = |retained: &Retained| -> Vec<Bytes> {
            retained
                .matching(&who, &all)
                .map(|(_, m)| m.payload.clone())
                .collect()
        };
        for (text, room, expected) in [
            ("one", 1_000, vec!["one"]),
            ("two", 1_000, vec!["two"]),
            ("", 1_000, vec![]),
            ("three", 1_000, vec!["three"]),
            ("too much", 100, vec![]),
        ] {
            retained.set(&who, "t/x", message(text), room);
            assert_eq!(found(&retained), expected, "{text}");
        }
        retained.set(&who, "t/x", message("four"), 1_000);
        retained.forget(&who);
        assert!(retained.by_principal.is_empty() && retained.bytes == 0);
    }
}
