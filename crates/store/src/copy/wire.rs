//! A copy on its way from the process that has the store to the one that asked for it: frames of a letter, a
//! length, and bytes.

use std::io::{self, Read, Write};

use service::store::StoreError;

use super::{Chunk, Copied};
use crate::database::Identity;

const IDENTITY: u8 = b'i';
const ROWS: u8 = b'r';
const ROWS_END: u8 = b'R';
const WRITES: u8 = b'w';
const END: u8 = b'E';
const ERROR: u8 = b'x';
/// What asks for the cut.
const CUT: u8 = b'c';

/// Why a copy did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Somebody else is at it.
    #[error("another copy of this database is being made")]
    Busy,
    /// The service stops, or opens its store anew.
    #[error("the service has closed its database meanwhile; try again")]
    Gone,
    /// What was written meanwhile could not be noted.
    #[error("what was written meanwhile could not be noted: {0}")]
    NotNoted(String),
    /// The store does not give its rows.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other side is gone, or the disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other side has given up, and says why. `damaged`: its database is.
    #[error("{why}")]
    Told {
        /// Why.
        why: String,
        /// Whether the database is damaged.
        damaged: bool,
    },
    /// What came is no copy.
    #[error("what came makes no sense")]
    Nonsense,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Side {
    /// A chunk of rows, in key order.
    Rows(Vec<u8>),
    /// There are no more rows.
    RowsEnd,
    /// A chunk of writes, in the order of their commits.
    Writes(Vec<u8>),
    /// That was all.
    End(Copied),
}

/// A copy that is coming in.
#[derive(Debug)]
pub struct Incoming<S> {
    stream: S,
    identity: Identity,
}

impl<S: Read + Write> Incoming<S> {
    /// Waits for the other side to begin.
    pub fn begin(mut stream: S) -> Result<Incoming<S>, CopyError> {
        match frame(&mut stream)? {
            (IDENTITY, bytes) => Ok(Incoming {
                identity: read_identity(&bytes).ok_or(CopyError::Nonsense)?,
                stream,
            }),
            _ => Err(CopyError::Nonsense),
        }
    }

    /// What the store says of itself.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Waits for what comes next.
    pub fn receive(&mut self) -> Result<Side, CopyError> {
        match frame(&mut self.stream)? {
            (ROWS, bytes) => Ok(Side::Rows(bytes)),
            (ROWS_END, _) => Ok(Side::RowsEnd),
            (WRITES, bytes) => Ok(Side::Writes(bytes)),
            (END, bytes) => {
                let [rows, writes] = numbers(&bytes).ok_or(CopyError::Nonsense)?;
                Ok(Side::End(Copied { rows, writes }))
            }
            _ => Err(CopyError::Nonsense),
        }
    }

    /// Asks for the cut: the copy shows the store as it is now.
    pub fn cut(&mut self) -> Result<(), CopyError> {
        self.stream.write_all(&[CUT])?;
        Ok(self.stream.flush()?)
    }
}

/// Reads a frame; what the other side tells is an error.
fn frame(from: &mut impl Read) -> Result<(u8, Vec<u8>), CopyError> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let [letter, length @ ..] = head;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > 2 * Chunk::MOST {
        return Err(CopyError::Nonsense);
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    match (letter, bytes.split_first()) {
        (ERROR, Some((damaged, why))) => Err(CopyError::Told {
            why: String::from_utf8_lossy(why).into_owned(),
            damaged: *damaged == 1,
        }),
        _ => Ok((letter, bytes)),
    }
}

fn say(out: &mut impl Write, letter: u8, bytes: &[u8]) -> Result<(), CopyError> {
    out.write_all(&[letter])?;
    out.write_all(&(bytes.len() as u32).to_le_bytes())?;
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

pub(super) fn say_identity(out: &mut impl Write, identity: Identity) -> Result<(), CopyError> {
    let mut bytes = identity.schema.to_le_bytes().to_vec();
    bytes.extend(identity.epoch.to_le_bytes());
    bytes.extend(identity.created.to_le_bytes());
    say(out, IDENTITY, &bytes)
}

fn read_identity(bytes: &[u8]) -> Option<Identity> {
    let (schema, rest) = bytes.split_first_chunk()?;
    let [epoch, created] = numbers(rest)?;
    Some(Identity {
        schema: u32::from_le_bytes(*schema),
        epoch,
        created,
    })
}

fn numbers(bytes: &[u8]) -> Option<[u64; 2]> {
    let (one, rest) = bytes.split_first_chunk()?;
    let other = rest.first_chunk()?;
    Some([u64::from_le_bytes(*one), u64::from_le_bytes(*other)])
}

pub(super) fn say_rows(out: &mut impl Write, bytes: &[u8]) -> Result<(), CopyError> {
    if bytes.is_empty() {
        return Ok(());
    }
    say(out, ROWS, bytes)
}

pub(super) fn say_rows_end(out: &mut impl Write) -> Result<(), CopyError> {
    say(out, ROWS_END, b"")
}

pub(super) fn say_writes(out: &mut impl Write, bytes: &[u8]) -> Result<(), CopyError> {
    if bytes.is_empty() {
        return Ok(());
    }
    say(out, WRITES, bytes)
}

pub(super) fn say_end(out: &mut impl Write, copied: Copied) -> Result<(), CopyError> {
    let mut bytes = copied.rows.to_le_bytes().to_vec();
    bytes.extend(copied.writes.to_le_bytes());
    say(out, END, &bytes)
}

pub(super) fn say_error(out: &mut impl Write, error: &CopyError) -> Result<(), CopyError> {
    let damaged = matches!(error, CopyError::Store(StoreError::Damaged { .. }));
    let mut bytes = vec![u8::from(damaged)];
    bytes.extend(error.to_string().into_bytes());
    say(out, ERROR, &bytes)
}

pub(super) fn await_cut(cut: &mut impl Read) -> Result<(), CopyError> {
    let mut byte = [0];
    cut.read_exact(&mut byte)?;
    match byte {
        [CUT] => Ok(()),
        _ => Err(CopyError::Nonsense),
    }
}
