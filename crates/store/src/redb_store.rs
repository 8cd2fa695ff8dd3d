//! The store over redb: one table, one transaction a commit, durable when it returns.
//!
//! redb writes a page anew wherever it changes it, and checks its pages' checksums after a crash. What it
//! cannot tell is that its file went back to an earlier commit: so each commit is numbered, and the number is
//! kept beside the file too. What all rows come to is counted by each commit and checked at the opening.
//! redb's own check of a whole file would read it a second time.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use parking_lot::Mutex;
use redb::{Durability, ReadOnlyTable, ReadableDatabase, Table, TableDefinition};
use service::store::{Batch, Durable, Pair, Read, Store, StoreError};

use crate::ballast::Ballast;
use crate::checkpoint::{self, Checkpoint};
use crate::committed::Committed;
use crate::database::{Database, Identity};
use crate::envelope;
use crate::fault::{Fault, contained};
use crate::folder::{self, FolderLock, patiently};
use crate::limits;
use crate::meta::{self, Meta};
use crate::opening::{OpenOptions, StartCheck};
use crate::range;
use crate::redo::{self, Write};
use crate::room::Room;
use crate::salvage::{self, Found, Seen};
use crate::tally::Tally;

/// The database's name in the store's folder.
pub(crate) const FILE: &str = "rows.redb";

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

/// What a key may cost on disk besides its bytes: the pages from its leaf to the root, written anew.
const PAGES_A_KEY: u64 = 2 * 4096;

/// What opens a database that is there, or makes it.
trait Opener: Fn(&mut redb::Builder) -> Result<redb::Database, redb::DatabaseError> {}

impl<T: Fn(&mut redb::Builder) -> Result<redb::Database, redb::DatabaseError>> Opener for T {}

/// The rows, as a reader sees them at one moment.
type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A service's database in redb.
#[derive(Debug)]
pub struct RedbStore {
    db: redb::Database,
    writer: Mutex<Writer>,
    poison: OnceLock<String>,
    meta: Meta,
    /// What the rows had when the store was opened.
    live_bytes: u64,
    path: PathBuf,
    /// Where the rows lie, if not in a file of the folder.
    #[cfg(any(test, feature = "conformance"))]
    medium: Option<std::sync::Arc<dyn crate::Medium + Send + Sync>>,
    _lock: FolderLock,
}

/// What only the committing thread touches.
#[derive(Debug)]
struct Writer {
    room: Room,
    committed: Committed,
    reached: Checkpoint,
}

impl RedbStore {
    /// Opens the store, or makes it, as [`crate::SledStore::open`] does.
    pub fn open(options: OpenOptions) -> Result<RedbStore, StoreError> {
        let file = options.path.join(FILE);
        RedbStore::open_by(options, |builder| builder.create(&file))
    }

    fn open_by(options: OpenOptions, open: impl Opener) -> Result<RedbStore, StoreError> {
        let path = options.path.as_path();
        let lock = FolderLock::acquire(path)?;
        let mut ballast = Ballast::of(path);
        let db = open_with_ballast(&options, &lock, &mut ballast, open).map_err(|fault| fault.told(path))?;
        let (stored, reached) = own_records(&db).map_err(|fault| fault.told(path))?;
        check_acknowledged(reached, Committed::read(path))?;
        if options.check == StartCheck::EveryRow {
            check_rows(&db, reached).map_err(|fault| fault.told(path))?;
        }
        let meta = stored.unwrap_or(Meta {
            schema: options.schema,
            epoch: options.fresh_epoch,
            created: options.fresh_created.unwrap_or_else(|| lock.taken()),
        });
        meta.demand_known(options.schema)?;
        let store = RedbStore {
            db,
            writer: Mutex::new(Writer {
                room: Room::new(options.path.clone(), options.reserve_bytes, ballast),
                committed: Committed::begin(path, reached.next),
                reached,
            }),
            poison: OnceLock::new(),
            meta,
            live_bytes: reached.tally.bytes(),
            path: options.path.clone(),
            #[cfg(any(test, feature = "conformance"))]
            medium: None,
            _lock: lock,
        };
        if stored.is_none() {
            store.write(&[(meta::KEY, Some(&meta.encode()))])?;
            folder::sync_all(path).map_err(|error| Fault::from(error).told(path))?;
        }
        Ok(store)
    }

