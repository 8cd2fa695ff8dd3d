//! How long events are kept: the oldest go, a few at a time, once they are too old or too many.
//!
//! What is left begins later and has no gap; a replay from before says where it begins. What the broker has not
//! taken yet stays, however old it is: the log is its outbox.

use contract::v1::Event;
use prost::Message;

use super::{Group, HostLoop};
use crate::{
    keys,
    service::{Now, Service},
    store::{Read, StoreError},
};

/// How often the oldest events are looked at, milliseconds; more often when little is kept.
const LOOK_EVERY_MS: u64 = 60_000;
/// The shortest time between two looks, milliseconds.
const LOOK_AT_LEAST_MS: u64 = 250;
/// Events that are removed in one round.
const ROUND: usize = 256;

/// What is kept.
#[derive(Default)]
pub(super) struct Retention {
    /// For how long, milliseconds; 0 is for ever.
    pub(super) keep_ms: u64,
    /// How many; 0 is any number.
    pub(super) most: u64,
    look_at: u64,
}

impl Retention {
    fn keeps_all(&self) -> bool {
        self.keep_ms == 0 && self.most == 0
    }

    fn pause_ms(&self) -> u64 {
        let by_age = if self.keep_ms == 0 {
            LOOK_EVERY_MS
        } else {
            self.keep_ms / 8
        };
        by_age.clamp(LOOK_AT_LEAST_MS, LOOK_EVERY_MS)
    }

    /// Whether an event's time is over, with `head` as the newest.
    fn is_over(&self, event: &Event, head: u64, now: Now) -> bool {
        let oldest = now.wall_ms.saturating_sub_unsigned(self.keep_ms);
        let is_old = self.keep_ms > 0 && event.time_ms < oldest;
        let is_much = self.most > 0 && head.saturating_sub(event.sequence) >= self.most;
        is_old || is_much
    }
}

impl<S: Service> HostLoop<S> {
    /// Removes events from the start of the log. The rest follows in the next round.
    pub(super) fn forget_events(
        &mut self,
        group: &mut Group<S::Request>,
        base: &dyn Read,
        now: Now,
    ) -> Result<(), StoreError> {
        if self.events.keeps_all() || now.mono_ms < self.events.look_at {
            return Ok(());
        }
        self.events.look_at = now.mono_ms + self.events.pause_ms();
        let oldest = base.scan(keys::EVENT, None, ROUND)?;
        let full = oldest.len() == ROUND;
        for (key, bytes) in oldest {
            let Ok(event) = Event::decode(bytes.as_slice()) else {
                let warning = "the oldest event does not decode; it is kept, and all after it";
                group.warnings.push(warning.into());
                return Ok(());
            };
            if event.sequence > self.taken || !self.events.is_over(&event, self.heads.event, now) {
                return Ok(());
            }
            group.batch.delete(key);
        }
        if full {
            self.events.look_at = now.mono_ms;
        }
        Ok(())
    }
}
