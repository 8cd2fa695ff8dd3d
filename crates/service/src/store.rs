//! The store port: what a service's state needs of a disk, and nothing more.
//!
//! A core sees [`Read`]; the host also holds a [`Store`] and a [`Blobs`]. Engines live in the
//! `store` crate (and, simulated, in the world), so no core can reach a disk.

use std::fmt;

/// A point or range read over the committed state, in key order.
pub trait Read {
    /// The value under `key`, or `None`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` pairs whose key starts with `prefix` and is strictly greater than `after`
    /// (when given), in ascending key order.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError>;
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// An ordered set of writes that is applied whole or not at all. The last write of a key wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    writes: std::collections::BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes.insert(key.into(), Some(value.into()));
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.writes.insert(key.into(), None);
    }

    /// What this batch does to `key`: `None` nothing, `Some(None)` removes it, `Some(Some(v))` sets it.
    pub fn pending(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.writes.get(key).map(|value| value.as_deref())
    }

    /// The writes whose key starts with `prefix`, in key order.
    pub fn range<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + 'a {
        self.writes
            .range(prefix.to_vec()..)
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// All writes, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.writes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Adds every write of `other`, which wins where both write a key.
    pub fn extend(&mut self, other: Batch) {
        self.writes.extend(other.writes);
    }

    /// Whether the batch writes nothing.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The number of keys written.
    pub fn len(&self) -> usize {
        self.writes.len()
    }
}

/// Proof that a batch is on disk. Only an engine makes one, after its fsync returned; what waits
/// for durability (replies, facts, events) asks for it by value.
#[derive(Debug)]
pub struct Durable(());

impl Durable {
    /// Attests that everything committed so far has been flushed and fsynced. For engines only.
    pub fn attest() -> Durable {
        Durable(())
    }
}

/// A service's database. One writer calls [`Store::commit`]; any number of threads read.
pub trait Store: Read + Send + Sync {
    /// Applies `batch` atomically and returns once it is durable. After an error nothing may be
    /// read or decided until the store has been opened anew.
    fn commit(&self, batch: &Batch) -> Result<Durable, StoreError>;

    /// Whether there is room to commit anything; an error says what is missing.
    fn has_room(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The identity of this database's history: changes when a backup is restored.
    fn epoch(&self) -> u64;

    /// Walks every record and checks its checksum. Returns how many records were read.
    fn verify(&self) -> Result<u64, StoreError>;

    /// Bytes on disk.
    fn size_on_disk(&self) -> Result<u64, StoreError>;
}

/// Files too large for a record: firmware, logs, revocation lists. Names are one path component.
pub trait Blobs: Send + Sync {
    /// Up to `length` bytes of the sealed blob `name` from `offset`; `None` when there is no such blob.
    fn read(&self, name: &str, offset: u64, length: usize) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes `bytes` at `offset` of the unsealed blob `name`, creating it. Repeating a write is harmless.
    fn write_part(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), StoreError>;

    /// The length and SHA-256 of the unsealed blob `name`; `None` when there is none.
    fn digest_part(&self, name: &str) -> Result<Option<(u64, [u8; 32])>, StoreError>;

    /// Makes the unsealed blob durable under its final name (fsync, rename, fsync of the folder).
    fn seal(&self, name: &str) -> Result<(), StoreError>;

    /// Writes a whole blob beside and renames it into place, replacing an older one.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Removes an unsealed blob, if there is one.
    fn discard_part(&self, name: &str) -> Result<(), StoreError>;
}

/// Why the disk could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space, or less than the reserve. Nothing was written; free some and it goes on by itself.
    #[error(
        "the disk that holds {path} is full, or has less free than state.reserve_mib keeps back; free some space, the service goes on by itself"
    )]
    Full {
        /// The folder on the full disk.
        path: String,
    },
    /// Another process has this folder open.
    #[error("{path} is in use by another process; stop it first, or choose another state folder")]
    Locked {
        /// The folder.
        path: String,
    },
    /// A record whose bytes are not what was written.
    #[error("the record {key} is damaged ({reason}); restore a backup or repair the store")]
    Damaged {
        /// The key, printable.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The state was written by a newer version of Muster.
    #[error("the state has schema {found}, this version knows up to {known}; use the newer version")]
    Schema {
        /// What the store holds.
        found: u32,
        /// The newest this binary knows.
        known: u32,
    },
    /// Anything else the engine or the operating system reports.
    #[error("the store failed: {0}")]
    Engine(String),
}

/// A key as people can read it: printable ASCII as is, the rest in hex.
pub fn printable(key: &[u8]) -> impl fmt::Display + '_ {
    key.escape_ascii()
}
