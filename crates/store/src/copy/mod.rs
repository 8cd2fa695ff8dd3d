//! Copying a store while it is written to.
//!
//! ```text
//! begin ─► all rows, page by page, as they are met ─► cut ─► all writes from begin to cut, in order
//!   └────────── every commit is also noted beside ──────┘
//! ```
//!
//! A row that was met early may have changed since, but then its last write is among those noted. So rows and
//! then writes come to what the store was at the cut, which lies between two commits. Commits wait for nothing
//! but one write into the page cache; memory holds one page.

mod chunk;
mod spool;
mod wire;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use service::store::{Batch, Durable, Pair, Read as Rows, Store, StoreError};

pub use self::chunk::{Change, Chunk, changes};
use self::spool::Spool;
pub use self::wire::{CopyError, Incoming, Side};
use crate::database::{Database, Identity};

/// Rows read at once: 8 MiB, were all as large as can be.
const PAGE: usize = 128;

/// What a copy says of itself at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Rows met.
    pub rows: u64,
    /// Writes noted between begin and cut.
    pub writes: u64,
}

/// A store whose commits can be noted beside.
pub struct Tapped {
    store: Arc<dyn Database>,
    /// Held through a commit, so that a copy begins and is cut between two.
    spool: Mutex<Option<Spool>>,
}

impl Tapped {
    /// The store, ready to be copied.
    pub fn new(store: Arc<dyn Database>) -> Tapped {
        Tapped {
            store,
            spool: Mutex::new(None),
        }
    }

    /// What the store says of itself.
    pub fn identity(&self) -> Identity {
        self.store.identity()
    }

    fn begin(&self, folder: &Path) -> Result<(), CopyError> {
        let mut spool = self.spool.lock();
        if spool.is_some() {
            return Err(CopyError::Busy);
        }
        *spool = Some(Spool::begin(folder)?);
        Ok(())
    }

    fn cut(&self) -> Result<Spool, CopyError> {
        self.spool.lock().take().ok_or(CopyError::Gone)
    }
}

/// Ends what was noted when a copy ends early.
struct Noting<'a>(&'a Weak<Tapped>);

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        if let Some(store) = self.0.upgrade() {
            store.spool.lock().take();
        }
    }
}

/// Sends a copy of a store: its rows, then, when `cut` gives a byte, what was written meanwhile. The store is
/// held for a page at a time only, so that its service can close it. What is noted goes to a file below `folder`
/// that has no name.
pub fn send(
    store: &Weak<Tapped>,
    folder: &Path,
    mut out: impl Write,
    mut cut: impl Read,
) -> Result<Copied, CopyError> {
    let sent = send_all(store, folder, &mut out, &mut cut);
    if let Err(error) = &sent {
        // Whoever listens is told, if he still does.
        let _ = wire::say_error(&mut out, error);
    }
    sent
}

fn send_all(
    store: &Weak<Tapped>,
    folder: &Path,
    out: &mut impl Write,
    cut: &mut impl Read,
) -> Result<Copied, CopyError> {
    let held = || store.upgrade().ok_or(CopyError::Gone);
    held()?.begin(folder)?;
    let noting = Noting(store);
    wire::say_identity(out, held()?.identity())?;
    let (mut copied, mut after, mut chunk) = (Copied::default(), None::<Vec<u8>>, Chunk::default());
    loop {
        let page = held()?.store.scan(b"", after.as_deref(), PAGE)?;
        copied.rows += page.len() as u64;
        for (key, value) in &page {
            chunk.add(key, Some(value));
            if chunk.is_full() {
                wire::say_rows(out, &chunk.take())?;
            }
        }
        match page.into_iter().next_back() {
            Some((key, _)) => after = Some(key),
            None => break,
        }
    }
    wire::say_rows(out, &chunk.take())?;
    wire::say_rows_end(out)?;
    wire::await_cut(cut)?;
    let mut spool = held()?.cut()?;
    drop(noting);
    spool.each(&mut |bytes| wire::say_writes(out, bytes))?;
    copied.writes = spool.count();
    wire::say_end(out, copied)?;
    Ok(copied)
}

impl Rows for Tapped {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.store.scan(prefix, after, limit)
    }
}

impl Store for Tapped {
    fn commit(&self, batch: &Batch) -> Result<Durable, StoreError> {
        let mut spool = self.spool.lock();
        let durable = self.store.commit(batch)?;
        if let Some(spool) = spool.as_mut() {
            spool.note(batch);
        }
        Ok(durable)
    }

    fn has_room(&self) -> Result<(), StoreError> {
        self.store.has_room()
    }

    fn epoch(&self) -> u64 {
        self.store.epoch()
    }

    fn verify(&self) -> Result<u64, StoreError> {
        self.store.verify()
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        self.store.size_on_disk()
    }
}
