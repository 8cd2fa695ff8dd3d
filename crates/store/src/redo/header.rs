//! The two header blocks of the redo log: which generation of records counts.

use service::store::StoreError;

use super::{damaged, record};

/// Each header has a block of its own, so that no torn write reaches both.
pub(crate) const BLOCK: u64 = 4096;

const MAGIC: [u8; 8] = *b"MSTRREDO";

const FORMAT: u32 = 1;

const BYTES: usize = 32;

/// One use of the log between two checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation {
    /// Counts up from zero.
    pub(crate) number: u64,
    /// Random, and never told: what lies in a client's value cannot pass for a record.
    pub(crate) stamp: u64,
}

impl Generation {
    /// The one that a new log begins with.
    pub(crate) fn first() -> Generation {
        Generation {
            number: 0,
            stamp: rand::random(),
        }
    }

    /// The one after this.
    pub(crate) fn next(self) -> Generation {
        Generation {
            number: self.number + 1,
            stamp: rand::random(),
        }
    }

    /// Where its header lies: every other one in the same block.
    pub(crate) fn offset(self) -> u64 {
        self.number % 2 * BLOCK
    }

    /// Its header.
    pub(crate) fn encode(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let (body, sum) = bytes.split_at_mut(BYTES - 4);
        let fields = [
            &MAGIC[..],
            &FORMAT.to_le_bytes(),
            &self.number.to_le_bytes(),
            &self.stamp.to_le_bytes(),
        ];
        body.copy_from_slice(&fields.concat());
        sum.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
        bytes
    }
}

/// What a header block holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Good(Generation),
    Bad,
}

/// The generation that counts; `None` when neither header can be read.
///
/// One unreadable header is what a crash leaves that tore the begin of a generation. The records of
/// the generation before it are then all there, and harmless to replay. Were it the begin of records
/// that *count* which can no longer be read, the first record would tell.
pub(crate) fn newest(bytes: &[u8], records: u64) -> Result<Option<Generation>, StoreError> {
    let generation = match (block(bytes, 0)?, block(bytes, BLOCK)?) {
        (Block::Good(one), Block::Good(other)) => {
            return Ok(Some(if one.number > other.number { one } else { other }));
        }
        (Block::Good(only), Block::Bad) | (Block::Bad, Block::Good(only)) => only,
        (Block::Bad, Block::Bad) => return Ok(None),
    };
    let area = bytes.get(records as usize..).unwrap_or_default();
    match record::decode(area) {
        Some(first) if first.generation.number <= generation.number => Ok(Some(generation)),
        _ => Err(damaged(
            "one of its headers is damaged, and its records may be newer than the other",
        )),
    }
}

fn block(bytes: &[u8], offset: u64) -> Result<Block, StoreError> {
    let header = bytes.get(offset as usize..).and_then(|rest| rest.first_chunk());
    header.map_or(Ok(Block::Bad), decode)
}

fn decode(bytes: &[u8; BYTES]) -> Result<Block, StoreError> {
    let (body, sum) = bytes.split_at(BYTES - 4);
    if crc32fast::hash(body).to_le_bytes() != sum || !body.starts_with(&MAGIC) {
        return Ok(Block::Bad);
    }
    match fields(body) {
        Some((FORMAT, generation)) => Ok(Block::Good(generation)),
        Some(_) => Err(damaged("its format is unknown; use the version that wrote it")),
        None => Ok(Block::Bad),
    }
}

fn fields(body: &[u8]) -> Option<(u32, Generation)> {
    let (format, rest) = body.get(MAGIC.len()..)?.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (stamp, _) = rest.split_first_chunk()?;
    let generation = Generation {
        number: u64::from_le_bytes(*number),
        stamp: u64::from_le_bytes(*stamp),
    };
    Some((u32::from_le_bytes(*format), generation))
}
