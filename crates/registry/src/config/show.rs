//! The queries.

use contract::{
    document,
    id::Principal,
    v1::{
        ConfigDrift, ConfigDriftListed, ConfigExplained, ConfigSetting, ConfigShown, ConfigState,
        ConfigTemplate, ConfigTemplatesListed, DeviceConfig, ExplainConfig, ListConfigDrift,
        ListConfigTemplates, OwnConfig, ShowConfig,
    },
};
use service::{Fault, Sight, View, page};

use super::{
    layers::{self, Layer},
    state,
    template::is_seen,
};
use crate::state as records;

pub(crate) fn show(view: &View<'_>, m: &ShowConfig) -> Result<ConfigShown, Fault> {
    let device = records::device(view, "device_id", &m.device_id)?;
    Ok(ConfigShown {
        config: Some(state::config(view, &device.device_id)?),
        ..ConfigShown::default()
    })
}

/// What is set for a device alone, where something is.
pub(crate) fn own(view: &View<'_>, device: &str) -> Result<Option<OwnConfig>, Fault> {
    let config = state::config(view, device)?;
    let is_set = !state::read(&config.own).is_empty();
    Ok(is_set.then_some(OwnConfig {
        device_id: config.device_id,
        version: config.version,
        document: config.own,
        changed_at_ms: config.changed_at_ms,
        changed_by: config.changed_by,
    }))
}

/// What the device itself is told.
pub(crate) fn current(view: &View<'_>, caller: &Principal) -> Result<ConfigState, Fault> {
    let device = records::device(view, "", caller.id.as_str())?;
    let config = state::config(view, &device.device_id)?;
    Ok(ConfigState {
        version: config.version,
        document: document::to_text(&state::read(&config.desired)),
        ..ConfigState::default()
    })
}

pub(crate) fn explain(view: &View<'_>, m: &ExplainConfig) -> Result<ConfigExplained, Fault> {
    let device = records::device(view, "device_id", &m.device_id)?;
    let config = state::config(view, &device.device_id)?;
    let own = state::read(&config.own);
    let templates = layers::templates(view, &device)?;
    let whole = layers::whole(&own, &templates);
    let reported = state::read(&config.reported);
    let mut layers = vec![Layer {
        source: "device".into(),
        document: own,
    }];
    layers.extend(templates);
    let settings = document::settings(&whole).into_iter();
    let settings = settings.map(|(keys, value)| {
        let say = |layer: &&Layer| document::at(&layer.document, &keys).is_some();
        let mut sources = layers.iter().filter(say);
        let source = sources.next().map(|layer| layer.source.clone());
        let over = sources.filter(|layer| document::at(&layer.document, &keys) != Some(value));
        ConfigSetting {
            path: keys.join("."),
            value: value.to_string(),
            source: source.unwrap_or_default(),
            over: over.map(|layer| layer.source.clone()).collect(),
            reported: document::at(&reported, &keys)
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    });
    Ok(ConfigExplained {
        settings: settings.collect(),
        device_id: device.device_id,
        version: config.version,
        ..ConfigExplained::default()
    })
}

pub(crate) fn drift(view: &View<'_>, sight: &Sight, m: &ListConfigDrift) -> Result<ConfigDriftListed, Fault> {
    let page = page::fill(state::DRIFT, &m.page, m.page_size, |after, limit| {
        let found = view.scan(state::DRIFT.as_bytes(), after, limit)?;
        let row = |(key, _): (Vec<u8>, Vec<u8>)| {
            let id = String::from_utf8_lossy(&key[state::DRIFT.len()..]).into_owned();
            let config = state::config(view, &id)?;
            let shown = records::in_sight(view, sight, &id)?;
            Ok((key, shown.then(|| drifting(config))))
        };
        found.into_iter().map(row).collect()
    })?;
    Ok(ConfigDriftListed {
        devices: page.rows,
        next_page: page.next,
        ..ConfigDriftListed::default()
    })
}

fn drifting(config: DeviceConfig) -> ConfigDrift {
    ConfigDrift {
        device_id: config.device_id,
        version: config.version,
        reported_version: config.reported_version,
        error: config.error,
        changed_at_ms: config.changed_at_ms,
        reported_at_ms: config.reported_at_ms,
        held_back: config.held_back,
    }
}

pub(crate) fn templates(
    view: &View<'_>,
    sight: &Sight,
    m: &ListConfigTemplates,
) -> Result<ConfigTemplatesListed, Fault> {
    let seen = |of: &ConfigTemplate| is_seen(sight, of.scope(), &of.id);
    let page = page::list::<ConfigTemplate>(view, state::TEMPLATES, &m.page, m.page_size, seen)?;
    Ok(ConfigTemplatesListed {
        templates: page.rows,
        next_page: page.next,
        ..ConfigTemplatesListed::default()
    })
}