    fn live(&self) -> Result<&redb::Database, StoreError> {
        match self.poison.get() {
            None => Ok(&self.db),
            Some(cause) => Err(StoreError::Engine(format!(
                "closed since a failure, open it anew: {cause}"
            ))),
        }
    }

    /// Poisons the store, and says why.
    fn fail(&self, fault: Fault) -> StoreError {
        let error = fault.told(&self.path);
        tracing::error!(path = %self.path.display(), %error, "the store is closed until it is opened anew");
        // The first cause stays.
        let _ = self.poison.set(error.to_string());
        error
    }

    /// A failed read near `key`. Damage is named and leaves the store open.
    fn unread(&self, key: &[u8], fault: Fault) -> StoreError {
        match fault {
            Fault::Corrupt(_) => envelope::damaged(key, "its page or one on the way to it is damaged"),
            Fault::Panicked(_) => self.fail(fault),
            other => other.told(&self.path),
        }
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<Durable, StoreError> {
        let mut writer = self.writer.lock();
        let db = self.live()?;
        let keys = writes.len() as u64;
        writer.room.admit(redo::size(writes) + keys * PAGES_A_KEY, 0)?;
        let before = writer.reached;
        let reached = caught(|| transact(db, writes, before)).map_err(|fault| self.fail(fault))?;
        writer.reached = reached;
        writer.committed.note(reached.next);
        Ok(Durable::attest())
    }

    /// Hands records from `start` on to `visit`, until that breaks off.
    fn walk(
        &self,
        start: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let db = self.live()?;
        let mut at = start.to_vec();
        let open = || rows(db).and_then(|rows| Ok(rows.range::<&[u8]>(start..)?));
        let mut range = caught(open).map_err(|fault| self.unread(start, fault))?;
        loop {
            let next = caught(|| Ok(range.next().transpose()?)).map_err(|fault| self.unread(&at, fault))?;
            let Some((key, record)) = next else { return Ok(()) };
            at.clear();
            at.extend_from_slice(key.value());
            if !meta::is_own(&at) && visit(&at, record.value())?.is_break() {
                return Ok(());
            }
        }
    }
}

/// One transaction: the writes, and what all rows come to then.
fn transact(
    db: &redb::Database,
    writes: &[Write<'_>],
    before: Checkpoint,
) -> Result<Checkpoint, redb::Error> {
    let mut transaction = db.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    let mut reached = Checkpoint {
        generation: before.generation + 1,
        next: before.next + 1,
        tally: before.tally,
    };
    {
        let mut rows = transaction.open_table(ROWS)?;
        let mut scratch = Vec::new();
        for write in writes {
            put(&mut rows, *write, &mut reached, &mut scratch)?;
        }
        let own = reached.encode();
        envelope::seal(checkpoint::KEY, &own, &mut scratch);
        rows.insert(checkpoint::KEY, scratch.as_slice())?;
    }
    transaction.commit()?;
    Ok(reached)
}

fn put(
    rows: &mut Table<'_, &'static [u8], &'static [u8]>,
    (key, value): Write<'_>,
    reached: &mut Checkpoint,
    scratch: &mut Vec<u8>,
) -> Result<(), redb::Error> {
    let former = match value {
        Some(value) => {
            envelope::seal(key, value, scratch);
            reached.tally.add(key, scratch);
            rows.insert(key, scratch.as_slice())?
        }
        None => rows.remove(key)?,
    };
    if let Some(former) = former {
        reached.tally.remove(key, former.value());
    }
    Ok(())
}

fn rows(db: &redb::Database) -> Result<Rows, redb::Error> {
    Ok(db.begin_read()?.open_table(ROWS)?)
}

/// A full disk is answered with the ballast, once.
fn open_with_ballast(
    options: &OpenOptions,
    lock: &FolderLock,
    ballast: &mut Ballast,
    open: impl Opener,
) -> Result<redb::Database, Fault> {
    let open = || caught(|| Ok(open(&mut builder(options.cache_bytes))?));
    match patiently(|| lock.is_again(), open) {
        Err(Fault::Full) => {
            if ballast.is_aboard() {
                tracing::error!(path = %options.path.display(), "the disk is full; opening with the ballast's space");
            }
            ballast.release();
            patiently(|| true, open)
        }
        outcome => outcome,
    }
}

fn builder(cache_bytes: u64) -> redb::Builder {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(usize::try_from(cache_bytes).unwrap_or(usize::MAX));
    builder
}

/// Walks all rows, and checks that none is missing and none is an older one.
fn check_rows(db: &redb::Database, reached: Checkpoint) -> Result<(), Fault> {
    if reached == Checkpoint::default() {
        return Ok(());
    }
    let found = caught(|| {
        let mut found = Tally::default();
        for row in rows(db)?.range::<&[u8]>(..)? {
            let (key, record) = row?;
            found.add(key.value(), record.value());
        }
        Ok(found)
    })?;
    if found == reached.tally {
        return Ok(());
    }
    tracing::error!(
        found = found.rows(),
        expected = reached.tally.rows(),
        "rows in the database"
    );
    Err(Checkpoint::uncounted(FILE).into())
}

/// The store's own records; there are none in a new one.
fn own_records(db: &redb::Database) -> Result<(Option<Meta>, Checkpoint), Fault> {
    let (meta, checkpoint) = caught(|| {
        let rows = match db.begin_read()?.open_table(ROWS) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok((None, None)),
            rows => rows?,
        };
        let read = |key: &[u8]| Ok::<_, redb::Error>(rows.get(key)?.map(|record| record.value().to_vec()));
        Ok((read(meta::KEY)?, read(checkpoint::KEY)?))
    })?;
    let meta = meta.map(|record| Meta::decode(envelope::open(meta::KEY, &record)?));
    let checkpoint = checkpoint.map(|record| Checkpoint::open(&record));
    match (meta.transpose()?, checkpoint.transpose()?) {
        (None, Some(_)) => Err(envelope::damaged(meta::KEY, "it is missing").into()),
        (meta, checkpoint) => Ok((meta, checkpoint.unwrap_or_default())),
    }
}

/// Checks that the file ends no earlier than what was acknowledged.
fn check_acknowledged(reached: Checkpoint, committed: Option<u64>) -> Result<(), StoreError> {
    if committed.is_none_or(|number| number <= reached.next) {
        return Ok(());
    }
    Err(redo::damaged(
        FILE,
        "it ends before the last commit that was acknowledged",
    ))
}

/// The rows of a damaged store's file, as far as they can be read.
pub(crate) struct Wreck(redb::Database);

impl Wreck {
    /// Opens a copy, which redb may change.
    pub(crate) fn open(folder: &Path, cache_bytes: u64) -> Result<Wreck, Fault> {
        caught(|| Ok(builder(cache_bytes).create(folder.join(FILE))?)).map(Wreck)
    }

