//! `move`: the changes of stage that are an operator's to make.

use contract::v1::{MoveDevice, Stage};
use service::{Fault, Outcome};

use super::{
    Situation,
    act::{Act, Why},
    active, changed,
};
use crate::{choice, lifecycle, policy, state};

pub(super) fn decide(s: &Situation<'_>, m: MoveDevice) -> Result<Outcome, Fault> {
    let to: Stage = choice::required("stage", m.stage)?;
    policy::text("reason", &m.reason)?;
    let mut device = state::device(s.view, "device_id", &m.device_id)?;
    policy::version("device", m.expected_version, device.version)?;
    let transition = lifecycle::moving(&device, to, &s.ground(&device)?)?;
    let before = device.clone();
    let mut act = Act::new(s);
    let why = Why {
        reason: &m.reason,
        grounds: if to == Stage::Active {
            active::grounds(&device)
        } else {
            Default::default()
        },
        ..Why::default()
    };
    act.enter(&mut device, transition, &why)?;
    act.save(Some(&before), &mut device)?;
    Ok(act.answer(changed(&device.device_id, device.version)))
}
