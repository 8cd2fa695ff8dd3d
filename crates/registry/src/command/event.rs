//! What goes out.

use contract::{
    id::{Kind, Principal},
    v1::{CommandNotice, DeviceCommand},
};
use serde_json::json;
use service::Outcome;

use crate::choice::Choice;

/// A command is there, or went a step on.
pub(super) fn changed(outcome: &mut Outcome, command: &DeviceCommand) {
    let data = json!({
        "command_id": command.command_id,
        "device_id": command.device_id,
        "version": command.version.to_string(),
        "name": command.name,
        "state": command.state().name(),
        "percent": command.percent,
        "note": command.note,
        "error": command.error,
        "late": command.late().as_str_name(),
        "created_by": command.created_by,
        "job_id": command.job_id,
    });
    outcome.event(format!("devices/{}", command.device_id), "commanded", data);
}

/// The device is to ask what there is to do.
pub(super) fn notice(outcome: &mut Outcome, device: &str) {
    if let Ok(id) = device.parse() {
        outcome.push(
            Principal::new(Kind::Device, id),
            "command",
            CommandNotice::default(),
        );
    }
}
