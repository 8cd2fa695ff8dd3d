//! `put-group`: makes a group, or changes its description, its query, the group that it lies within, or what
//! operators may order its devices to do.

use contract::{
    Code, Refusal,
    v1::{Group, PutGroup},
};
use prost::Message;
use service::{Fault, Outcome, View};

use super::{Situation, changed, put_type, regroup, settle};
use crate::{
    command,
    event::{self, GroupChange},
    language::Query,
    policy,
    rules::{RULES_MAX, RuleRecord, RulesRecord},
    state, tree,
};

pub(super) fn decide(s: &Situation<'_>, m: PutGroup) -> Result<Outcome, Fault> {
    policy::text("description", m.description.as_deref().unwrap_or_default())?;
    let present = state::present::<Group>(s.view, "group_id", &m.group_id)?;
    let change = if present.is_some() {
        GroupChange::Described
    } else {
        GroupChange::Made
    };
    let present = present.unwrap_or(Group {
        group_id: m.group_id.clone(),
        ..Group::default()
    });
    policy::version("group", m.expected_version, present.version)?;
    let mut group = present.clone();
    write(&mut group, &m)?;
    let mut outcome = Outcome::default();
    if let Some(query) = m.query.filter(|query| *query != present.query) {
        sort(&present, &query)?;
        group.query = query;
        group.settling = true;
        keep(s.view, &mut outcome, &group)?;
        settle::begin(&mut outcome, &group.group_id, s.now_ms);
    }
    let mut change = change;
    if let Some(parent) = m.parent.filter(|parent| *parent != present.parent) {
        if !parent.is_empty() {
            tree::may(s.view, &group.group_id, &parent)?;
        }
        tree::put(&mut outcome, &group.group_id, &present.parent, &parent);
        group.parent = parent;
        if change != GroupChange::Made {
            group.moving = true;
            change = GroupChange::Moved;
            regroup::begin(&mut outcome, &group.group_id, s.now_ms);
        }
    }
    if group != present || change == GroupChange::Made {
        group.version = group.version.saturating_add(1);
        outcome.put(state::group_key(&group.group_id), &group);
        let mut within = tree::over(s.view, &group.parent)?;
        // Those above the place that it leaves hear of it, too.
        within.extend(tree::over(s.view, &present.parent)?);
        event::group_changed(&mut outcome, &group, change, &within, (&[], &[]));
    }
    outcome.answer(changed(&group.group_id, group.version));
    Ok(outcome)
}

/// What is said of it alone; what is not said stays.
fn write(group: &mut Group, m: &PutGroup) -> Result<(), Refusal> {
    if let Some(description) = &m.description {
        group.description.clone_from(description);
    }
    if let Some(commands) = &m.commands {
        group.commands = put_type::commands(commands.names.clone())?;
    }
    if let Some(signed) = &m.signed_commands {
        group.signed_commands = put_type::signed_commands(signed.names.clone())?;
    }
    if let Some(ms) = m.commands_within_ms {
        group.commands_within_ms = command::rule_within(ms)?;
    }
    if let Some(count) = m.commands_at_once {
        group.commands_at_once = command::rule_at_once(count)?;
    }
    Ok(())
}

/// A group whose members were chosen stays so as long as it has any.
fn sort(present: &Group, query: &str) -> Result<(), Refusal> {
    if !query.is_empty() {
        Query::parse_lasting(query)?;
    }
    if present.query.is_empty() && !present.settling && present.members > 0 {
        let message =
            "the group's members were chosen one by one; take them out first, or make another group";
        return Err(Refusal::new(Code::NotAllowed, message).at("query"));
    }
    Ok(())
}

/// Brings the list of dynamic groups in line with one of them.
pub(super) fn keep(view: &View<'_>, outcome: &mut Outcome, group: &Group) -> Result<(), Fault> {
    let mut list: RulesRecord = view.load(state::RULES)?.unwrap_or_default();
    list.rules.retain(|rule| rule.group_id != group.group_id);
    if !group.query.is_empty() {
        list.rules.push(RuleRecord {
            group_id: group.group_id.clone(),
            query: group.query.clone(),
        });
    }
    if list.rules.len() > RULES_MAX {
        let message = format!("there are {RULES_MAX} dynamic groups, the limit");
        return Err(Refusal::new(Code::Limit, message).at("query").into());
    }
    // One record holds them all.
    if list.encoded_len() > 60 * 1024 {
        let message = "the queries of all dynamic groups together are too long";
        return Err(Refusal::new(Code::Limit, message).at("query").into());
    }
    outcome.put(state::RULES, &list);
    Ok(())
}
