//! Removes a rule and clears its alerts.

use contract::{
    Refusal,
    v1::{RemoveRule, Rule},
};
use service::Fault;

use crate::{
    decision::Decision,
    event, request,
    state::{self, Mark, Points},
};

/// Devices in one decision; the rest follows by a wake-up at once.
const PAGE: usize = 500;

/// The wake-up that goes on clearing a removed rule's alerts.
fn removing_key(rule: &str) -> String {
    format!("removing/{rule}")
}

pub(super) fn decide(decision: &mut Decision<'_>, request: &RemoveRule) -> Result<(), Fault> {
    let id = request::id("rule_id", &request.rule_id)?;
    let Some(rule) = decision.load::<Rule>(state::rule(id.as_str()))? else {
        return Err(Refusal::not_found("rule", id.as_str()).at("rule_id").into());
    };
    if request.expected_version != 0 && request.expected_version != rule.version {
        return Err(Refusal::stale("rule", request.expected_version, rule.version).into());
    }
    decision.out.delete(state::rule(&rule.rule_id));
    decision.out.delete(state::watch(&rule.metric, &rule.rule_id));
    decision.out.put(state::removing(&rule.rule_id), &Mark {});
    event::rule_changed(&mut decision.out, &rule, true);
    clear(decision, &rule.rule_id)
}

/// Clears the next page of a removed rule's alerts.
pub(super) fn clear(decision: &mut Decision<'_>, rule: &str) -> Result<(), Fault> {
    let page = decision.list::<Points>(&state::points_of(rule), None, PAGE)?;
    let whole = page.len() < PAGE;
    for (device, _) in page {
        let mut status = decision.status(&device)?;
        decision.lift(rule, &device, status.as_mut(), "the rule was removed")?;
        if let Some(status) = status {
            decision.save(&status);
        }
    }
    if whole {
        decision.out.delete(state::removing(rule));
    } else {
        decision.out.wake_at(removing_key(rule), decision.now);
    }
    Ok(())
}
