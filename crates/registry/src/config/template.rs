//! `put-config-template`, `remove-config-template`: settings for all devices of a type or of a group.

use contract::{
    Code, Refusal, document,
    v1::{
        Changed, ConfigMode, ConfigScope, ConfigTemplate, DeviceType, Group, PutConfigTemplate,
        RemoveConfigTemplate,
    },
};
use service::{Fault, Outcome, View};

use super::{event, set, state, walk};
use crate::{choice, decide::Situation, policy, state as records};

/// The highest priority.
const PRIORITY_MAX: u32 = 1_000;

pub(crate) fn put(s: &Situation<'_>, m: PutConfigTemplate) -> Result<Outcome, Fault> {
    let scope: ConfigScope = choice::required("scope", m.scope)?;
    let mode: ConfigMode = choice::required("mode", m.mode)?;
    priority(scope, m.priority)?;
    let change = set::read(mode, &m.document)?;
    must_exist(s.view, scope, &m.id)?;
    let present = state::template(s.view, scope, &m.id)?.unwrap_or_else(|| ConfigTemplate {
        scope: scope.into(),
        id: m.id.clone(),
        ..ConfigTemplate::default()
    });
    policy::version("template", m.expected_version, present.version)?;
    let changed = set::lay(mode, state::read(&present.document), change)?;
    let mut wanted = ConfigTemplate {
        document: document::to_text(&changed),
        priority: m.priority.unwrap_or(present.priority),
        ..present.clone()
    };
    let mut outcome = Outcome::default();
    if wanted != present {
        wanted.version += 1;
        wanted.settling = true;
        outcome.put(state::template_key(scope, &wanted.id), &wanted);
        walk::begin(&mut outcome, scope, &wanted.id, s.now_ms);
        event::template_changed(&mut outcome, &wanted, "changed");
    }
    outcome.answer(Changed {
        id: wanted.id,
        version: wanted.version,
        ..Changed::default()
    });
    Ok(outcome)
}

pub(crate) fn remove(s: &Situation<'_>, m: RemoveConfigTemplate) -> Result<Outcome, Fault> {
    let scope: ConfigScope = choice::required("scope", m.scope)?;
    policy::id("id", &m.id)?;
    let found = state::template(s.view, scope, &m.id)?.filter(|found| found.id == m.id);
    let Some(template) = found else {
        let what = format!("template of the {}", state::word(scope));
        return Err(Refusal::not_found(&what, &m.id).at("id").into());
    };
    policy::version("template", m.expected_version, template.version)?;
    let mut outcome = Outcome::default();
    delete(&mut outcome, &template);
    walk::begin(&mut outcome, scope, &template.id, s.now_ms);
    Ok(outcome)
}

pub(super) fn delete(outcome: &mut Outcome, template: &ConfigTemplate) {
    let gone = ConfigTemplate {
        version: template.version + 1,
        document: String::new(),
        ..template.clone()
    };
    outcome.delete(state::template_key(template.scope(), &template.id));
    event::template_changed(outcome, &gone, "removed");
}

fn must_exist(view: &View<'_>, scope: ConfigScope, id: &str) -> Result<(), Fault> {
    match scope {
        ConfigScope::Group => records::find::<Group>(view, "id", id).map(drop),
        _ => records::find::<DeviceType>(view, "id", id).map(drop),
    }
}

fn priority(scope: ConfigScope, wanted: Option<u32>) -> Result<(), Refusal> {
    match wanted {
        Some(_) if scope == ConfigScope::Type => Err(Refusal::new(
            Code::Invalid,
            "a device has one type: only groups have a priority",
        )
        .at("priority")),
        Some(priority) if priority > PRIORITY_MAX => Err(Refusal::invalid(
            "priority",
            format!("a priority is 0 to {PRIORITY_MAX}"),
        )),
        _ => Ok(()),
    }
}
