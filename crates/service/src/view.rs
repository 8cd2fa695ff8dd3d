//! What a decision sees: the committed state with the writes of its own group on top.

use contract::id::ServiceName;
use prost::Message;

use crate::{
    keys,
    store::{Batch, Pair, Read, StoreError, printable},
};

/// The service's records and its copies of others' facts.
pub struct View<'a> {
    base: &'a dyn Read,
    group: &'a Batch,
    /// Writes made within one decision's steps, before they join the group.
    local: Option<&'a Batch>,
}

impl<'a> View<'a> {
    /// A view of the committed state under a group's writes.
    pub fn new(base: &'a dyn Read, group: &'a Batch) -> View<'a> {
        View {
            base,
            group,
            local: None,
        }
    }

    /// The same view with the writes of an unfinished outcome on top, for decisions in several steps.
    pub fn over<'b>(&'b self, changes: &'b Batch) -> View<'b> {
        View {
            base: self.base,
            group: self.group,
            local: Some(changes),
        }
    }

    /// The bytes under the service's own key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(pending) = self.local.and_then(|local| local.pending(key)) {
            return Ok(pending.map(<[u8]>::to_vec));
        }
        self.raw(&keys::state(key))
    }

    /// The record under the service's own key.
    pub fn load<M: Message + Default>(&self, key: impl AsRef<[u8]>) -> Result<Option<M>, StoreError> {
        let key = key.as_ref();
        self.get(key)?.map(|bytes| decode(key, &bytes)).transpose()
    }

    /// Up to `limit` of the service's own records under `prefix`, after the key `after`, in key order.
    pub fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let full_after = after.map(keys::state);
        let pairs = self.scan_raw(&keys::state(prefix), full_after.as_deref(), limit)?;
        let own = pairs
            .into_iter()
            .map(|(key, value)| (key[keys::STATE.len()..].to_vec(), value));
        Ok(match self.local {
            None => own.collect(),
            Some(local) => merge(own.collect(), local, prefix, after, limit),
        })
    }

    /// Records under `prefix`, decoded, with their keys.
    pub fn list<M: Message + Default>(
        &self,
        prefix: impl AsRef<[u8]>,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, M)>, StoreError> {
        let pairs = self.scan(prefix.as_ref(), after, limit)?;
        pairs
            .into_iter()
            .map(|(key, value)| decode(&key, &value).map(|record| (key, record)))
            .collect()
    }

    /// The copy of another service's fact.
    pub fn fact<M: Message + Default>(
        &self,
        owner: ServiceName,
        entity: &str,
        id: &str,
    ) -> Result<Option<M>, StoreError> {
        let key = keys::copy(owner, entity, id);
        self.raw(&key)?.map(|bytes| decode(&key, &bytes)).transpose()
    }

    /// Up to `limit` of an owner's facts of one entity, after the id `after`: pairs of id and value.
    pub fn facts<M: Message + Default>(
        &self,
        owner: ServiceName,
        entity: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, M)>, StoreError> {
        let prefix = keys::copy(owner, entity, "");
        let after = after.map(|id| keys::copy(owner, entity, id));
        let pairs = self.scan_raw(&prefix, after.as_deref(), limit)?;
        pairs
            .into_iter()
            .map(|(key, value)| {
                let id = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
                decode(&key, &value).map(|fact| (id, fact))
            })
            .collect()
    }

    /// Any key of the store.
    pub(crate) fn raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.group.pending(key) {
            Some(pending) => Ok(pending.map(<[u8]>::to_vec)),
            None => self.base.get(key),
        }
    }

    pub(crate) fn raw_record<M: Message + Default>(&self, key: &[u8]) -> Result<Option<M>, StoreError> {
        self.raw(key)?.map(|bytes| decode(key, &bytes)).transpose()
    }

    pub(crate) fn scan_raw(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        let removed = self
            .group
            .range(prefix)
            .filter(|(_, value)| value.is_none())
            .count();
        let base = self.base.scan(prefix, after, limit.saturating_add(removed))?;
        Ok(merge(base, self.group, prefix, after, limit))
    }
}

/// Lays a batch over pairs that were read, both in key order.
fn merge(base: Vec<Pair>, batch: &Batch, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Pair> {
    let beyond = |key: &[u8]| after.is_none_or(|after| key > after);
    let mut writes = batch.range(prefix).filter(|(key, _)| beyond(key)).peekable();
    if writes.peek().is_none() {
        let mut base = base;
        base.truncate(limit);
        return base;
    }
    let mut merged = Vec::with_capacity(limit.min(base.len() + 8));
    let mut base = base.into_iter().peekable();
    while merged.len() < limit {
        let take_write = match (writes.peek(), base.peek()) {
            (None, None) => break,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some((key, _)), Some((other, _))) => *key <= other.as_slice(),
        };
        if !take_write {
            merged.extend(base.next());
            continue;
        }
        if let Some((key, value)) = writes.next() {
            if base.peek().is_some_and(|(other, _)| other.as_slice() == key) {
                base.next();
            }
            merged.extend(value.map(|value| (key.to_vec(), value.to_vec())));
        }
    }
    merged
}

fn decode<M: Message + Default>(key: &[u8], bytes: &[u8]) -> Result<M, StoreError> {
    let damaged = |_| StoreError::Damaged {
        key: printable(key).to_string(),
        reason: "the record does not decode",
    };
    M::decode(bytes).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_keeps_order_and_the_newest() {
        let pair = |k: &str, v: &str| (k.as_bytes().to_vec(), v.as_bytes().to_vec());
        let base = vec![pair("a", "1"), pair("c", "1"), pair("d", "1")];
        let mut batch = Batch::default();
        batch.put("b", "2");
        batch.put("c", "2");
        batch.delete("d");
        batch.put("e", "2");
        let merged = merge(base.clone(), &batch, b"", None, 10);
        assert_eq!(
            merged,
            [pair("a", "1"), pair("b", "2"), pair("c", "2"), pair("e", "2")]
        );
        let later: Vec<_> = base.into_iter().skip(1).collect();
        assert_eq!(merge(later, &batch, b"", Some(b"b"), 1), [pair("c", "2")]);
    }
}
