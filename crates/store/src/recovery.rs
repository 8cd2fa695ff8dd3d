//! What opening does with the redo logs that the last process left.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use service::store::StoreError;

use crate::checkpoint::{self, Checkpoint};
use crate::committed::Committed;
use crate::fault::{Fault, guarded};
use crate::folder;
use crate::layers::{Layer, Layers};
use crate::opening::StartCheck;
use crate::redo::{self, FILES, Opened, Redo};
use crate::tally::{self, Tally};

/// The two logs, as the last process left them.
pub(crate) enum Logs {
    /// What is committed and not in sled is in one of them, none of it in sled yet.
    OneInUse { active: Redo, spare: Redo },
    /// The turn of one has come, and not all of it may be in sled.
    BothInUse {
        active: Redo,
        full: Redo,
        layer: Arc<Layer>,
    },
}

/// What the last process left.
pub(crate) struct Recovered {
    pub(crate) logs: Logs,
    /// What all rows in sled come to, if no turn has begun.
    pub(crate) tally: Tally,
}

/// A log and the bytes of its file.
type Filled = (Redo, Bytes);

/// Reads both logs and puts what they hold above sled, where readers find it, once it is certain that
/// nothing is missing. What only the operating system's cache held becomes durable before anybody reads
/// it. Nothing is written to sled, so this works on a full disk too.
pub(crate) fn recover(db: &sled::Db, path: &Path, check: StartCheck) -> Result<(Recovered, Layers), Fault> {
    let (mut older, mut newer) = open_both(db, path)?;
    let full = replay(&mut older)?;
    let latest = replay(&mut newer)?;
    let (mut older, mut newer) = (older.0, newer.0);
    newer.check_follows(&older)?;
    let checkpoint = Checkpoint::read(db)?;
    checkpoint.check_met_by(&older)?;
    if older.is_empty() {
        older.begin_with(checkpoint.next);
    }
    if newer.is_empty() {
        newer.begin_with(older.next());
    }
    check_acknowledged(&older, &newer, Committed::read(path))?;
    if check == StartCheck::EveryRow {
        check_rows(db, checkpoint, (&older, &full), (&newer, &latest))?;
    }
    if full.len() + latest.len() > 0 {
        let (full, latest) = (full.len(), latest.len());
        tracing::info!(path = %path.display(), full, latest, "found keys in the redo logs");
    }
    let (logs, layers) = arrange((older, full), (newer, latest));
    let tally = checkpoint.tally;
    Ok((Recovered { logs, tally }, layers))
}

/// Which log goes on, and whether the other one's turn has come.
fn arrange(older: (Redo, Layer), newer: (Redo, Layer)) -> (Logs, Layers) {
    let mut layers = Layers {
        fresh: older.1,
        frozen: None,
    };
    if newer.0.is_empty() && older.0.turn().is_none() {
        let (active, spare) = (older.0, newer.0);
        return (Logs::OneInUse { active, spare }, layers);
    }
    let layer = layers.freeze();
    layers.fresh = newer.1;
    let (active, full) = (newer.0, older.0);
    (Logs::BothInUse { active, full, layer }, layers)
}

/// Checks that the logs end no earlier than what was acknowledged.
fn check_acknowledged(older: &Redo, newer: &Redo, committed: Option<u64>) -> Result<(), StoreError> {
    if committed.is_none_or(|number| number <= newer.next()) {
        return Ok(());
    }
    let last = if newer.is_empty() { older } else { newer };
    Err(redo::damaged(last.name(), redo::ENDS_EARLY))
}

/// Walks sled, and checks that no row is missing and none is an older one. Those that the log changes
/// whose turn had begun may be either, and come from the log.
fn check_rows(
    db: &sled::Db,
    checkpoint: Checkpoint,
    older: (&Redo, &Layer),
    newer: (&Redo, &Layer),
) -> Result<(), Fault> {
    let begun = [newer, older]
        .into_iter()
        .find_map(|(redo, layer)| Some((redo.turn()?, layer)));
    let (expected, changed) = match begun {
        Some((rest, layer)) => (rest, Some(layer)),
        None => (checkpoint.tally, None),
    };
    let found = tally::of(db, |key| changed.is_none_or(|layer| !layer.writes(key)))?;
    if found == expected {
        return Ok(());
    }
    tracing::error!(
        found = found.rows(),
        expected = expected.rows(),
        "rows in the database"
    );
    Err(Checkpoint::uncounted(checkpoint::DATABASE).into())
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
        (Opened::Usable(one, bytes), Opened::Usable(other, others)) => ((one, bytes), (other, others)),
        (one, other) if is_new(&one) && is_new(&other) && is_empty(db)? => begin(path)?,
        (Opened::Unusable(reason), _) => return Err(redo::damaged(one, reason).into()),
        (_, Opened::Unusable(reason)) => return Err(redo::damaged(other, reason).into()),
    };
    Ok(if pair.0.0.number() <= pair.1.0.number() {
        pair
    } else {
        (pair.1, pair.0)
    })
}

/// Whether a crash may have left this of a log before the store had both.
fn is_new(log: &Opened) -> bool {
    match log {
        Opened::Unusable(_) => true,
        Opened::Usable(redo, _) => redo.number() == 1,
    }
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
