//! The redo logs: what was committed and is not yet in sled for certain.
//!
//! Two files, used in turn: while what is in the full one is brought into sled, the other takes the
//! commits. Each is written in place. Two header blocks, used in turn as well, name the *generation*
//! and its secret *stamp*; behind them lie the generation's records, one a commit, each with the
//! stamp, its number and a checksum over all of it. A new generation makes every older record void by
//! one small write, so the file is neither cut nor allocated anew, and a sync of it carries no
//! metadata. Generations count up over both files, and so do records, for the store's whole life: a
//! full log that has lost its end is found out, and so is one that ends before what was acknowledged.
//!
//! A file grows before anything is written there, and its header then says how long it is at least: one
//! that was cut is found out. Between the headers and the records lies the *turn* block: that the
//! bringing of this log into sled has begun, and what all rows come to that it leaves alone.

mod header;
mod medium;
mod record;
mod scan;
mod turn;
mod wreck;

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use service::{
    planted::{self, Mistake},
    store::StoreError,
};

use crate::fault::Fault;
use crate::tally::Tally;
use header::{Generation, Header};
pub use medium::Medium;
pub(crate) use record::{Recorded, Write, key_at, size, write_at};
pub(crate) use wreck::{Commit, salvage};

/// The logs' names in the store's folder.
pub(crate) const FILES: [&str; 2] = ["redo", "redo-2"];

/// The turn block lies behind the two headers.
const TURN: u64 = 2 * header::BLOCK;

/// Where the records begin.
const RECORDS: u64 = 3 * header::BLOCK;

/// A log is full when a record would let it outgrow this. It also bounds what is held in memory.
pub(crate) const TARGET_BYTES: u64 = 8 << 20;

/// The file grows by this much, so that most commits find their blocks allocated.
const STEP_BYTES: u64 = 256 << 10;

/// What is wrong with a log that lacks commits.
pub(crate) const ENDS_EARLY: &str = "it ends before the last commit that was acknowledged";

/// One of the two open logs of a store.
#[derive(Debug)]
pub(crate) struct Redo<M = File> {
    name: &'static str,
    file: M,
    header: Header,
    /// The number of the generation's first record.
    first: u64,
    /// How many records the generation has.
    records: u64,
    /// Where the next record goes.
    end: u64,
    /// How long the file is.
    length: u64,
    /// What all rows come to that this log leaves alone, once its turn to be brought into sled has begun.
    turn: Option<Tally>,
}

/// What a log file turned out to be.
pub(crate) enum Opened<M = File> {
    /// There is none, or none that was ever finished or can still be read.
    Unusable(&'static str),
    /// A log, and the bytes of its file, from which [`Redo::replay`] reads.
    Usable(Redo<M>, Vec<u8>),
}

/// Why an append failed.
pub(crate) enum AppendError {
    /// Nothing is left of it in the log.
    Undone(Fault),
    /// What is in the log now is not known.
    Unknown(Fault),
}

impl Redo {
    /// Makes an empty log whose generation is above `number`. The caller fsyncs the folder.
    pub(crate) fn create(folder: &Path, name: &'static str, number: u64) -> io::Result<Redo> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(folder.join(name))?;
        let redo = Redo::create_on(file, name, number)?;
        redo.file.sync_all()?;
        Ok(redo)
    }

    /// Opens the log of this name in `folder`.
    pub(crate) fn open(folder: &Path, name: &'static str) -> Result<Opened, Fault> {
        let file = match File::options().read(true).write(true).open(folder.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Opened::Unusable("it is missing"));
            }
            Err(error) => return Err(error.into()),
        };
        Redo::open_on(file, name)
    }
}

