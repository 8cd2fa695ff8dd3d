//! `muster person`

use anyhow::Result;
use contract::{
    Id,
    filter::Filter,
    grant::Rights,
    id::{Kind, ServiceName},
    v1::{Changed, ListPeople, PeopleListed, Person as Listed, PutPerson, Role},
};

use super::{Global, list::Limit, print, words};
use crate::exit::Failure;

/// Operators and integrators and what they may do.
#[derive(clap::Subcommand)]
pub(super) enum Person {
    /// Make an operator or an integrator, or replace what they may do
    #[command(after_help = "Examples:
  muster person put operator ada --role operator
  muster person put integrator billing --events 'registry/devices/#'
  muster person put operator ada --role operator --disable")]
    Put(Put),
    /// List operators and integrators
    #[command(after_help = "Examples:\n  muster person list")]
    List(List),
}

#[derive(clap::Args)]
pub(super) struct Put {
    /// What they are
    #[arg(value_parser = words::person())]
    kind: Kind,
    /// Their id; their certificate names it
    id: Id,
    /// What an operator may do (docs/security.md has the table)
    #[arg(long, value_parser = words::parser::<Role>(), required_if_eq_any([("kind", "operator"), ("kind", "operators")]))]
    role: Option<Role>,
    /// Events they may follow: an MQTT filter below `events/`; may be given several times
    #[arg(long = "events", value_name = "FILTER")]
    events: Vec<Filter>,
    /// Let them do nothing at all
    #[arg(long)]
    disable: bool,
    /// Only if the record has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    limit: Limit,
}

impl Person {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Person::Put(command) => command.run(global),
            Person::List(command) => command.run(global),
        }
    }
}

impl Put {
    fn run(self, global: &Global) -> Result<()> {
        if self.kind == Kind::Integrator && self.role.is_some() {
            return Err(Failure::usage("an integrator has no role; give --events").into());
        }
        let request = PutPerson {
            request_id: String::new(),
            id: self.id.to_string(),
            kind: self.kind.word().to_owned(),
            role: self.role.unwrap_or_default().into(),
            event_filters: self.events.iter().map(Filter::to_string).collect(),
            disabled: self.disable,
            expected_version: self.expected_version,
            grants: Vec::new(),
        };
        let changed: Changed = global.ask(ServiceName::Registry, "put-person", &request)?;
        print::changed(global.json, &changed)
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "people"),
            |page| ListPeople {
                page_size: page.size,
                page: page.token,
                ..ListPeople::default()
            },
            |reply: PeopleListed| (reply.people, reply.next_page),
        )?;
        listed.print(
            global,
            &["kind", "id", "role", "events", "disabled", "version"],
            row,
        )
    }
}

fn row(person: &Listed) -> Vec<String> {
    vec![
        person.kind.clone(),
        person.id.clone(),
        match person.role == 0 && person.grants.is_empty() {
            true => String::new(),
            false => Rights::of(person.role(), &person.grants).words(),
        },
        person.event_filters.join(", "),
        print::yes(person.disabled),
        person.version.to_string(),
    ]
}
