//! The block that says that a log is being brought into sled. After a crash sled then has some of the
//! log's writes and not others; what all other rows come to is as it was.

use super::header::Generation;
use crate::tally::{self, Tally};

const MAGIC: [u8; 8] = *b"MSTRTURN";

const BYTES: usize = 8 + 8 + 8 + tally::BYTES + 4;

/// The block of a log of this generation.
pub(crate) fn encode(generation: Generation, rest: Tally) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let (body, sum) = bytes.split_at_mut(BYTES - 4);
    body.copy_from_slice(&fields(generation, rest));
    sum.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    bytes
}

/// The tally in the block at `offset`, if it was written in this generation and can be read. A torn one
/// counts as none: it is synced before anything is brought in.
pub(crate) fn read(bytes: &[u8], offset: u64, generation: Generation) -> Option<Tally> {
    let block: &[u8; BYTES] = bytes.get(offset as usize..)?.first_chunk()?;
    let rest = Tally::decode(block.get(24..)?.first_chunk()?);
    (encode(generation, rest) == *block).then_some(rest)
}

fn fields(generation: Generation, rest: Tally) -> Vec<u8> {
    [
        &MAGIC[..],
        &generation.number.to_le_bytes(),
        &generation.stamp.to_le_bytes(),
        &rest.encode(),
    ]
    .concat()
}