impl<M: Medium> Redo<M> {
    /// Makes an empty log whose generation is above `number`, and a void one before that.
    pub(crate) fn create_on(file: M, name: &'static str, number: u64) -> io::Result<Redo<M>> {
        let numbered = |number| Generation {
            number,
            stamp: file.stamp(),
        };
        let (void, generation) = (numbered(number), numbered(number + 1));
        let older = Header {
            generation: void,
            length: STEP_BYTES,
            offset: 0,
        };
        let header = older.succeeded_by(generation, STEP_BYTES);
        file.write_at(&vec![0; STEP_BYTES as usize], 0)?;
        file.write_at(&older.encode(), older.offset)?;
        file.write_at(&header.encode(), header.offset)?;
        file.sync()?;
        Ok(Redo::from_parts(name, file, header, STEP_BYTES))
    }

    /// The log in a file that is open.
    pub(crate) fn open_on(file: M, name: &'static str) -> Result<Opened<M>, Fault> {
        let bytes = file.read_all()?;
        let Some(header) = header::newest(name, &bytes, RECORDS)? else {
            return Ok(Opened::Unusable("both of its headers are damaged"));
        };
        if (bytes.len() as u64) < header.length {
            return Err(damaged(name, "it has been cut short").into());
        }
        let mut redo = Redo::from_parts(name, file, header, bytes.len() as u64);
        redo.turn = turn::read(&bytes, TURN, header.generation);
        Ok(Opened::Usable(redo, bytes))
    }

    fn from_parts(name: &'static str, file: M, header: Header, length: u64) -> Redo<M> {
        Redo {
            name,
            file,
            header,
            first: 0,
            records: 0,
            end: RECORDS,
            length,
            turn: None,
        }
    }

