//! The redo log: what was committed and is not yet in sled for certain.
//!
//! One file, written in place. Two header blocks, used in turn, name the *generation* and its secret
//! *stamp*; behind them lie the generation's records, one a commit, each with the stamp, its number
//! and a checksum over all of it. A new generation makes every older record void by one small write,
//! so the file is neither cut nor allocated anew, and a sync of it carries no metadata.

mod header;
mod record;
mod scan;

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use service::store::StoreError;

use crate::fault::Fault;
use header::Generation;
pub(crate) use record::{Write, size};

/// The log's name in the store's folder.
pub(crate) const FILE: &str = "redo";

/// Where the records begin, behind the two header blocks.
const RECORDS: u64 = 2 * header::BLOCK;

/// A checkpoint is due when the log would outgrow this. Larger ones made commits no cheaper, and this
/// much is replayed in about a second.
const TARGET_BYTES: u64 = 8 << 20;

/// The file grows by this much, so that most commits find their blocks allocated.
const STEP_BYTES: u64 = 256 << 10;

/// A buffer that a large batch has grown beyond this is given back.
const KEPT_BUFFER_BYTES: usize = 1 << 20;

/// The open log of one store.
#[derive(Debug)]
pub(crate) struct Redo {
    file: File,
    generation: Generation,
    /// How many records the generation has.
    records: u64,
    /// Where the next record goes.
    end: u64,
    /// How long the file is.
    length: u64,
    buffer: Vec<u8>,
}

/// What a log file turned out to be.
pub(crate) enum Opened {
    /// There is none, or none that was ever finished or can still be read.
    Unusable(&'static str),
    /// A log, and the bytes of its file, from which [`Redo::replay`] reads.
    Usable(Redo, Vec<u8>),
}

/// Why an append failed.
pub(crate) enum AppendError {
    /// Nothing is left of it in the log.
    Undone(Fault),
    /// What is in the log now is not known.
    Unknown(Fault),
}

impl Redo {
    /// Makes an empty log. The caller fsyncs the folder.
    pub(crate) fn create(folder: &Path) -> io::Result<Redo> {
        let path = folder.join(FILE);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        let older = Generation::first();
        let generation = older.next();
        file.set_len(RECORDS)?;
        file.write_all_at(&older.encode(), older.offset())?;
        file.write_all_at(&generation.encode(), generation.offset())?;
        file.sync_all()?;
        Ok(Redo {
            file,
            generation,
            records: 0,
            end: RECORDS,
            length: RECORDS,
            buffer: Vec::new(),
        })
    }

    /// Opens the log in `folder`.
    pub(crate) fn open(folder: &Path) -> Result<Opened, Fault> {
        let path = folder.join(FILE);
        let file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Opened::Unusable("it is missing"));
            }
            Err(error) => return Err(error.into()),
        };
        let bytes = read_whole(&file)?;
        let Some(generation) = header::newest(&bytes, RECORDS)? else {
            return Ok(Opened::Unusable("both of its headers are damaged"));
        };
        let redo = Redo {
            file,
            generation,
            records: 0,
            end: RECORDS,
            length: bytes.len() as u64,
            buffer: Vec::new(),
        };
        Ok(Opened::Usable(redo, bytes))
    }

    /// The writes of every whole record in `bytes`, in the order of the commits. What follows the last
    /// one must be the torn record of a commit that was never acknowledged.
    pub(crate) fn replay<'a>(&mut self, bytes: &'a [u8]) -> Result<Vec<Write<'a>>, StoreError> {
        let found = scan::scan(bytes, RECORDS as usize, self.generation)?;
        self.records = found.records;
        self.end = found.end as u64;
        Ok(found.writes)
    }

    /// Whether nothing has been written since the last generation began.
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Whether a record of `bytes` should wait for a checkpoint. One larger than the log goes into an
    /// empty one.
    pub(crate) fn is_due(&self, bytes: u64) -> bool {
        !self.is_empty() && self.end + bytes > TARGET_BYTES
    }

    /// Writes the record of `writes`. It is on disk only after [`Self::sync`].
    pub(crate) fn append(&mut self, writes: &[Write<'_>]) -> Result<(), AppendError> {
        record::encode(self.generation, self.records, writes, &mut self.buffer);
        let record_end = self.end + self.buffer.len() as u64;
        if record_end > self.length {
            let padded = record_end.next_multiple_of(STEP_BYTES) - self.end;
            self.buffer.resize(padded as usize, 0);
        }
        let write_end = self.end + self.buffer.len() as u64;
        let written = self.file.write_all_at(&self.buffer, self.end);
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER_BYTES);
        match written {
            Ok(()) => {
                self.length = self.length.max(write_end);
                self.end = record_end;
                self.records += 1;
                Ok(())
            }
            Err(error) => Err(self.undo(error)),
        }
    }

    /// Voids what a failed write may have left.
    fn undo(&self, error: io::Error) -> AppendError {
        let undone = self.file.set_len(self.length).and_then(|()| {
            let stale = self.length.saturating_sub(self.end).min(record::HEADER as u64);
            self.file.write_all_at(&vec![0; stale as usize], self.end)
        });
        match undone {
            Ok(()) => AppendError::Undone(error.into()),
            Err(_) => AppendError::Unknown(error.into()),
        }
    }

    /// Makes what was written outlive a power cut.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Begins a new generation, which voids every record there is. Only when all of them are in sled
    /// and on disk; and to be synced before the next append.
    pub(crate) fn renew(&mut self) -> io::Result<()> {
        let next = self.generation.next();
        self.file.write_all_at(&next.encode(), next.offset())?;
        self.generation = next;
        self.records = 0;
        self.end = RECORDS;
        Ok(())
    }

    /// Gives back what a record larger than the log has taken. Only after a synced [`Self::renew`].
    pub(crate) fn trim(&mut self) -> io::Result<()> {
        if self.length > TARGET_BYTES {
            self.file.set_len(TARGET_BYTES)?;
            self.length = TARGET_BYTES;
        }
        Ok(())
    }

    /// Reads the file again and checks that it holds what was written.
    pub(crate) fn verify(&self) -> Result<(), Fault> {
        let bytes = read_whole(&self.file)?;
        if header::newest(&bytes, RECORDS)? != Some(self.generation) {
            return Err(damaged("its header is not what was written").into());
        }
        let found = scan::scan(&bytes, RECORDS as usize, self.generation)?;
        if (found.records, found.end as u64) != (self.records, self.end) {
            return Err(scan::damaged_record(found.records, "it is not what was written").into());
        }
        Ok(())
    }

    /// Bytes on disk.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

/// The error that names the log.
pub(crate) fn damaged(reason: &'static str) -> StoreError {
    StoreError::Damaged {
        key: FILE.to_owned(),
        reason,
    }
}

fn read_whole(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; file.metadata()?.len() as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
