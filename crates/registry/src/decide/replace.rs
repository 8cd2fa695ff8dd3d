//! `replace`: a successor takes a device's place: where it is, whose, what for, in which groups, before whom.

use contract::{
    Code, Refusal,
    limits::PAGE_MAX,
    v1::{Device, Evidence, ReplaceDevice, Stage},
};
use service::{Fault, Outcome};

use super::{Situation, act::Act, changed, check};
use crate::{command, config, event, field, index, lifecycle, policy, state};

pub(super) fn decide(s: &Situation<'_>, m: ReplaceDevice) -> Result<Outcome, Fault> {
    policy::reason(&m.reason)?;
    let old = state::device(s.view, "device_id", &m.device_id)?;
    policy::version("device", m.expected_version, old.version)?;
    let new = state::device(s.view, "successor_id", &m.successor_id)?;
    may(&old, &new)?;
    let mut act = Act::new(s);
    let children = children(s, &old)?;
    let version = succeed(&mut act, old, new, &m.reason)?;
    for child in children
        .into_iter()
        .filter(|child| child.device_id != m.successor_id)
    {
        follow(&mut act, child, &m.successor_id)?;
    }
    Ok(act.answer(changed(&m.device_id, version)))
}

fn may(old: &Device, new: &Device) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(Code::NotAllowed, message).at("successor_id"));
    if old.device_id == new.device_id {
        return refuse("a device does not replace itself".into());
    }
    if old.stage() == Stage::Retired {
        return Err(lifecycle::refusal(
            old,
            "its place is gone with it; replace a device before it is retired",
        ));
    }
    if !old.replaced_by.is_empty() {
        return refuse(format!(
            "`{}` was replaced by `{}` already",
            old.device_id, old.replaced_by
        ));
    }
    if !new.replaces.is_empty() {
        return refuse(format!(
            "`{}` has taken the place of `{}`",
            new.device_id, new.replaces
        ));
    }
    if matches!(new.stage(), Stage::Retiring | Stage::Retired) {
        return Err(lifecycle::refusal(new, "it takes no other's place").at("successor_id"));
    }
    Ok(())
}

/// Writes both. What comes back is the replaced device's version.
fn succeed(act: &mut Act<'_>, mut old: Device, mut new: Device, reason: &str) -> Result<u64, Fault> {
    let (before_old, before_new) = (old.clone(), new.clone());
    old.replaced_by.clone_from(&new.device_id);
    new.replaces.clone_from(&old.device_id);
    hand_over(&old, &mut new);
    for group in old.groups.clone() {
        let record = state::group(act.s.view, "groups", &group)?;
        if record.query.is_empty() && !record.settling {
            act.roster.find(act.s.view, "groups", &group)?;
            act.roster.join(&mut act.outcome, &mut new, &group)?;
            act.roster.leave(&mut act.outcome, &mut old, &group);
        }
    }
    check::written(act.s, act.s.view, Some(&before_new), &new)?;
    for (device, before) in [(&mut old, &before_old), (&mut new, &before_new)] {
        device.version = device.version.saturating_add(1);
        act.save(Some(before), device)?;
        let fields = field::changes(before, device);
        check::told(&fields)?;
        event::replaced(&mut act.outcome, device, reason, fields);
        let evidence = Evidence {
            what: "replaced".into(),
            from: before_old.device_id.clone(),
            to: before_new.device_id.clone(),
            cause: "replace".into(),
            reason: reason.into(),
            ..Evidence::default()
        };
        act.evidence(device, evidence);
    }
    config::hand_over(act.s, &mut act.outcome, &old, &new)?;
    Ok(old.version)
}

/// The place, not the thing: what it is, what it cost and what it carries stay its own.
fn hand_over(old: &Device, new: &mut Device) {
    let texts: [fn(&mut Device) -> &mut String; 4] = [
        |d| &mut d.owner,
        |d| &mut d.site,
        |d| &mut d.function,
        |d| &mut d.name,
    ];
    let mut from = old.clone();
    for text in texts {
        if !text(&mut from).is_empty() {
            text(new).clone_from(text(&mut from));
        }
    }
    if old.position.is_some() {
        new.position.clone_from(&old.position);
    }
    if old.parent != new.device_id {
        new.parent.clone_from(&old.parent);
    }
    // Who takes the place is told no more than who had it.
    if !old.commands.is_empty() {
        new.commands.clone_from(&old.commands);
    }
    new.signed_commands.extend(old.signed_commands.clone());
    new.signed_commands.sort();
    new.signed_commands.dedup();
    new.commands_within_ms = command::stricter(new.commands_within_ms, old.commands_within_ms);
    new.criticality = old.criticality;
    new.tags.extend(old.tags.clone());
    new.administrative.extend(old.administrative.clone());
}

/// The devices behind this one.
fn children(s: &Situation<'_>, device: &Device) -> Result<Vec<Device>, Fault> {
    let Some(range) = index::of("parent", &device.device_id) else {
        return Ok(Vec::new());
    };
    let keys = s.view.scan(&range, None, PAGE_MAX + 1)?;
    if keys.len() > PAGE_MAX {
        let message = format!("more than {PAGE_MAX} devices are behind it; give them another parent first");
        return Err(Refusal::new(Code::Limit, message).at("device_id").into());
    }
    let mut children = Vec::new();
    for (key, _) in keys {
        let id = String::from_utf8_lossy(&key[range.len()..]).into_owned();
        let child = state::device_or_twin(s.view, &id)?;
        children.extend(child.filter(|child| child.parent == device.device_id));
    }
    Ok(children)
}

fn follow(act: &mut Act<'_>, mut child: Device, parent: &str) -> Result<(), Fault> {
    let before = child.clone();
    child.parent = parent.to_owned();
    child.version = child.version.saturating_add(1);
    act.save(Some(&before), &mut child)?;
    event::changed(&mut act.outcome, &child, field::changes(&before, &child));
    Ok(())
}
