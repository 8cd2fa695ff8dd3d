//! The record that says what a store is. It lies among the rows, hidden from every read.

use service::store::StoreError;

use crate::{checkpoint, envelope};

/// The key of the record; no batch may write it.
pub(crate) const KEY: &[u8] = b"\x00meta";

/// Whether `key` is one of the store's own records, which no reader sees and no batch writes.
pub(crate) fn is_own(key: &[u8]) -> bool {
    key == KEY || key == checkpoint::KEY
}

/// What a store knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The shape of the service's rows, as the service counts it.
    pub(crate) schema: u32,
    /// The identity of this history.
    pub(crate) epoch: u64,
    /// When the store was made, in seconds since 1970, by the file system's clock.
    pub(crate) created: u64,
}

impl Meta {
    /// The record's payload.
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20);
        bytes.extend_from_slice(&self.schema.to_le_bytes());
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.created.to_le_bytes());
        bytes
    }

    /// Refuses what a newer version than this one, which knows schemas up to `known`, has written.
    pub(crate) fn demand_known(self, known: u32) -> Result<(), StoreError> {
        if self.schema <= known {
            return Ok(());
        }
        Err(StoreError::Schema {
            found: self.schema,
            known,
        })
    }

    /// Reads the record's payload.
    pub(crate) fn decode(payload: &[u8]) -> Result<Meta, StoreError> {
        Self::parse(payload).ok_or_else(|| envelope::damaged(KEY, "it is too short"))
    }

    fn parse(payload: &[u8]) -> Option<Meta> {
        let (schema, rest) = payload.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (created, _) = rest.split_first_chunk()?;
        Some(Meta {
            schema: u32::from_le_bytes(*schema),
            epoch: u64::from_le_bytes(*epoch),
            created: u64::from_le_bytes(*created),
        })
    }
}
