//! A retirement as it stands.

use contract::{
    Refusal,
    v1::{Retirement, RetirementShown, ShowRetirement},
};
use service::{Fault, View};

use super::newest;
use crate::state;

pub(crate) fn show(view: &View<'_>, m: &ShowRetirement) -> Result<RetirementShown, Fault> {
    let device = state::device(view, "device_id", &m.device_id)?;
    let retirement: Option<Retirement> = match m.version {
        0 => newest(view, &device.device_id)?,
        version => {
            let found = view.load(state::retirement_key(&device.device_id, version))?;
            let absent = || Refusal::not_found("retirement", &version.to_string()).at("version");
            Some(found.ok_or_else(absent)?)
        }
    };
    Ok(RetirementShown {
        retirement,
        ..RetirementShown::default()
    })
}
