//! The only place where events and messages to devices are made. Data is in the form of the contract's JSON:
//! enums by name, 64-bit numbers as strings.

use contract::{
    Id, Kind, Principal, ServiceName,
    v1::{Artifact, Assignment, DeviceUpdate, Rollout, SignedManifest, Tested, UpdateState},
};
use serde_json::json;
use service::Outcome;

/// Firmware is available.
pub(crate) fn sealed(out: &mut Outcome, artifact: &Artifact) {
    let manifest = artifact.manifest.clone().unwrap_or_default();
    let data = json!({
        "name": manifest.name,
        "version": manifest.version,
        "sequence": manifest.sequence.to_string(),
        "models": manifest.models,
        "size": manifest.size.to_string(),
    });
    out.event(format!("artifacts/{}", artifact.artifact_id), "sealed", data);
}

/// A release was recalled, or the recall was lifted.
pub(crate) fn recalled(out: &mut Outcome, artifact: &Artifact, name: &'static str, reason: &str) {
    let manifest = artifact.manifest.clone().unwrap_or_default();
    let data = json!({
        "name": manifest.name,
        "version": manifest.version,
        "reason": reason,
    });
    out.event(format!("artifacts/{}", artifact.artifact_id), name, data);
}

/// A rollout began.
pub(crate) fn started(out: &mut Outcome, rollout: &Rollout, left_out: usize) {
    let devices: u32 = rollout.waves.iter().map(|wave| wave.devices).sum();
    let data = json!({
        "artifact_id": rollout.artifact_id,
        "firmware_version": rollout.firmware_version,
        "group": rollout.group,
        "devices": devices,
        "left_out": left_out,
        "waves": rollout.waves.len(),
    });
    out.event(subject(rollout), "started", data);
}

/// A wave began.
pub(crate) fn wave_started(out: &mut Outcome, rollout: &Rollout, number: u32, devices: u32) {
    out.event(
        subject(rollout),
        "wave-started",
        json!({ "wave": number, "devices": devices }),
    );
}

/// A rollout was paused or goes on.
pub(crate) fn steered(out: &mut Outcome, rollout: &Rollout, name: &'static str, reason: &str) {
    out.event(
        subject(rollout),
        name,
        json!({ "reason": reason, "version": rollout.version.to_string() }),
    );
}

/// A rollout came to its end.
pub(crate) fn ended(out: &mut Outcome, rollout: &Rollout) {
    let data = json!({
        "state": rollout.state().as_str_name(),
        "reason": rollout.end_reason,
        "succeeded": rollout.waves.iter().map(|wave| wave.succeeded).sum::<u32>(),
        "failed": rollout.waves.iter().map(|wave| wave.failed).sum::<u32>(),
    });
    out.event(subject(rollout), "ended", data);
}

/// A device's update went a step on.
pub(crate) fn updating(out: &mut Outcome, update: &DeviceUpdate) {
    out.event(format!("devices/{}", update.device_id), "updating", step(update));
}

/// A device's update came to its end.
pub(crate) fn updated(out: &mut Outcome, update: &DeviceUpdate) {
    out.event(format!("devices/{}", update.device_id), "updated", step(update));
}

/// Tells a device what it is to install.
pub(crate) fn assign(
    out: &mut Outcome,
    update: &DeviceUpdate,
    artifact_id: &str,
    signed: Option<SignedManifest>,
) {
    push(
        out,
        update,
        Assignment {
            signed,
            ..assignment(update, artifact_id)
        },
    );
}

/// Tells a device that it is not to install it after all.
pub(crate) fn call_off(out: &mut Outcome, update: &DeviceUpdate, artifact_id: &str) {
    push(
        out,
        update,
        Assignment {
            canceled: true,
            ..assignment(update, artifact_id)
        },
    );
}

/// There is nothing to install any more: whoever subscribes from now on is told of nothing.
pub(crate) fn take_back(out: &mut Outcome, update: &DeviceUpdate) {
    if let Ok(device) = update.device_id.parse::<Id>() {
        out.take_back(Principal::new(Kind::Device, device), "assignment");
    }
}

/// Tells the registry what a rollout came to on a device that waits to be accepted.
pub(crate) fn tested(out: &mut Outcome, rollout: &Rollout, update: &DeviceUpdate) {
    let word = Tested {
        device_id: update.device_id.clone(),
        rollout_id: rollout.rollout_id.clone(),
        artifact_id: rollout.artifact_id.clone(),
        firmware_version: rollout.firmware_version.clone(),
        passed: update.state() == UpdateState::Succeeded,
        detail: update.detail.clone(),
        ..Tested::default()
    };
    let tag = format!("tested/{}/{}", rollout.rollout_id, update.device_id);
    out.ask(tag, ServiceName::Registry, "tested", &word);
}

fn assignment(update: &DeviceUpdate, artifact_id: &str) -> Assignment {
    Assignment {
        rollout_id: update.rollout_id.clone(),
        artifact_id: artifact_id.into(),
        ..Assignment::default()
    }
}

fn push(out: &mut Outcome, update: &DeviceUpdate, message: Assignment) {
    // What was stored was an id when it came in.
    if let Ok(device) = update.device_id.parse::<Id>() {
        out.push(Principal::new(Kind::Device, device), "assignment", message);
    }
}

fn step(update: &DeviceUpdate) -> serde_json::Value {
    json!({
        "rollout_id": update.rollout_id,
        "wave": update.wave,
        "state": UpdateState::as_str_name(&update.state()),
        "detail": update.detail,
    })
}

fn subject(rollout: &Rollout) -> String {
    format!("rollouts/{}", rollout.rollout_id)
}
