//! `config-report`: a device says which configuration it has applied, or why not.

use contract::{
    Refusal,
    document::{self, EFFECTIVE_BYTES, Form},
    id::Principal,
    v1::ReportConfig,
};
use service::{Fault, Outcome};

use super::{event, state};
use crate::{decide::Situation, lifecycle, policy, state as records};

pub(crate) fn decide(s: &Situation<'_>, caller: &Principal, m: ReportConfig) -> Result<Outcome, Fault> {
    policy::text("error", &m.error)?;
    let told = document::parse("document", &m.document, Form::Document, EFFECTIVE_BYTES)?;
    let device = records::device(s.view, "", caller.id.as_str())?;
    if !lifecycle::may_report(device.stage()) {
        return Err(lifecycle::refusal(&device, "it has nothing to report").into());
    }
    let before = state::config(s.view, &device.device_id)?;
    if m.version > before.version {
        let message = format!(
            "the newest configuration has version {}; ask for it with `config`",
            before.version
        );
        let refusal = Refusal {
            present_version: before.version,
            ..Refusal::invalid("version", message)
        };
        return Err(refusal.into());
    }
    let mut config = before.clone();
    // What it says late of an older version is no news.
    if m.version < before.reported_version || before.version == 0 {
        return Ok(Outcome::default());
    }
    config.reported_version = m.version;
    config.error = m.error;
    if !m.document.is_empty() {
        config.reported = document::to_text(&told);
    } else if config.error.is_empty() && m.version == config.version {
        config.reported.clone_from(&config.desired);
    }
    let mut outcome = Outcome::default();
    if config != before {
        config.reported_at_ms = s.now_ms;
        state::save(s, &mut outcome, &mut config);
        event::reported(&mut outcome, &config);
    }
    Ok(outcome)
}
