//! Where a test may stop a store, as a crash would.

#[cfg(any(test, feature = "conformance"))]
use parking_lot::Mutex;

use crate::fault::Fault;

/// A moment between two steps of a commit or a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(unreachable_pub)] // re-exported with the feature `conformance` only
pub enum Failpoint {
    /// The record is in the redo log, not synced.
    Appended,
    /// The record is synced, nothing applied.
    Synced,
    /// One write of several is in sled.
    HalfApplied,
    /// Every write is in sled, the caller not told.
    Applied,
    /// The checkpoint has brought everything to disk, the log not begun anew.
    Flushed,
    /// The log's new generation is written, not synced.
    Renewed,
}

/// The failpoint that is armed, if any. Without the feature there is none, and no cost.
#[derive(Debug, Default)]
pub(crate) struct Failpoints {
    #[cfg(any(test, feature = "conformance"))]
    armed: Mutex<Option<Failpoint>>,
}

#[cfg(any(test, feature = "conformance"))]
impl Failpoints {
    /// Fails the next time that `point` is reached.
    pub(crate) fn arm(&self, point: Failpoint) {
        *self.armed.lock() = Some(point);
    }

    /// Fails if `here` is armed.
    pub(crate) fn reach(&self, here: Failpoint) -> Result<(), Fault> {
        let mut armed = self.armed.lock();
        if *armed == Some(here) {
            *armed = None;
            return Err(Fault::Other(format!("stopped by a test at {here:?}")));
        }
        Ok(())
    }
}

#[cfg(not(any(test, feature = "conformance")))]
impl Failpoints {
    #[inline]
    pub(crate) fn reach(&self, _: Failpoint) -> Result<(), Fault> {
        Ok(())
    }
}
