//! The roles of operators: their names and their sets. Which verbs a role opens stands in the verb table.

use crate::v1::Role;

/// Whoever has a role at all.
pub(crate) const ANYBODY: &[Role] = &Role::ALL;
/// Whoever works on devices.
pub(crate) const DEVICES: &[Role] = &[Role::Operator, Role::ReleaseManager, Role::Admin];
/// Whoever works on devices, and whoever keeps the fleet safe.
pub(crate) const SAFETY: &[Role] = &[
    Role::Operator,
    Role::ReleaseManager,
    Role::SecurityOfficer,
    Role::Admin,
];
/// Whoever adds firmware and rolls it out.
pub(crate) const FIRMWARE: &[Role] = &[Role::ReleaseManager, Role::Admin];
/// Whoever keeps certificates, claims and the audit log.
pub(crate) const SECURITY: &[Role] = &[Role::SecurityOfficer, Role::Admin];
/// Whoever says who may do what.
pub(crate) const PEOPLE: &[Role] = &[Role::Admin];

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [
        Role::Viewer,
        Role::Operator,
        Role::ReleaseManager,
        Role::SecurityOfficer,
        Role::Admin,
    ];

    /// What people call it.
    pub const fn words(self) -> &'static str {
        match self {
            Role::Unspecified => "no role",
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::ReleaseManager => "release manager",
            Role::SecurityOfficer => "security officer",
            Role::Admin => "admin",
        }
    }

    /// Several as a sentence names them: `release manager or admin`.
    pub fn any_of(roles: &[Role]) -> String {
        let words: Vec<_> = roles.iter().map(|role| role.words()).collect();
        match words.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => Role::Unspecified.words().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_words_of_its_own() {
        let numbers = (1..100).filter_map(|n| Role::try_from(n).ok());
        assert_eq!(numbers.collect::<Vec<_>>(), Role::ALL);
        let words: std::collections::BTreeSet<_> = Role::ALL.map(Role::words).into();
        assert_eq!(words.len(), Role::ALL.len());
        assert_eq!(Role::any_of(FIRMWARE), "release manager or admin");
        assert_eq!(Role::any_of(PEOPLE), "admin");
        assert_eq!(Role::any_of(DEVICES), "operator, release manager or admin");
    }
}
