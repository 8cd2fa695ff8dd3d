//! A retiring device's deadline: it is retired without its receipt.

use service::{Fault, Outcome};

use super::{
    Situation,
    enter::{WAKE, Why, enter, save, wake_key},
};
use crate::{
    event,
    lifecycle::{self, Cause},
    state,
};

pub(super) fn decide(s: &Situation<'_>, key: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let Some(id) = key.strip_prefix(WAKE) else {
        return Ok(outcome);
    };
    let mut device = state::device(s.view, "device_id", id)?;
    let Some(transition) = lifecycle::find(&device, Cause::Deadline, s.now_ms) else {
        if device.retire_deadline_ms > s.now_ms {
            outcome.wake_at(wake_key(&device), device.retire_deadline_ms);
        }
        return Ok(outcome);
    };
    let before = event::fact_of(&device);
    let why = Why {
        reason: "no receipt came by the deadline",
        ..Why::default()
    };
    enter(s, &mut outcome, &mut device, transition, &why)?;
    save(&mut outcome, Some(&before), &device);
    Ok(outcome)
}
