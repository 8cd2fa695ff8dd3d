//! `join-group` and `leave-group`: all devices of a request, or none.

use std::collections::BTreeSet;

use contract::{
    Code, Refusal,
    v1::{ChangeMembers, Device, MembersChanged, Stage},
};
use serde_json::json;
use service::{Fault, Outcome, Sight};

use super::{Situation, act::Act};
use crate::{event, lifecycle, policy, roster::Roster, state};

pub(super) fn join(s: &Situation<'_>, sight: &Sight, m: ChangeMembers) -> Result<Outcome, Fault> {
    decide(s, sight, m, |roster, outcome, device, group| {
        if device.stage() == Stage::Retired {
            let what = format!("`{}` cannot join a group", device.device_id);
            return Err(lifecycle::refusal(device, &what).at("device_ids").into());
        }
        Ok(roster
            .join(outcome, device, group)
            .map_err(|refusal| refusal.at("device_ids"))?)
    })
}

pub(super) fn leave(s: &Situation<'_>, sight: &Sight, m: ChangeMembers) -> Result<Outcome, Fault> {
    decide(s, sight, m, |roster, outcome, device, group| {
        Ok(roster.leave(outcome, device, group))
    })
}

type Step = fn(&mut Roster, &mut Outcome, &mut Device, &str) -> Result<bool, Fault>;

fn decide(s: &Situation<'_>, sight: &Sight, m: ChangeMembers, step: Step) -> Result<Outcome, Fault> {
    policy::rows("device_ids", m.device_ids.len())?;
    // Who may do something for some groups brings no device to others, and takes none from them.
    if !sight.has_group(&m.group_id) {
        let message = format!("your grants are for other groups than `{}`", m.group_id);
        return Err(Refusal::new(Code::Denied, message).at("group_id").into());
    }
    let mut act = Act::new(s);
    let group = state::group(s.view, "group_id", &m.group_id)?;
    if group.settling || !group.query.is_empty() {
        let message = format!("the members of `{}` follow from its query", group.group_id);
        return Err(Refusal::new(Code::NotAllowed, message).at("group_id").into());
    }
    act.roster.find(s.view, "group_id", &m.group_id)?;
    let mut changed = 0;
    for id in m.device_ids.iter().collect::<BTreeSet<_>>() {
        let mut device = state::device(s.view, "device_ids", id)?;
        let before = device.clone();
        if !step(&mut act.roster, &mut act.outcome, &mut device, &m.group_id)? {
            continue;
        }
        changed += 1;
        device.version = device.version.saturating_add(1);
        let groups = json!({ "from": before.groups, "to": device.groups });
        act.save(Some(&before), &mut device)?;
        event::changed(
            &mut act.outcome,
            &device,
            event::Fields::from_iter([("groups".to_owned(), groups)]),
        );
    }
    let mut outcome = act.finish();
    let version = state::group(&s.view.over(&outcome.changes), "group_id", &m.group_id)?.version;
    outcome.answer(MembersChanged {
        group_id: m.group_id,
        version,
        changed,
        ..MembersChanged::default()
    });
    Ok(outcome)
}
