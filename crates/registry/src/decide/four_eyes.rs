//! `put-four-eyes`: which requests another person must approve.

use contract::{
    Class, Code, Kind, Refusal,
    grant::{self, Extent, Rights},
    id::ServiceName,
    v1::{Criticality, FourEyes, FourEyesRule, Person, PutFourEyes},
    verb::{OF_EVERY_SERVICE, VERBS, Verb},
};
use service::{Fault, Outcome};

use super::{Situation, changed, put_person};
use crate::{choice, policy, state};

/// Rules; the settings are told to every service.
const RULES_MAX: usize = 32;
/// Verbs of one rule.
const VERBS_MAX: usize = 32;
const WITHIN_MS: std::ops::RangeInclusive<u64> = 60_000..=30 * 24 * 3_600_000;
/// A day, as long as the answer to a request is kept.
const WITHIN_DEFAULT_MS: u64 = 24 * 3_600_000;

pub(super) fn decide(s: &Situation<'_>, m: PutFourEyes) -> Result<Outcome, Fault> {
    let present: FourEyes = s.view.load(state::FOUR_EYES)?.unwrap_or_default();
    policy::version("settings", m.expected_version, present.version)?;
    let wanted = read(m)?;
    let mut outcome = Outcome::default();
    if wanted.rules == present.rules && wanted.within_ms == present.within_ms {
        outcome.answer(changed("four-eyes", present.version));
        return Ok(outcome);
    }
    if present.rules.is_empty() {
        demand_two(s)?;
    }
    let settings = FourEyes {
        version: present.version.saturating_add(1),
        ..wanted
    };
    outcome.put(state::FOUR_EYES, &settings);
    outcome.fact("four-eyes", "settings", &settings);
    let data = serde_json::to_value(&settings).unwrap_or_default();
    outcome.event("settings/four-eyes", "changed", data);
    outcome.answer(changed("four-eyes", settings.version));
    Ok(outcome)
}

fn read(m: PutFourEyes) -> Result<FourEyes, Refusal> {
    policy::list("rules", m.rules.len(), RULES_MAX)?;
    m.rules.iter().try_for_each(rule)?;
    let within_ms = match m.within_ms {
        0 => WITHIN_DEFAULT_MS,
        ms if WITHIN_MS.contains(&ms) => ms,
        _ => {
            let message = "a request waits a minute at least, and 30 days at most";
            return Err(Refusal::invalid("within_ms", message));
        }
    };
    Ok(FourEyes {
        version: 0,
        rules: m.rules,
        within_ms,
    })
}

fn rule(rule: &FourEyesRule) -> Result<(), Refusal> {
    choice::optional::<Criticality>("rules.criticality", rule.criticality)?;
    let field = "rules.verbs";
    if rule.verbs.is_empty() {
        return Err(Refusal::invalid(field, "a rule names verbs"));
    }
    policy::list(field, rule.verbs.len(), VERBS_MAX)?;
    for pattern in &rule.verbs {
        if !VERBS
            .iter()
            .any(|verb| grant::names(pattern, verb) && can_wait(verb))
        {
            let message = format!(
                "`{pattern}` names no request of a person that could wait; say `registry/retire`, or `registry/*`"
            );
            return Err(Refusal::invalid(field, message));
        }
    }
    Ok(())
}

/// What changes something at an operator's word. The front door has no records, so nothing waits there.
fn can_wait(verb: &Verb) -> bool {
    verb.class == Class::Command
        && verb.service != ServiceName::FrontDoor
        && verb.open_to(Kind::Operator)
        && !OF_EVERY_SERVICE.contains(&verb.name)
}

/// Nobody may be alone with the rules: they could never be changed again.
fn demand_two(s: &Situation<'_>) -> Result<(), Fault> {
    let verb = Verb::find(ServiceName::Registry, "put-four-eyes");
    let could = |person: &Person| {
        let rights = Rights::of(person.role(), &person.grants);
        let whole = verb.is_some_and(|verb| rights.extent(verb) == Extent::Everything);
        whole && !person.disabled
    };
    let first = put_person::operator(s.view, could)?;
    let second = put_person::operator(s.view, |person| {
        could(person) && first.as_ref().is_some_and(|first| first.id != person.id)
    })?;
    if second.is_some() {
        return Ok(());
    }
    let message = "two people at least must be able to approve a change of the rules: make another admin or security officer first";
    Err(Refusal::new(Code::Precondition, message).at("rules").into())
}
