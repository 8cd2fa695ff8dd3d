//! Opening a store: lock, snapshots, sled, metadata; and what is tried when one of them fails.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use service::store::{Store, StoreError};

use crate::ballast::Ballast;
use crate::engine::{SledStore, close_aside};
use crate::fault::{Fault, guarded};
use crate::folder::{self, FolderLock, patiently};
use crate::journal::Journal;
use crate::meta::{self, Meta};
use crate::recovery::{self, Left, Recovered};
use crate::repair;
use crate::room::Room;
use crate::rows::Rows;
use crate::tree::{SledTree, Tree};

/// sled moves any page over a quarter of a segment out of its log into a file that it does not
/// fsync. Two megabytes keep pages of 17 values of 30 KiB in the log.
const SEGMENT_BYTES: usize = 2 << 20;

/// Where a store lies and how it is kept.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The folder; made when it is missing.
    pub path: PathBuf,
    /// What sled's page cache aims for. Not a bound: a large batch takes more while it is applied.
    pub cache_bytes: u64,
    /// Commits are refused while the disk has less room than this. Zero turns the watch off.
    pub reserve_bytes: u64,
    /// The epoch of the store, if it is new; take it from the operating system's randomness.
    pub fresh_epoch: u64,
    /// When the store was made, if it is new and stands for an older one: seconds since 1970.
    pub fresh_created: Option<u64>,
    /// The newest schema this binary knows; the schema of the store, if it is new.
    pub schema: u32,
    /// What is read before the store is served from.
    pub check: StartCheck,
    /// [`crate::Engine::open`] writes a store anew that takes more than this many bytes on disk for each of
    /// its rows'. Zero turns that off. A database that sled has just written in the order of its keys takes four to five:
    /// less than that would be written anew at each start, for nothing.
    pub compact_above: u32,
}

/// What opening reads to be sure of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StartCheck {
    /// Every row, to be sure that none is missing: two to three seconds for a million.
    #[default]
    EveryRow,
    /// The logs, and where the database ends.
    Ends,
}

impl FromStr for StartCheck {
    type Err = String;

    fn from_str(word: &str) -> Result<StartCheck, String> {
        match word {
            "rows" => Ok(StartCheck::EveryRow),
            "ends" => Ok(StartCheck::Ends),
            _ => Err(format!("`{word}` is no check; there are `rows` and `ends`")),
        }
    }
}

impl OpenOptions {
    /// The defaults: 64 MiB of cache, since four services share a small machine, and 64 MiB of reserve,
    /// which is what a large batch and sled's rewriting may need at once.
    pub fn new(path: impl Into<PathBuf>, fresh_epoch: u64, schema: u32) -> OpenOptions {
        OpenOptions {
            path: path.into(),
            cache_bytes: 64 << 20,
            reserve_bytes: 64 << 20,
            fresh_epoch,
            fresh_created: None,
            schema,
            check: StartCheck::default(),
            compact_above: 8,
        }
    }
}

impl SledStore {
    /// Opens the store, or makes it. Waits up to two seconds for a lock that this process is about to
    /// let go; refuses at once when another one holds it.
    pub fn open(options: OpenOptions) -> Result<SledStore, StoreError> {
        let path = options.path.as_path();
        let lock = FolderLock::acquire(path)?;
        let mut ballast = Ballast::of(path);
        let started = start_with_remedies(&options, &lock, &mut ballast)?;
        let stored = stored_meta(&started.rows)?;
        let new = stored.is_none();
        let meta = stored.unwrap_or(Meta {
            schema: options.schema,
            epoch: options.fresh_epoch,
            created: options.fresh_created.unwrap_or_else(|| lock.taken()),
        });
        meta.demand_known(options.schema)?;
        let room = Room::new(options.path.clone(), options.reserve_bytes, ballast);
        let live_bytes = started.found.tally.bytes();
        let journal = Journal::start(&started.rows, started.found, room.watch());
        let journal = journal.map_err(|fault| fault.told(path))?;
        let store = SledStore::assemble(started.rows, journal, lock, room, meta, live_bytes, &options);
        if new {
            store.write_meta()?;
            folder::sync_all(path).map_err(|error| Fault::from(error).told(path))?;
        }
        if started.repaired {
            report_repair(&store, path)?;
        }
        Ok(store)
    }
}

