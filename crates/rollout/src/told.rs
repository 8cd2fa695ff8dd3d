//! What the audit log tells of the rollout service's records: firmware and rollouts, not each device's update.

use contract::v1::{Artifact, Rollout};
use serde_json::Value;

use crate::state;

/// A record, if people are to read what became of it.
pub(crate) fn told(key: &[u8], record: &[u8]) -> Option<(String, Value)> {
    if key.starts_with(state::ARTIFACTS.as_bytes()) {
        service::told("artifacts", |artifact: &Artifact| &artifact.artifact_id, record)
    } else if key.starts_with(state::ROLLOUTS.as_bytes()) {
        service::told("rollouts", |rollout: &Rollout| &rollout.rollout_id, record)
    } else {
        None
    }
}
