//! Time passes, and devices join and leave the dynamic groups whose queries say `now`: each is woken up for at the next
//! moment at which such a query turns for it, so that nobody need look at the others.

use contract::v1::Device;
use service::{Fault, Outcome};

use super::{Situation, act::Act};
use crate::state;

/// Begins the name of such wake-ups.
pub(super) const WAKE: &str = "turn/";

/// Sets a device's next moment, or lifts it. Where no query says `now` any more, those that were set pass in vain.
pub(super) fn set(act: &mut Act<'_>, device: &Device) {
    if !act.s.rules.is_timed() {
        return;
    }
    let name = format!("{WAKE}{}", device.device_id);
    match act.s.rules.turns(device, act.s.now_ms) {
        Some(at_ms) => act.outcome.wake_at(name, at_ms),
        None => act.outcome.no_wake(name),
    }
}

/// The moment has come.
pub(super) fn decide(s: &Situation<'_>, id: &str) -> Result<Outcome, Fault> {
    let mut act = Act::new(s);
    if let Some(mut device) = state::device_or_twin(s.view, id)? {
        let before = device.clone();
        act.follow(&before, &mut device)?;
    }
    Ok(act.finish())
}