struct Started {
    rows: Arc<Rows>,
    found: Recovered,
    repaired: bool,
}

/// Starts sled and replays the redo logs. A full disk is answered with the ballast, once.
fn start_with_remedies(
    options: &OpenOptions,
    lock: &FolderLock,
    ballast: &mut Ballast,
) -> Result<Started, StoreError> {
    let path = options.path.as_path();
    let outcome = match start(options, lock.is_again()) {
        Err(Fault::Full) => {
            if ballast.is_aboard() {
                tracing::error!(path = %path.display(), "the disk is full; opening with the ballast's space");
            }
            ballast.release();
            // What was started first may be letting go late.
            start(options, true)
        }
        outcome => outcome,
    };
    outcome.map_err(|fault| fault.told(path))
}

fn start(options: &OpenOptions, patient: bool) -> Result<Started, Fault> {
    let (tree, repaired) = match open_sled(options, patient) {
        Ok(tree) => (tree, false),
        Err(Fault::Corrupt(what)) => (open_without_snapshots(options, what)?, true),
        Err(fault) => return Err(fault),
    };
    let path = options.path.as_path();
    let recovered = Left::read(path)
        .and_then(|left| recovery::recover(&tree, left, options.check, || recovery::begin(path)));
    match recovered {
        Ok((found, layers)) => Ok(Started {
            rows: Arc::new(Rows::new(tree, layers, path)),
            found,
            repaired,
        }),
        Err(fault) => {
            close_aside(move || drop(tree), path);
            Err(fault)
        }
    }
}

fn open_sled(options: &OpenOptions, patient: bool) -> Result<SledTree, Fault> {
    repair::drop_unfinished(&options.path)?;
    let config = sled::Config::new()
        .path(&options.path)
        .cache_capacity(options.cache_bytes)
        .flush_every_ms(None)
        .segment_size(SEGMENT_BYTES);
    let db = patiently(|| patient, || guarded(|| config.open()))?;
    SledTree::over(db, &options.path)
}

/// Sets a damaged snapshot aside and opens again, once.
fn open_without_snapshots(options: &OpenOptions, what: String) -> Result<SledTree, Fault> {
    let path = options.path.as_path();
    let Some(aside) = repair::set_snapshots_aside(path)? else {
        return Err(Fault::Corrupt(what));
    };
    tracing::error!(
        path = %path.display(),
        aside = %aside.display(),
        %what,
        "the database did not open; its snapshots are set aside and it is rebuilt from its log"
    );
    open_sled(options, true)
}

/// Opens sled on a copy of a damaged store, without its snapshots if it must.
pub(crate) fn open_wreck(options: &OpenOptions) -> Result<SledTree, Fault> {
    match open_sled(options, false) {
        Err(Fault::Corrupt(what)) => open_without_snapshots(options, what),
        outcome => outcome,
    }
}

/// The store's metadata; `None` when it is new. Rows without it are not taken for a new store.
pub(crate) fn stored_meta<T: Tree>(rows: &Rows<T>) -> Result<Option<Meta>, StoreError> {
    if let Some(payload) = rows.get(meta::KEY)? {
        return Meta::decode(&payload).map(Some);
    }
    let mut is_empty = true;
    rows.walk(Vec::new(), |_| {
        is_empty = false;
        Ok(false)
    })?;
    if is_empty {
        return Ok(None);
    }
    Err(crate::envelope::damaged(meta::KEY, "it is missing"))
}

fn report_repair(store: &SledStore, path: &Path) -> Result<(), StoreError> {
    let records = store.verify()?;
    tracing::error!(path = %path.display(), records, "rebuilt from the log; every record's checksum fits");
    Ok(())
}
