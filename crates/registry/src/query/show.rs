//! One device, as others and as it itself may see it.

use contract::{
    id::Principal,
    v1::{DeviceShown, ShowDevice, Standing},
};
use service::{Fault, View};

use crate::{lifecycle, state};

pub(super) fn device(view: &View<'_>, m: &ShowDevice) -> Result<DeviceShown, Fault> {
    let device = Some(state::device(view, "device_id", &m.device_id)?);
    Ok(DeviceShown {
        device,
        ..DeviceShown::default()
    })
}

pub(super) fn standing(view: &View<'_>, caller: &Principal) -> Result<Standing, Fault> {
    let device = state::device(view, "", caller.id.as_str())?;
    let retire = lifecycle::must_erase(device.stage());
    Ok(Standing {
        stage: device.stage,
        restriction: device.restriction,
        retire,
        ..Standing::default()
    })
}
