//! Bringing writes that are in the redo log into sled, one by one: sled's own `Batch` copies the whole
//! leaf for every key, under a lock that all databases of the process share.

use std::collections::BTreeMap;

use crate::envelope;
use crate::failpoint::{Failpoint, Failpoints};
use crate::fault::{Fault, guarded};
use crate::redo::Write;

/// Applies the writes of one commit, in key order, which is kind to sled's leaves.
pub(crate) fn apply(
    db: &sled::Db,
    writes: &[Write<'_>],
    scratch: &mut Vec<u8>,
    points: &Failpoints,
) -> Result<(), Fault> {
    for (done, write) in writes.iter().enumerate() {
        if done == 1 {
            points.reach(Failpoint::HalfApplied)?;
        }
        apply_one(db, *write, scratch)?;
    }
    points.reach(Failpoint::Applied)
}

/// Applies what is left of a log: of each key the last write only, and that only where sled does not
/// have it, since after a crash of the process alone it has nearly all. The number of keys written.
pub(crate) fn apply_missing(db: &sled::Db, writes: Vec<Write<'_>>) -> Result<u64, Fault> {
    let last: BTreeMap<_, _> = writes.into_iter().collect();
    let mut scratch = Vec::new();
    let mut written = 0;
    for (key, value) in last {
        if !is_there(db, (key, value), &mut scratch)? {
            apply_one(db, (key, value), &mut scratch)?;
            written += 1;
        }
    }
    Ok(written)
}

fn is_there(db: &sled::Db, (key, value): Write<'_>, scratch: &mut Vec<u8>) -> Result<bool, Fault> {
    let stored = guarded(|| db.get(key))?;
    if let Some(value) = value {
        envelope::seal(key, value, scratch);
    }
    Ok(stored.as_deref() == value.map(|_| scratch.as_slice()))
}

/// The value is copied into the scratch and from there into sled's own reference-counted buffer; sled
/// makes that copy of whatever it is given, even of a `Vec`.
fn apply_one(db: &sled::Db, (key, value): Write<'_>, scratch: &mut Vec<u8>) -> Result<(), Fault> {
    match value {
        Some(value) => {
            envelope::seal(key, value, scratch);
            guarded(|| db.insert(key, scratch.as_slice()))?;
        }
        None => {
            guarded(|| db.remove(key))?;
        }
    }
    Ok(())
}
