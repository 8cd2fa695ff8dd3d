//! A service's store from outside: reading it for checks, reports and the simulator, and the rows of facts for
//! stores that tests make by hand. Nothing here decides.

use contract::{
    id::ServiceName,
    v1::{Event, Fact},
};
use prost::Message;

use crate::{
    keys,
    record::{CursorRecord, FactRecord, Heads},
    store::{Pair, Read, StoreError},
};

/// What kind of row a key belongs to, in words. `own` names the service's own records.
pub fn kind(key: &[u8], own: impl Fn(&[u8]) -> String) -> String {
    let Some((letter, rest)) = key.split_at_checked(1) else {
        return "unknown".to_owned();
    };
    match keys::KINDS.iter().find(|(known, _)| *known == letter) {
        Some((keys::STATE, _)) => own(rest),
        Some((_, words)) => (*words).to_owned(),
        None => format!("unknown, {}", letter.escape_ascii()),
    }
}

/// The service's own key, where a row is one of its own records.
pub fn own_key(key: &[u8]) -> Option<&[u8]> {
    key.strip_prefix(keys::STATE)
}

/// Up to `limit` events after a sequence, in order.
pub fn events(base: &dyn Read, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
    let pairs = base.scan(keys::EVENT, Some(&keys::event(after)), limit)?;
    pairs.iter().map(|(key, value)| decode(key, value)).collect()
}

/// The oldest event that is kept; one more than the last where none is.
pub fn first_event(base: &dyn Read) -> Result<u64, StoreError> {
    let (head, _) = heads(base)?;
    let oldest = events(base, 0, 1)?;
    Ok(oldest
        .first()
        .map_or(head.saturating_add(1), |event| event.sequence))
}

/// The last event and fact sequence.
pub fn heads(base: &dyn Read) -> Result<(u64, u64), StoreError> {
    let heads = base.get(keys::HEADS)?;
    let heads: Heads = heads.map_or(Ok(Heads::default()), |value| decode(keys::HEADS, &value))?;
    Ok((heads.event, heads.fact))
}

/// A service's own facts as they are, in the order of their keys; those that are gone are marked so.
pub fn facts(base: &dyn Read) -> Result<Vec<Fact>, StoreError> {
    let pairs = base.scan(keys::FACT, None, usize::MAX)?;
    let facts = pairs.iter().map(|(key, value)| {
        let record: FactRecord = decode(key, value)?;
        Ok(Fact {
            epoch: 0,
            sequence: record.sequence,
            entity: record.entity,
            id: record.id,
            value: record.value,
            deleted: record.deleted,
        })
    });
    facts.collect()
}

/// The copies that a service holds of an owner's facts: entity, id and value, in the order of their keys.
pub fn copies(base: &dyn Read, owner: ServiceName) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
    let pairs = base.scan(&keys::copies(owner), None, usize::MAX)?;
    let copies = pairs.into_iter().filter_map(|(key, value)| {
        let (entity, id) = keys::split_copy(owner, &key)?;
        Some((entity, id, value))
    });
    Ok(copies.collect())
}

/// The row of a fact as its owner holds it.
pub fn own_fact(entity: &str, id: &str, value: Vec<u8>) -> Pair {
    let record = FactRecord {
        sequence: 0,
        value,
        deleted: false,
        entity: entity.to_owned(),
        id: id.to_owned(),
    };
    (keys::fact(entity, id), record.encode_to_vec())
}

/// The row of a fact as a follower of its owner holds it.
pub fn copied_fact(owner: ServiceName, entity: &str, id: &str, value: Vec<u8>) -> Pair {
    (keys::copy(owner, entity, id), value)
}

/// What a service holds of an owner's facts: the history's epoch, and the last sequence.
pub fn cursor(base: &dyn Read, owner: ServiceName) -> Result<(u64, u64), StoreError> {
    let key = keys::cursor(owner);
    let held = base.get(&key)?;
    let held: CursorRecord = held.map_or(Ok(CursorRecord::default()), |value| decode(&key, &value))?;
    Ok((held.epoch, held.sequence))
}

/// What is not finished: requests to other services without an answer, effects without a result.
pub fn unfinished(base: &dyn Read) -> Result<(Vec<String>, Vec<String>), StoreError> {
    let names = |prefix: &[u8]| -> Result<Vec<String>, StoreError> {
        let pairs = base.scan(prefix, None, usize::MAX)?;
        let name = |key: &[u8]| String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
        Ok(pairs.iter().map(|(key, _)| name(key)).collect())
    };
    Ok((names(keys::REQUEST)?, names(keys::EFFECT)?))
}

/// Every wake-up: when, milliseconds since 1970, and its name.
pub fn wakes(base: &dyn Read) -> Result<Vec<(i64, String)>, StoreError> {
    let pairs = base.scan(keys::WAKE, None, usize::MAX)?;
    Ok(pairs
        .iter()
        .filter_map(|(key, _)| keys::split_wake(key))
        .collect())
}

fn decode<M: Message + Default>(key: &[u8], value: &[u8]) -> Result<M, StoreError> {
    M::decode(value).map_err(|_| StoreError::Damaged {
        key: crate::store::printable(key).to_string(),
        reason: "the record does not decode",
    })
}
