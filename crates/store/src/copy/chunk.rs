//! Rows and writes as bytes: length and key, a mark, length and value.

use crate::limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

/// What a chunk has at least before it is sent.
const FULL: usize = 1 << 20;

/// A key, and its value or that it is removed.
pub type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// Changes under way, some at once.
#[derive(Debug, Default)]
pub struct Chunk(Vec<u8>);

impl Chunk {
    /// What a chunk may have at most: one record beyond what is full.
    pub const MOST: usize = FULL + MAX_KEY_BYTES + MAX_VALUE_BYTES + 9;

    /// Adds a change.
    pub fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        write(&mut self.0, key, value);
    }

    /// Whether it is to be sent.
    pub fn is_full(&self) -> bool {
        self.0.len() >= FULL
    }

    /// Its bytes; it is empty then.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Writes one change.
pub(super) fn write(out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    field(out, key);
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        field(out, value);
    }
}

fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The changes in a chunk's bytes. `None` stands where they cannot be read, and is the last.
pub fn changes(mut bytes: &[u8]) -> impl Iterator<Item = Option<Change<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let change = next(&mut bytes);
        if change.is_none() {
            bytes = &[];
        }
        Some(change)
    })
}

fn next<'a>(bytes: &mut &'a [u8]) -> Option<Change<'a>> {
    let key = take(bytes, MAX_KEY_BYTES).filter(|key| !key.is_empty())?;
    let (mark, rest) = bytes.split_first()?;
    *bytes = rest;
    match mark {
        0 => Some((key, None)),
        1 => Some((key, Some(take(bytes, MAX_VALUE_BYTES)?))),
        _ => None,
    }
}

fn take<'a>(bytes: &mut &'a [u8], most: usize) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (field, rest) = rest.split_at_checked(length).filter(|_| length <= most)?;
    *bytes = rest;
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::{Chunk, changes};

    #[test]
    fn changes_are_read_as_they_were_written_and_nothing_else_is() {
        let mut chunk = Chunk::default();
        chunk.add(b"a", Some(b"1"));
        chunk.add(b"b", None);
        chunk.add(b"c", Some(b""));
        let bytes = chunk.take();
        let read: Vec<_> = changes(&bytes).collect();
        assert_eq!(
            read,
            [
                Some((&b"a"[..], Some(&b"1"[..]))),
                Some((&b"b"[..], None)),
                Some((&b"c"[..], Some(&b""[..])))
            ]
        );
        for cut in 1..bytes.len() {
            let whole = changes(&bytes[..cut]).take_while(Option::is_some).count();
            let broken = changes(&bytes[..cut]).any(|change| change.is_none());
            // A cut between two changes cannot be seen here; the archive's sums tell.
            assert!(whole < 3 && (broken || [11, 17].contains(&cut)), "{cut}");
        }
        assert_eq!(changes(&[0, 0, 0, 0, 0]).collect::<Vec<_>>(), [None]);
    }
}
