//! `tested`: what a rollout came to on a device, for the checks of its type that ask for one.

use contract::v1::{CheckResult, DeviceType, Evidence, Stage, Tested};
use service::{Fault, Outcome};

use super::{Situation, act::Act, active, changed, check};
use crate::{acceptance, event, state};

/// Characters that are kept of what a device said of its failure.
const DETAIL_CHARS: usize = 200;

pub(super) fn decide(s: &Situation<'_>, m: &Tested) -> Result<Outcome, Fault> {
    let mut device = state::device(s.view, "device_id", &m.device_id)?;
    let result = CheckResult {
        passed: m.passed,
        at_ms: s.now_ms,
        by: s.actor.clone(),
        note: note(m),
    };
    let said = |name: &String| {
        let known = device.checks.get(name);
        known.is_some_and(|known| (known.passed, &known.note) == (result.passed, &result.note))
    };
    let mut names = asking(s, &device.device_type, m)?;
    names.retain(|name| !said(name));
    let is_over = matches!(device.stage(), Stage::Retiring | Stage::Retired);
    let mut act = Act::new(s);
    if is_over || names.is_empty() {
        return Ok(act.answer(changed(&device.device_id, device.version)));
    }
    let before = device.clone();
    for name in names {
        device.version = device.version.saturating_add(1);
        event::attested(&mut act.outcome, &device, &name, &result);
        let evidence = Evidence {
            what: "tested".into(),
            to: if m.passed { "passed" } else { "failed" }.into(),
            cause: name.clone(),
            reason: result.note.clone(),
            ..Evidence::default()
        };
        act.evidence(&device, evidence);
        device.checks.insert(name, result.clone());
    }
    check::size(&device)?;
    active::if_it_had_reported(&mut act, &mut device)?;
    act.save(Some(&before), &mut device)?;
    Ok(act.answer(changed(&device.device_id, device.version)))
}

/// The checks that this rollout is for.
fn asking(s: &Situation<'_>, kind: &str, m: &Tested) -> Result<Vec<String>, Fault> {
    if kind.is_empty() {
        return Ok(Vec::new());
    }
    let kind: DeviceType = state::find(s.view, "type", kind)?;
    let asking = kind.checks.iter().filter(|check| acceptance::asks_for(check, m));
    Ok(asking.map(|check| check.name.clone()).collect())
}

fn note(m: &Tested) -> String {
    let detail = m
        .detail
        .chars()
        .filter(|c| !contract::text::misleads(*c))
        .take(DETAIL_CHARS);
    let mut note = format!("rollout {} of firmware {}", m.rollout_id, m.firmware_version);
    if !m.passed && !m.detail.is_empty() {
        note.push_str(": ");
        note.extend(detail);
    }
    note
}
