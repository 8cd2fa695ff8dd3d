//! What one round of decisions comes to: a batch, and behind its durability all that follows.

use contract::v1::Frame;

use super::query::Query;
use crate::outcome::Measure;
use crate::planted::{self, Mistake};
use crate::store::{Batch, Durable};

/// Something to be done in the world; at least once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Unique for ever.
    pub id: String,
    /// Which executor.
    pub kind: String,
    /// What to do.
    pub payload: Vec<u8>,
}

/// One atomic write and, out of reach until it is durable, what follows from it.
pub struct Group<R> {
    pub(super) batch: Batch,
    pub(super) facts: Vec<Frame>,
    pub(super) replies: Vec<Frame>,
    pub(super) requests: Vec<Frame>,
    pub(super) events: Vec<Frame>,
    pub(super) effects: Vec<Effect>,
    pub(super) queries: Vec<Query<R>>,
    pub(super) warnings: Vec<String>,
    pub(super) measures: Vec<Measure>,
    pub(super) head: u64,
    pub(super) wakes_changed: bool,
    /// The earliest wake-up that was set.
    pub(super) earliest_wake: Option<i64>,
    pub(super) decided: usize,
}

/// What may be done now that the batch is on disk.
pub struct Released<R> {
    /// To be published, in this order: facts, replies, own requests, events.
    pub frames: Vec<Frame>,
    /// To be run.
    pub effects: Vec<Effect>,
    /// To be answered on the read threads.
    pub queries: Vec<Query<R>>,
    /// The last event among the frames, or before them.
    pub head: u64,
    /// To be logged.
    pub warnings: Vec<String>,
    /// For whoever watches the server.
    pub measures: Vec<Measure>,
    /// How many requests were decided.
    pub decided: usize,
}

impl<R> Default for Group<R> {
    fn default() -> Self {
        Group {
            batch: Batch::default(),
            facts: Vec::new(),
            replies: Vec::new(),
            requests: Vec::new(),
            events: Vec::new(),
            effects: Vec::new(),
            queries: Vec::new(),
            warnings: Vec::new(),
            measures: Vec::new(),
            head: 0,
            wakes_changed: false,
            earliest_wake: None,
            decided: 0,
        }
    }
}

impl<R> Group<R> {
    /// The write.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Hands out what follows, against the proof that [`Group::batch`] is on disk.
    pub fn committed(self, _proof: &Durable) -> Released<R> {
        self.release()
    }

    /// Hands out what follows if there is nothing to write.
    #[allow(clippy::result_large_err)] // both are one group, moved once
    pub fn without_writes(self) -> Result<Released<R>, Group<R>> {
        if self.batch.is_empty() {
            Ok(self.release())
        } else {
            Err(self)
        }
    }

    fn release(self) -> Released<R> {
        let (first, second) = if planted::is(Mistake::FactAfterReply) {
            (self.replies, self.facts)
        } else {
            (self.facts, self.replies)
        };
        let mut frames = first;
        // A group is large: it is moved once.
        frames.reserve_exact(second.len() + self.requests.len() + self.events.len());
        frames.extend(second);
        frames.extend(self.requests);
        frames.extend(self.events);
        frames.retain(|frame| frame.purpose != 0);
        Released {
            frames,
            effects: self.effects,
            queries: self.queries,
            head: self.head,
            warnings: self.warnings,
            measures: self.measures,
            decided: self.decided,
        }
    }
}
