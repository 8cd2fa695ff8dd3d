//! The two header blocks of a redo log: which generation of records counts.

use service::store::StoreError;

use super::{damaged, record};

/// Each header has a block of its own, so that no torn write reaches both.
pub(crate) const BLOCK: u64 = 4096;

const MAGIC: [u8; 8] = *b"MSTRREDO";

/// The first one with a length.
const FORMAT: u32 = 3;

const BYTES: usize = 40;

/// One use of a log, from empty to voided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation {
    /// Counts up over both logs: what the lower one holds was committed first.
    pub(crate) number: u64,
    /// Random, and never told: what lies in a client's value cannot pass for a record.
    pub(crate) stamp: u64,
}

/// The header that counts, and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) generation: Generation,
    /// What the file is at least long: it has grown, and that was synced, before this was written.
    pub(crate) length: u64,
    /// The block it lies in; the next header goes into the other one.
    pub(crate) offset: u64,
}

impl Header {
    /// The header that takes this one's place.
    pub(crate) fn succeeded_by(self, generation: Generation, length: u64) -> Header {
        Header {
            generation,
            length,
            offset: BLOCK - self.offset,
        }
    }

    /// Its bytes.
    pub(crate) fn encode(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let (body, sum) = bytes.split_at_mut(BYTES - 4);
        let fields = [
            &MAGIC[..],
            &FORMAT.to_le_bytes(),
            &self.generation.number.to_le_bytes(),
            &self.generation.stamp.to_le_bytes(),
            &self.length.to_le_bytes(),
        ];
        body.copy_from_slice(&fields.concat());
        sum.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
        bytes
    }
}

/// The header that counts; `None` when neither header can be read.
///
/// One unreadable header is what a crash leaves that tore the begin of a generation. The records of
/// the generation before it are then all there, and harmless to replay. Were it the begin of records
/// that *count* which can no longer be read, the first record would tell.
pub(crate) fn newest(name: &str, bytes: &[u8], records: u64) -> Result<Option<Header>, StoreError> {
    let header = match (block(name, bytes, 0)?, block(name, bytes, BLOCK)?) {
        (Some(one), Some(other)) => {
            let rank = |header: &Header| (header.generation.number, header.length);
            return Ok([one, other].into_iter().max_by_key(rank));
        }
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => return Ok(None),
    };
    let area = bytes.get(records as usize..).unwrap_or_default();
    match record::decode(area) {
        Some(first) if first.generation.number <= header.generation.number => Ok(Some(header)),
        _ => Err(damaged(
            name,
            "one of its headers is damaged, and its records may be newer than the other",
        )),
    }
}

/// The stamps of all headers that can be read.
pub(crate) fn stamps(name: &str, bytes: &[u8]) -> Vec<u64> {
    let blocks = [0, BLOCK].map(|offset| block(name, bytes, offset).ok().flatten());
    blocks
        .into_iter()
        .flatten()
        .map(|header| header.generation.stamp)
        .collect()
}

/// The header in the block at `offset`, if it can be read.
fn block(name: &str, bytes: &[u8], offset: u64) -> Result<Option<Header>, StoreError> {
    let header = bytes.get(offset as usize..).and_then(|rest| rest.first_chunk());
    match header.and_then(|header| decode(header, offset)) {
        Some((FORMAT, header)) => Ok(Some(header)),
        Some(_) => Err(damaged(
            name,
            "its format is unknown; use the version that wrote it",
        )),
        None => Ok(None),
    }
}

fn decode(bytes: &[u8; BYTES], offset: u64) -> Option<(u32, Header)> {
    let (body, sum) = bytes.split_at(BYTES - 4);
    let sound = crc32fast::hash(body).to_le_bytes() == sum && body.starts_with(&MAGIC);
    sound.then(|| fields(body, offset)).flatten()
}

fn fields(body: &[u8], offset: u64) -> Option<(u32, Header)> {
    let (format, rest) = body.get(MAGIC.len()..)?.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (stamp, rest) = rest.split_first_chunk()?;
    let (length, _) = rest.split_first_chunk()?;
    let generation = Generation {
        number: u64::from_le_bytes(*number),
        stamp: u64::from_le_bytes(*stamp),
    };
    let header = Header {
        generation,
        length: u64::from_le_bytes(*length),
        offset,
    };
    Some((u32::from_le_bytes(*format), header))
}
