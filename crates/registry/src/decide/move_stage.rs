//! `move`: the changes of stage that are an operator's to make.

use contract::v1::{MoveDevice, Stage};
use service::{Fault, Outcome};

use super::{
    Situation, changed,
    enter::{Why, enter, save},
};
use crate::{choice, event, lifecycle, policy, state};

pub(super) fn decide(s: &Situation<'_>, m: MoveDevice) -> Result<Outcome, Fault> {
    let to: Stage = choice::required("stage", m.stage)?;
    policy::text("reason", &m.reason)?;
    let mut device = state::device(s.view, "device_id", &m.device_id)?;
    policy::version("device", m.expected_version, device.version)?;
    let transition = lifecycle::moving(&device, to)?;
    let before = event::fact_of(&device);
    let mut outcome = Outcome::default();
    let why = Why {
        reason: &m.reason,
        ..Why::default()
    };
    enter(s, &mut outcome, &mut device, transition, &why)?;
    save(&mut outcome, Some(&before), &device);
    outcome.answer(changed(&device.device_id, device.version));
    Ok(outcome)
}
