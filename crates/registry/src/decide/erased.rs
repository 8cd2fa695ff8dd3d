//! `erased`: a retiring device's receipt. A repeat is answered and changes nothing.

use contract::{
    id::Principal,
    v1::{Erased, Stage},
};
use service::{Fault, Outcome};

use super::{
    Situation,
    enter::{Why, enter, save},
};
use crate::{
    event,
    lifecycle::{self, Cause},
    policy, state,
};

pub(super) fn decide(s: &Situation<'_>, caller: &Principal, m: Erased) -> Result<Outcome, Fault> {
    policy::receipt(&m.erased)?;
    let mut device = state::device(s.view, "", caller.id.as_str())?;
    let mut outcome = Outcome::default();
    let Some(transition) = lifecycle::find(&device, Cause::Receipt, s.now_ms) else {
        if device.stage() == Stage::Retired {
            return Ok(outcome);
        }
        return Err(lifecycle::refusal(&device, "only a retiring device is to erase itself").into());
    };
    let before = event::fact_of(&device);
    let why = Why {
        reason: "the device erased its keys",
        receipt: &m.erased,
        ..Why::default()
    };
    enter(s, &mut outcome, &mut device, transition, &why)?;
    save(&mut outcome, Some(&before), &device);
    Ok(outcome)
}
