//! `muster operator`: what an operator may do, grant by grant.

use anyhow::Result;
use contract::{
    Id, Verb,
    grant::Rights,
    id::{Kind, ServiceName},
    v1::{Changed, Grant, Person, PutPerson, Role},
    verb::VERBS,
};

use super::{
    Global, global, print, whole,
    words::{self, say},
};
use crate::exit::{Exit, Failure};

/// Operators, and what each may do to which devices.
#[derive(clap::Subcommand)]
pub(super) enum Operator {
    /// Make an operator
    #[command(after_help = "Examples:
  muster operator add ada --role viewer
  muster operator add eve --role operator --group berlin
  muster operator add kim --role security-officer --verb registry/suspend --verb registry/release")]
    Add(Change),
    /// Let an operator do more
    ///
    /// A role alone is for the whole fleet and takes the place of the former one; with groups, verbs or commands it
    /// comes beside what they may do already.
    #[command(after_help = "Examples:
  muster operator grant ada --role operator
  muster operator grant ada --role operator --group berlin --group rome
  muster operator grant ada --role operator --group rome --command diagnose --command logs
  muster operator grant ada --role release-manager --group lab --verb 'rollout/*'")]
    Grant(Change),
    /// Take back what was granted; a role alone is the one for the whole fleet
    #[command(after_help = "Examples:
  muster operator revoke ada --role viewer
  muster operator revoke ada --role operator --group rome
  muster operator revoke ada --role release-manager --group lab --verb 'rollout/*'")]
    Revoke(Change),
    /// Show what an operator may do
    #[command(after_help = "Examples:\n  muster operator show ada")]
    Show(Show),
    /// Say which verbs each role opens
    #[command(
        after_help = "Examples:\n  muster operator roles\n  muster operator roles --role security-officer"
    )]
    Roles(Roles),
}

#[derive(clap::Args)]
pub(super) struct Change {
    /// The operator; their certificate names them
    id: Id,
    /// The role
    #[arg(long, value_parser = words::parser::<Role>())]
    role: Role,
    /// For the devices of this group; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<Id>,
    /// This verb of the role, SERVICE/VERB or SERVICE/*; may be given several times
    #[arg(long = "verb", value_name = "VERB")]
    verbs: Vec<String>,
    /// Of what devices can be ordered, this command; may be given several times [default: all]
    #[arg(long = "command", value_name = "NAME")]
    commands: Vec<Id>,
}

#[derive(clap::Args)]
pub(super) struct Show {
    /// The operator
    id: Id,
}

#[derive(clap::Args)]
pub(super) struct Roles {
    /// This one only
    #[arg(long, value_parser = words::parser::<Role>())]
    role: Option<Role>,
}

impl Operator {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Operator::Add(change) => change.run(global, How::Add),
            Operator::Grant(change) => change.run(global, How::Grant),
            Operator::Revoke(change) => change.run(global, How::Revoke),
            Operator::Show(command) => command.run(global),
            Operator::Roles(command) => command.run(global),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Add,
    Grant,
    Revoke,
}

impl Change {
    /// The record is read, changed and written with its version: whoever was faster is not overwritten.
    fn run(self, global: &Global, how: How) -> Result<()> {
        let changed: Changed = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let people = whole::people(&client).await?;
            let person = self.applied(find(people, &self.id), how)?;
            let request = PutPerson {
                request_id: String::new(),
                id: person.id,
                kind: person.kind,
                role: person.role,
                event_filters: person.event_filters,
                data_devices: person.data_devices,
                disabled: person.disabled,
                expected_version: person.version,
                grants: person.grants,
            };
            let changed = global::ask(&client, ServiceName::Registry, "put-person", &request).await;
            client.disconnect().await;
            changed
        })?;
        print::changed(global.json, &changed)
    }

    fn applied(&self, known: Option<Person>, how: How) -> Result<Person> {
        let person = match (known, how) {
            (Some(_), How::Add) => {
                let message = format!(
                    "`{}` is an operator already; see `muster operator grant`",
                    self.id
                );
                return Err(Failure::new(Exit::Conflict, message).into());
            }
            (None, How::Grant | How::Revoke) => return Err(nobody(&self.id)),
            (None, How::Add) => Person {
                id: self.id.to_string(),
                kind: Kind::Operator.word().to_owned(),
                ..Person::default()
            },
            (Some(person), _) => person,
        };
        match how {
            How::Revoke => self.taken(person),
            How::Add | How::Grant => Ok(self.given(person)),
        }
    }

    fn is_whole(&self) -> bool {
        self.groups.is_empty() && self.verbs.is_empty() && self.commands.is_empty()
    }

    /// Grants that differ in their groups only are one.
    fn given(&self, mut person: Person) -> Person {
        if self.is_whole() {
            person.set_role(self.role);
            return person;
        }
        let groups = self.groups.iter().map(Id::to_string);
        let alike = |grant: &&mut Grant| self.is_alike(grant) && !grant.groups.is_empty();
        match person
            .grants
            .iter_mut()
            .find(alike)
            .filter(|_| !self.groups.is_empty())
        {
            Some(grant) => {
                for group in groups {
                    if !grant.groups.contains(&group) {
                        grant.groups.push(group);
                    }
                }
            }
            None => person.grants.push(Grant {
                role: self.role.into(),
                groups: groups.collect(),
                verbs: self.verbs.clone(),
                commands: self.commands().collect(),
            }),
        }
        person
    }

    /// A grant whose last group goes is gone: without groups it would be one for the whole fleet.
    fn taken(&self, mut person: Person) -> Result<Person> {
        let before = (person.role, person.grants.clone());
        if self.is_whole() {
            if person.role() == self.role {
                person.role = 0;
            }
        } else {
            let groups: Vec<_> = self.groups.iter().map(Id::to_string).collect();
            person.grants.retain_mut(|grant| {
                if !self.is_alike(grant) || grant.groups.is_empty() != groups.is_empty() {
                    return true;
                }
                grant.groups.retain(|group| !groups.contains(group));
                !grant.groups.is_empty()
            });
        }
        if before == (person.role, person.grants.clone()) {
            let rights = Rights::of(person.role(), &person.grants).words();
            let message = format!("`{}` was not granted that; what they have is: {rights}", self.id);
            return Err(Failure::new(Exit::NotFound, message).into());
        }
        if person.role == 0 && person.grants.is_empty() {
            let message = format!(
                "that is all that `{0}` may do; shut them out with `muster person put operator {0} --role viewer --disable`",
                self.id
            );
            return Err(Failure::new(Exit::Conflict, message).into());
        }
        Ok(person)
    }

    fn is_alike(&self, grant: &Grant) -> bool {
        let commands = grant.commands.iter().cloned();
        grant.role() == self.role && grant.verbs == self.verbs && commands.eq(self.commands())
    }

    fn commands(&self) -> impl Iterator<Item = String> + '_ {
        self.commands.iter().map(Id::to_string)
    }
}

