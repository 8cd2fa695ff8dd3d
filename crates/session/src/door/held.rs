//! Answers that wait until the front door knows what their service knows.
//!
//! A service tells a fact before it answers the request that made it. When the front door has lost the thread
//! of a service's facts (at a reconnect, after a gap), that is not enough: whoever hears that a device is
//! suspended must not see it act, so the answer waits until the copy is whole again.

use std::collections::VecDeque;

use contract::{
    id::{Principal, ServiceName},
    v1::{Frame, Purpose},
};

use service::Now;

use super::{Door, place};
use crate::{
    cause::{Cause, Farewell},
    protocol::Reason,
};

/// What waits, for each service.
#[derive(Default)]
pub(super) struct Held([Waiting; 4]);

#[derive(Default)]
struct Waiting {
    frames: VecDeque<(Principal, Frame)>,
    bytes: usize,
}

impl Held {
    /// The service's connection is gone: its requests are sent and answered again.
    pub(super) fn forget(&mut self, service: ServiceName) {
        self.0[place(service)] = Waiting::default();
    }
}

impl Door {
    /// A message for a principal, whose turn comes when the copy of its service's facts is whole.
    pub(super) fn hold(&mut self, from: ServiceName, who: Principal, frame: Frame) {
        let waiting = &mut self.held.0[place(from)];
        let bytes = frame.payload.len() + frame.topic.len();
        // An answer has its place in the window, which is bounded; a stream of messages has none.
        let fits = waiting.bytes + bytes <= self.settings.limits.window_bytes;
        if fits || frame.purpose() == Purpose::Reply {
            waiting.bytes += bytes;
            waiting.frames.push_back((who, frame));
            return;
        }
        let text = "the server is catching up and cannot keep your messages; connect again";
        for connection in self.directory.of(&who).to_vec() {
            self.dismiss(connection, Farewell::new(Reason::ServerBusy, Cause::Kicked, text));
        }
    }

    /// Hands out what has waited, if it need not wait any more.
    pub(super) fn release_held(&mut self, from: ServiceName, now: Now) {
        if !self.copies.has_caught_up(from) {
            return;
        }
        let Waiting { frames, .. } = std::mem::take(&mut self.held.0[place(from)]);
        for (who, frame) in frames {
            self.hand_over(from, &who, &frame, now);
        }
    }
}
