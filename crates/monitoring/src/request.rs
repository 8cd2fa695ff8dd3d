//! What the service is asked, and what a well-formed request looks like.

use contract::{Code, Id, Refusal, limits, text::misleads, v1::*};

use crate::policy;

service::requests! {
    /// What the monitoring service is asked.
    pub enum Request {
        "heartbeat" => Heartbeat(Heartbeat),
        "show" => Show(ShowStatus),
        "list" => List(ListStatus),
        "summary" => Summary(Summarize),
        "put-rule" => PutRule(PutRule),
        "remove-rule" => RemoveRule(RemoveRule),
        "rules" => Rules(ListRules),
        "alerts" => Alerts(ListAlerts),
        "refused" => Refused(ShowRefused),
        "presence" => Presence(Presence),
        "presence-snapshot" => PresenceSnapshot(PresenceSnapshot),
        "security" => Security(SecurityNotice),
    }
}

/// Points in a row that a rule may wait for.
const POINTS_MAX: u32 = 1_000;

/// Reads an id.
pub(crate) fn id(field: &str, text: &str) -> Result<Id, Refusal> {
    text.parse()
        .map_err(|e: contract::id::BadId| Refusal::invalid(field, e.to_string()))
}

/// Checks a heartbeat.
pub(crate) fn heartbeat(heartbeat: &Heartbeat) -> Result<(), Refusal> {
    if heartbeat.metrics.len() > limits::ENTRIES_MAX {
        let message = format!("a heartbeat has up to {} metrics", limits::ENTRIES_MAX);
        return Err(Refusal::new(Code::TooLarge, message).at("metrics"));
    }
    for (name, value) in &heartbeat.metrics {
        metric("metrics", name)?;
        if name.starts_with(policy::OWN_METRICS) {
            let message = format!(
                "metrics named `{}…` are counted by Muster itself",
                policy::OWN_METRICS
            );
            return Err(Refusal::invalid(format!("metrics.{name}"), message));
        }
        if !value.is_finite() {
            return Err(Refusal::invalid(
                format!("metrics.{name}"),
                "a metric is a finite number",
            ));
        }
    }
    Ok(())
}

/// Reads a rule: whatever was left out is filled in.
pub fn rule(mut rule: Rule) -> Result<Rule, Refusal> {
    id("rule.rule_id", &rule.rule_id)?;
    if rule.rule_id.eq_ignore_ascii_case(policy::OFFLINE) {
        return Err(Refusal::invalid(
            "rule.rule_id",
            "`offline` is built in; choose another id",
        ));
    }
    metric("rule.metric", &rule.metric)?;
    if rule.comparison() == Comparison::Unspecified {
        let both = [Comparison::Above, Comparison::Below].map(|c| c.as_str_name());
        return Err(Refusal::invalid("rule.comparison", "say on which side it is wrong").allowing(both));
    }
    if !rule.threshold.is_finite() {
        return Err(Refusal::invalid(
            "rule.threshold",
            "a threshold is a finite number",
        ));
    }
    rule.points_to_raise = points("rule.points_to_raise", rule.points_to_raise)?;
    rule.points_to_clear = points("rule.points_to_clear", rule.points_to_clear)?;
    let severity = Severity::try_from(rule.severity)
        .map_err(|_| Refusal::invalid("rule.severity", "there is no such severity"))?;
    let response = Response::try_from(rule.response)
        .map_err(|_| Refusal::invalid("rule.response", "there is no such response"))?;
    if severity == Severity::Unspecified {
        rule.set_severity(Severity::Medium);
    }
    if response == Response::Unspecified {
        rule.set_response(Response::None);
    }
    Ok(rule)
}

/// What others wrote freely, cut to what is kept.
pub(crate) fn cut(text: &str) -> String {
    text.chars()
        .filter(|c| !misleads(*c))
        .take(limits::TEXT_CHARS)
        .collect()
}

fn metric(field: &str, name: &str) -> Result<(), Refusal> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'/');
    if (1..=limits::KEY_CHARS).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    let message = format!(
        "a metric's name has 1 to {} letters, digits and `. _ - : /`",
        limits::KEY_CHARS
    );
    Err(Refusal::invalid(field, message))
}

fn points(field: &str, given: u32) -> Result<u32, Refusal> {
    match given {
        0 => Ok(1),
        1..=POINTS_MAX => Ok(given),
        _ => Err(Refusal::invalid(
            field,
            format!("a rule waits for 1 to {POINTS_MAX} points"),
        )),
    }
}
