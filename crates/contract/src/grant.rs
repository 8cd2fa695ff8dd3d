//! What operators were granted, and how far it reaches: the front door, each service and what is exported for
//! other brokers all ask here.

use std::collections::BTreeSet;

use crate::{
    Code, Refusal,
    id::ServiceName,
    scope::Scope,
    v1::{Grant, PrincipalFact, Role},
    verb::Verb,
};

/// Everything that an operator was granted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rights {
    /// The first is the role for the whole fleet, if there is one.
    grants: Vec<Grant>,
}

/// How far a verb reaches in somebody's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// Not at all.
    Nothing,
    /// The devices of these groups.
    Groups(BTreeSet<String>),
    /// The whole fleet.
    Everything,
}

impl Rights {
    /// A role for the whole fleet, and what was granted besides.
    pub fn of(role: Role, grants: &[Grant]) -> Rights {
        let whole = Grant {
            role: role.into(),
            ..Grant::default()
        };
        let whole = (role != Role::Unspecified).then_some(whole);
        Rights {
            grants: whole.into_iter().chain(grants.iter().cloned()).collect(),
        }
    }

    /// How far a verb reaches.
    pub fn extent(&self, verb: &Verb) -> Extent {
        let mut groups = BTreeSet::new();
        for grant in self.grants.iter().filter(|grant| opens(grant, verb)) {
            if grant.groups.is_empty() {
                return Extent::Everything;
            }
            groups.extend(grant.groups.iter().cloned());
        }
        match groups.is_empty() {
            true => Extent::Nothing,
            false => Extent::Groups(groups),
        }
    }

    /// The commands that may be ordered with a verb to a device of these groups, those that they lie within included.
    /// `None`: all of them.
    pub fn commands(&self, verb: &Verb, groups: &[String]) -> Option<BTreeSet<String>> {
        let reaches = |grant: &&Grant| {
            grant.groups.is_empty() || grant.groups.iter().any(|group| groups.contains(group))
        };
        let mut commands = BTreeSet::new();
        let opening = self.grants.iter().filter(|grant| opens(grant, verb));
        for grant in opening.filter(reaches) {
            if grant.commands.is_empty() {
                return None;
            }
            commands.extend(grant.commands.iter().cloned());
        }
        Some(commands)
    }

    /// Whether the verb may be used at all, or the refusal, which says what it takes.
    pub fn demand(&self, verb: &Verb) -> Result<Extent, Refusal> {
        let denied = |message| Err(Refusal::new(Code::Denied, message));
        match self.extent(verb) {
            Extent::Nothing => denied(format!(
                "`{}` needs the role {}; yours is {}",
                verb.name,
                Role::any_of(verb.roles()),
                self.words()
            )),
            Extent::Groups(groups) if verb.scope() == Scope::Fleet => denied(format!(
                "`{}` reaches beyond groups; you were granted it for {} only, and it takes the role {} for the whole fleet",
                verb.name,
                named(&groups),
                Role::any_of(verb.roles())
            )),
            extent => Ok(extent),
        }
    }

    /// Of which devices' events of a service somebody may know: those whose events they could have replayed.
    pub fn events_of(&self, service: ServiceName) -> Extent {
        Verb::find(service, "replay").map_or(Extent::Nothing, |verb| self.extent(verb))
    }

    /// The roles, in words.
    pub fn words(&self) -> String {
        let one = |grant: &Grant| {
            let mut words = grant.role().words().to_owned();
            let commands = format!("ordering {} only", grant.commands.join(", "));
            let held = [
                (!grant.verbs.is_empty()).then(|| grant.verbs.join(", ")),
                (!grant.commands.is_empty()).then_some(commands),
            ];
            let held: Vec<_> = held.into_iter().flatten().collect();
            if !held.is_empty() {
                words = format!("{words} ({})", held.join("; "));
            }
            match grant.groups.is_empty() {
                true => words,
                false => format!("{words} for {}", named(&grant.groups)),
            }
        };
        match self.grants.is_empty() {
            true => Role::Unspecified.words().to_owned(),
            false => self.grants.iter().map(one).collect::<Vec<_>>().join("; "),
        }
    }
}

impl From<&PrincipalFact> for Rights {
    fn from(fact: &PrincipalFact) -> Rights {
        Rights::of(fact.role(), &fact.grants)
    }
}

impl From<Role> for Rights {
    fn from(role: Role) -> Rights {
        Rights::of(role, &[])
    }
}

/// `registry/suspend`, or `registry/*` for all of a service's.
pub fn names(pattern: &str, verb: &Verb) -> bool {
    let service = verb.service.word();
    pattern
        .split_once('/')
        .is_some_and(|(of, name)| of == service && (name == "*" || name == verb.name))
}

/// Whether a grant lets somebody use a verb, wherever that reaches.
pub fn opens(grant: &Grant, verb: &Verb) -> bool {
    verb.allows(grant.role())
        && (grant.verbs.is_empty() || grant.verbs.iter().any(|pattern| names(pattern, verb)))
}

