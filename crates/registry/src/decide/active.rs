//! A provisioned device becomes active: it has reported, and its type's checks have passed.

use std::collections::BTreeMap;

use contract::v1::Device;
use service::Fault;

use super::act::{Act, Why};
use crate::lifecycle::{self, Cause};

/// Its report just came.
pub(super) fn by_report(act: &mut Act<'_>, device: &mut Device) -> Result<(), Fault> {
    enter(act, device, "the device reported")
}

/// Its report came before what it had to wait for.
pub(super) fn if_it_had_reported(act: &mut Act<'_>, device: &mut Device) -> Result<(), Fault> {
    if device.reported_at_ms == 0 {
        return Ok(());
    }
    enter(act, device, "the device had reported")
}

fn enter(act: &mut Act<'_>, device: &mut Device, reason: &str) -> Result<(), Fault> {
    let ground = act.s.ground(device)?;
    let Some(transition) = lifecycle::find(device, Cause::Report, &ground) else {
        return Ok(());
    };
    let why = Why {
        reason,
        grounds: grounds(device),
        ..Why::default()
    };
    act.enter(device, transition, &why)
}

/// What an acceptance rests on.
pub(super) fn grounds(device: &Device) -> BTreeMap<String, String> {
    let mut grounds: BTreeMap<String, String> = device
        .checks
        .iter()
        .map(|(check, result)| {
            let word = if result.passed { "passed" } else { "failed" };
            (format!("check {check}"), format!("{word}, says {}", result.by))
        })
        .collect();
    if !device.firmware_version.is_empty() {
        grounds.insert("firmware".into(), device.firmware_version.clone());
    }
    grounds
}
