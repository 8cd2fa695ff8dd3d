//! Makes or changes a rule.

use contract::{
    Code, Refusal,
    v1::{Changed, PutRule, Rule},
};
use service::Fault;

use crate::{
    alerting::RULES_MAX,
    decision::Decision,
    event, request,
    state::{self, Mark},
};

pub(super) fn decide(decision: &mut Decision<'_>, request: PutRule) -> Result<(), Fault> {
    let mut rule = request::rule(request.rule.unwrap_or_default())?;
    let present = decision.load::<Rule>(state::rule(&rule.rule_id))?;
    let version = present.as_ref().map_or(0, |present| present.version);
    if request.expected_version != 0 && request.expected_version != version {
        return Err(Refusal::stale("rule", request.expected_version, version).into());
    }
    match &present {
        Some(present) if present.metric != rule.metric => {
            let message = format!(
                "the rule is about `{}`; remove it and make another",
                present.metric
            );
            return Err(Refusal::new(Code::NotAllowed, message).at("rule.metric").into());
        }
        Some(_) => {}
        None => demand_place(decision, &rule)?,
    }
    rule.version = version.saturating_add(1);
    decision.out.put(state::rule(&rule.rule_id), &rule);
    decision.out.put(state::watch(&rule.metric, &rule.rule_id), &rule);
    event::rule_changed(&mut decision.out, &rule, false);
    decision.out.answer(Changed {
        id: rule.rule_id,
        version: rule.version,
        ..Changed::default()
    });
    Ok(())
}

fn demand_place(decision: &Decision<'_>, rule: &Rule) -> Result<(), Fault> {
    let rules = decision.list::<Rule>(state::RULES, None, RULES_MAX)?;
    if rules.iter().any(|(id, _)| id.eq_ignore_ascii_case(&rule.rule_id)) {
        let message = "there is a rule whose id differs in case only; choose another";
        return Err(Refusal::new(Code::Exists, message).at("rule.rule_id").into());
    }
    if rules.len() == RULES_MAX {
        return Err(Refusal::new(
            Code::Limit,
            format!("there are {RULES_MAX} rules already; remove one"),
        )
        .into());
    }
    if decision.load::<Mark>(state::removing(&rule.rule_id))?.is_some() {
        let message = "a rule of this id is being removed; try again";
        return Err(Refusal::new(Code::Busy, message).retry_after_ms(1_000).into());
    }
    Ok(())
}