/// Groups as a sentence names them.
pub fn named<'a>(groups: impl IntoIterator<Item = &'a String>) -> String {
    let groups: Vec<_> = groups.into_iter().map(|group| format!("`{group}`")).collect();
    let word = if groups.len() == 1 { "group" } else { "groups" };
    format!("the {word} {}", groups.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, verb::VERBS};

    fn grant(role: Role, groups: &[&str], verbs: &[&str]) -> Grant {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Grant {
            role: role.into(),
            groups: texts(groups),
            verbs: texts(verbs),
            ..Grant::default()
        }
    }

    fn extent(rights: &Rights, name: &str) -> Extent {
        let (service, name) = name.split_once('/').unwrap();
        rights.extent(Verb::find(ServiceName::from_word(service).unwrap(), name).unwrap())
    }

    fn groups(names: &[&str]) -> Extent {
        Extent::Groups(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn each_verb_has_the_groups_of_all_grants_that_open_it() {
        let berlin = grant(Role::Operator, &["berlin"], &[]);
        let both = grant(Role::Viewer, &["berlin", "rome"], &[]);
        let suspend = grant(Role::SecurityOfficer, &["oslo"], &["registry/suspend"]);
        let rights = Rights::of(Role::Unspecified, &[berlin, both, suspend]);
        assert_eq!(extent(&rights, "registry/show"), groups(&["berlin", "rome"]));
        assert_eq!(extent(&rights, "registry/change"), groups(&["berlin"]));
        assert_eq!(extent(&rights, "registry/suspend"), groups(&["berlin", "oslo"]));
        assert_eq!(extent(&rights, "registry/quarantine"), groups(&["berlin"]));
        assert_eq!(extent(&rights, "provisioning/revoke"), Extent::Nothing);
        let rights = Rights::of(
            Role::Viewer,
            &[grant(Role::Operator, &["berlin"], &["registry/*"])],
        );
        assert_eq!(extent(&rights, "registry/show"), Extent::Everything);
        assert_eq!(extent(&rights, "registry/change"), groups(&["berlin"]));
        assert_eq!(extent(&rights, "monitoring/put-rule"), Extent::Nothing);
    }

    #[test]
    fn commands_are_those_of_all_grants_that_reach_the_device() {
        let held = |groups: &[&str], commands: &[&str]| Grant {
            commands: commands.iter().map(|name| (*name).to_owned()).collect(),
            ..grant(Role::Operator, groups, &[])
        };
        let run = Verb::find(ServiceName::Registry, "command-run").unwrap();
        let of = |grants: &[Grant], groups: &[&str]| {
            let groups: Vec<_> = groups.iter().map(|group| (*group).to_owned()).collect();
            let commands = Rights::of(Role::Viewer, grants).commands(run, &groups);
            commands.map(|commands| commands.into_iter().collect::<Vec<_>>().join(" "))
        };
        let grants = [
            held(&["berlin"], &["logs"]),
            held(&["berlin", "rome"], &["open"]),
            held(&["oslo"], &[]),
        ];
        assert_eq!(of(&grants, &["berlin"]).as_deref(), Some("logs open"));
        assert_eq!(of(&grants, &["x", "rome"]).as_deref(), Some("open"));
        assert_eq!(of(&grants, &["rome", "oslo"]), None);
        assert_eq!(of(&grants, &[]).as_deref(), Some(""), "a viewer orders nothing");
        assert_eq!(of(&[held(&[], &["logs"])], &[]).as_deref(), Some("logs"));
        let words = Rights::of(Role::Viewer, &grants[..1]).words();
        assert_eq!(
            words,
            "viewer; operator (ordering logs only) for the group `berlin`"
        );
    }

    #[test]
    fn what_reaches_beyond_groups_is_refused_to_whoever_has_it_for_groups() {
        let rights = Rights::of(Role::Unspecified, &[grant(Role::Admin, &["berlin"], &[])]);
        for verb in VERBS.iter().filter(|verb| verb.open_to(Kind::Operator)) {
            let name = format!("{}/{}", verb.service, verb.name);
            assert_eq!(
                rights.demand(verb).is_err(),
                verb.scope() == Scope::Fleet,
                "{name}"
            );
            assert_eq!(Rights::from(Role::Admin).demand(verb), Ok(Extent::Everything));
            let refusal = Rights::default().demand(verb).unwrap_err();
            assert_eq!(refusal.code, Code::Denied);
            assert!(!refusal.message.contains("ROLE_"), "{}", refusal.message);
        }
        for name in ["put-person", "put-group", "put-query", "audit"] {
            let verb = Verb::find(ServiceName::Registry, name).unwrap();
            assert!(rights.demand(verb).unwrap_err().message.contains("`berlin`"));
        }
    }
}
