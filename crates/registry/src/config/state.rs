//! The records and their keys; ids in keys are folded.
//!
//! | key | record |
//! |---|---|
//! | `cd{device}` | [`DeviceConfig`] |
//! | `cx{device}` | empty: it drifts |
//! | `ct{scope}{id}` | [`ConfigTemplate`]; the scope is `t` or `g` |
//! | `cw{scope}{id}` | how far the walk of a template has come |

use contract::{
    document::{self, Document},
    v1::{ConfigScope, ConfigTemplate, DeviceConfig},
};
use service::{Outcome, View, store::StoreError};

use crate::state::fold;

/// All devices that drift.
pub(super) const DRIFT: &str = "cx";
/// All templates.
pub(super) const TEMPLATES: &str = "ct";

pub(super) fn config_key(device: &str) -> String {
    format!("cd{}", fold(device))
}

fn drift_key(device: &str) -> String {
    format!("{DRIFT}{}", fold(device))
}

pub(super) fn template_key(scope: ConfigScope, id: &str) -> String {
    format!("{TEMPLATES}{}{}", letter(scope), fold(id))
}

pub(super) fn walk_key(scope: ConfigScope, id: &str) -> String {
    format!("cw{}{}", letter(scope), fold(id))
}

fn letter(scope: ConfigScope) -> char {
    if scope == ConfigScope::Group { 'g' } else { 't' }
}

/// The word for a scope, in sources, events and wake-ups.
pub(crate) fn word(scope: ConfigScope) -> &'static str {
    if scope == ConfigScope::Group {
        "group"
    } else {
        "type"
    }
}

/// A device's configuration; nothing was ever set where there is no record.
pub(super) fn config(view: &View<'_>, device: &str) -> Result<DeviceConfig, StoreError> {
    let found: Option<DeviceConfig> = view.load(config_key(device))?;
    Ok(found.unwrap_or_else(|| DeviceConfig {
        device_id: device.to_owned(),
        ..DeviceConfig::default()
    }))
}

pub(super) fn template(
    view: &View<'_>,
    scope: ConfigScope,
    id: &str,
) -> Result<Option<ConfigTemplate>, StoreError> {
    view.load(template_key(scope, id))
}

/// Writes a configuration, and whether it drifts.
pub(super) fn save(outcome: &mut Outcome, config: &mut DeviceConfig) {
    config.drift = drifts(config);
    outcome.put(config_key(&config.device_id), config);
    let key = drift_key(&config.device_id);
    if config.drift {
        outcome.changes.put(key, Vec::new());
    } else {
        outcome.delete(key);
    }
}

/// The device is gone.
pub(super) fn forget(outcome: &mut Outcome, device: &str) {
    outcome.delete(config_key(device));
    outcome.delete(drift_key(device));
}

/// A device may have settings of its own beyond what it is to have.
fn drifts(config: &DeviceConfig) -> bool {
    if config.version != config.reported_version || !config.error.is_empty() || !config.held_back.is_empty() {
        return true;
    }
    let (desired, reported) = (read(&config.desired), read(&config.reported));
    let settings = document::settings(&desired);
    settings
        .iter()
        .any(|(keys, value)| document::at(&reported, keys) != Some(*value))
}

/// A document of a record; nothing is an empty one.
pub(super) fn read(text: &str) -> Document {
    if text.is_empty() {
        Document::new()
    } else {
        document::from_text(text)
    }
}
