//! What opening does with the redo log that the last process left.

use std::path::Path;

use crate::apply;
use crate::fault::{Fault, guarded};
use crate::folder;
use crate::journal::Journal;
use crate::redo::{self, Opened, Redo};

/// Brings what the log has beyond sled into sled and onto the disk. Until that is done nobody reads:
/// a record that only the operating system's cache held becomes durable before it is seen.
pub(crate) fn recover(db: &sled::Db, path: &Path) -> Result<Journal, Fault> {
    let (mut redo, bytes) = match Redo::open(path)? {
        Opened::Usable(redo, bytes) => (redo, bytes),
        Opened::Unusable(_) if is_empty(db)? => return begin(path),
        Opened::Unusable(reason) => return Err(redo::damaged(reason).into()),
    };
    let writes = redo.replay(&bytes)?;
    let mut journal = Journal::new(redo, path)?;
    let (logged, missing) = (writes.len(), apply::apply_missing(db, writes)?);
    journal.checkpoint(db)?;
    if logged > 0 {
        tracing::info!(path = %path.display(), logged, missing, "replayed the redo log");
    }
    Ok(journal)
}

/// A store has rows on disk before its first commit is acknowledged: one without any is new.
fn is_empty(db: &sled::Db) -> Result<bool, Fault> {
    Ok(guarded(|| db.iter().next().transpose())?.is_none())
}

fn begin(path: &Path) -> Result<Journal, Fault> {
    let redo = Redo::create(path)?;
    folder::sync(path)?;
    Ok(Journal::new(redo, path)?)
}
