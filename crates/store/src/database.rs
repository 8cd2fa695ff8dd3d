//! What the tools for a stopped store ask of an engine, beyond what a service does.

use service::store::{Store, StoreError};

use crate::meta::Meta;
use crate::salvage::Seen;

/// A store that can be read through whatever is damaged in it.
pub trait Database: Store {
    /// Brings everything to where it is read from, and walks it: every row, and what cannot be read.
    fn survey(&self, visit: &mut dyn FnMut(Seen<'_>)) -> Result<(), StoreError>;

    /// What the store says of itself.
    fn identity(&self) -> Identity;

    /// What the rows had when the store was opened, keys and envelopes included; without what was only in a
    /// log then.
    fn live_bytes(&self) -> u64;

    /// What is committed and lies in a log only, in bytes.
    fn log_bytes(&self) -> u64;
}

/// What a store says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The name of this history.
    pub epoch: u64,
    /// The shape of the service's rows, as the service counts it.
    pub schema: u32,
    /// When the store was made, in seconds since 1970.
    pub created: u64,
}

impl From<Meta> for Identity {
    fn from(meta: Meta) -> Identity {
        Identity {
            epoch: meta.epoch,
            schema: meta.schema,
            created: meta.created,
        }
    }
}

impl From<Identity> for Meta {
    fn from(identity: Identity) -> Meta {
        Meta {
            epoch: identity.epoch,
            schema: identity.schema,
            created: identity.created,
        }
    }
}
