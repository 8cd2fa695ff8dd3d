//! How a service is, for health checks and for people.

use std::sync::Arc;

use parking_lot::Mutex;

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
pub struct StatusCell(Arc<Mutex<HostStatus>>);

impl StatusCell {
    /// The present status.
    pub fn get(&self) -> HostStatus {
        self.0.lock().clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut HostStatus)) {
        change(&mut self.0.lock());
    }
}