    /// The writes of every whole record in `bytes`, in the order of the commits. What follows the last
    /// one must be the torn record of a commit that was never acknowledged; the next record takes its
    /// place.
    pub(crate) fn replay<'a>(&mut self, bytes: &'a [u8]) -> Result<Vec<Write<'a>>, StoreError> {
        let found = scan::scan(self.name, bytes, RECORDS as usize, self.header.generation)?;
        self.first = found.first;
        self.records = found.records;
        self.end = found.end as u64;
        Ok(found.writes)
    }

    /// Checks that this log goes on where `older` ends. Generations alternate, so one that is not the
    /// next has been read from a header that was void.
    pub(crate) fn check_follows(&self, older: &Redo<M>) -> Result<(), StoreError> {
        if self.number() != older.number() + 1 {
            return Err(damaged(older.name, "one of its headers is damaged"));
        }
        if self.is_empty() || (!older.is_empty() && older.next() == self.first) {
            return Ok(());
        }
        Err(scan::damaged_record(
            older.name,
            older.records,
            "it does not fit its checksum, and the other log goes on from it",
        ))
    }

    /// Its file's name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The generation's number.
    pub(crate) fn number(&self) -> u64 {
        self.header.generation.number
    }

    /// Whether nothing has been written since the last generation began.
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The number of the generation's first record.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The number of the record that comes next.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.records
    }

    /// Gives an empty log the number of its first record.
    pub(crate) fn begin_with(&mut self, number: u64) {
        self.first = number;
    }

    /// Where the next record goes.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Whether a record of `bytes` should go into the other log, since this one would outgrow `limit`. One larger
    /// than a log goes into an empty one.
    pub(crate) fn is_full(&self, bytes: u64, limit: u64) -> bool {
        !self.is_empty() && self.end + bytes > limit
    }

    /// Writes the record of `writes`, and returns it. It is on disk only after [`Self::sync`].
    pub(crate) fn append(&mut self, writes: &[Write<'_>]) -> Result<Recorded, AppendError> {
        let record = record::encode(self.header.generation, self.next(), writes);
        let end = self.end + record.len() as u64;
        let written = self.grow(end);
        match written.and_then(|()| self.file.write_at(&record, self.end)) {
            Ok(()) => {
                self.end = end;
                self.records += 1;
                Ok(Recorded::record(record))
            }
            Err(error) => Err(self.undo(error)),
        }
    }

    /// Makes room for a record that ends beyond the file's end. The header that tells of the new length
    /// is written when that is on disk, and gets there with the record.
    fn grow(&mut self, end: u64) -> io::Result<()> {
        if end <= self.length {
            return Ok(());
        }
        let length = end.next_multiple_of(STEP_BYTES);
        // In one step, so that no crash leaves a length in between.
        self.file.set_length(length)?;
        let zeros = vec![0; (length - self.length) as usize];
        self.file.write_at(&zeros, self.length)?;
        self.file.sync()?;
        self.length = length;
        self.write_header(self.header.generation, length)
    }

    /// Voids what a failed write may have left.
    fn undo(&self, error: io::Error) -> AppendError {
        let undone = self.file.set_length(self.length).and_then(|()| {
            let stale = self.length.saturating_sub(self.end).min(record::HEADER as u64);
            self.file.write_at(&vec![0; stale as usize], self.end)
        });
        match undone {
            Ok(()) => AppendError::Undone(error.into()),
            Err(_) => AppendError::Unknown(error.into()),
        }
    }

    /// Makes what was written outlive a power cut.
    pub(crate) fn sync(&self) -> io::Result<()> {
        if planted::is(Mistake::SyncSkipped) {
            return Ok(());
        }
        self.file.sync()
    }

    /// What all rows come to that this log leaves alone; `None` until [`Self::begin_turn`].
    pub(crate) fn turn(&self) -> Option<Tally> {
        self.turn
    }

    /// Says, on disk, that from now on sled may hold some of this log's writes and not others, and that
    /// all `rest` of its rows are to stay as they are.
    pub(crate) fn begin_turn(&mut self, rest: Tally) -> io::Result<()> {
        self.file
            .write_at(&turn::encode(self.header.generation, rest), TURN)?;
        self.sync()?;
        self.turn = Some(rest);
        Ok(())
    }

    /// Begins a new generation with a number above `number`, which voids every record there is. Only
    /// when all of them are in sled and on disk; and to be synced before the next append.
    pub(crate) fn renew(&mut self, number: u64) -> io::Result<()> {
        let length = self.length.min(TARGET_BYTES);
        let generation = Generation {
            number: number.max(self.number()) + 1,
            stamp: self.file.stamp(),
        };
        self.write_header(generation, length)?;
        self.first = 0;
        self.records = 0;
        self.end = RECORDS;
        self.turn = None;
        Ok(())
    }

    fn write_header(&mut self, generation: Generation, length: u64) -> io::Result<()> {
        let header = self.header.succeeded_by(generation, length);
        self.file.write_at(&header.encode(), header.offset)?;
        self.header = header;
        Ok(())
    }

    /// Gives back what a record larger than the log has taken. Only after a synced [`Self::renew`].
    pub(crate) fn trim(&mut self) -> io::Result<()> {
        if self.length > TARGET_BYTES {
            self.file.set_length(TARGET_BYTES)?;
            self.length = TARGET_BYTES;
        }
        Ok(())
    }

    /// Reads the file again and checks that it holds what was written.
    pub(crate) fn verify(&self) -> Result<(), Fault> {
        let bytes = self.file.read_all()?;
        let newest = header::newest(self.name, &bytes, RECORDS)?;
        if newest.map(|header| header.generation) != Some(self.header.generation) {
            return Err(damaged(self.name, "its header is not what was written").into());
        }
        let found = scan::scan(self.name, &bytes, RECORDS as usize, self.header.generation)?;
        if (found.records, found.end as u64) != (self.records, self.end) {
            let reason = "it is not what was written";
            return Err(scan::damaged_record(self.name, found.records, reason).into());
        }
        Ok(())
    }
}

/// The error that names the log.
pub(crate) fn damaged(name: &str, reason: &'static str) -> StoreError {
    StoreError::Damaged {
        key: name.to_owned(),
        reason,
    }
}
