//! The record that says what a store is. It lies among the rows, hidden from every read.

use service::store::StoreError;

use crate::envelope;

/// The key of the record; no batch may write it.
pub(crate) const KEY: &[u8] = b"\x00meta";

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
