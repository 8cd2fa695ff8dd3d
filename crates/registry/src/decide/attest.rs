//! `attest`: somebody says that a device passed an acceptance check, or did not.

use contract::{
    Code, Refusal,
    v1::{Attest, CheckKind, CheckResult, DeviceType, Evidence, Stage},
};
use service::{Fault, Outcome};

use super::{Situation, act::Act, active, changed, check};
use crate::{event, lifecycle, policy, state};

pub(super) fn decide(s: &Situation<'_>, m: Attest) -> Result<Outcome, Fault> {
    policy::text("note", &m.note)?;
    let mut device = state::device(s.view, "device_id", &m.device_id)?;
    policy::version("device", m.expected_version, device.version)?;
    if matches!(device.stage(), Stage::Retiring | Stage::Retired) {
        return Err(lifecycle::refusal(&device, "it is not to be accepted any more").into());
    }
    let asked_for = attestable(s, &device.device_type, &m.check)?;
    let before = device.clone();
    let result = CheckResult {
        passed: m.passed,
        at_ms: s.now_ms,
        by: s.actor.clone(),
        note: m.note.clone(),
    };
    let mut act = Act::new(s);
    device.version = device.version.saturating_add(1);
    event::attested(&mut act.outcome, &device, &m.check, &result);
    let word = if m.passed { "passed" } else { "failed" };
    let evidence = Evidence {
        what: "attested".into(),
        to: word.into(),
        cause: m.check.clone(),
        reason: m.note,
        ..Evidence::default()
    };
    act.evidence(&device, evidence);
    // What a former type asked for is in the history.
    device.checks.retain(|name, _| asked_for.contains(name));
    device.checks.insert(m.check, result);
    check::size(&device)?;
    active::if_it_had_reported(&mut act, &mut device)?;
    act.save(Some(&before), &mut device)?;
    Ok(act.answer(changed(&device.device_id, device.version)))
}

/// The checks of the device's type that somebody says of it, this one among them.
fn attestable(s: &Situation<'_>, kind: &str, check: &str) -> Result<Vec<String>, Fault> {
    if kind.is_empty() {
        let message = "the device has no type, and so no acceptance checks; give it one with `change`";
        return Err(Refusal::new(Code::Precondition, message).at("check").into());
    }
    let kind: DeviceType = state::find(s.view, "type", kind)?;
    let of = |wanted: &[CheckKind]| -> Vec<String> {
        let fit = kind.checks.iter().filter(|check| wanted.contains(&check.kind()));
        fit.map(|check| check.name.clone()).collect()
    };
    let names = of(&[CheckKind::Attested]);
    if names.iter().any(|name| name == check) {
        return Ok(of(&[CheckKind::Attested, CheckKind::TestRollout]));
    }
    let message = format!("the type `{}` has no such check to be attested", kind.type_id);
    Err(Refusal::invalid("check", message).allowing(names).into())
}
