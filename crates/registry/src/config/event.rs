//! What goes out: events, and what devices are told.

use contract::{
    document::{self, Document},
    id::{Kind, Principal},
    v1::{ConfigChange, ConfigScope, ConfigTemplate, DeviceConfig},
};
use serde_json::{Value, json};
use service::{Outcome, View, store::StoreError};

use super::state;
use crate::tree;

/// A device is to have another configuration; `patch` leads there from the one before.
pub(super) fn configured(outcome: &mut Outcome, config: &DeviceConfig, patch: &Document, cause: &str) {
    let data = json!({
        "device_id": config.device_id,
        "version": config.version.to_string(),
        "patch": Value::Object(patch.clone()),
        "cause": cause,
        "held_back": config.held_back,
    });
    outcome.event(format!("devices/{}", config.device_id), "configured", data);
}

/// Tells the device the difference.
pub(super) fn tell_device(outcome: &mut Outcome, config: &DeviceConfig, base_version: u64, patch: &Document) {
    if let Ok(id) = config.device_id.parse() {
        let change = ConfigChange {
            version: config.version,
            base_version,
            patch: document::to_text(patch),
        };
        outcome.push(Principal::new(Kind::Device, id), "config", change);
    }
}

/// A device applied its configuration, or said why not.
pub(super) fn reported(outcome: &mut Outcome, config: &DeviceConfig) {
    let data = json!({
        "device_id": config.device_id,
        "version": config.reported_version.to_string(),
        "desired_version": config.version.to_string(),
        "error": config.error,
        "drift": config.drift,
    });
    outcome.event(format!("devices/{}", config.device_id), "config-reported", data);
}

/// A template was made, changed or removed, or has reached every device's record.
pub(super) fn template_changed(
    outcome: &mut Outcome,
    view: &View<'_>,
    template: &ConfigTemplate,
    change: &str,
) -> Result<(), StoreError> {
    let within = match template.scope() {
        ConfigScope::Group => tree::above(view, &template.id)?,
        _ => Vec::new(),
    };
    let scope = state::word(template.scope());
    let data = json!({
        "scope": scope,
        "id": template.id,
        "version": template.version.to_string(),
        "priority": template.priority,
        "document": Value::Object(state::read(&template.document)),
        "change": change,
        "within": within,
    });
    outcome.event(format!("templates/{scope}.{}", template.id), "changed", data);
    Ok(())
}
