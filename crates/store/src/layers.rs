//! What is committed and not yet in sled, held in memory above it.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use itertools::Itertools;

use crate::redo::{Recorded, Write};

/// The writes of one redo log, of each key the last one. They lie in the log's own records, so what a layer holds is
/// bounded by what a log does, and some 40 bytes a write.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    writes: BTreeSet<Row>,
    bytes: u64,
}

/// A write, where it lies in its record. It is its key, as far as order goes.
#[derive(Debug)]
struct Row {
    record: Arc<[u8]>,
    at: usize,
}

impl Row {
    fn write(&self) -> Write<'_> {
        crate::redo::write_at(&self.record, self.at).unwrap_or_default()
    }

    fn bytes(&self) -> u64 {
        weight(self.write())
    }
}

fn weight((key, value): Write<'_>) -> u64 {
    (key.len() + value.map_or(0, <[u8]>::len)) as u64
}

impl Borrow<[u8]> for Row {
    fn borrow(&self) -> &[u8] {
        crate::redo::key_at(&self.record, self.at).unwrap_or_default()
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Row) -> Ordering {
        let (one, other): (&[u8], &[u8]) = (self.borrow(), other.borrow());
        one.cmp(other)
    }
}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Row) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Row) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Row {}

impl Layer {
    /// Takes in what was recorded. What it overwrites is held no longer.
    pub(crate) fn take(&mut self, recorded: &Recorded) {
        for at in recorded.places() {
            let row = Row {
                record: Arc::clone(recorded.bytes()),
                at,
            };
            self.bytes += row.bytes();
            if let Some(older) = self.writes.replace(row) {
                self.bytes -= older.bytes();
            }
        }
    }

    /// What it does to `key`: `None` nothing, `Some(None)` removes it.
    fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.writes.get(key).map(|row| row.write().1)
    }

    /// Whether it writes `key`.
    pub(crate) fn writes(&self, key: &[u8]) -> bool {
        self.writes.contains(key)
    }

    /// Its writes from `start` on, in key order.
    pub(crate) fn range(&self, start: &[u8]) -> impl Iterator<Item = Write<'_>> + use<'_> {
        let bounds = (Bound::Included(start), Bound::Unbounded);
        self.writes.range::<[u8], _>(bounds).map(Row::write)
    }

    /// The number of keys it writes.
    pub(crate) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Its keys and values together.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The layers above sled, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// What is in the active log.
    pub(crate) fresh: Layer,
    /// What is in the full one, on its way into sled.
    pub(crate) frozen: Option<Arc<Layer>>,
}

impl Layers {
    /// What they do to `key`: `None` nothing, `Some(None)` removes it.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let frozen = || self.frozen.as_ref().and_then(|frozen| frozen.get(key));
        self.fresh.get(key).or_else(frozen)
    }

    /// What they do from `start` on, in key order.
    pub(crate) fn range(&self, start: &[u8]) -> impl Iterator<Item = Write<'_>> + use<'_> {
        let frozen = self.frozen.as_ref().map(|frozen| frozen.range(start));
        let frozen = frozen.into_iter().flatten();
        self.fresh
            .range(start)
            .merge_join_by(frozen, |newer, older| newer.0.cmp(older.0))
            .map(|either| either.reduce(|newer, _| newer))
    }

    /// Makes room for the next log's writes. There must be no frozen layer.
    pub(crate) fn freeze(&mut self) -> Arc<Layer> {
        let frozen = Arc::new(std::mem::take(&mut self.fresh));
        self.frozen = Some(Arc::clone(&frozen));
        frozen
    }

    /// What sled has yet to take in, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.fresh.bytes() + self.frozen.as_ref().map_or(0, |frozen| frozen.bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Layers, Row};
    use crate::redo::Recorded;

    fn put(layers: &mut Layers, writes: &[(&str, Option<&str>)]) {
        let writes: Vec<_> = writes
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.map(str::as_bytes)))
            .collect();
        layers.fresh.take(&Recorded::list(&writes));
    }

    #[test]
    fn the_newer_layer_hides_the_older_one() {
        let mut layers = Layers::default();
        put(
            &mut layers,
            &[("a", Some("1")), ("b", Some("1")), ("c", None), ("d", Some("1"))],
        );
        layers.freeze();
        put(&mut layers, &[("b", None), ("bb", Some("22")), ("c", Some("2"))]);
        let seen: Vec<_> = layers.range(b"b").collect();
        let expected: [(&[u8], Option<&[u8]>); 4] = [
            (b"b", None),
            (b"bb", Some(b"22")),
            (b"c", Some(b"2")),
            (b"d", Some(b"1")),
        ];
        assert_eq!(seen, expected);
        assert_eq!(layers.get(b"a"), Some(Some(&b"1"[..])));
        assert_eq!(layers.get(b"b"), Some(None));
        assert_eq!(layers.get(b"e"), None);
    }

    #[test]
    fn an_overwritten_value_no_longer_counts_and_is_held_no_longer() {
        let mut layers = Layers::default();
        let first = Recorded::list(&[(b"key", Some(b"long value"))]);
        layers.fresh.take(&first);
        assert_eq!(Arc::strong_count(first.bytes()), 2);
        put(&mut layers, &[("key", Some("short")), ("other", None)]);
        assert_eq!((layers.fresh.len(), layers.bytes()), (2, 3 + 5 + 5));
        assert_eq!(Arc::strong_count(first.bytes()), 1);
    }

    #[test]
    fn a_write_costs_little_beside_its_bytes() {
        assert!(size_of::<Row>() <= 24, "{}", size_of::<Row>());
    }
}
