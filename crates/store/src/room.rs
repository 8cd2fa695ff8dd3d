//! The watermark that stops commits while the disk still has room for sled to stay sane.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use service::store::StoreError;

use crate::ballast::Ballast;
use crate::fault::Fault;

/// How long one look at the disk holds: others write to it too.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How much may be written on one look.
const LOOK_AGAIN_WRITTEN: u64 = 4 << 20;

/// What bringing a byte into sled may cost on disk: the pages it makes sled rewrite.
const AMPLIFICATION: u64 = 2;

/// What sled may take besides: a segment begun, and one to come.
const SLACK: u64 = 4 << 20;

/// How much room the store's disk has, looked up now and then.
#[derive(Debug)]
pub(crate) struct Room {
    folder: PathBuf,
    reserve: u64,
    ballast: Ballast,
    look: Option<Look>,
}

#[derive(Debug)]
struct Look {
    at: Instant,
    available: u64,
    written: u64,
}

impl Room {
    /// Watches the disk under `folder`. A reserve of zero turns the watch off.
    pub(crate) fn new(folder: PathBuf, reserve: u64, ballast: Ballast) -> Room {
        Room {
            folder,
            reserve,
            ballast,
            look: None,
        }
    }

    /// Lets a batch of `bytes` pass while `pending` are to be brought into sled, or refuses it because
    /// the reserve would be touched.
    pub(crate) fn admit(&mut self, bytes: u64, pending: u64) -> Result<(), StoreError> {
        if self.reserve == 0 {
            return Ok(());
        }
        // Into the log first.
        let cost = bytes.saturating_mul(1 + AMPLIFICATION);
        let owed = pending.saturating_mul(AMPLIFICATION);
        let room = self.room()?;
        if room < self.reserve.saturating_add(cost).saturating_add(owed) {
            return Err(StoreError::Full {
                path: self.folder.display().to_string(),
            });
        }
        if let Some(look) = &mut self.look {
            look.written += cost;
        }
        Ok(())
    }

    /// The applier's view of the same disk.
    pub(crate) fn watch(&self) -> Watch {
        Watch {
            folder: self.folder.clone(),
            on: self.reserve > 0,
            starves: Arc::default(),
        }
    }

    /// The room left, from a look that is not too old.
    fn room(&mut self) -> Result<u64, StoreError> {
        if let Some(look) = &self.look
            && look.at.elapsed() < LOOK_AGAIN_AFTER
            && look.written < LOOK_AGAIN_WRITTEN
        {
            return Ok(look.available.saturating_sub(look.written));
        }
        self.look_again()
    }

    fn look_again(&mut self) -> Result<u64, StoreError> {
        let available =
            fs4::available_space(&self.folder).map_err(|error| Fault::from(error).told(&self.folder))?;
        self.look = Some(Look {
            at: Instant::now(),
            available,
            written: 0,
        });
        self.ballast.restore(available.saturating_sub(self.reserve));
        Ok(available)
    }
}

/// Keeps the applier off a full disk. It may use the reserve, which is there for it.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    folder: PathBuf,
    on: bool,
    starves: Arc<AtomicBool>,
}

impl Watch {
    /// Whether `bytes` can be brought into sled.
    pub(crate) fn allows(&self, bytes: u64) -> Result<bool, Fault> {
        let allowed = !self.on
            || fs4::available_space(&self.folder)?
                >= bytes.saturating_mul(AMPLIFICATION).saturating_add(SLACK);
        if !allowed && !self.starves() {
            tracing::warn!(path = %self.folder.display(), "the disk is full; what is in the redo logs stays there until there is room");
        }
        self.starves.store(!allowed, Ordering::Relaxed);
        Ok(allowed)
    }

    /// Whether the last answer was no.
    pub(crate) fn starves(&self) -> bool {
        self.starves.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use service::store::StoreError;

    use super::{Ballast, Room};

    #[test]
    fn a_batch_that_would_touch_the_reserve_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let available = fs4::available_space(folder.path()).unwrap();
        let mut room = Room::new(folder.path().into(), available / 2, Ballast::of(folder.path()));
        room.admit(1000, 0).unwrap();
        for (bytes, pending) in [(available, 0), (1000, available)] {
            assert!(matches!(room.admit(bytes, pending), Err(StoreError::Full { .. })));
        }
        room.admit(1000, 0).unwrap();
        assert!(folder.path().join("ballast").exists());
    }
}
