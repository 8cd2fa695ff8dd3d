//! What of a session outlives its connection.

use std::collections::VecDeque;

use super::{acks::Acks, flight::Sent, queue::Queue};
use crate::protocol::{Delivery, Will};

/// What is left when a connection is over.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    /// The client knows of its session: it was heard after a CONNACK.
    pub(crate) known: bool,
    /// Publishes of the client that wait, and packet ids that are in use at QoS 2.
    pub(crate) acks: Acks,
    /// Messages to the client that it has not acknowledged.
    pub(crate) flight: VecDeque<Sent>,
    /// Messages that were not sent.
    pub(crate) queue: Queue,
    /// What is to be said if the client does not come back in time.
    pub(crate) will: Option<Box<Will>>,
    /// For how long it is of use, seconds; 0 when it is over with its connection.
    pub(crate) expiry_s: u32,
}

impl Remains {
    /// A message for the client. At QoS 0 only who is connected gets it.
    pub(crate) fn deliver(&mut self, delivery: Delivery) {
        if delivery.quality.is_acknowledged() {
            self.queue.push(delivery);
        }
    }

    /// Their memory, about, bytes.
    pub(crate) fn bytes(&self) -> usize {
        let flight = self.flight.iter().filter_map(|sent| sent.delivery.as_ref());
        self.queue.bytes() + flight.map(Delivery::bytes).sum::<usize>()
    }

    /// How many messages it holds.
    pub(crate) fn len(&self) -> usize {
        self.queue.len() + self.flight.len()
    }
}
