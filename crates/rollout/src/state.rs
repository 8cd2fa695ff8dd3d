//! The records and their keys. Ids hold no `/`, so keys are words and ids joined by it.
//!
//! | key | record |
//! |---|---|
//! | `artifact/{id}` | [`contract::v1::Artifact`] |
//! | `opened/{id}` | a mark while the image is awaited |
//! | `sealing/{id}` | [`Sealing`] while the image is checked |
//! | `recalling/{id}` | [`Recalling`] while the rollouts of a recalled artifact are looked for |
//! | `newest/{name}` | [`Newest`] sealed artifact of a name |
//! | `rollout/{id}` | [`contract::v1::Rollout`] |
//! | `twin/{id, lower case}` | a mark that the id is taken |
//! | `progress/{id}` | [`Progress`] of a rollout's paged work |
//! | `update/{rollout}/{wave}/{device}` | [`contract::v1::DeviceUpdate`]; wave 00 holds those left out |
//! | `held/{device}` | [`Holding`]: the device's open update, and until when it may take |

use contract::v1::Rollout;
use prost::Message;

/// An image is being checked.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Sealing {
    /// Whose answer waits.
    #[prost(string, tag = "1")]
    pub(crate) ticket: String,
}

/// The rollouts of a recalled artifact are being ended.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Recalling {
    /// The last rollout that was looked at.
    #[prost(string, tag = "1")]
    pub(crate) looked_to: String,
}

/// The newest sealed artifact of a name.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Newest {
    #[prost(uint64, tag = "1")]
    pub(crate) sequence: u64,
    #[prost(string, tag = "2")]
    pub(crate) artifact_id: String,
}

/// How far the work on a rollout's devices has come that is done in pages.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Progress {
    /// The last device of the running wave that was assigned.
    #[prost(string, tag = "1")]
    pub(crate) assigned_to: String,
    /// Every device of the running wave was assigned.
    #[prost(bool, tag = "2")]
    pub(crate) all_assigned: bool,
    /// The last update that was looked at when calling off, `{wave}/{device}`.
    #[prost(string, tag = "3")]
    pub(crate) called_off_to: String,
}

/// Which rollout holds a device.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Holding {
    #[prost(string, tag = "1")]
    pub(crate) rollout_id: String,
    #[prost(uint32, tag = "2")]
    pub(crate) wave: u32,
    #[prost(string, tag = "3")]
    pub(crate) artifact_id: String,
    /// When the device's time is over; 0 while it waits.
    #[prost(int64, tag = "4")]
    pub(crate) timeout_at_ms: i64,
    /// The device says that it succeeded; the registry does not say yet that it runs the firmware.
    #[prost(bool, tag = "5")]
    pub(crate) claims_success: bool,
}

impl Holding {
    /// A rollout's hold on a device that waits for its wave.
    pub(crate) fn new(rollout: &Rollout, wave: u32) -> Holding {
        Holding {
            rollout_id: rollout.rollout_id.clone(),
            wave,
            artifact_id: rollout.artifact_id.clone(),
            ..Holding::default()
        }
    }
}

/// A key that only says that something is so.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Mark {}

pub(crate) const ARTIFACTS: &str = "artifact/";
pub(crate) const OPENED: &str = "opened/";
pub(crate) const ROLLOUTS: &str = "rollout/";

pub(crate) fn artifact(id: &str) -> String {
    format!("{ARTIFACTS}{id}")
}

pub(crate) fn opened(id: &str) -> String {
    format!("{OPENED}{id}")
}

pub(crate) fn sealing(id: &str) -> String {
    format!("sealing/{id}")
}

pub(crate) fn recalling(id: &str) -> String {
    format!("recalling/{id}")
}

pub(crate) fn newest(name: &str) -> String {
    format!("newest/{name}")
}

pub(crate) fn rollout(id: &str) -> String {
    format!("{ROLLOUTS}{id}")
}

pub(crate) fn twin(folded: &str) -> String {
    format!("twin/{folded}")
}

pub(crate) fn progress(rollout: &str) -> String {
    format!("progress/{rollout}")
}

pub(crate) fn updates(rollout: &str) -> String {
    format!("update/{rollout}/")
}

pub(crate) fn wave(rollout: &str, wave: u32) -> String {
    format!("update/{rollout}/{wave:02}/")
}

pub(crate) fn update(rollout: &str, wave: u32, device: &str) -> String {
    format!("update/{rollout}/{wave:02}/{device}")
}

pub(crate) fn held(device: &str) -> String {
    format!("held/{device}")
}
