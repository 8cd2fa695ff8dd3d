//! Reading the records of a generation, and telling a torn tail from damage.

use service::{
    planted::{self, Mistake},
    store::StoreError,
};

use super::header::Generation;
use super::record::{self, Record, Write};

/// What a generation holds.
pub(crate) struct Found<'a> {
    /// All writes, in the order of the commits.
    pub(crate) writes: Vec<Write<'a>>,
    /// The number of the first record, which goes on from the other log's last one.
    pub(crate) first: u64,
    pub(crate) records: u64,
    /// Where the last record ends.
    pub(crate) end: usize,
}

/// Reads the records of `generation` from `start` on.
///
/// A record is written only after the one before it was synced. So a bad record with a good one
/// behind it had been acknowledged and is damage; one with nothing behind it was not, as far as any
/// log can tell, and is where reading ends.
pub(crate) fn scan<'a>(
    name: &str,
    bytes: &'a [u8],
    start: usize,
    generation: Generation,
) -> Result<Found<'a>, StoreError> {
    let mut found = Found {
        writes: Vec::new(),
        first: 0,
        records: 0,
        end: start,
    };
    while let Some(record) = next(bytes, &found, generation) {
        record
            .read_into(&mut found.writes)
            .ok_or_else(|| damaged_record(name, found.records, "it is no list of writes"))?;
        if found.records == 0 {
            found.first = record.number;
        }
        found.records += 1;
        found.end += record.length();
    }
    let behind = bytes.get(found.end..).unwrap_or_default();
    let checked = !planted::is(Mistake::TailUnchecked);
    if checked && holds_later(behind, generation, found.expected()) {
        return Err(damaged_record(
            name,
            found.records,
            "it does not fit its checksum, and later ones do",
        ));
    }
    Ok(found)
}

impl Found<'_> {
    /// The number of the record that would come next; `None` while any could be the first.
    fn expected(&self) -> Option<u64> {
        (self.records > 0).then_some(self.first + self.records)
    }
}

/// The error that names the record at this place in the log.
pub(crate) fn damaged_record(name: &str, place: u64, reason: &'static str) -> StoreError {
    StoreError::Damaged {
        key: format!("{name}#{place}"),
        reason,
    }
}

fn next<'a>(bytes: &'a [u8], found: &Found<'_>, generation: Generation) -> Option<Record<'a>> {
    record::decode(bytes.get(found.end..)?).filter(|record| {
        record.generation == generation && found.expected().is_none_or(|number| record.number == number)
    })
}

/// Whether a whole record behind the one `expected` lies anywhere in `bytes`. A length may be what is
/// damaged, so every place is looked at that bears the stamp.
fn holds_later(bytes: &[u8], generation: Generation, expected: Option<u64>) -> bool {
    let stamp = generation.stamp.to_le_bytes();
    let is_later = |record: &Record<'_>| {
        record.generation == generation && expected.is_none_or(|number| record.number > number)
    };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == stamp[0]) {
        rest = &rest[at..];
        if rest.starts_with(&stamp) && record::decode(rest).is_some_and(|record| is_later(&record)) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}
