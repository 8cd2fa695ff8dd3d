//! `erased`: a retiring device's receipt. A repeat is answered and changes nothing.

use contract::{
    id::Principal,
    v1::{Erased, Stage},
};
use service::{Fault, Outcome};

use super::{
    Situation,
    act::{Act, Why},
};
use crate::{
    lifecycle::{self, Cause},
    policy, state,
};

pub(super) fn decide(s: &Situation<'_>, caller: &Principal, m: Erased) -> Result<Outcome, Fault> {
    policy::receipt(&m.erased)?;
    let mut device = state::device(s.view, "", caller.id.as_str())?;
    let Some(transition) = lifecycle::find(&device, Cause::Receipt, &s.ground(&device)?) else {
        if device.stage() == Stage::Retired {
            return Ok(Outcome::default());
        }
        return Err(lifecycle::refusal(&device, "only a retiring device is to erase itself").into());
    };
    let before = device.clone();
    let mut act = Act::new(s);
    let why = Why {
        reason: "the device erased its keys",
        receipt: &m.erased,
        ..Why::default()
    };
    act.enter(&mut device, transition, &why)?;
    act.save(Some(&before), &mut device)?;
    Ok(act.finish())
}
