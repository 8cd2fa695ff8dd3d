//! Messages that wait to be sent to one client.

use std::collections::VecDeque;

use crate::{limits::Limits, protocol::Delivery};

#[derive(Default)]
pub(super) struct Queue {
    messages: VecDeque<Delivery>,
    bytes: usize,
}

impl Queue {
    pub(super) fn push(&mut self, delivery: Delivery) {
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

    /// Whether more waits than may.
    pub(super) fn is_over(&self, limits: &Limits) -> bool {
        self.messages.len() > limits.queue || self.bytes > limits.queue_bytes
    }
}
