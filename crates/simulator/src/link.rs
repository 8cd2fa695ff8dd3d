//! The connection between a service and the front door: two queues that keep their order, and that are gone
//! when it breaks.

use std::collections::VecDeque;

use contract::v1::Frame;

use crate::dice::Dice;

/// What arrives at a service.
pub(crate) enum ToService {
    /// It is subscribed: the connection is up.
    Connected,
    /// An envelope.
    Frames(Vec<Frame>),
    /// The front door has what ends with this event.
    Taken(u64),
}

/// One service's connection.
#[derive(Default)]
pub(crate) struct Link {
    /// Counts the connections; what belongs to an older one is void.
    pub(crate) generation: u64,
    pub(crate) up: bool,
    /// The door's own number of it.
    pub(crate) door_link: u64,
    pub(crate) to_service: VecDeque<ToService>,
    /// Envelopes, and the last event in each or before it.
    pub(crate) to_front: VecDeque<(Vec<Frame>, u64)>,
}

impl Link {
    /// What a round has published gets on its way, in a few envelopes; the last one carries the head.
    pub(crate) fn publish(&mut self, mut frames: Vec<Frame>, head: u64, dice: &mut Dice) {
        while !frames.is_empty() {
            let most = (dice.between(1, 8) as usize).min(frames.len());
            let rest = frames.split_off(most);
            let last = rest.is_empty();
            self.to_front.push_back((frames, if last { head } else { 0 }));
            frames = rest;
        }
    }

    /// It breaks: what is under way is gone.
    pub(crate) fn cut(&mut self) -> bool {
        self.to_service.clear();
        self.to_front.clear();
        self.generation += 1;
        std::mem::replace(&mut self.up, false)
    }
}
