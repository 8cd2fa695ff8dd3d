//! What devices do is counted: they use their next certificate, or are refused one.

use contract::{
    limits,
    v1::{Certificate, MassRenewal, RenewingDevice, RenewingState},
};
use service::{Answer, Caller, Fault, Outcome};

use super::{Situation, fail, go, keep};
use crate::state::{self, Course};

/// A device has used a certificate for the first time.
pub(crate) fn renewed(s: &Situation<'_>, outcome: &mut Outcome, used: &Certificate) -> Result<(), Fault> {
    for (course, device) in of(s, &used.id)? {
        let is_done = device.state() == RenewingState::Renewed;
        if is_done || used.issued_at_ms < course.renewal().begun_at_ms || used.serial == device.serial {
            continue;
        }
        let device = RenewingDevice {
            next: used.serial.clone(),
            why: String::new(),
            ..device
        };
        let mut renewal = course.renewal();
        go(s, outcome, &mut renewal, device, RenewingState::Renewed);
        keep_counted(s, outcome, course, renewal);
    }
    Ok(())
}

/// A device was answered that asked for its next certificate. One that is told when to ask again has not failed.
pub(crate) fn heard(s: &Situation<'_>, caller: &Caller, outcome: &mut Outcome) -> Result<(), Fault> {
    let Answer::Refused(refusal) = &outcome.answer else {
        return Ok(());
    };
    if refusal.retry_after_ms > 0 {
        return Ok(());
    }
    let (code, why) = (refusal.code, refusal.message.clone());
    let why: String = why.chars().take(limits::TEXT_CHARS).collect();
    for (course, device) in of(s, caller.principal.id.as_str())? {
        if device.state() != RenewingState::Told {
            continue;
        }
        let mut renewal = course.renewal();
        fail(s, outcome, &mut renewal, device, (code.word(), why.clone()));
        keep_counted(s, outcome, course, renewal);
    }
    Ok(())
}

/// The mass renewals under way that a device is in.
fn of(s: &Situation<'_>, device: &str) -> Result<Vec<(Course, RenewingDevice)>, Fault> {
    let mut found = Vec::new();
    for (_, course) in s.view.list::<Course>(state::RENEWALS, None, usize::MAX)? {
        if !course.is_running() {
            continue;
        }
        let key = state::renewing_key(&course.renewal().renewal_id, device);
        if let Some(device) = s.view.load::<RenewingDevice>(key)? {
            found.push((course, device));
        }
    }
    Ok(found)
}

fn keep_counted(s: &Situation<'_>, outcome: &mut Outcome, mut course: Course, renewal: MassRenewal) {
    course.renewal = Some(renewal);
    keep(s, outcome, course, None);
}
