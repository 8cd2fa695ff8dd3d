//! `put-type` and `deprecate-type`: what sorts of devices there are.

use std::collections::BTreeSet;

use contract::{
    Refusal,
    limits::KEY_CHARS,
    v1::{Check, CheckKind, DeprecateType, DeviceType, PutType},
};
use service::{Fault, Outcome};

use super::{Situation, changed};
use crate::{acceptance::CHECKS_MAX, choice, command, event, language, policy, schema, state};

/// Commands that a type, a group or a device allows.
const COMMANDS_MAX: usize = 64;

pub(super) fn put(s: &Situation<'_>, m: PutType) -> Result<Outcome, Fault> {
    policy::text("description", &m.description)?;
    schema::parse(&m.schema)?;
    checks(&m.checks)?;
    let (commands, signed_commands) = (commands(m.commands)?, signed_commands(m.signed_commands)?);
    let present = state::present::<DeviceType>(s.view, "type_id", &m.type_id)?;
    let present = present.unwrap_or(DeviceType {
        type_id: m.type_id,
        ..DeviceType::default()
    });
    policy::version("type", m.expected_version, present.version)?;
    let wanted = DeviceType {
        description: m.description,
        schema: m.schema,
        checks: m.checks,
        commands,
        signed_commands,
        commands_within_ms: command::rule_within(m.commands_within_ms)?,
        commands_at_once: command::rule_at_once(m.commands_at_once)?,
        ..present.clone()
    };
    Ok(save(present, wanted))
}

pub(super) fn deprecate(s: &Situation<'_>, m: DeprecateType) -> Result<Outcome, Fault> {
    let present: DeviceType = state::find(s.view, "type_id", &m.type_id)?;
    policy::version("type", m.expected_version, present.version)?;
    let wanted = DeviceType {
        deprecated: !m.undo,
        ..present.clone()
    };
    Ok(save(present, wanted))
}

fn save(present: DeviceType, mut wanted: DeviceType) -> Outcome {
    let mut outcome = Outcome::default();
    if wanted != present || wanted.version == 0 {
        wanted.version = wanted.version.saturating_add(1);
        outcome.put(state::key::<DeviceType>(&wanted.type_id), &wanted);
        event::catalogued(&mut outcome, format!("types/{}", wanted.type_id), &wanted);
    }
    outcome.answer(changed(&wanted.type_id, wanted.version));
    outcome
}

/// The commands that operators may give, each once.
pub(crate) fn commands(names: Vec<String>) -> Result<Vec<String>, Refusal> {
    named("commands", names, |_| false)
}

/// The commands that operators sign, each once.
pub(crate) fn signed_commands(names: Vec<String>) -> Result<Vec<String>, Refusal> {
    named("signed_commands", names, |name| name == command::ANY)
}

fn named(field: &str, mut names: Vec<String>, stands_for: fn(&str) -> bool) -> Result<Vec<String>, Refusal> {
    policy::list(field, names.len(), COMMANDS_MAX)?;
    for name in names.iter().filter(|name| !stands_for(name)) {
        policy::id(field, name)?;
    }
    names.sort();
    names.dedup();
    Ok(names)
}

pub(crate) fn checks(checks: &[Check]) -> Result<(), Refusal> {
    policy::list("checks", checks.len(), CHECKS_MAX)?;
    let mut names = BTreeSet::new();
    for check in checks {
        let name = policy::id("checks.name", &check.name)?;
        if !names.insert(name.as_str().to_ascii_lowercase()) {
            return Err(Refusal::invalid(
                "checks.name",
                format!("`{name}` is there twice"),
            ));
        }
        let kind: CheckKind = choice::required("checks.kind", check.kind)?;
        argument(kind, &check.argument)?;
    }
    Ok(())
}

fn argument(kind: CheckKind, argument: &str) -> Result<(), Refusal> {
    let field = "checks.argument";
    policy::text(field, argument)?;
    let short = argument.chars().count() <= KEY_CHARS;
    let fits = match kind {
        CheckKind::Unspecified => false,
        CheckKind::SelfTest | CheckKind::Reported => !argument.is_empty(),
        CheckKind::FirmwareAtLeast => language::version(argument).is_some(),
        CheckKind::Attested => argument.is_empty(),
        CheckKind::TestRollout => true,
    };
    let message = match kind {
        CheckKind::Attested => "a check that is attested has no argument",
        CheckKind::FirmwareAtLeast => "the argument is a version, for example `1.4.0`",
        _ => "the argument is the name of a reported attribute",
    };
    if fits && short {
        Ok(())
    } else {
        Err(Refusal::invalid(field, message))
    }
}
