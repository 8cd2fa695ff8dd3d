//! Requests that have come before the facts that they are judged by.
//!
//! A service that has just started, or has lost the thread, may not know yet who was shut out, nor what another
//! person must approve. Operators' commands wait until its copy of the registry's facts is whole; so does whatever
//! would be refused by an old one, for a refusal is final. The front door keeps them too: they are not acknowledged.

use contract::{Code, Refusal, id::ServiceName, v1::Frame, verb::Verb};

use super::{Call, Group, HostLoop};
use crate::{
    service::{Context, Service},
    store::{Read, StoreError},
};

/// Requests that may wait at once. It takes a moment: more than this is a flood.
const REQUESTS_MAX: usize = 1_024;
/// Their bytes.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// When whoever finds no room may try again, milliseconds.
const AGAIN_MS: u64 = 1_000;

/// What waits, in the order in which it came.
#[derive(Default)]
pub(super) struct Early {
    frames: Vec<Frame>,
    bytes: usize,
}

impl Early {
    /// Keeps a request; false: there is no room.
    fn add(&mut self, frame: Frame) -> bool {
        let bytes = self.bytes + frame.payload.len() + frame.topic.len();
        if self.frames.len() >= REQUESTS_MAX || bytes > BYTES_MAX {
            return false;
        }
        self.bytes = bytes;
        self.frames.push(frame);
        true
    }

    /// Forgets them: on its next connection the front door sends them again.
    pub(super) fn clear(&mut self) {
        *self = Early::default();
    }
}

/// Whether a verb's requests are judged by what others say. The registry's own facts say who may do what; whether
/// what a request was made with was revoked since, provisioning says.
pub(super) fn may_be<S: Service>(verb: &Verb) -> bool {
    S::NAME != ServiceName::Registry || matches!(verb.name, "approve" | "disapprove")
}

impl<S: Service> HostLoop<S> {
    /// Keeps a request until the facts are whole.
    pub(super) fn wait_for_facts(&mut self, call: &Call, frame: Frame, group: &mut Group<S::Request>) {
        if !self.early.add(frame) {
            let message =
                "this service does not know yet who may do what, and too many wait for that already";
            let refusal = Refusal::new(Code::Busy, message).retry_after_ms(AGAIN_MS);
            self.refuse(call, &refusal, group);
        }
    }

    /// Decides what has waited, once the facts are whole.
    pub(super) fn take_up_early(
        &mut self,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        if self.early.frames.is_empty() || self.rights_are_open() {
            return Ok(());
        }
        for frame in std::mem::take(&mut self.early).frames {
            self.on_request(frame, group, base, cx)?;
        }
        Ok(())
    }
}
