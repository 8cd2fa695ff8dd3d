//! `remove-group`: only an empty group goes, so that no rollout loses its devices by surprise.

use contract::{
    Code, Refusal,
    v1::{Person, RemoveGroup},
};
use service::{Fault, Outcome};

use super::{Situation, put_group, put_person, regroup, settle};
use crate::{
    config,
    event::{self, GroupChange},
    policy, state, tree,
};

pub(super) fn decide(s: &Situation<'_>, m: RemoveGroup) -> Result<Outcome, Fault> {
    let mut group = state::group(s.view, "group_id", &m.group_id)?;
    policy::version("group", m.expected_version, group.version)?;
    if group.members > 0 {
        let message = format!(
            "the group has {} members; take them out with `leave-group` first{}",
            group.members,
            if group.query.is_empty() {
                ""
            } else {
                ", or its query with `put-group`"
            }
        );
        let refusal = Refusal {
            present_version: group.version,
            ..Refusal::new(Code::Precondition, message)
        };
        return Err(refusal.at("group_id").into());
    }
    if tree::has_children(s.view, &group.group_id)? {
        let message = "other groups lie within it; put them elsewhere first (`put-group` with a `parent`)";
        return Err(Refusal::new(Code::Precondition, message).at("group_id").into());
    }
    // A later group of this name would be theirs.
    let is_granted = |person: &Person| {
        let mut groups = person.grants.iter().flat_map(|grant| &grant.groups);
        groups.any(|granted| *granted == group.group_id)
    };
    if let Some(person) = put_person::operator(s.view, is_granted)? {
        let message = format!(
            "`{}` has grants for the group; take them back first (`muster operator revoke`)",
            person.id
        );
        return Err(Refusal::new(Code::Precondition, message).at("group_id").into());
    }
    group.version = group.version.saturating_add(1);
    let mut outcome = Outcome::default();
    outcome.delete(state::group_key(&group.group_id));
    if !group.query.is_empty() || group.settling {
        group.query.clear();
        put_group::keep(s.view, &mut outcome, &group)?;
        settle::end(&mut outcome, &group.group_id);
    }
    tree::put(&mut outcome, &group.group_id, &group.parent, "");
    regroup::end(&mut outcome, &group.group_id);
    config::forget_group(s, &mut outcome, &group.group_id)?;
    let within = tree::over(s.view, &group.parent)?;
    event::group_changed(&mut outcome, &group, GroupChange::Removed, &within, (&[], &[]));
    Ok(outcome)
}
