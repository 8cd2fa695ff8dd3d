//! `config-set`: changes what is set for one device.

use contract::{
    Code, Refusal,
    document::{self, DOCUMENT_BYTES, Document, Form},
    v1::{Changed, ConfigMode, Device, SetConfig, Stage},
};
use service::{Fault, Outcome, View};

use super::{follow, layers, state};
use crate::{choice, decide::Situation, lifecycle, policy, state as records};

pub(crate) fn decide(s: &Situation<'_>, m: SetConfig) -> Result<Outcome, Fault> {
    let mode: ConfigMode = choice::required("mode", m.mode)?;
    let change = read(mode, &m.document)?;
    let device = records::device(s.view, "device_id", &m.device_id)?;
    if device.stage() == Stage::Retired {
        return Err(lifecycle::refusal(&device, "it has no configuration").into());
    }
    let config = state::config(s.view, &device.device_id)?;
    policy::version("configuration", m.expected_version, config.version)?;
    let own = lay(mode, state::read(&config.own), change)?;
    let mut outcome = Outcome::default();
    let version = follow::put_own(s, &mut outcome, &device, config, own, "set")?;
    outcome.answer(Changed {
        id: device.device_id,
        version,
        ..Changed::default()
    });
    Ok(outcome)
}

/// What a registration sets for a device alone, where it says something of that.
pub(crate) fn read_settings(text: &str) -> Result<Option<Document>, Refusal> {
    let document = document::parse("settings", text, Form::Document, DOCUMENT_BYTES)?;
    Ok((!text.is_empty()).then_some(document))
}

/// Whether it fits what a new device gets from its type and its groups.
pub(crate) fn fits(view: &View<'_>, device: &Device, own: &Document) -> Result<(), Fault> {
    let whole = layers::whole(own, &layers::templates(view, device)?);
    document::check_effective(&whole).map_err(|refusal| refusal.at("settings").into())
}

/// A change as it was sent.
pub(super) fn read(mode: ConfigMode, text: &str) -> Result<Document, Refusal> {
    let form = match mode {
        ConfigMode::Merge => Form::Patch,
        _ => Form::Document,
    };
    document::parse("document", text, form, DOCUMENT_BYTES)
}

/// What it makes of what is there.
pub(super) fn lay(mode: ConfigMode, present: Document, change: Document) -> Result<Document, Refusal> {
    if mode == ConfigMode::Replace {
        return Ok(change);
    }
    let mut merged = present;
    document::merge(&mut merged, &change);
    let text = document::to_text(&merged);
    // Two that fit may come to one that does not.
    document::parse("document", &text, Form::Document, DOCUMENT_BYTES).map_err(|refusal| Refusal {
        code: Code::Limit,
        message: format!("after the merge, {}", refusal.message),
        ..refusal
    })
}
