//! A retiring device's deadline: it is retired without its receipt. If this service slept through it, or the
//! clock was set, the device could not send one either, and has some more time.

use contract::v1::{Device, Stage};
use serde_json::json;
use service::{Fault, Outcome};

use super::{
    Situation,
    act::{Act, WAKE, Why, wake_key},
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
    let mut act = Act::new(s);
    let Some(id) = key.strip_prefix(WAKE) else {
        return Ok(act.finish());
    };
    let mut device = state::device(s.view, "device_id", id)?;
    if device.stage() == Stage::Retiring && s.now_ms.saturating_sub(device.retire_deadline_ms) > OVERSLEPT_MS
    {
        put_off(&mut act, &mut device)?;
        return Ok(act.finish());
    }
    let Some(transition) = lifecycle::find(&device, Cause::Deadline, &s.ground(&device)?) else {
        if device.retire_deadline_ms > s.now_ms {
            act.outcome.wake_at(wake_key(&device), device.retire_deadline_ms);
        }
        return Ok(act.finish());
    };
    let before = device.clone();
    let why = Why {
        reason: "no receipt came by the deadline",
        ..Why::default()
    };
    act.enter(&mut device, transition, &why)?;
    act.save(Some(&before), &mut device)?;
    Ok(act.finish())
}

fn put_off(act: &mut Act<'_>, device: &mut Device) -> Result<(), Fault> {
    let waited_ms = device.retire_deadline_ms.saturating_sub(device.stage_since_ms);
    another(act, device, waited_ms.clamp(0, ANOTHER_MS))
}

/// So long from now the device is waited for, whatever was said before.
pub(super) fn another(act: &mut Act<'_>, device: &mut Device, wait_ms: i64) -> Result<(), Fault> {
    let before = device.clone();
    let former = device.retire_deadline_ms;
    device.retire_deadline_ms = act.s.now_ms.saturating_add(wait_ms);
    device.version = device.version.saturating_add(1);
    let moved = json!({ "from": former.to_string(), "to": device.retire_deadline_ms.to_string() });
    let fields = event::Fields::from_iter([("retire_deadline_ms".to_owned(), moved)]);
    act.outcome.wake_at(wake_key(device), device.retire_deadline_ms);
    act.save(Some(&before), device)?;
    event::changed(&mut act.outcome, device, fields);
    Ok(())
}
