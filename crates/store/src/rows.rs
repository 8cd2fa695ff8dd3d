//! The rows as everybody sees them: what is in the database, under what is on its way there. Shared by
//! readers, the committing thread and the applier.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use itertools::{EitherOrBoth, Itertools};
use parking_lot::RwLock;
use service::store::{Pair, StoreError};

use crate::checkpoint::{self, Checkpoint};
use crate::envelope;
use crate::failpoint::Failpoints;
use crate::fault::Fault;
use crate::layers::{Layer, Layers};
use crate::redo::{Recorded, Write};
use crate::tree::{SledTree, Stored, Tree};
use crate::{census, meta, range};

/// How many records a walk reads between two commits' turns.
const STRETCH: usize = 256;

/// One store's rows.
#[derive(Debug)]
pub(crate) struct Rows<T = SledTree> {
    tree: T,
    /// Held for reading through a stretch of a walk, so that a walk sees all of a commit or nothing,
    /// and so that no layer goes which it still needs.
    pub(crate) layers: RwLock<Layers>,
    poison: OnceLock<String>,
    pub(crate) path: PathBuf,
    pub(crate) points: Failpoints,
}

/// A record on its way to a reader.
pub(crate) enum Record<'a, B> {
    /// In memory.
    Pending(Write<'a>),
    /// In the database, in its envelope.
    Stored(B, B),
}

impl<B: AsRef<[u8]>> Record<'_, B> {
    /// The key.
    pub(crate) fn key(&self) -> &[u8] {
        match self {
            Record::Pending((key, _)) => key,
            Record::Stored(key, _) => key.as_ref(),
        }
    }

    /// The value, its checksum found right.
    pub(crate) fn payload(&self) -> Result<&[u8], StoreError> {
        match self {
            Record::Pending((_, value)) => Ok(value.unwrap_or_default()),
            Record::Stored(key, record) => envelope::open(key.as_ref(), record.as_ref()),
        }
    }

    /// Whether there is something to see: not a removal, and not one of the store's own records.
    fn is_visible(&self) -> bool {
        !matches!(self, Record::Pending((_, None))) && !meta::is_own(self.key())
    }
}

impl<T: Tree> Rows<T> {
    /// Of the store in `path`.
    pub(crate) fn new(tree: T, layers: Layers, path: &Path) -> Rows<T> {
        Rows {
            tree,
            layers: RwLock::new(layers),
            poison: OnceLock::new(),
            path: path.to_owned(),
            points: Failpoints::default(),
        }
    }

    /// The database, unless the store is poisoned.
    pub(crate) fn live(&self) -> Result<&T, StoreError> {
        match self.poison.get() {
            None => Ok(&self.tree),
            Some(cause) => Err(StoreError::Engine(format!(
                "closed since a failure, open it anew: {cause}"
            ))),
        }
    }

