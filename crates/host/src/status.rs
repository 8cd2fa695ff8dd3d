//! How a service is, for health checks and for people.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::watch;

/// How a service is.
#[derive(Debug, Clone, Default)]
pub struct HostStatus {
    /// The store is open.
    pub open: bool,
    /// The bus is connected.
    pub connected: bool,
    /// It holds all facts of those it follows.
    pub whole: bool,
    /// What is wrong, for people; empty when all is well.
    pub trouble: String,
    /// The last event's sequence.
    pub events: u64,
    /// Groups committed since the start.
    pub commits: u64,
    /// Requests decided since the start.
    pub decided: u64,
}

impl HostStatus {
    /// Whether it can serve.
    pub fn is_ready(&self) -> bool {
        self.open && self.connected && self.whole && self.trouble.is_empty()
    }
}

/// A status that one thread writes and others read.
#[derive(Clone, Default)]
pub struct StatusCell(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    status: HostStatus,
    /// When the round began that is under way.
    round: Option<Instant>,
}

impl StatusCell {
    /// The present status.
    pub fn get(&self) -> HostStatus {
        let state = self.0.lock();
        let mut status = state.status.clone();
        let round = state.round.map(|begun| begun.elapsed());
        if let Some(time) = round.filter(|time| *time >= watch::STALLED) {
            status.trouble = format!("the store has not answered for {} s", time.as_secs());
        }
        status
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut HostStatus)) {
        change(&mut self.0.lock().status);
    }

    pub(crate) fn round_begins(&self, now: Instant) {
        self.0.lock().round = Some(now);
    }

    pub(crate) fn round_ends(&self) {
        self.0.lock().round = None;
    }

    /// For how long the round has been under way that is.
    pub(crate) fn round_so_far(&self) -> Option<Duration> {
        self.0.lock().round.map(|begun| begun.elapsed())
    }
}
