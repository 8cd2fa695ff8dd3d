//! Brings what a device is to have in line with its layers.

use std::collections::BTreeSet;

use contract::{
    document::{self, Document},
    v1::{ConfigScope, Device, DeviceConfig, Stage},
};
use service::{Fault, Outcome, View, store::StoreError};

use super::{event, layers, state, template, walk};
use crate::{decide::Situation, state as records, tree};

/// Begins the name of the wake-ups.
pub(crate) const WAKE: &str = "config/";

/// A device's record is written: what its place among types and groups changes is looked at right after.
pub(crate) fn note(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    before: Option<&Device>,
    device: &Device,
) -> Result<(), Fault> {
    if device.stage() == Stage::Retired {
        if before.is_some_and(|before| before.stage() != Stage::Retired) {
            state::forget(s, outcome, &device.device_id);
        }
        return Ok(());
    }
    if is_under_others(s.view, before, device)? {
        outcome.wake_at(wake_key("device", &device.device_id), s.now_ms);
    }
    Ok(())
}

/// Whether a template came to count for the device, or no longer does.
fn is_under_others(view: &View<'_>, before: Option<&Device>, device: &Device) -> Result<bool, Fault> {
    let places = |device: &Device| -> Result<BTreeSet<(i32, String)>, StoreError> {
        let groups = tree::with_above(view, &device.groups)?.into_iter();
        let groups = groups.map(|group| (ConfigScope::Group.into(), group));
        let kind = Some(&device.device_type).filter(|kind| !kind.is_empty());
        let kind = kind.map(|kind| (ConfigScope::Type.into(), kind.clone()));
        Ok(groups.chain(kind).collect())
    };
    let is_where_it_was =
        |before: &Device| (&before.groups, &before.device_type) == (&device.groups, &device.device_type);
    if before.is_some_and(is_where_it_was) {
        return Ok(false);
    }
    let former = before.map(places).transpose()?.unwrap_or_default();
    let present = places(device)?;
    for (scope, id) in former.symmetric_difference(&present) {
        let scope = ConfigScope::try_from(*scope).unwrap_or_default();
        if state::template(view, scope, id)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A wake-up: a device whose place has changed, or the next page of a template's walk.
pub(crate) fn wake(s: &Situation<'_>, key: &str) -> Result<Outcome, Fault> {
    match key.split_once('/') {
        Some(("device", id)) => {
            let mut outcome = Outcome::default();
            if let Some(device) = records::device_or_twin(s.view, id)? {
                renew(s, &mut outcome, &device, "place")?;
            }
            Ok(outcome)
        }
        Some(("type", id)) => walk::decide(s, ConfigScope::Type, id),
        Some(("group", id)) => walk::decide(s, ConfigScope::Group, id),
        _ => Ok(Outcome::default()),
    }
}

pub(super) fn wake_key(what: &str, id: &str) -> String {
    format!("{WAKE}{what}/{id}")
}

/// A group is removed: its template goes with it. It has no members that would notice.
pub(crate) fn forget_group(s: &Situation<'_>, outcome: &mut Outcome, group: &str) -> Result<(), Fault> {
    if let Some(template) = state::template(s.view, ConfigScope::Group, group)? {
        template::delete(s, outcome, &template)?;
        walk::end(outcome, ConfigScope::Group, group);
    }
    Ok(())
}

/// A successor gets what was set for the device whose place it takes, over what was set for itself.
pub(crate) fn hand_over(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    old: &Device,
    new: &Device,
) -> Result<(), Fault> {
    let moved = state::read(&state::config(s.view, &old.device_id)?.own);
    if moved.is_empty() {
        return Ok(());
    }
    let config = state::config(s.view, &new.device_id)?;
    let mut own = state::read(&config.own);
    document::merge(&mut own, &moved);
    put_own(s, outcome, new, config, own, "replace").map(drop)
}

/// A template may have changed. One that would make the whole too large is not followed, and the record says so.
pub(crate) fn renew(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    device: &Device,
    cause: &str,
) -> Result<(), Fault> {
    if device.stage() == Stage::Retired {
        return Ok(());
    }
    let config = state::config(s.view, &device.device_id)?;
    lay(s, outcome, device, config, cause)
}

/// A device is new, with something set for it alone. Groups that it joins by their queries may make the whole too large.
pub(crate) fn begin(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    device: &Device,
    own: &Document,
) -> Result<(), Fault> {
    if own.is_empty() {
        return Ok(());
    }
    let mut config = state::config(s.view, &device.device_id)?;
    config.own = document::to_text(own);
    lay(s, outcome, device, config, "register")
}

fn lay(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    device: &Device,
    mut config: DeviceConfig,
    cause: &str,
) -> Result<(), Fault> {
    let whole = layers::whole(&state::read(&config.own), &layers::templates(s.view, device)?);
    match document::check_effective(&whole) {
        Ok(()) => {
            let was_held_back = !std::mem::take(&mut config.held_back).is_empty();
            let patch = document::difference(&state::read(&config.desired), &whole);
            if !patch.is_empty() {
                write(s, outcome, &mut config, &whole, cause);
            } else if was_held_back {
                state::save(s, outcome, &mut config);
            }
        }
        Err(refusal) if config.held_back != refusal.message => {
            config.held_back = refusal.message;
            state::save(s, outcome, &mut config);
            event::configured(outcome, &config, &Document::new(), cause);
        }
        Err(_) => {}
    }
    Ok(())
}

/// Something was set for the device alone. What comes back is the configuration's version.
pub(super) fn put_own(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    device: &Device,
    mut config: DeviceConfig,
    own: Document,
    cause: &str,
) -> Result<u64, Fault> {
    if own == state::read(&config.own) {
        return Ok(config.version);
    }
    let whole = layers::whole(&own, &layers::templates(s.view, device)?);
    document::check_effective(&whole)?;
    config.own = document::to_text(&own);
    config.held_back.clear();
    write(s, outcome, &mut config, &whole, cause);
    Ok(config.version)
}

/// Writes what the device is to have, as the next version, and tells it.
fn write(s: &Situation<'_>, outcome: &mut Outcome, config: &mut DeviceConfig, whole: &Document, cause: &str) {
    let patch = document::difference(&state::read(&config.desired), whole);
    let base = config.version;
    config.version = config.version.saturating_add(1);
    config.desired = document::to_text(whole);
    config.changed_at_ms = s.now_ms;
    config.changed_by.clone_from(&s.actor);
    state::save(s, outcome, config);
    event::configured(outcome, config, &patch, cause);
    event::tell_device(outcome, config, base, &patch);
}