    /// Whether a failure has closed the store.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison.get().is_some()
    }

    /// Poisons the store, and says why.
    pub(crate) fn fail(&self, fault: Fault) -> StoreError {
        let error = fault.told(&self.path);
        tracing::error!(path = %self.path.display(), %error, "the store is closed until it is opened anew");
        // The first cause stays.
        let _ = self.poison.set(error.to_string());
        error
    }

    /// A failed read near `key`. Damage is named and leaves the store open; a panic closes it.
    fn unread(&self, key: &[u8], fault: Fault) -> StoreError {
        match fault {
            Fault::Corrupt(_) => envelope::damaged(key, "its page or one on the way to it is damaged"),
            Fault::Panicked(_) => self.fail(fault),
            other => other.told(&self.path),
        }
    }

    /// The payload under `key`, whoever's it is.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let tree = self.live()?;
        if let Some(pending) = self.layers.read().get(key) {
            return Ok(pending.map(<[u8]>::to_vec));
        }
        // What was in no layer then is in the database by now, or came later.
        let record = tree.get(key).map_err(|fault| self.unread(key, fault))?;
        let payload = record.map(|record| envelope::open(key, record.as_ref()).map(<[u8]>::to_vec));
        payload.transpose()
    }

    /// What a reader finds under `key`: the store's own records are not for him.
    pub(crate) fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match meta::is_own(key) {
            true => self.live().map(|_| None),
            false => self.get(key),
        }
    }

    /// At most `limit` rows whose key begins with `prefix` and comes after `after`, in order.
    pub(crate) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        let mut found = Vec::new();
        if limit == 0 {
            return self.live().map(|_| found);
        }
        self.walk(range::start(prefix, after), |record| {
            if !record.key().starts_with(prefix) {
                return Ok(false);
            }
            found.push((record.key().to_vec(), record.payload()?.to_vec()));
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    /// Hands every record from `start` on to `visit`, until that returns `false`. Commits get their
    /// turn after every stretch, so a walk longer than that is no point in time.
    pub(crate) fn walk(
        &self,
        mut start: Vec<u8>,
        mut visit: impl FnMut(&Record<'_, T::Bytes>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        while self.stretch(&mut start, &mut visit)? {}
        Ok(())
    }

    /// Walks one stretch and moves `start` behind it; whether there may be more. The database is asked anew
    /// each time: sled's iterators keep a copy of the leaf they are in, which lacks what has been brought
    /// in since.
    fn stretch(
        &self,
        start: &mut Vec<u8>,
        visit: &mut impl FnMut(&Record<'_, T::Bytes>) -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        let layers = self.layers.read();
        let tree = self.live()?;
        let from = start.clone();
        let mut met = 0;
        for record in merged(&layers, tree, &from).take(STRETCH) {
            let record = record.map_err(|fault| self.unread(start, fault))?;
            if record.is_visible() && !visit(&record)? {
                return Ok(false);
            }
            start.clear();
            start.extend_from_slice(record.key());
            met += 1;
        }
        start.push(0);
        Ok(met == STRETCH)
    }

    /// Shows readers what a commit has written.
    pub(crate) fn show(&self, recorded: &Recorded) {
        self.layers.write().fresh.take(recorded);
    }

    /// Sets what is in the full log apart.
    pub(crate) fn freeze(&self) -> Arc<Layer> {
        self.layers.write().freeze()
    }

    /// Forgets the frozen layer, all of which the database has.
    pub(crate) fn settle(&self) {
        let settled = self.layers.write().frozen.take();
        // Freed outside the lock.
        drop(settled);
    }

    /// Checks that what sled has is all that it was given. Only while nothing is on its way there.
    pub(crate) fn check_tally(&self) -> Result<(), StoreError> {
        let tree = self.live()?;
        let found = census::of(tree, |_| true).and_then(|found| Ok((found, Checkpoint::read(tree)?.tally)));
        match found.map_err(|fault| self.unread(b"", fault))? {
            (found, expected) if found == expected => Ok(()),
            _ => Err(Checkpoint::uncounted(checkpoint::DATABASE)),
        }
    }

    /// What sled has yet to take in, in bytes.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.layers.read().bytes()
    }
}

/// Everything from `start` on in key order, removals included; the layers hide what the database has.
fn merged<'a, T: Tree>(
    layers: &'a Layers,
    tree: &'a T,
    start: &'a [u8],
) -> impl Iterator<Item = Result<Record<'a, T::Bytes>, Fault>> {
    layers
        .range(start)
        .merge_join_by(
            tree.range(start),
            |pending, stored: &Stored<T::Bytes>| match stored {
                Ok((key, _)) => pending.0.cmp(key.as_ref()),
                Err(_) => std::cmp::Ordering::Greater,
            },
        )
        .map(|either| match either {
            EitherOrBoth::Left(pending) | EitherOrBoth::Both(pending, _) => Ok(Record::Pending(pending)),
            EitherOrBoth::Right(stored) => stored.map(|(key, record)| Record::Stored(key, record)),
        })
}
