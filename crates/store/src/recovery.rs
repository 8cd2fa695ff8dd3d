//! What opening does with the redo logs that the last process left.

use std::fs::File;
use std::path::Path;

use service::planted::{self, Mistake};
use service::store::StoreError;

use crate::census;
use crate::checkpoint::{self, Checkpoint};
use crate::committed::Committed;
use crate::fault::Fault;
use crate::folder;
use crate::layers::{Layer, Layers};
use crate::opening::StartCheck;
use crate::pair::Pair;
use crate::redo::{self, FILES, Medium, Opened, Recorded, Redo};
use crate::tally::Tally;
use crate::tree::Tree;
use crate::turn::Turn;

/// What lies beside the database.
pub(crate) struct Left<M = File> {
    /// The two logs.
    pub(crate) logs: [Opened<M>; 2],
    /// The number of the first commit that was not acknowledged, as far as it is known.
    pub(crate) committed: Option<u64>,
}

impl Left {
    /// Of the store in `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Left, Fault> {
        let [one, other] = FILES;
        Ok(Left {
            logs: [Redo::open(folder, one)?, Redo::open(folder, other)?],
            committed: Committed::read(folder),
        })
    }
}

/// What the last process left, put in order.
pub(crate) struct Recovered<M = File> {
    pub(crate) pair: Pair<M>,
    /// The log whose turn has come: not all of it may be in the database.
    pub(crate) turn: Option<Turn<M>>,
    /// What all rows in the database come to, if no turn has begun.
    pub(crate) tally: Tally,
}

/// A log and the bytes of its file.
type Filled<M> = (Redo<M>, Vec<u8>);

/// Reads both logs and puts what they hold above the database, where readers find it, once it is certain that
/// nothing is missing. What only the operating system's cache held becomes durable before anybody reads
/// it. Nothing is written to the database, so this works on a full disk too. A new store's logs are made by `begin`.
pub(crate) fn recover<T: Tree, M: Medium>(
    tree: &T,
    left: Left<M>,
    check: StartCheck,
    begin: impl FnOnce() -> Result<[Redo<M>; 2], Fault>,
) -> Result<(Recovered<M>, Layers), Fault> {
    let (mut older, mut newer) = both(tree, left.logs, begin)?;
    let full = replay(&mut older)?;
    let latest = replay(&mut newer)?;
    let (mut older, mut newer) = (older.0, newer.0);
    newer.check_follows(&older)?;
    let checkpoint = Checkpoint::read(tree)?;
    checkpoint.check_met_by(&older)?;
    if older.is_empty() {
        older.begin_with(checkpoint.next);
    }
    if newer.is_empty() {
        newer.begin_with(older.next());
    }
    check_acknowledged(&older, &newer, left.committed)?;
    if check == StartCheck::EveryRow {
        check_rows(tree, checkpoint, (&older, &full), (&newer, &latest))?;
    }
    if full.len() + latest.len() > 0 {
        let (full, latest) = (full.len(), latest.len());
        tracing::info!(full, latest, "found keys in the redo logs");
    }
    Ok(arrange((older, full), (newer, latest), checkpoint.tally))
}

/// Makes the logs of a new store in `folder`.
pub(crate) fn begin(folder: &Path) -> Result<[Redo; 2], Fault> {
    let one = Redo::create(folder, FILES[0], 0)?;
    let other = Redo::create(folder, FILES[1], one.number())?;
    folder::sync(folder)?;
    Ok([one, other])
}

/// Which log goes on, and whether the other one's turn has come.
fn arrange<M: Medium>(
    older: (Redo<M>, Layer),
    newer: (Redo<M>, Layer),
    tally: Tally,
) -> (Recovered<M>, Layers) {
    let mut layers = Layers {
        fresh: older.1,
        frozen: None,
    };
    if newer.0.is_empty() && older.0.turn().is_none() {
        let pair = Pair::new(older.0, Some(newer.0));
        let turn = None;
        return (Recovered { pair, turn, tally }, layers);
    }
    let layer = layers.freeze();
    layers.fresh = newer.1;
    let turn = Some(Turn::new(older.0, layer, newer.0.number()));
    let pair = Pair::new(newer.0, None);
    (Recovered { pair, turn, tally }, layers)
}

/// Checks that the logs end no earlier than what was acknowledged.
fn check_acknowledged<M: Medium>(
    older: &Redo<M>,
    newer: &Redo<M>,
    committed: Option<u64>,
) -> Result<(), StoreError> {
    if committed.is_none_or(|number| number <= newer.next()) {
        return Ok(());
    }
    let last = if newer.is_empty() { older } else { newer };
    Err(redo::damaged(last.name(), redo::ENDS_EARLY))
}

/// Walks the database, and checks that no row is missing and none is an older one. Those that the log changes
/// whose turn had begun may be either, and come from the log.
fn check_rows<T: Tree, M: Medium>(
    tree: &T,
    checkpoint: Checkpoint,
    older: (&Redo<M>, &Layer),
    newer: (&Redo<M>, &Layer),
) -> Result<(), Fault> {
    let begun = [newer, older]
        .into_iter()
        .find_map(|(redo, layer)| Some((redo.turn()?, layer)));
    let (expected, changed) = match begun {
        Some((rest, layer)) => (rest, Some(layer)),
        None => (checkpoint.tally, None),
    };
    let found = census::of(tree, |key| changed.is_none_or(|layer| !layer.writes(key)))?;
    if found == expected || planted::is(Mistake::RowsUncounted) {
        return Ok(());
    }
    tracing::error!(
        found = found.rows(),
        expected = expected.rows(),
        "rows in the database"
    );
    Err(Checkpoint::uncounted(checkpoint::DATABASE).into())
}

fn replay<M: Medium>((redo, bytes): &mut Filled<M>) -> Result<Layer, Fault> {
    let mut layer = Layer::default();
    layer.take(&Recorded::list(&redo.replay(bytes)?));
    // An empty one as well: that it was voided may be in a cache only, and a power cut that took that when the other
    // log has been voided, too, would leave two that do not follow each other.
    if !redo.is_empty() || !planted::is(Mistake::VoidForgotten) {
        redo.sync()?;
    }
    Ok(layer)
}

/// Both logs, the one with the older commits first.
fn both<T: Tree, M: Medium>(
    tree: &T,
    logs: [Opened<M>; 2],
    begin: impl FnOnce() -> Result<[Redo<M>; 2], Fault>,
) -> Result<(Filled<M>, Filled<M>), Fault> {
    let [one, other] = FILES;
    let pair = match logs.into() {
        (Opened::Usable(one, bytes), Opened::Usable(other, others)) => ((one, bytes), (other, others)),
        (one, other) if is_new(&one) && is_new(&other) && is_empty(tree)? => {
            let [one, other] = begin()?;
            ((one, Vec::new()), (other, Vec::new()))
        }
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
fn is_new<M: Medium>(log: &Opened<M>) -> bool {
    match log {
        Opened::Unusable(_) => true,
        Opened::Usable(redo, _) => redo.number() == 1,
    }
}

/// A store has rows on disk before its first commit is acknowledged: one without any is new.
fn is_empty(tree: &impl Tree) -> Result<bool, Fault> {
    Ok(tree.range(b"").next().transpose()?.is_none())
}