    /// The store's own records, where they can be read.
    pub(crate) fn own_records(&self) -> (Option<Meta>, Option<Checkpoint>) {
        let record = |key: &[u8]| self.next(key).ok().flatten().filter(|(found, _)| found == key);
        let meta = record(meta::KEY)
            .and_then(|(key, record)| Meta::decode(envelope::open(&key, &record).ok()?).ok());
        let checkpoint = record(checkpoint::KEY).and_then(|(_, record)| Checkpoint::open(&record).ok());
        (meta, checkpoint)
    }

    /// The first row from a key on.
    pub(crate) fn next(&self, from: &[u8]) -> Result<Found, Fault> {
        first_from(&self.0, from)
    }
}

fn first_from(db: &redb::Database, from: &[u8]) -> Result<Found, Fault> {
    caught(|| {
        let next = rows(db)?.range::<&[u8]>(from..)?.next().transpose()?;
        Ok(next.map(|(key, record)| (key.value().to_vec(), record.value().to_vec())))
    })
}

impl Read for RedbStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let db = self.live()?;
        if meta::is_own(key) {
            return Ok(None);
        }
        let record = caught(|| Ok(rows(db)?.get(key)?.map(|record| record.value().to_vec())));
        let record = record.map_err(|fault| self.unread(key, fault))?;
        record
            .map(|record| envelope::open(key, &record).map(<[u8]>::to_vec))
            .transpose()
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let mut found = Vec::new();
        if limit == 0 {
            return self.live().map(|_| found);
        }
        self.walk(&range::start(prefix, after), |key, record| {
            if !key.starts_with(prefix) {
                return Ok(ControlFlow::Break(()));
            }
            found.push((key.to_vec(), envelope::open(key, record)?.to_vec()));
            Ok(match found.len() < limit {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
        Ok(found)
    }
}

impl Store for RedbStore {
    fn commit(&self, batch: &Batch) -> Result<Durable, StoreError> {
        limits::check(batch)?;
        if batch.is_empty() {
            return self.live().map(|_| Durable::attest());
        }
        self.write(&batch.iter().collect::<Vec<_>>())
    }

    fn has_room(&self) -> Result<(), StoreError> {
        self.live()?;
        self.writer.lock().room.admit(0, 0)
    }

    fn epoch(&self) -> u64 {
        self.meta.epoch
    }

    fn verify(&self) -> Result<u64, StoreError> {
        let writer = self.writer.lock();
        let mut found = Tally::default();
        self.walk(b"", |key, record| {
            envelope::open(key, record)?;
            found.add(key, record);
            Ok(ControlFlow::Continue(()))
        })?;
        if found == writer.reached.tally {
            Ok(found.rows())
        } else {
            Err(Checkpoint::uncounted(FILE))
        }
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        let told = |error: io::Error| Fault::from(error).told(&self.path);
        #[cfg(any(test, feature = "conformance"))]
        if let Some(medium) = &self.medium {
            return medium.length().map_err(told);
        }
        Ok(fs::metadata(self.path.join(FILE)).map_err(told)?.len())
    }
}

impl Database for RedbStore {
    fn survey(&self, visit: &mut dyn FnMut(Seen<'_>)) -> Result<(), StoreError> {
        let db = self.live()?;
        salvage::walk(|from| first_from(db, from), visit);
        Ok(())
    }

    fn identity(&self) -> Identity {
        self.meta.into()
    }

    fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    fn log_bytes(&self) -> u64 {
        0
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Fault {
        match error {
            redb::Error::DatabaseAlreadyOpen => Fault::Locked,
            redb::Error::Io(error) => error.into(),
            redb::Error::Corrupted(what) => Fault::Corrupt(what),
            other => Fault::Other(other.to_string()),
        }
    }
}

/// Runs a call into redb; a panic in there becomes a fault.
fn caught<T>(call: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Fault> {
    contained(call)?.map_err(Fault::from)
}

#[cfg(any(test, feature = "conformance"))]
mod over_a_medium {
    use std::io;
    use std::sync::Arc;

    use service::store::StoreError;

    use super::RedbStore;
    use crate::{Medium, OpenOptions};

    /// redb's way to a medium.
    #[derive(Debug)]
    struct Backend<M>(M);

    impl<M: Medium + Send + Sync + 'static> redb::StorageBackend for Backend<M> {
        fn len(&self) -> io::Result<u64> {
            self.0.length()
        }

        fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
            self.0.read_at(bytes, at)
        }

        fn set_len(&self, length: u64) -> io::Result<()> {
            self.0.set_length(length)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.0.sync()
        }

        fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
            self.0.write_at(bytes, at)
        }
    }

    impl RedbStore {
        /// The same over another medium than a file. What lies beside the rows is in the folder all the same.
        pub fn open_over<M>(options: OpenOptions, medium: M) -> Result<RedbStore, StoreError>
        where
            M: Medium + Clone + Send + Sync + 'static,
        {
            let rows = medium.clone();
            let mut store = RedbStore::open_by(options, move |builder| {
                builder.create_with_backend(Backend(rows.clone()))
            })?;
            store.medium = Some(Arc::new(medium));
            Ok(store)
        }
    }
}
