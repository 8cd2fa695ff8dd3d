//! Where a test may stop a store, as a crash would.

#[cfg(any(test, feature = "conformance"))]
use parking_lot::{Condvar, Mutex};

use crate::fault::Fault;

/// A moment between two steps of a commit, or of what brings a full log into sled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(unreachable_pub)] // re-exported with the feature `conformance` only
pub enum Failpoint {
    /// The record is in the redo log, not synced.
    Appended,
    /// The record is synced, nobody has seen it.
    Synced,
    /// The other log has become the active one, and is empty yet.
    Turned,
    /// The full log is about to be brought into sled.
    Frozen,
    /// The log says that its turn has begun; nothing of it is in sled.
    Begun,
    /// Half of it is in sled.
    HalfApplied,
    /// All of it is in sled, not flushed.
    Applied,
    /// All of it is on disk, the log not voided.
    Flushed,
    /// The log's new generation is written, not synced.
    Renewed,
}

/// The failpoint that is armed, if any. Without the feature there is none, and no cost.
#[derive(Debug, Default)]
pub(crate) struct Failpoints {
    #[cfg(any(test, feature = "conformance"))]
    armed: Mutex<Option<Armed>>,
    #[cfg(any(test, feature = "conformance"))]
    changed: Condvar,
}

#[cfg(any(test, feature = "conformance"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Armed {
    /// Whoever comes there fails.
    Stop(Failpoint),
    /// Whoever comes there waits.
    Hold(Failpoint),
    /// Somebody waits there.
    Held(Failpoint),
}

#[cfg(any(test, feature = "conformance"))]
impl Failpoints {
    /// Fails the next time that `point` is reached.
    pub(crate) fn stop(&self, point: Failpoint) {
        *self.armed.lock() = Some(Armed::Stop(point));
    }

    /// Holds whoever comes to `point` next.
    pub(crate) fn hold(&self, point: Failpoint) {
        *self.armed.lock() = Some(Armed::Hold(point));
    }

    /// Waits until somebody is held.
    pub(crate) fn wait_until_held(&self) {
        let mut armed = self.armed.lock();
        self.changed
            .wait_while(&mut armed, |armed| !matches!(armed, Some(Armed::Held(_))));
    }

    /// Lets whoever is held go on.
    pub(crate) fn release(&self) {
        *self.armed.lock() = None;
        self.changed.notify_all();
    }

    /// Fails or waits if `here` is armed.
    pub(crate) fn reach(&self, here: Failpoint) -> Result<(), Fault> {
        let mut armed = self.armed.lock();
        if *armed == Some(Armed::Stop(here)) {
            *armed = None;
            return Err(Fault::Other(format!("stopped by a test at {here:?}")));
        }
        if *armed == Some(Armed::Hold(here)) {
            *armed = Some(Armed::Held(here));
            self.changed.notify_all();
            let held = |armed: &mut Option<Armed>| *armed == Some(Armed::Held(here));
            self.changed.wait_while(&mut armed, held);
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
