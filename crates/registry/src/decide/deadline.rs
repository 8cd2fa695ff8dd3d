//! A retiring device's deadline: it is retired without its receipt. If this service slept through it, or the
//! clock was set, the device could not send one either, and has some more time.

use contract::v1::{Device, Stage};
use serde_json::json;
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

/// How late the wake-up may be.
const OVERSLEPT_MS: i64 = 3_600_000;
/// What the device is given then, or its whole time again if that is shorter: most devices are back within a
/// day.
const ANOTHER_MS: i64 = 24 * 3_600_000;

pub(super) fn decide(s: &Situation<'_>, key: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let Some(id) = key.strip_prefix(WAKE) else {
        return Ok(outcome);
    };
    let mut device = state::device(s.view, "device_id", id)?;
    if device.stage() == Stage::Retiring && s.now_ms.saturating_sub(device.retire_deadline_ms) > OVERSLEPT_MS
    {
        put_off(s, &mut outcome, &mut device);
        return Ok(outcome);
    }
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

fn put_off(s: &Situation<'_>, outcome: &mut Outcome, device: &mut Device) {
    let former = device.retire_deadline_ms;
    let wait_ms = former.saturating_sub(device.stage_since_ms).clamp(0, ANOTHER_MS);
    device.retire_deadline_ms = s.now_ms.saturating_add(wait_ms);
    device.version += 1;
    let moved = json!({ "from": former.to_string(), "to": device.retire_deadline_ms.to_string() });
    let fields = event::Fields::from_iter([("retire_deadline_ms".to_owned(), moved)]);
    outcome.wake_at(wake_key(device), device.retire_deadline_ms);
    save(outcome, Some(&event::fact_of(device)), device);
    event::changed(outcome, device, fields);
}
