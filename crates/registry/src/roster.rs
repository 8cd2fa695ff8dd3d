//! Changes to groups' members that one decision gathers, so that each group is written once.

use std::collections::BTreeMap;

use contract::{
    Code, Refusal,
    limits::GROUPS_MAX,
    v1::{Device, Group},
};
use service::{Fault, Outcome, View};

use crate::{
    event::{self, GroupChange},
    state, tree,
};

/// The groups of one decision.
#[derive(Default)]
pub(crate) struct Roster {
    groups: BTreeMap<String, Turnover>,
}

struct Turnover {
    group: Group,
    within: Vec<String>,
    joined: Vec<String>,
    left: Vec<String>,
}

impl Roster {
    /// Looks a group up, so that devices may join and leave it.
    pub(crate) fn find(&mut self, view: &View<'_>, field: &str, id: &str) -> Result<(), Fault> {
        if !self.groups.contains_key(id) {
            let group = state::group(view, field, id)?;
            let turnover = Turnover {
                within: tree::over(view, &group.parent)?,
                group,
                joined: Vec::new(),
                left: Vec::new(),
            };
            self.groups.insert(id.to_owned(), turnover);
        }
        Ok(())
    }

    /// Refuses a dynamic group that was found: nobody chooses its members.
    pub(crate) fn may_be_chosen(&self, group: &str) -> Result<(), Refusal> {
        let dynamic = |turnover: &Turnover| !turnover.group.query.is_empty() || turnover.group.settling;
        if !self.groups.get(group).is_some_and(dynamic) {
            return Ok(());
        }
        let message = format!("the members of `{group}` follow from its query");
        Err(Refusal::new(Code::NotAllowed, message).at("groups"))
    }

    /// Lets a device join a group that was found. False: it is a member already.
    pub(crate) fn join(
        &mut self,
        outcome: &mut Outcome,
        device: &mut Device,
        group: &str,
    ) -> Result<bool, Refusal> {
        let Err(place) = position(device, group) else {
            return Ok(false);
        };
        if device.groups.len() >= GROUPS_MAX {
            let message = format!("`{}` is in {GROUPS_MAX} groups, the limit", device.device_id);
            return Err(Refusal::new(Code::Limit, message));
        }
        Ok(self.admit(outcome, device, group, place))
    }

    fn admit(&mut self, outcome: &mut Outcome, device: &mut Device, group: &str, place: usize) -> bool {
        let Some(turnover) = self.groups.get_mut(group) else {
            return false;
        };
        device.groups.insert(place, group.to_owned());
        turnover.joined.push(device.device_id.clone());
        outcome
            .changes
            .put(state::member_key(group, &device.device_id), Vec::new());
        true
    }

    /// Lets a device into a dynamic group that was found, or out of it. No limit is in its way: who is a
    /// member follows from the query alone.
    pub(crate) fn assign(&mut self, outcome: &mut Outcome, device: &mut Device, group: &str, fits: bool) {
        if fits {
            if let Err(place) = position(device, group) {
                self.admit(outcome, device, group, place);
            }
        } else {
            self.leave(outcome, device, group);
        }
    }

    /// Takes a device out of a group that was found. False: it is no member.
    pub(crate) fn leave(&mut self, outcome: &mut Outcome, device: &mut Device, group: &str) -> bool {
        let Ok(place) = position(device, group) else {
            return false;
        };
        let Some(turnover) = self.groups.get_mut(group) else {
            return false;
        };
        device.groups.remove(place);
        turnover.left.push(device.device_id.clone());
        outcome.delete(state::member_key(group, &device.device_id));
        true
    }

    /// Takes a device out of all its groups.
    pub(crate) fn leave_all(
        &mut self,
        view: &View<'_>,
        outcome: &mut Outcome,
        device: &mut Device,
    ) -> Result<(), Fault> {
        for group in device.groups.clone() {
            self.find(view, "groups", &group)?;
            self.leave(outcome, device, &group);
        }
        Ok(())
    }

    /// Writes the groups whose members changed, and tells of them.
    pub(crate) fn settle(self, outcome: &mut Outcome) {
        for (
            _,
            Turnover {
                mut group,
                within,
                joined,
                left,
            },
        ) in self.groups
        {
            if joined.is_empty() && left.is_empty() {
                continue;
            }
            group.version = group.version.saturating_add(1);
            group.members = (group.members + joined.len() as u64).saturating_sub(left.len() as u64);
            outcome.put(state::group_key(&group.group_id), &group);
            event::group_changed(outcome, &group, GroupChange::Members, &within, (&joined, &left));
        }
    }
}

fn position(device: &Device, group: &str) -> Result<usize, usize> {
    device.groups.binary_search_by(|held| held.as_str().cmp(group))
}
