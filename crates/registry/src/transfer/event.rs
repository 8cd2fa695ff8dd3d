//! What is told of transfers: never what opens them.

use contract::v1::{Transfer, TransferState};
use service::Outcome;

/// The word for what became of one.
pub(super) const fn name(state: TransferState) -> &'static str {
    match state {
        TransferState::Accepted => "accepted",
        TransferState::Expired => "expired",
        TransferState::Locked => "locked",
        TransferState::Cancelled => "cancelled",
        TransferState::Offered | TransferState::Unspecified => "offered",
    }
}

/// Its data is the transfer.
pub(super) fn told(outcome: &mut Outcome, name: &'static str, transfer: &Transfer) {
    let told = bare(transfer.clone());
    let data = serde_json::to_value(&told).unwrap_or_default();
    outcome.event(format!("transfers/{}", told.device_id), name, data);
}

/// Without the digest.
pub(super) fn bare(transfer: Transfer) -> Transfer {
    Transfer {
        sha256: String::new(),
        ..transfer
    }
}
