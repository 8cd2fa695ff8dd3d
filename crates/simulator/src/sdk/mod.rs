//! What a device with the SDK stands on in the world. The SDK is the product's code; its network, disk, clock and
//! keys are the world's.

mod files;
mod network;

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use device::{Disk, Error, Ground, Network};
use pki::{KeyError, KeyKind};
use zeroize::Zeroizing;

pub(crate) use self::{
    files::Files,
    network::{Lines, Say, is_claim},
};
use crate::{dice::Dice, genesis};

/// The first of the keys that devices with the SDK take; each takes so many in turn.
const KEYS: (usize, usize) = (72, 40);

/// One device's.
#[derive(Clone)]
pub(crate) struct Land {
    pub(crate) lines: Lines,
    pub(crate) files: Files,
    wall_ms: Arc<AtomicI64>,
    place: usize,
    keys: Arc<AtomicUsize>,
}

impl Land {
    pub(crate) fn new(seed: u64, place: usize) -> Land {
        let stream = |n| Dice::new(seed, 100 + place as u64 * 2 + n);
        Land {
            lines: Lines::new(stream(0)),
            files: Files::new(stream(1)),
            wall_ms: Arc::default(),
            place,
            keys: Arc::default(),
        }
    }

    pub(crate) fn set_clock(&self, wall_ms: i64) {
        self.wall_ms.store(wall_ms, Ordering::Relaxed);
    }
}

impl fmt::Debug for Land {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Land")
    }
}

impl Ground for Land {
    fn network(&self) -> Arc<dyn Network> {
        Arc::new(self.lines.clone())
    }

    fn disk(&self, _folder: &Path) -> Result<Arc<dyn Disk>, Error> {
        Ok(Arc::new(self.files.clone()))
    }

    fn now_ms(&self) -> Option<i64> {
        Some(self.wall_ms.load(Ordering::Relaxed))
    }

    /// Keys of one kind, made beforehand: the same seed, the same keys.
    fn new_key(&self, _kind: KeyKind) -> Result<Zeroizing<String>, KeyError> {
        let turn = self.keys.fetch_add(1, Ordering::Relaxed) % KEYS.1;
        let key = genesis::key(KEYS.0 + self.place * KEYS.1 + turn).map_err(|_| KeyError::NotGenerated)?;
        Ok(Zeroizing::new(key.to_owned()))
    }
}
