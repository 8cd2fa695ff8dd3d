//! What operators may order a device to do. Its type, each group that it is in or that one lies within, and its own record
//! may name commands: whatever names some lets no others, and each may want more signed. So may the grants of whoever
//! orders. So the strictest counts.

use contract::{
    Code, Refusal,
    id::{Principal, ServiceName},
    v1::{AskCommand, CommandRule, CommandWhy, Device, DeviceType, Group},
    verb::Verb,
};
use service::{Fault, View};

use super::{
    bound::{self, Bounds},
    state,
};
use crate::{Registry, policy, state as records, tree};

/// All commands, where some are to be signed.
pub(crate) const ANY: &str = "*";
/// Begins the name of what somebody was granted.
const GRANTS: &str = "grants of ";

/// What is ordered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) name: &'a str,
    /// With an operator's own signature.
    pub(super) is_signed: bool,
    /// Who orders it, and with which verb.
    pub(super) who: &'a str,
    pub(super) verb: &'static str,
}

/// Refuses what a rule does not let, by the names of all such rules; else what bounds it.
pub(super) fn check(view: &View<'_>, device: &Device, order: Order<'_>) -> Result<Bounds, Fault> {
    let Order { name, is_signed, .. } = order;
    let (mut rules, id) = (rules(view, device)?, &device.device_id);
    let own = granted(view, device, order.who, order.verb)?;
    let denied = own
        .as_ref()
        .is_some_and(|own| !own.commands.iter().any(|may| may == name));
    let only = own.as_ref().is_some_and(|own| own.commands.is_empty());
    rules.extend(own);
    let code = if denied { Code::Denied } else { Code::NotAllowed };
    let refuse = |field: &str, message: String| Refusal::new(code, message).at(field);
    let refusing = match only {
        true => named(&rules, |rule| rule.of.starts_with(GRANTS)),
        false => named(&rules, |rule| !lets(rule, name)),
    };
    if !refusing.is_empty() {
        let message = format!("`{id}` may not be ordered to `{name}`, by the rule of {refusing}");
        return Err(refuse("name", message).allowing(left(&rules)).into());
    }
    let demanding = named(&rules, |rule| wants_signed(rule, name));
    if !demanding.is_empty() && !is_signed {
        let message = format!(
            "`{id}` is ordered to `{name}` with an operator's signature only, by the rule of {demanding}"
        );
        return Err(refuse("warrant", message).into());
    }
    Ok(Bounds::of(rules))
}

/// `command-why`
pub(crate) fn why(view: &View<'_>, who: &Principal, m: &AskCommand) -> Result<CommandWhy, Fault> {
    let device = records::device(view, "device_id", &m.device_id)?;
    if !m.name.is_empty() {
        policy::id("name", &m.name)?;
    }
    let mut rules = rules(view, &device)?;
    let own = granted(view, &device, &who.to_string(), "command-run")?;
    // Whoever orders nothing at all asks about the others.
    rules.extend(own.filter(|own| !own.commands.is_empty()));
    let can = state::tray(view, &device.device_id)?.can;
    let (open, mut summary) = match m.name.as_str() {
        "" => of_all(&device.device_id, &rules),
        name => of_one(&device.device_id, name, &rules, &can),
    };
    if open {
        summary.push_str(&bound::told(&rules));
    }
    Ok(CommandWhy {
        open,
        signed: !m.name.is_empty() && rules.iter().any(|rule| wants_signed(rule, &m.name)),
        summary,
        commands: left(&rules),
        signed_commands: signed(&rules),
        within_ms: bound::longest(&rules).unwrap_or_default(),
        at_once: bound::fewest(&rules).unwrap_or_default(),
        rules,
        can,
        name: m.name.clone(),
        device_id: device.device_id,
        ..CommandWhy::default()
    })
}

/// All that say something.
fn rules(view: &View<'_>, device: &Device) -> Result<Vec<CommandRule>, Fault> {
    let mut rules = Vec::new();
    if !device.device_type.is_empty() {
        let kind = records::find(view, "type", &device.device_type)?;
        rules.push(of_type(kind));
    }
    for id in tree::with_above(view, &device.groups)? {
        let group = view.load(records::group_key(&id))?;
        rules.extend(group.map(of_group));
    }
    rules.push(of_device(device));
    rules.retain(says_something);
    Ok(rules)
}

fn of_type(kind: DeviceType) -> CommandRule {
    CommandRule {
        of: format!("type {}", kind.type_id),
        commands: kind.commands,
        signed_commands: kind.signed_commands,
        within_ms: kind.commands_within_ms,
        at_once: kind.commands_at_once,
    }
}

