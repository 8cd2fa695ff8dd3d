//! What lies below a service's redo logs in the world, in sled's place: a map that promises no more than the store asks
//! for. What was put since the last flush is in memory, or written, or both torn and lost; what cannot be read when it
//! is opened is left out without a word, as sled does it.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;
use parking_lot::Mutex;
use store::{Fault, Medium, Stored, Tree};

use crate::{dice::Dice, platter::Platter};

/// Each record begins at a multiple of this, so that those behind a lost one are found.
const SLOT: usize = 32;
/// Checksum, number, and the lengths of key and record (one more; none: removed).
const HEADER: usize = 4 + 8 + 2 + 4;

/// The map, opened.
#[derive(Debug)]
pub(crate) struct SimTree(Mutex<State>);

#[derive(Debug)]
struct State {
    file: Platter,
    dice: Dice,
    rows: BTreeMap<Bytes, Bytes>,
    /// Where the next record goes, and its number: of two under a key the later one counts.
    end: usize,
    number: u64,
    /// In memory only: where it is to be written, and what.
    unwritten: Vec<(usize, Vec<u8>)>,
}

impl SimTree {
    /// Reads all that can be read.
    pub(crate) fn open(file: Platter, dice: Dice) -> SimTree {
        let bytes = Bytes::from(file.copy());
        let mut newest: BTreeMap<Bytes, (u64, Option<Bytes>)> = BTreeMap::new();
        let (mut at, mut last) = (0, 0);
        while at < bytes.len() {
            let Some((number, key, record, length)) = decode(&bytes.slice(at..)) else {
                at += SLOT;
                continue;
            };
            last = last.max(number);
            let held = newest.entry(key).or_insert((number, None));
            if held.0 <= number {
                *held = (number, record);
            }
            at += length.next_multiple_of(SLOT);
        }
        let rows = newest
            .into_iter()
            .filter_map(|(key, (_, record))| Some((key, record?)));
        SimTree(Mutex::new(State {
            rows: rows.collect(),
            end: bytes.len().next_multiple_of(SLOT),
            number: last,
            file,
            dice,
            unwritten: Vec::new(),
        }))
    }

    fn set(&self, key: &[u8], record: Option<&[u8]>) -> Result<(), Fault> {
        let mut state = self.0.lock();
        let own = Bytes::copy_from_slice(key);
        match record {
            Some(record) => drop(state.rows.insert(own, Bytes::copy_from_slice(record))),
            None => drop(state.rows.remove(key)),
        }
        state.append(key, record)
    }
}

impl State {
    /// Now and then a part of what is in memory is written, and not synced.
    fn append(&mut self, key: &[u8], record: Option<&[u8]>) -> Result<(), Fault> {
        self.number += 1;
        let bytes = encode(self.number, key, record);
        let at = self.end;
        self.end += bytes.len().next_multiple_of(SLOT);
        self.unwritten.push((at, bytes));
        match self.dice.percent(20) {
            true => self.write(50),
            false => Ok(()),
        }
    }

    /// Writes each with this chance.
    fn write(&mut self, percent: u64) -> Result<(), Fault> {
        for (at, bytes) in std::mem::take(&mut self.unwritten) {
            match self.dice.percent(percent) {
                true => self.file.write_at(&bytes, at as u64)?,
                false => self.unwritten.push((at, bytes)),
            }
        }
        Ok(())
    }
}

impl Tree for SimTree {
    type Bytes = Bytes;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        Ok(self.0.lock().rows.get(key).cloned())
    }

    fn range(&self, from: &[u8]) -> impl Iterator<Item = Stored<Bytes>> {
        let mut next = Bound::Included(Bytes::copy_from_slice(from));
        std::iter::from_fn(move || {
            let state = self.0.lock();
            let (key, record) = state.rows.range((next.clone(), Bound::Unbounded)).next()?;
            next = Bound::Excluded(key.clone());
            Some(Ok((key.clone(), record.clone())))
        })
    }

    fn put(&self, key: &[u8], record: &[u8]) -> Result<(), Fault> {
        self.set(key, Some(record))
    }

    fn remove(&self, key: &[u8]) -> Result<(), Fault> {
        self.set(key, None)
    }

    fn flush(&self) -> Result<(), Fault> {
        let mut state = self.0.lock();
        state.write(100)?;
        Ok(state.file.sync()?)
    }
}

fn encode(number: u64, key: &[u8], record: Option<&[u8]>) -> Vec<u8> {
    let marked = record.map_or(0, |record| record.len() as u32 + 1);
    let fields = [
        &number.to_le_bytes()[..],
        &(key.len() as u16).to_le_bytes(),
        &marked.to_le_bytes(),
        key,
        record.unwrap_or_default(),
    ];
    let body = fields.concat();
    [&crc32fast::hash(&body).to_le_bytes()[..], &body].concat()
}

/// A whole record at the beginning of `bytes`: its number, key, what is under it, and its length.
fn decode(bytes: &Bytes) -> Option<(u64, Bytes, Option<Bytes>, usize)> {
    let (sum, rest) = bytes.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_first_chunk()?;
    let marked = u32::from_le_bytes(*rest.first_chunk()?) as usize;
    let key = HEADER + u16::from_le_bytes(*key) as usize;
    let end = key.checked_add(marked.saturating_sub(1))?;
    if key == HEADER || end > bytes.len() || crc32fast::hash(&bytes[4..end]) != u32::from_le_bytes(*sum) {
        return None;
    }
    let record = (marked > 0).then(|| bytes.slice(key..end));
    Some((u64::from_le_bytes(*number), bytes.slice(HEADER..key), record, end))
}

#[cfg(test)]
mod tests {
    use store::Tree;

    use super::{Platter, SimTree};
    use crate::dice::Dice;

    fn open(file: &Platter) -> SimTree {
        SimTree::open(file.clone(), Dice::new(1, 1))
    }

    #[test]
    fn what_was_flushed_is_there_and_of_the_rest_any_part() {
        let (file, mut dice) = (Platter::default(), Dice::new(2, 2));
        let (mut lost, mut kept) = (0, 0);
        for round in 0..40_u8 {
            let tree = open(&file);
            (0..20_u8).for_each(|key| tree.put(&[key], &[round; 40]).expect("put"));
            tree.remove(&[3]).expect("removed");
            tree.flush().expect("flushed");
            (0..20_u8).for_each(|key| tree.put(&[key], &[round + 100; 40]).expect("put"));
            drop(tree);
            file.cut_power(&mut dice);
            let tree = open(&file);
            for row in tree.range(b"") {
                let (key, record) = row.expect("read");
                assert!(record.iter().all(|byte| *byte == record[0]), "a record in half");
                match record[0] {
                    byte if byte == round => lost += 1,
                    byte => {
                        assert_eq!(byte, round + 100);
                        kept += 1;
                    }
                }
                assert!(
                    key[0] != 3 || record[0] == round + 100,
                    "what was removed stays so"
                );
            }
            assert!(tree.range(b"").count() >= 19);
        }
        assert!(lost > 100 && kept > 20, "{lost} lost, {kept} kept");
    }
}
