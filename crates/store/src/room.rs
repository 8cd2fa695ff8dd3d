//! The watermark that stops commits while the disk still has room for sled to stay sane.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use service::store::StoreError;

use crate::ballast::Ballast;
use crate::fault::Fault;

/// How long one look at the disk holds: others write to it too.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How much may be written on one look.
const LOOK_AGAIN_WRITTEN: u64 = 4 << 20;

/// What a batch may cost on disk for each of its bytes: the log, then the pages it makes sled rewrite.
const AMPLIFICATION: u64 = 3;

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

    /// Lets a batch of `bytes` pass, or refuses it because the reserve would be touched.
    pub(crate) fn admit(&mut self, bytes: u64) -> Result<(), StoreError> {
        if self.reserve == 0 {
            return Ok(());
        }
        let cost = bytes.saturating_mul(AMPLIFICATION);
        let room = self.room()?;
        if room < self.reserve.saturating_add(cost) {
            return Err(StoreError::Full {
                path: self.folder.display().to_string(),
            });
        }
        if let Some(look) = &mut self.look {
            look.written += cost;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use service::store::StoreError;

    use super::{Ballast, Room};

    #[test]
    fn a_batch_that_would_touch_the_reserve_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let available = fs4::available_space(folder.path()).unwrap();
        let mut room = Room::new(folder.path().into(), available / 2, Ballast::of(folder.path()));
        room.admit(1000).unwrap();
        assert!(matches!(room.admit(available), Err(StoreError::Full { .. })));
        room.admit(1000).unwrap();
        assert!(folder.path().join("ballast").exists());
    }
}
