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
    v1::{ConfigScope, ConfigTemplate, DeviceConfig, Drift},
};
use service::{Outcome, View, store::StoreError};

use crate::{decide::Situation, state::fold};

/// Begins the name of the wake-ups that tell how a device drifts.
pub(crate) const DRIFT_WAKE: &str = "drift/";

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

/// How a device drifts; nothing was ever set where there is no record.
pub(crate) fn drift_of(view: &View<'_>, device: &str) -> Result<Drift, StoreError> {
    Ok(config(view, device)?.state())
}

/// Writes a configuration, and whether it drifts; where that is news, it is told right after.
pub(super) fn save(s: &Situation<'_>, outcome: &mut Outcome, config: &mut DeviceConfig) {
    let drift = drift(config);
    if drift != config.state() {
        tell(s, outcome, &config.device_id);
    }
    config.set_state(drift);
    config.drift = drift != Drift::None;
    outcome.put(config_key(&config.device_id), config);
    let key = drift_key(&config.device_id);
    if config.drift {
        outcome.changes.put(key, Vec::new());
    } else {
        outcome.delete(key);
    }
}

/// What others know of the device is brought in line.
fn tell(s: &Situation<'_>, outcome: &mut Outcome, device: &str) {
    outcome.wake_at(format!("{DRIFT_WAKE}{device}"), s.now_ms);
}

/// The device is gone.
pub(super) fn forget(s: &Situation<'_>, outcome: &mut Outcome, device: &str) {
    tell(s, outcome, device);
    outcome.delete(config_key(device));
    outcome.delete(drift_key(device));
}

/// What is amiss. A device may have settings of its own beyond what it is to have.
fn drift(config: &DeviceConfig) -> Drift {
    let is_newest = config.version == config.reported_version;
    if is_newest && !config.error.is_empty() {
        Drift::Failed
    } else if !config.held_back.is_empty() {
        Drift::Withheld
    } else if is_newest && differs(config) {
        Drift::Different
    } else if is_newest {
        Drift::None
    } else {
        Drift::Unreported
    }
}

fn differs(config: &DeviceConfig) -> bool {
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
