//! What the audit log tells of rules, and of what the front door decided by itself.

use contract::{
    Code, Kind, ServiceName, Verb,
    notice::PUBLISH_DENIED,
    v1::{Rule, SecurityNotice},
    verb::Audit,
};
use service::AuditDraft;

use crate::state;

/// A record, if people are to read what became of it.
pub(crate) fn told(key: &[u8], record: &[u8]) -> Option<(String, serde_json::Value)> {
    key.starts_with(state::RULES.as_bytes())
        .then(|| service::told("rules", |rule: &Rule| &rule.rule_id, record))?
}

/// An operator closed somebody's connections.
pub(crate) fn kicked(notice: &SecurityNotice) -> AuditDraft {
    AuditDraft {
        who: notice.by.clone(),
        verb: "front-door/kick".into(),
        subjects: vec![format!("{}/{}", notice.kind, notice.id)],
        outcome: "accepted".into(),
        reason: notice.detail.clone(),
        count: notice.count.max(1),
        ..AuditDraft::default()
    }
}

/// A person asked for a change that is beyond its role. The front door tells one a second of each person.
pub(crate) fn denied(notice: &SecurityNotice) -> Option<AuditDraft> {
    let kind = Kind::from_word(&notice.kind);
    if notice.what != PUBLISH_DENIED || !matches!(kind, Some(Kind::Operator | Kind::Integrator)) {
        return None;
    }
    // The topic that was tried; what is no verb is no change.
    let (_, asked) = notice.detail.split_once("/up/")?;
    let (service, name) = asked.split_once('/')?;
    let verb = Verb::find(ServiceName::from_word(service)?, name)?;
    (verb.audit == Audit::Recorded).then(|| AuditDraft {
        who: format!("{}/{}", notice.kind, notice.id),
        address: notice.address.clone(),
        verb: asked.into(),
        outcome: Code::Denied.word().into(),
        reason: "the front door refused it".into(),
        count: notice.count.max(1),
        ..AuditDraft::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_people_tried_to_change_is_told() {
        for (kind, what, topic, expected) in [
            (
                "operators",
                PUBLISH_DENIED,
                "m/v1/operators/eve/up/registry/retire",
                Some("registry/retire"),
            ),
            (
                "integrators",
                PUBLISH_DENIED,
                "m/v1/operators/eve/up/registry/retire",
                Some("registry/retire"),
            ),
            (
                "operators",
                PUBLISH_DENIED,
                "m/v1/operators/eve/up/registry/show",
                None,
            ),
            (
                "operators",
                PUBLISH_DENIED,
                "m/v1/operators/eve/up/registry/nonsense",
                None,
            ),
            ("operators", PUBLISH_DENIED, "anything", None),
            (
                "operators",
                contract::notice::SUBSCRIBE_DENIED,
                "m/v1/operators/eve/up/registry/retire",
                None,
            ),
            (
                "devices",
                PUBLISH_DENIED,
                "m/v1/devices/eve/up/registry/retire",
                None,
            ),
            (
                "claims",
                PUBLISH_DENIED,
                "m/v1/devices/eve/up/registry/retire",
                None,
            ),
        ] {
            let notice = SecurityNotice {
                kind: kind.into(),
                id: "eve".into(),
                what: what.into(),
                detail: topic.into(),
                ..SecurityNotice::default()
            };
            let told = denied(&notice).map(|draft| draft.verb);
            assert_eq!(told.as_deref(), expected, "{kind} {topic}");
        }
    }
}
