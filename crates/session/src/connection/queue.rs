//! Messages that wait to be sent to one client.

use std::collections::VecDeque;

use crate::{limits::Limits, meter::Limit, protocol::Delivery};

#[derive(Debug, Default)]
pub(crate) struct Queue {
    messages: VecDeque<Delivery>,
    bytes: usize,
}

impl Queue {
    pub(crate) fn push(&mut self, delivery: Delivery) {
        self.bytes += delivery.bytes();
        self.messages.push_back(delivery);
    }

    pub(super) fn peek(&self) -> Option<&Delivery> {
        self.messages.front()
    }

    pub(super) fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.messages.pop_front()?;
        self.bytes -= delivery.bytes();
        Some(delivery)
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The limit that more than may wait is over.
    pub(super) fn over(&self, limits: &Limits) -> Option<Limit> {
        let (messages, bytes) = (
            self.messages.len() > limits.queue,
            self.bytes > limits.queue_bytes,
        );
        match (messages, bytes) {
            (true, _) => Some(Limit::Queue),
            (false, true) => Some(Limit::QueueBytes),
            (false, false) => None,
        }
    }

    /// Keeps only what is wanted.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&Delivery) -> bool) {
        self.messages.retain(wanted);
        self.bytes = self.messages.iter().map(Delivery::bytes).sum();
    }

    /// Takes out the oldest of some.
    pub(crate) fn drop_oldest(&mut self, of: impl Fn(&Delivery) -> bool) -> Option<Delivery> {
        let place = self.messages.iter().position(of)?;
        let dropped = self.messages.remove(place)?;
        self.bytes -= dropped.bytes();
        Some(dropped)
    }
}
