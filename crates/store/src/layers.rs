//! What is committed and not yet in sled, held in memory above it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use itertools::Itertools;

use crate::redo::Write;

/// The writes of one redo log, of each key the last one. Keys and values are slices of the log's own
/// records, so what a layer holds is bounded by what a log does.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    writes: BTreeMap<Bytes, Option<Bytes>>,
    bytes: u64,
}

impl Layer {
    /// Takes in writes that are slices of `source`.
    pub(crate) fn take<'a>(&mut self, source: &Bytes, writes: impl IntoIterator<Item = Write<'a>>) {
        for (key, value) in writes {
            self.bytes += (key.len() + value.map_or(0, <[u8]>::len)) as u64;
            let value = value.map(|value| source.slice_ref(value));
            if let Some(older) = self.writes.insert(source.slice_ref(key), value) {
                self.bytes -= (key.len() + older.map_or(0, |older| older.len())) as u64;
            }
        }
    }

    /// What it does to `key`: `None` nothing, `Some(None)` removes it.
    fn get(&self, key: &[u8]) -> Option<Option<&Bytes>> {
        self.writes.get(key).map(Option::as_ref)
    }

    /// Whether it writes `key`.
    pub(crate) fn writes(&self, key: &[u8]) -> bool {
        self.writes.contains_key(key)
    }

    /// Its writes from `start` on, in key order.
    pub(crate) fn range(&self, start: &[u8]) -> impl Iterator<Item = Write<'_>> + use<'_> {
        let bounds = (Bound::Included(start), Bound::Unbounded);
        self.writes
            .range::<[u8], _>(bounds)
            .map(|(key, value)| (key.as_ref(), value.as_deref()))
    }

    /// The same from the key `from` on, as they are held.
    pub(crate) fn entries(&self, from: &Bytes) -> impl Iterator<Item = (&Bytes, &Option<Bytes>)> {
        self.writes.range::<Bytes, _>(from..)
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
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&Bytes>> {
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
    use bytes::Bytes;

    use super::Layers;

    fn put(layers: &mut Layers, writes: &[(&'static str, Option<&'static str>)]) {
        let text: String = writes
            .iter()
            .flat_map(|(key, value)| [*key, value.unwrap_or("")])
            .collect();
        let source = Bytes::from(text);
        let mut at = 0;
        let mut cut = |length: usize| {
            at += length;
            &source[at - length..at]
        };
        let slices: Vec<_> = writes
            .iter()
            .map(|(key, value)| (cut(key.len()), value.map(|value| cut(value.len()))))
            .collect();
        layers.fresh.take(&source, slices);
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
        assert_eq!(layers.get(b"a").unwrap().unwrap(), "1");
        assert_eq!(layers.get(b"b"), Some(None));
        assert_eq!(layers.get(b"e"), None);
    }

    #[test]
    fn an_overwritten_value_no_longer_counts() {
        let mut layers = Layers::default();
        put(&mut layers, &[("key", Some("long value"))]);
        put(&mut layers, &[("key", Some("short")), ("other", None)]);
        assert_eq!((layers.fresh.len(), layers.bytes()), (2, 3 + 5 + 5));
    }
}
