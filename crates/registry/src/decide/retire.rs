//! `retire`: the end of a device's life begins.

use contract::v1::RetireDevice;
use service::{Fault, Outcome};

use super::{
    Situation, changed,
    enter::{Why, enter, save},
};
use crate::{
    Settings, event,
    lifecycle::{self, Cause},
    policy, state,
};

pub(super) fn decide(s: &Situation<'_>, settings: &Settings, m: RetireDevice) -> Result<Outcome, Fault> {
    policy::text("reason", &m.reason)?;
    let wait_ms = policy::retire_wait(m.wait_ms, settings.retire_wait_ms)?;
    let mut device = state::device(s.view, "device_id", &m.device_id)?;
    policy::version("device", m.expected_version, device.version)?;
    let Some(transition) = lifecycle::find(&device, Cause::Retire, s.now_ms) else {
        return Err(lifecycle::refusal(&device, "it need not be retired again").into());
    };
    let before = event::fact_of(&device);
    let mut outcome = Outcome::default();
    let deadline_ms = s.now_ms.saturating_add(wait_ms);
    let why = Why {
        reason: &m.reason,
        deadline_ms,
        ..Why::default()
    };
    enter(s, &mut outcome, &mut device, transition, &why)?;
    save(&mut outcome, Some(&before), &device);
    outcome.answer(changed(&device.device_id, device.version));
    Ok(outcome)
}