pub(super) fn of_group(group: Group) -> CommandRule {
    CommandRule {
        of: format!("group {}", group.group_id),
        commands: group.commands,
        signed_commands: group.signed_commands,
        within_ms: group.commands_within_ms,
        at_once: group.commands_at_once,
    }
}

fn of_device(device: &Device) -> CommandRule {
    CommandRule {
        of: format!("device {}", device.device_id),
        commands: device.commands.clone(),
        signed_commands: device.signed_commands.clone(),
        within_ms: device.commands_within_ms,
        at_once: 0,
    }
}

fn says_something(rule: &CommandRule) -> bool {
    let bounds = rule.within_ms != 0 || rule.at_once != 0;
    bounds || !rule.commands.is_empty() || !rule.signed_commands.is_empty()
}

/// What whoever orders was granted, where that names commands.
fn granted(view: &View<'_>, device: &Device, who: &str, verb: &str) -> Result<Option<CommandRule>, Fault> {
    let rights = service::granted::<Registry>(view, who)?;
    let Some((rights, verb)) = rights.zip(Verb::find(ServiceName::Registry, verb)) else {
        return Ok(None);
    };
    let groups = tree::with_above(view, &device.groups)?;
    let commands = rights.commands(verb, &groups);
    Ok(commands.map(|commands| CommandRule {
        of: format!("{GRANTS}{who}"),
        commands: commands.into_iter().collect(),
        ..CommandRule::default()
    }))
}

fn lets(rule: &CommandRule, name: &str) -> bool {
    rule.commands.is_empty() || rule.commands.iter().any(|command| command == name)
}

fn wants_signed(rule: &CommandRule, name: &str) -> bool {
    rule.signed_commands
        .iter()
        .any(|signed| signed == name || signed == ANY)
}

/// The rules of which this holds, in a sentence.
pub(super) fn named(rules: &[CommandRule], holds: impl Fn(&CommandRule) -> bool) -> String {
    let named = rules.iter().filter(|rule| holds(rule));
    let named: Vec<_> = named.map(|rule| format!("`{}`", rule.of)).collect();
    named.join(" and ")
}

/// What all rules let.
fn left(rules: &[CommandRule]) -> Vec<String> {
    let mut naming = rules.iter().filter(|rule| !rule.commands.is_empty());
    let first = naming.next().map(|rule| rule.commands.clone());
    let mut left = first.unwrap_or_default();
    left.retain(|name| rules.iter().all(|rule| lets(rule, name)));
    left
}

/// What any rule wants signed, in order.
fn signed(rules: &[CommandRule]) -> Vec<String> {
    let mut signed: Vec<_> = rules
        .iter()
        .flat_map(|rule| rule.signed_commands.clone())
        .collect();
    signed.sort();
    signed.dedup();
    signed
}

/// Whether anything may be ordered, and what.
fn of_all(id: &str, rules: &[CommandRule]) -> (bool, String) {
    let is_open = rules.iter().all(|rule| rule.commands.is_empty());
    let left = left(rules);
    let (open, said) = match (is_open, left.is_empty()) {
        (true, _) => (true, "whatever it can do".to_owned()),
        (false, true) => (false, "nothing: its rules have no command in common".to_owned()),
        (false, false) => (true, left.join(", ")),
    };
    let signed = match signed(rules) {
        none if none.is_empty() || !open => String::new(),
        all if all.iter().any(|name| name == ANY) => "; all of that with a signature only".to_owned(),
        some => format!("; with a signature only: {}", some.join(", ")),
    };
    (open, format!("`{id}` may be ordered: {said}{signed}"))
}

/// Whether this may be ordered, and what stands in its way.
fn of_one(id: &str, name: &str, rules: &[CommandRule], can: &[String]) -> (bool, String) {
    let refusing = named(rules, |rule| !lets(rule, name));
    if !refusing.is_empty() {
        let summary = format!("`{id}` may not be ordered to `{name}`, by the rule of {refusing}");
        return (false, summary);
    }
    if !can.is_empty() && !can.iter().any(|can| can == name) {
        let summary = format!("`{id}` may be ordered to `{name}`, and says that it cannot do it");
        return (false, summary);
    }
    let demanding = named(rules, |rule| wants_signed(rule, name));
    let signed = match demanding.as_str() {
        "" => String::new(),
        demanding => format!(" with an operator's signature only, by the rule of {demanding}"),
    };
    (true, format!("`{id}` may be ordered to `{name}`{signed}"))
}
