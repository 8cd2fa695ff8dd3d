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
    state,
};

/// The groups of one decision.
#[derive(Default)]
pub(crate) struct Roster {
    groups: BTreeMap<String, Turnover>,
}

struct Turnover {
    group: Group,
    joined: Vec<String>,
    left: Vec<String>,
}

impl Roster {
    /// Looks a group up, so that devices may join and leave it.
    pub(crate) fn find(&mut self, view: &View<'_>, field: &str, id: &str) -> Result<(), Fault> {
        if !self.groups.contains_key(id) {
            let group = state::group(view, field, id)?;
            let turnover = Turnover {
                group,
                joined: Vec::new(),
                left: Vec::new(),
            };
            self.groups.insert(id.to_owned(), turnover);
        }
        Ok(())
    }

    /// Lets a device join a group that was found. False: it is a member already.
    pub(crate) fn join(
        &mut self,
        outcome: &mut Outcome,
        device: &mut Device,
        group: &str,
    ) -> Result<bool, Refusal> {
        let Err(place) = device.groups.binary_search_by(|held| held.as_str().cmp(group)) else {
            return Ok(false);
        };
        if device.groups.len() >= GROUPS_MAX {
            let message = format!("`{}` is in {GROUPS_MAX} groups, the limit", device.device_id);
            return Err(Refusal::new(Code::Limit, message));
        }
        let Some(turnover) = self.groups.get_mut(group) else {
            return Ok(false);
        };
        device.groups.insert(place, group.to_owned());
        turnover.joined.push(device.device_id.clone());
        outcome
            .changes
            .put(state::member_key(group, &device.device_id), Vec::new());
        Ok(true)
    }

    /// Takes a device out of a group that was found. False: it is no member.
    pub(crate) fn leave(&mut self, outcome: &mut Outcome, device: &mut Device, group: &str) -> bool {
        let Ok(place) = device.groups.binary_search_by(|held| held.as_str().cmp(group)) else {
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
                joined,
                left,
            },
        ) in self.groups
        {
            if joined.is_empty() && left.is_empty() {
                continue;
            }
            group.version += 1;
            group.members = (group.members + joined.len() as u64).saturating_sub(left.len() as u64);
            outcome.put(state::group_key(&group.group_id), &group);
            event::group_changed(outcome, &group, GroupChange::Members, &joined, &left);
        }
    }
}
