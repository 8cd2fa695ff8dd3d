//! Entering a stage: the evidence, the row's effects, the event.

use contract::v1::Device;
use service::{Fault, Outcome};

use super::Situation;
use crate::{
    event,
    lifecycle::{Effect, Transition},
    roster::Roster,
    state,
};

/// What a transition is accompanied by.
#[derive(Default)]
pub(super) struct Why<'a> {
    /// The reason that is written down.
    pub(super) reason: &'a str,
    /// When a device that begins to retire is retired without its receipt.
    pub(super) deadline_ms: i64,
    /// What it has erased.
    pub(super) receipt: &'a [String],
}

/// Moves the device; the caller writes its record.
pub(super) fn enter(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    device: &mut Device,
    transition: &Transition,
    why: &Why<'_>,
) -> Result<(), Fault> {
    device.set_stage(transition.to);
    device.version += 1;
    device.stage_since_ms = s.now_ms;
    device.changed_by.clone_from(&s.actor);
    device.change_reason = why.reason.to_owned();
    for effect in transition.effects {
        match effect {
            Effect::SetDeadline => {
                device.retire_deadline_ms = why.deadline_ms;
                outcome.wake_at(wake_key(device), why.deadline_ms);
            }
            Effect::OrderErasure => event::retire_order(outcome, device),
            Effect::LiftDeadline => outcome.no_wake(wake_key(device)),
            Effect::KeepReceipt => device.erased = true,
            Effect::LeaveGroups => {
                let mut roster = Roster::default();
                roster.leave_all(s.view, outcome, device)?;
                roster.settle(outcome);
            }
        }
    }
    event::moved(outcome, device, transition.from, transition.cause, why.receipt);
    Ok(())
}

/// Writes the device and tells others what they need to know of it.
pub(super) fn save(outcome: &mut Outcome, before: Option<&contract::v1::DeviceFact>, device: &Device) {
    outcome.put(state::device_key(&device.device_id), device);
    event::device_fact(outcome, before, device);
}

/// The wake-up at a retiring device's deadline.
pub(super) fn wake_key(device: &Device) -> String {
    format!("{}{}", WAKE, device.device_id)
}

/// Begins the name of such wake-ups.
pub(super) const WAKE: &str = "retire/";
