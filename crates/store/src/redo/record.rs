//! A record of the redo log: the writes of one commit under one checksum.

use std::sync::Arc;

use super::header::Generation;

/// Stamp, generation, number, payload length, checksum.
pub(crate) const HEADER: usize = 32;

const SUM_AT: usize = HEADER - 4;

/// The lengths of a key and its value.
const WRITE_HEADER: usize = 6;

/// A key, and what it is set to; `None` removes it.
pub(crate) type Write<'a> = (&'a [u8], Option<&'a [u8]>);

/// A whole record, its checksum found right.
pub(crate) struct Record<'a> {
    pub(crate) generation: Generation,
    pub(crate) number: u64,
    pub(crate) payload: &'a [u8],
}

/// How long the record of `writes` is.
pub(crate) fn size(writes: &[Write<'_>]) -> u64 {
    let bytes = |(key, value): &Write<'_>| WRITE_HEADER + key.len() + value.map_or(0, <[u8]>::len);
    (HEADER + writes.iter().map(bytes).sum::<usize>()) as u64
}

/// The record, in a buffer of its own length.
pub(crate) fn encode(generation: Generation, number: u64, writes: &[Write<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(size(writes) as usize);
    out.extend_from_slice(&generation.stamp.to_le_bytes());
    out.extend_from_slice(&generation.number.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.resize(HEADER, 0);
    writes.iter().for_each(|write| encode_write(*write, &mut out));
    let length = (out.len() - HEADER) as u32;
    let (header, payload) = out.split_at_mut(HEADER);
    let (fields, sum) = header.split_at_mut(SUM_AT);
    fields[SUM_AT - 4..].copy_from_slice(&length.to_le_bytes());
    sum.copy_from_slice(&checksum(fields, payload).to_le_bytes());
    out
}

/// Writes one behind the other, in memory for as long as anybody holds them.
#[derive(Debug)]
pub(crate) struct Recorded {
    bytes: Arc<[u8]>,
    /// Where the first one lies.
    begin: usize,
}

impl Recorded {
    /// A record that [`encode`] has made.
    pub(super) fn record(record: Vec<u8>) -> Recorded {
        Recorded {
            bytes: record.into(),
            begin: HEADER,
        }
    }

    /// These.
    pub(crate) fn list(writes: &[Write<'_>]) -> Recorded {
        let mut bytes = Vec::with_capacity(size(writes) as usize - HEADER);
        writes.iter().for_each(|write| encode_write(*write, &mut bytes));
        Recorded {
            bytes: bytes.into(),
            begin: 0,
        }
    }

    pub(crate) fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Where each write lies, for [`write_at`].
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let mut rest = self.bytes.get(self.begin..).unwrap_or_default();
        std::iter::from_fn(move || {
            let at = self.bytes.len() - rest.len();
            (_, rest) = decode_write(rest)?;
            Some(at)
        })
    }
}

/// The write that lies there.
pub(crate) fn write_at(bytes: &[u8], at: usize) -> Option<Write<'_>> {
    decode_write(bytes.get(at..)?).map(|(write, _)| write)
}

/// Its key.
pub(crate) fn key_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let (length, rest) = bytes.get(at..)?.split_first_chunk()?;
    let begin = WRITE_HEADER - length.len();
    rest.get(begin..begin + usize::from(u16::from_le_bytes(*length)))
}

/// The record at the beginning of `bytes`, if a whole one lies there.
pub(crate) fn decode(bytes: &[u8]) -> Option<Record<'_>> {
    let (fields, rest) = bytes.split_at_checked(SUM_AT)?;
    let (sum, rest) = rest.split_first_chunk()?;
    let (stamp, tail) = fields.split_first_chunk()?;
    let (generation, tail) = tail.split_first_chunk()?;
    let (number, tail) = tail.split_first_chunk()?;
    let payload = rest.get(..u32::from_le_bytes(*tail.first_chunk()?) as usize)?;
    (checksum(fields, payload) == u32::from_le_bytes(*sum)).then(|| Record {
        generation: Generation {
            number: u64::from_le_bytes(*generation),
            stamp: u64::from_le_bytes(*stamp),
        },
        number: u64::from_le_bytes(*number),
        payload,
    })
}

/// A key's length, one more than the value's (zero: removed), the key, the value.
fn encode_write((key, value): Write<'_>, out: &mut Vec<u8>) {
    let marked = value.map_or(0, |value| value.len() as u32 + 1);
    out.extend_from_slice(&(key.len() as u16).to_le_bytes());
    out.extend_from_slice(&marked.to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value.unwrap_or_default());
}

impl<'a> Record<'a> {
    /// Bytes in the log.
    pub(crate) fn length(&self) -> usize {
        HEADER + self.payload.len()
    }

    /// Adds the writes to `all`; `None` when the payload is not a list of writes.
    pub(crate) fn read_into(&self, all: &mut Vec<Write<'a>>) -> Option<()> {
        let mut rest = self.payload;
        while !rest.is_empty() {
            let (write, after) = decode_write(rest)?;
            all.push(write);
            rest = after;
        }
        Some(())
    }
}

fn decode_write(bytes: &[u8]) -> Option<(Write<'_>, &[u8])> {
    let (key_length, rest) = bytes.split_first_chunk()?;
    let (marked, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(u16::from_le_bytes(*key_length) as usize)?;
    match (u32::from_le_bytes(*marked) as usize).checked_sub(1) {
        None => Some(((key, None), rest)),
        Some(length) => {
            let (value, rest) = rest.split_at_checked(length)?;
            Some(((key, Some(value)), rest))
        }
    }
}

fn checksum(fields: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(fields);
    hasher.update(payload);
    hasher.finalize()
}
