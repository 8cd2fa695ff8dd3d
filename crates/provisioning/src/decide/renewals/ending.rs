//! A mass renewal ends: what devices were told is taken back, and later it is forgotten.

use contract::v1::{MassRenewalState, RenewingDevice, RenewingState};
use service::{Fault, Outcome};

use super::{STEP, Situation, fail, go, keep};
use crate::{
    event,
    state::{self, Course},
};

/// Devices that are looked at in one decision.
const PAGE: usize = 250;

/// Nobody is told any more from now on.
pub(super) fn begin(s: &Situation<'_>, outcome: &mut Outcome, mut course: Course, end: MassRenewalState) {
    let mut renewal = course.renewal();
    renewal.set_state(MassRenewalState::Ending);
    course.renewal = Some(renewal);
    course.ends_as = end as i32;
    course.after.clear();
    keep(s, outcome, course, Some(s.now_ms));
}

/// Takes back what the devices of the next page were told.
pub(super) fn page(s: &Situation<'_>, outcome: &mut Outcome, mut course: Course) -> Result<(), Fault> {
    let mut renewal = course.renewal();
    let prefix = state::renewing_of(&renewal.renewal_id);
    let after = Some(course.after.as_slice()).filter(|after| !after.is_empty());
    let rows = s.view.list::<RenewingDevice>(&prefix, after, PAGE)?;
    let is_last = rows.len() < PAGE;
    for (key, device) in rows {
        course.after = key;
        if !matches!(device.state(), RenewingState::Waiting | RenewingState::Told) {
            continue;
        }
        match course.ends_as() {
            MassRenewalState::TimedOut => {
                let why = ("timed-out", "it has not renewed in time".to_owned());
                fail(s, outcome, &mut renewal, device, why);
            }
            _ => go(s, outcome, &mut renewal, device, RenewingState::Canceled),
        }
    }
    course.renewal = Some(renewal);
    if is_last {
        let ends_as = course.ends_as();
        end(s, outcome, course, ends_as);
    } else {
        keep(s, outcome, course, Some(s.now_ms));
    }
    Ok(())
}

/// It is over, and remembered for a while.
pub(super) fn end(s: &Situation<'_>, outcome: &mut Outcome, course: Course, end: MassRenewalState) {
    let mut renewal = course.renewal();
    renewal.set_state(end);
    renewal.ended_at_ms = s.now_ms;
    event::renewal_ended(outcome, &renewal);
    let forget_ms = s.now_ms.saturating_add_unsigned(s.service.settings.retention_ms);
    outcome.wake_at(format!("{STEP}/{}", renewal.renewal_id), forget_ms);
    let key = state::course_key(&renewal.renewal_id);
    let over = Course {
        renewal: Some(renewal),
        ..Course::default()
    };
    outcome.put(key, &over);
}

/// Forgets a page of its devices, and at last itself.
pub(super) fn forget(s: &Situation<'_>, outcome: &mut Outcome, name: &str) -> Result<(), Fault> {
    let rows = s.view.scan(state::renewing_of(name).as_bytes(), None, PAGE)?;
    if rows.len() == PAGE {
        outcome.wake_at(format!("{STEP}/{name}"), s.now_ms);
    } else {
        outcome.delete(state::course_key(name));
        outcome.no_wake(format!("{STEP}/{name}"));
    }
    for (key, _) in rows {
        outcome.delete(key);
    }
    Ok(())
}
