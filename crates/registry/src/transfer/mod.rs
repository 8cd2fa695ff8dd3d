//! A device changes its owner.
//!
//! ```text
//!             accept, with the secret            cancel, or the device is retired
//! accepted ◄─────────────────────────── offered ────────────────────────────────► cancelled
//!                        the fifth wrong secret │ the deadline
//!                               locked ◄────────┴────────► expired
//! ```
//!
//! Whoever offers makes the secret; here its digest is kept until the offer ends. Whatever is wrong with an attempt to
//! accept, the refusal is the same: it tells neither which devices there are nor which are offered.

mod accept;
mod event;
mod list;
mod offer;

use contract::v1::{Transfer, TransferState};
use service::{Outcome, View, store::StoreError};

use crate::state;

pub(crate) use self::{
    accept::accept,
    list::list,
    offer::{cancel, expire, offer, withdraw},
};

/// Begins the names of the wake-ups at the deadlines.
pub(crate) const WAKE: &str = "transfer/";

/// The open one of a device.
fn open(view: &View<'_>, device: &str) -> Result<Option<Transfer>, StoreError> {
    let found: Option<Transfer> = view.load(state::transfer_key(device))?;
    Ok(found.filter(|found| found.state() == TransferState::Offered && found.device_id == device))
}

/// Ends an open one; its secret opens nothing any more.
fn end(
    outcome: &mut Outcome,
    transfer: &mut Transfer,
    state: TransferState,
    (by, now_ms, reason): (&str, i64, &str),
) {
    transfer.set_state(state);
    transfer.sha256.clear();
    transfer.ended_by = by.to_owned();
    transfer.ended_at_ms = now_ms;
    transfer.reason = reason.to_owned();
    outcome.no_wake(wake_key(&transfer.device_id));
    outcome.put(state::transfer_key(&transfer.device_id), transfer);
    event::told(outcome, event::name(state), transfer);
}

fn wake_key(device: &str) -> String {
    format!("{WAKE}{device}")
}
