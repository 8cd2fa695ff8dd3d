//! `put-group`: makes a group or changes its description.

use contract::{
    Code, Refusal,
    v1::{Group, PutGroup},
};
use service::{Fault, Outcome};

use super::{Situation, changed};
use crate::{
    event::{self, GroupChange},
    policy, state,
};

pub(super) fn decide(s: &Situation<'_>, m: PutGroup) -> Result<Outcome, Fault> {
    let id = policy::id("group_id", &m.group_id)?;
    policy::text("description", &m.description)?;
    let present = state::group_or_twin(s.view, id.as_str())?;
    if let Some(twin) = present.as_ref().filter(|group| group.group_id != id.as_str()) {
        let message = format!(
            "`{}` exists; ids that differ in case only are twins",
            twin.group_id
        );
        return Err(Refusal::new(Code::Exists, message).at("group_id").into());
    }
    let version = present.as_ref().map_or(0, |group| group.version);
    policy::version("group", m.expected_version, version)?;
    let change = if present.is_some() {
        GroupChange::Described
    } else {
        GroupChange::Made
    };
    let unchanged = present
        .as_ref()
        .is_some_and(|group| group.description == m.description);
    let mut group = present.unwrap_or(Group {
        group_id: m.group_id,
        ..Group::default()
    });
    let mut outcome = Outcome::default();
    if !unchanged {
        group.version += 1;
        group.description = m.description;
        outcome.put(state::group_key(&group.group_id), &group);
        event::group_changed(&mut outcome, &group, change, &[], &[]);
    }
    outcome.answer(changed(&group.group_id, group.version));
    Ok(outcome)
}
