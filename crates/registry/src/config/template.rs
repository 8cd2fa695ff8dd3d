//! `put-config-template`, `remove-config-template`: settings for all devices of a type or of a group.

use contract::{
    Code, Refusal, document,
    v1::{
        Changed, ConfigMode, ConfigScope, ConfigTemplate, DeviceType, Group, PutConfigTemplate,
        RemoveConfigTemplate,
    },
};
use service::{Fault, Outcome, Sight, View};

use super::{event, set, state, walk};
use crate::{choice, decide::Situation, policy, state as records};

/// The highest priority.
const PRIORITY_MAX: u32 = 1_000;

pub(crate) fn put(s: &Situation<'_>, sight: &Sight, m: PutConfigTemplate) -> Result<Outcome, Fault> {
    let scope: ConfigScope = choice::required("scope", m.scope)?;
    in_reach(sight, scope, &m.id)?;
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
        wanted.version = wanted.version.saturating_add(1);
        wanted.settling = true;
        outcome.put(state::template_key(scope, &wanted.id), &wanted);
        walk::begin(&mut outcome, scope, &wanted.id, s.now_ms);
        event::template_changed(&mut outcome, s.view, &wanted, "changed")?;
    }
    outcome.answer(Changed {
        id: wanted.id,
        version: wanted.version,
        ..Changed::default()
    });
    Ok(outcome)
}

pub(crate) fn remove(s: &Situation<'_>, sight: &Sight, m: RemoveConfigTemplate) -> Result<Outcome, Fault> {
    let scope: ConfigScope = choice::required("scope", m.scope)?;
    in_reach(sight, scope, &m.id)?;
    policy::id("id", &m.id)?;
    let found = state::template(s.view, scope, &m.id)?.filter(|found| found.id == m.id);
    let Some(template) = found else {
        let what = format!("template of the {}", state::word(scope));
        return Err(Refusal::not_found(&what, &m.id).at("id").into());
    };
    policy::version("template", m.expected_version, template.version)?;
    let mut outcome = Outcome::default();
    delete(s, &mut outcome, &template)?;
    walk::begin(&mut outcome, scope, &template.id, s.now_ms);
    Ok(outcome)
}

pub(super) fn delete(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    template: &ConfigTemplate,
) -> Result<(), Fault> {
    let gone = ConfigTemplate {
        version: template.version.saturating_add(1),
        document: String::new(),
        ..template.clone()
    };
    outcome.delete(state::template_key(template.scope(), &template.id));
    event::template_changed(outcome, s.view, &gone, "removed")?;
    Ok(())
}

/// Whether whoever asks sees the settings of a type or a group: whoever has some groups only sees those of these.
pub(super) fn is_seen(sight: &Sight, scope: ConfigScope, id: &str) -> bool {
    match sight {
        Sight::Everything => true,
        Sight::Groups(_) => scope == ConfigScope::Group && sight.has_group(id),
    }
}

fn in_reach(sight: &Sight, scope: ConfigScope, id: &str) -> Result<(), Refusal> {
    if is_seen(sight, scope, id) {
        return Ok(());
    }
    let message = format!(
        "your grants are for other groups' settings than those of {} `{id}`",
        state::word(scope)
    );
    Err(Refusal::new(Code::Denied, message).at("id"))
}

fn must_exist(view: &View<'_>, scope: ConfigScope, id: &str) -> Result<(), Fault> {
    match scope {
        ConfigScope::Group => records::find::<Group>(view, "id", id).map(drop),
        _ => records::find::<DeviceType>(view, "id", id).map(drop),
    }
}

pub(crate) fn priority(scope: ConfigScope, wanted: Option<u32>) -> Result<(), Refusal> {
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
