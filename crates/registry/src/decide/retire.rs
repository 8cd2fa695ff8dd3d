//! `retire`: the end of a device's life begins. `readmit`: a retired device begins another.

use contract::v1::{ReadmitDevice, RetireDevice, Stage};
use service::{Fault, Outcome};

use super::{
    Situation,
    act::{Act, Why},
    changed, check, deadline,
};
use crate::{
    Settings,
    lifecycle::{self, Cause},
    policy, state, transfer,
};

pub(super) fn decide(s: &Situation<'_>, settings: &Settings, m: RetireDevice) -> Result<Outcome, Fault> {
    policy::text("reason", &m.reason)?;
    let wait_ms = policy::retire_wait(m.wait_ms, settings.retire_wait_ms)?;
    let mut device = state::device(s.view, "device_id", &m.device_id)?;
    policy::version("device", m.expected_version, device.version)?;
    if device.stage() == Stage::Retiring && m.wait_ms > 0 {
        // It can be known by now that no receipt will come: its key is barred, or it is scrap.
        let mut act = Act::new(s);
        deadline::another(&mut act, &mut device, wait_ms)?;
        return Ok(act.answer(changed(&device.device_id, device.version)));
    }
    let Some(transition) = lifecycle::find(&device, Cause::Retire, &s.ground(&device)?) else {
        let why = "it need not be retired again; while it is retiring another wait may be given";
        return Err(lifecycle::refusal(&device, why).into());
    };
    let before = device.clone();
    let mut act = Act::new(s);
    let why = Why {
        reason: &m.reason,
        deadline_ms: s.now_ms.saturating_add(wait_ms),
        ..Why::default()
    };
    act.enter(&mut device, transition, &why)?;
    transfer::withdraw(s, &mut act.outcome, &device)?;
    act.save(Some(&before), &mut device)?;
    Ok(act.answer(changed(&device.device_id, device.version)))
}

pub(super) fn readmit(s: &Situation<'_>, m: ReadmitDevice) -> Result<Outcome, Fault> {
    policy::reason(&m.reason)?;
    let mut device = state::device(s.view, "device_id", &m.device_id)?;
    policy::version("device", m.expected_version, device.version)?;
    let Some(transition) = lifecycle::find(&device, Cause::Readmit, &s.ground(&device)?) else {
        return Err(lifecycle::refusal(&device, "only a retired device is readmitted").into());
    };
    let before = device.clone();
    let mut act = Act::new(s);
    let why = Why {
        reason: &m.reason,
        ..Why::default()
    };
    act.enter(&mut device, transition, &why)?;
    // Its serial number and addresses were free while it was gone.
    check::unique(s.view, Some(&before), &device)?;
    act.save(Some(&before), &mut device)?;
    Ok(act.answer(changed(&device.device_id, device.version)))
}
