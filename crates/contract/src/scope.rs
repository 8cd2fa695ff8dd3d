//! What becomes of a verb in the hands of an operator who was granted it for some groups only. It stands beside
//! the verb table; a verb that is named here nowhere is for the whole fleet or not at all.

use crate::{
    id::ServiceName::{self, Monitoring, Provisioning, Registry, Rollout},
    verb::Verb,
};

/// How a verb is held to groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// It cannot be: it is refused to whoever has it for groups only.
    Fleet,
    /// It names devices; each must be in one of the groups.
    Devices,
    /// Its service looks at no more than the devices of the groups.
    Sight,
    /// It tells of no device: it is open to whoever has it for any group.
    Open,
}

const SCOPES: &[(Scope, ServiceName, &[&str])] = &[
    (
        Scope::Devices,
        Registry,
        &[
            "show",
            "history",
            "why",
            "retirement",
            "transfer",
            "cancel-transfer",
            "maintain",
            "maintain-many",
            "maintenance",
            "change",
            "move",
            "suspend",
            "quarantine",
            "release",
            "retire",
            "replace",
            "attest",
            "join-group",
            "leave-group",
            "config-show",
            "config-set",
            "config-explain",
            "command-run",
            "command-why",
        ],
    ),
    (
        Scope::Sight,
        Registry,
        &[
            "list",
            "count",
            "transfers",
            "groups",
            "config-list",
            "config-drift",
            "config-templates",
            "put-config-template",
            "remove-config-template",
            "command-show",
            "command-list",
            "command-read",
            "command-cancel",
            "job-run",
            "job-cancel",
            "job-show",
            "job-list",
            "job-devices",
            "replay",
        ],
    ),
    (
        Scope::Open,
        Registry,
        // The secret of `accept-transfer` says of which device.
        &[
            "types",
            "show-type",
            "four-eyes",
            "accept-transfer",
            "put-checkpoint",
            "remove-checkpoint",
            "checkpoints",
        ],
    ),
    (
        Scope::Devices,
        Provisioning,
        &["put-secret", "admit", "turn-away"],
    ),
    (
        Scope::Sight,
        Provisioning,
        &[
            "show",
            "list",
            "admissions",
            "revoke",
            "renew-many",
            "abort-renewal",
            "renewals",
            "renewing",
            "replay",
        ],
    ),
    (Scope::Open, Provisioning, &["authorities"]),
    (
        Scope::Sight,
        Rollout,
        &[
            "create", "show", "list", "updates", "pause", "resume", "abort", "replay",
        ],
    ),
    (Scope::Open, Rollout, &["artifacts"]),
    (Scope::Devices, Monitoring, &["show", "refused"]),
    (Scope::Sight, Monitoring, &["list", "alerts", "replay"]),
    (Scope::Open, Monitoring, &["rules"]),
];

impl Verb {
    /// How the verb is held to groups.
    pub fn scope(&self) -> Scope {
        // What waits is judged one by one.
        if ["approvals", "approve", "disapprove"].contains(&self.name) {
            return Scope::Sight;
        }
        let found = SCOPES
            .iter()
            .find(|(_, service, names)| *service == self.service && names.contains(&self.name));
        found.map_or(Scope::Fleet, |(scope, ..)| *scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn every_name_is_a_verb_of_operators_and_stands_once() {
        let mut seen = std::collections::BTreeSet::new();
        for (_, service, names) in SCOPES {
            for name in *names {
                let verb = Verb::find(*service, name).unwrap_or_else(|| panic!("{service}/{name}"));
                assert!(verb.open_to(Kind::Operator), "{service}/{name}");
                assert!(seen.insert((service, name)), "{service}/{name}");
            }
        }
    }
}
