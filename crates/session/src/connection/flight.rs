//! What a session that outlives its connection has sent and not heard back of: it is sent again over the
//! next one, in the order of the first time (MQTT-4.4.0-1, 4.6.0-1).

use std::collections::VecDeque;

use crate::protocol::Delivery;

/// A message on its way: the PUBLISH, or once its PUBREC has come nothing but the PUBREL.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) packet_id: u16,
    pub(crate) delivery: Option<Delivery>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    /// Sent over this connection.
    sent: VecDeque<Sent>,
    /// Sent over an earlier one, and not again yet.
    unsent: VecDeque<Sent>,
    /// The client knows of its session: it has sent something since the CONNACK, or had it before.
    known: bool,
}

impl Flight {
    /// What an earlier connection has left.
    pub(super) fn again(left: VecDeque<Sent>) -> Flight {
        Flight {
            sent: VecDeque::new(),
            unsent: left,
            known: true,
        }
    }

    /// Something has come from the client.
    pub(super) fn heard(&mut self) {
        self.known = true;
    }

    /// Whether the client knows of its session.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// Packet ids that are in use.
    pub(super) fn packet_ids(&self) -> impl Iterator<Item = u16> + '_ {
        self.sent.iter().chain(&self.unsent).map(|sent| sent.packet_id)
    }

    /// Whether something must go again before anything new.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// What must go again next.
    pub(super) fn next(&mut self) -> Option<Sent> {
        self.unsent.pop_front()
    }

    /// It has gone.
    pub(super) fn push(&mut self, sent: Sent) {
        self.sent.push_back(sent);
    }

    /// PUBREC: of the message only the packet id is left.
    pub(super) fn received(&mut self, packet_id: u16) {
        if let Some(sent) = self.sent.iter_mut().find(|sent| sent.packet_id == packet_id) {
            sent.delivery = None;
        }
    }

    /// PUBACK, PUBCOMP or a refusal: it is over.
    pub(super) fn done(&mut self, packet_id: u16) {
        // As a rule the oldest is answered first.
        if let Some(place) = self.sent.iter().position(|sent| sent.packet_id == packet_id) {
            self.sent.remove(place);
        }
    }

    /// The connection is over: everything in its order.
    pub(super) fn into_left(self) -> VecDeque<Sent> {
        let mut left = self.sent;
        left.extend(self.unsent);
        left
    }
}
