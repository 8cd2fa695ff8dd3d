//! What all rows in the database come to, so that one which is missing, or is an older one, is missed.
//!
//! sled reads its own log at each start, and skips what it cannot read there: a flipped bit takes rows
//! away, or brings older ones back, without a word.

use crate::{envelope, meta};

/// The bytes of a tally.
pub(crate) const BYTES: usize = 24;

/// The number of rows, what they have, and the sum of the checksums in their envelopes. The store's own rows are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    rows: u64,
    bytes: u64,
    sum: u64,
}

impl Tally {
    /// Counts a row in.
    pub(crate) fn add(&mut self, key: &[u8], record: &[u8]) {
        if !meta::is_own(key) {
            self.rows = self.rows.wrapping_add(1);
            self.bytes = self.bytes.wrapping_add((key.len() + record.len()) as u64);
            self.sum = self.sum.wrapping_add(envelope::stated_checksum(record));
        }
    }

    /// Counts a row out.
    pub(crate) fn remove(&mut self, key: &[u8], record: &[u8]) {
        if !meta::is_own(key) {
            self.rows = self.rows.wrapping_sub(1);
            self.bytes = self.bytes.wrapping_sub((key.len() + record.len()) as u64);
            self.sum = self.sum.wrapping_sub(envelope::stated_checksum(record));
        }
    }

    /// Counts all rows of another one in.
    pub(crate) fn join(&mut self, other: Tally) {
        self.rows = self.rows.wrapping_add(other.rows);
        self.bytes = self.bytes.wrapping_add(other.bytes);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// How many rows there are.
    pub(crate) fn rows(self) -> u64 {
        self.rows
    }

    /// What the rows have, keys and envelopes included.
    pub(crate) fn bytes(self) -> u64 {
        self.bytes
    }

    pub(crate) fn encode(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let fields = [self.rows, self.bytes, self.sum];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; BYTES]) -> Tally {
        let number = |at: usize| {
            let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
            field.map_or(0, |field| u64::from_le_bytes(*field))
        };
        Tally {
            rows: number(0),
            bytes: number(8),
            sum: number(16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn a_row_that_is_missing_and_an_older_one_are_missed() {
        let record = |payload: &[u8]| {
            let mut out = Vec::new();
            crate::envelope::seal(b"k", payload, &mut out);
            out
        };
        let mut all = Tally::default();
        all.add(b"k", &record(b"new"));
        assert_eq!(Tally::decode(&all.encode()), all);
        let mut stale = Tally::default();
        stale.add(b"k", &record(b"old"));
        assert_ne!(stale, all);
        stale.remove(b"k", &record(b"old"));
        stale.add(crate::meta::KEY, &record(b"own"));
        assert_eq!(stale, Tally::default());
    }
}
