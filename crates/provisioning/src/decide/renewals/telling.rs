//! Devices are told, so many a minute; who has not renewed is told again in the next round.

use contract::{
    ServiceName,
    v1::{DeviceFact, MassRenewal, RenewOrder, RenewingDevice, RenewingState},
};
use service::{Fault, Outcome};

use super::{Situation, choosing, fail, go, keep};
use crate::{
    event, policy,
    state::{self, Course},
};

/// Devices that are looked at in one decision.
const PAGE: usize = 250;
/// The shortest time between two rounds, and before a device is told again, milliseconds: a front door that has
/// started anew tells it at once to whoever is connected, and to whoever comes.
const AGAIN_MS: i64 = 10 * 60_000;
/// The time between two steps, milliseconds, where there is enough to do.
const STEP_MS: u32 = 200;
/// The time within which a device begins at a moment of its own choice, milliseconds: many may come back at once.
const SPREAD_MS: u64 = 5_000;

/// Tells as many as are due now.
pub(super) fn some(s: &Situation<'_>, outcome: &mut Outcome, mut course: Course) -> Result<(), Fault> {
    let mut renewal = course.renewal();
    let (most, pause_ms) = pace(renewal.per_minute);
    let prefix = state::renewing_of(&renewal.renewal_id);
    let after = Some(course.after.as_slice()).filter(|after| !after.is_empty());
    let rows = s.view.list::<RenewingDevice>(&prefix, after, PAGE)?;
    let is_last = rows.len() < PAGE;
    let mut told = 0;
    for (key, device) in rows {
        if told == most {
            break;
        }
        course.after = key;
        if is_due(&device, s.now_ms) && tell(s, outcome, &mut renewal, device)? {
            told += 1;
        }
    }
    let next_ms = if told == most {
        s.now_ms.saturating_add(pause_ms)
    } else if is_last {
        let next_ms = course
            .round_at_ms
            .saturating_add(AGAIN_MS)
            .max(s.now_ms + pause_ms);
        course.after.clear();
        course.round_at_ms = next_ms;
        next_ms
    } else {
        s.now_ms
    };
    course.renewal = Some(renewal);
    keep(s, outcome, course, Some(next_ms));
    Ok(())
}

/// How many are told in one step, and the time until the next, milliseconds.
fn pace(per_minute: u32) -> (u32, i64) {
    let per_minute = per_minute.max(1);
    let most = per_minute.div_ceil(60_000 / STEP_MS);
    (most, i64::from(most) * 60_000 / i64::from(per_minute))
}

fn is_due(device: &RenewingDevice, now_ms: i64) -> bool {
    match device.state() {
        RenewingState::Waiting => true,
        RenewingState::Told => device.since_ms.saturating_add(AGAIN_MS) <= now_ms,
        _ => false,
    }
}

/// Tells one, or says why it cannot renew; whether it was told.
fn tell(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    renewal: &mut MassRenewal,
    mut device: RenewingDevice,
) -> Result<bool, Fault> {
    let Some(record) = choosing::to_renew(s, renewal, &device.device_id)? else {
        let why = "it has no certificate that can be renewed".to_owned();
        fail(s, outcome, renewal, device, ("no-certificate", why));
        return Ok(false);
    };
    // Of those that were named, some do not fit the other conditions.
    if device.state() == RenewingState::Waiting && !choosing::fits(s.view, renewal, &record)? {
        outcome.delete(state::renewing_key(&renewal.renewal_id, &device.device_id));
        renewal.devices = renewal.devices.saturating_sub(1);
        renewal.waiting = renewal.waiting.saturating_sub(1);
        return Ok(false);
    }
    let known: Option<DeviceFact> = s.view.fact(ServiceName::Registry, "device", &device.device_id)?;
    if let Err(refusal) = policy::device(known.as_ref()) {
        let why = (refusal.code.word(), refusal.message);
        fail(s, outcome, renewal, device, why);
        return Ok(false);
    }
    device.serial = record.certificate().serial;
    let order = RenewOrder {
        renewal_id: renewal.renewal_id.clone(),
        serial: device.serial.clone(),
        within_ms: SPREAD_MS,
    };
    event::order(outcome, &device.device_id, order);
    go(s, outcome, renewal, device, RenewingState::Told);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_what_was_asked_for() {
        for (per_minute, expected) in [
            (1, (1, 60_000)),
            (30, (1, 2_000)),
            (300, (1, 200)),
            (600, (2, 200)),
            (60_000, (200, 200)),
        ] {
            assert_eq!(pace(per_minute), expected, "{per_minute}");
        }
        for per_minute in 1..2_000 {
            let (most, pause_ms) = pace(per_minute);
            let in_a_minute = i64::from(most) * 60_000 / pause_ms;
            let wanted = i64::from(per_minute);
            assert!(
                (wanted..=wanted + wanted / 100 + 1).contains(&in_a_minute),
                "{per_minute}: {in_a_minute}"
            );
        }
    }
}
