//! What opening does with the redo logs that the last process left.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::fault::{Fault, guarded};
use crate::folder;
use crate::layers::{Layer, Layers};
use crate::redo::{self, FILES, Opened, Redo};

/// The two logs, as the last process left them.
pub(crate) enum Logs {
    /// What is committed and not in sled is in one of them.
    OneInUse { active: Redo, spare: Redo },
    /// One was full, and not all of it may be in sled.
    BothInUse {
        active: Redo,
        full: Redo,
        layer: Arc<Layer>,
    },
}

/// A log and the bytes of its file.
type Filled = (Redo, Bytes);

/// Reads both logs and puts what they hold above sled, where readers find it. What only the operating
/// system's cache held becomes durable before anybody reads it. Nothing is written to sled, so this
/// works on a full disk too.
pub(crate) fn recover(db: &sled::Db, path: &Path) -> Result<(Logs, Layers), Fault> {
    let (mut older, mut newer) = open_both(db, path)?;
    let mut layers = Layers::default();
    let full = replay(&mut older)?;
    let latest = replay(&mut newer)?;
    newer.0.check_follows(&older.0)?;
    if full.len() + latest.len() > 0 {
        let (full, latest) = (full.len(), latest.len());
        tracing::info!(path = %path.display(), full, latest, "found keys in the redo logs");
    }
    let (older, newer) = (older.0, newer.0);
    if newer.is_empty() {
        layers.fresh = full;
        return Ok((
            Logs::OneInUse {
                active: older,
                spare: newer,
            },
            layers,
        ));
    }
    layers.fresh = full;
    let layer = layers.freeze();
    layers.fresh = latest;
    let logs = Logs::BothInUse {
        active: newer,
        full: older,
        layer,
    };
    Ok((logs, layers))
}

fn replay((redo, bytes): &mut Filled) -> Result<Layer, Fault> {
    let mut layer = Layer::default();
    layer.take(bytes, redo.replay(bytes)?);
    if !redo.is_empty() {
        redo.sync()?;
    }
    Ok(layer)
}

/// Both logs, the one with the older commits first.
fn open_both(db: &sled::Db, path: &Path) -> Result<(Filled, Filled), Fault> {
    let [one, other] = FILES;
    let pair = match (Redo::open(path, one)?, Redo::open(path, other)?) {
        (Opened::Usable(one, bytes), _) if one.is_alone() => add_second(one, bytes, path)?,
        (Opened::Usable(one, bytes), Opened::Usable(other, others)) => ((one, bytes), (other, others)),
        _ if is_empty(db)? => begin(path)?,
        (Opened::Unusable(reason), _) => return Err(redo::damaged(one, reason).into()),
        (_, Opened::Unusable(reason)) => return Err(redo::damaged(other, reason).into()),
    };
    Ok(if pair.0.0.number() <= pair.1.0.number() {
        pair
    } else {
        (pair.1, pair.0)
    })
}

/// A store has rows on disk before its first commit is acknowledged: one without any is new.
fn is_empty(db: &sled::Db) -> Result<bool, Fault> {
    Ok(guarded(|| db.iter().next().transpose())?.is_none())
}

fn begin(path: &Path) -> Result<(Filled, Filled), Fault> {
    let one = Redo::create(path, FILES[0], 0)?;
    let other = Redo::create(path, FILES[1], one.number())?;
    folder::sync(path)?;
    Ok(((one, Bytes::new()), (other, Bytes::new())))
}

/// Gives a log of the time when there was one its second. The first is marked last: until then
/// whatever lies in the second's place does not count.
fn add_second(mut one: Redo, bytes: Bytes, path: &Path) -> Result<(Filled, Filled), Fault> {
    let other = Redo::create(path, FILES[1], one.number())?;
    folder::sync(path)?;
    one.pair()?;
    Ok(((one, bytes), (other, Bytes::new())))
}