impl Show {
    fn run(self, global: &Global) -> Result<()> {
        let person = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let people = whole::people(&client).await;
            client.disconnect().await;
            find(people?, &self.id).ok_or_else(|| nobody(&self.id))
        })?;
        if global.json {
            return print::json(&person);
        }
        print::fields(&[
            ("operator", person.id.clone()),
            ("may", Rights::of(person.role(), &person.grants).words()),
            ("disabled", print::yes(person.disabled)),
            ("version", person.version.to_string()),
        ])
    }
}

impl Roles {
    fn run(self, global: &Global) -> Result<()> {
        let roles = Role::ALL
            .into_iter()
            .filter(|role| self.role.is_none_or(|asked| asked == *role));
        let opened = roles.map(|role| {
            let verbs = VERBS.iter().filter(|verb| verb.allows(role));
            (say(role), verbs.map(name).collect::<Vec<_>>())
        });
        let opened: Vec<_> = opened.collect();
        if global.json {
            let documents = opened.iter();
            let mut documents =
                documents.map(|(role, verbs)| serde_json::json!({"role": role, "verbs": verbs}));
            return documents.try_for_each(|document| print::json(&document));
        }
        let fields = opened
            .iter()
            .map(|(role, verbs)| (role.as_str(), verbs.join(", ")));
        print::fields(&fields.collect::<Vec<_>>())
    }
}

fn name(verb: &Verb) -> String {
    format!("{}/{}", verb.service, verb.name)
}

fn find(people: Vec<Person>, id: &Id) -> Option<Person> {
    let is_meant = |person: &Person| person.kind == Kind::Operator.word() && person.id == id.as_str();
    people.into_iter().find(is_meant)
}

fn nobody(id: &Id) -> anyhow::Error {
    Failure::new(
        Exit::NotFound,
        format!("there is no operator `{id}`; see `muster operator add`"),
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(role: Role, groups: &[&str], verbs: &[&str]) -> Change {
        Change {
            id: "ada".parse().unwrap(),
            role,
            groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
            commands: Vec::new(),
        }
    }

    fn words(person: &Person) -> String {
        Rights::of(person.role(), &person.grants).words()
    }

    #[test]
    fn what_is_granted_can_be_taken_back_and_never_widens() {
        let ada = change(Role::Viewer, &[], &[]).applied(None, How::Add).unwrap();
        let ada = change(Role::Operator, &["berlin"], &[])
            .applied(Some(ada), How::Grant)
            .unwrap();
        let ada = change(Role::Operator, &["rome"], &[])
            .applied(Some(ada), How::Grant)
            .unwrap();
        let ada = change(Role::Operator, &[], &["registry/suspend"])
            .applied(Some(ada), How::Grant)
            .unwrap();
        assert_eq!(
            words(&ada),
            "viewer; operator for the groups `berlin`, `rome`; operator (registry/suspend)"
        );
        let ada = change(Role::Operator, &["berlin", "rome"], &[])
            .applied(Some(ada), How::Revoke)
            .unwrap();
        assert_eq!(words(&ada), "viewer; operator (registry/suspend)");
        let ada = change(Role::Viewer, &[], &[])
            .applied(Some(ada), How::Revoke)
            .unwrap();
        assert_eq!(words(&ada), "operator (registry/suspend)");
        for (role, groups) in [(Role::Viewer, &[][..]), (Role::Operator, &["berlin"])] {
            assert!(
                change(role, groups, &[])
                    .applied(Some(ada.clone()), How::Revoke)
                    .is_err()
            );
        }
        let last = change(Role::Operator, &[], &["registry/suspend"]);
        assert!(last.applied(Some(ada.clone()), How::Revoke).is_err());
        assert!(
            change(Role::Viewer, &[], &[])
                .applied(Some(ada), How::Add)
                .is_err()
        );
        assert!(change(Role::Viewer, &[], &[]).applied(None, How::Grant).is_err());
    }
}
