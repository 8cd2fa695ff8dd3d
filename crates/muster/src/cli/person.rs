//! `muster person`

use anyhow::Result;
use contract::{
    Id,
    filter::Filter,
    grant::Rights,
    id::{Kind, ServiceName},
    v1::{Changed, ListPeople, PeopleListed, Person as Listed, PutPerson, Role},
};

use super::{Global, global, list::Limit, password, print, token, whole, words};
use crate::exit::Failure;

/// Operators and integrators and what they may do.
#[derive(clap::Subcommand)]
pub(super) enum Person {
    /// Make an operator or an integrator, or change what they may do; what is not said stays
    #[command(after_help = "Examples:
  muster person put operator ada --role operator
  muster person put integrator billing --events 'registry/devices/#'
  muster person put integrator plant --data +
  muster person put operator ada --disable
  muster person put operator ada --enable")]
    Put(Put),
    /// Show what an operator or an integrator may do
    #[command(
        after_help = "Examples:\n  muster person show operator ada\n  muster person show integrator billing"
    )]
    Show(Show),
    /// List operators and integrators
    #[command(after_help = "Examples:\n  muster person list")]
    List(List),
    /// Make a token with which a person logs in over WebSocket without a certificate, for a time
    #[command(after_help = "Examples:
  muster person token operator ada --for 1h
  muster person token integrator billing --for 31d --note 'the nightly run'
  muster --json person token operator ada | jq -r .token > ada.token")]
    Token(token::Make),
    /// List a person's tokens
    #[command(after_help = "Examples:\n  muster person tokens operator ada")]
    Tokens(token::List),
    /// Take a person's tokens back; the sessions over them end within a second
    #[command(after_help = "Examples:
  muster person revoke-token operator ada 3f1c6a2b9d04
  muster person revoke-token integrator billing --all --yes")]
    RevokeToken(token::Revoke),
    /// Give a person a password to log in with over WebSocket, or take it away
    ///
    /// It is asked for on the terminal, or read from a file or a file descriptor; never given on the command line. Sessions
    /// over the former one end within a second.
    #[command(after_help = "Examples:
  muster person password operator ada
  muster person password operator ada --password-file ada.secret
  pass show muster/ada | muster person password operator ada --password-file -
  muster person password operator ada --remove --yes")]
    Password(password::Password),
}

#[derive(clap::Args)]
pub(super) struct Put {
    /// What they are
    #[arg(value_parser = words::person())]
    kind: Kind,
    /// Their id; their certificate names it
    id: Id,
    /// What an operator may do in the whole fleet (docs/security.md has the table) [default: as it is]
    #[arg(long, value_parser = words::parser::<Role>())]
    role: Option<Role>,
    /// Events they may follow: an MQTT filter below `events/`; may be given several times
    #[arg(long = "events", value_name = "FILTER")]
    events: Vec<Filter>,
    /// Devices whose own data they may read: an id, or `+` for all; may be given several times
    #[arg(long = "data", value_name = "DEVICE", value_parser = device_or_all)]
    data: Vec<String>,
    /// Let them do nothing at all, until --enable
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// Let them do again what they might
    #[arg(long)]
    enable: bool,
    /// Only if the record has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(super) struct Show {
    /// What they are
    #[arg(value_parser = words::person())]
    kind: Kind,
    /// Their id
    id: Id,
}

#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    limit: Limit,
}

fn device_or_all(text: &str) -> Result<String, String> {
    let all = text == "+";
    let device = text.parse::<Id>().is_ok();
    let fault = || "a device's id, or `+` for all devices".to_owned();
    (all || device).then(|| text.to_owned()).ok_or_else(fault)
}

impl Person {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Person::Put(command) => command.run(global),
            Person::Show(command) => command.run(global),
            Person::List(command) => command.run(global),
            Person::Token(command) => command.run(global),
            Person::Tokens(command) => command.run(global),
            Person::RevokeToken(command) => command.run(global),
            Person::Password(command) => command.run(global),
        }
    }
}

impl Put {
    fn run(self, global: &Global) -> Result<()> {
        if self.kind == Kind::Integrator && self.role.is_some() {
            return Err(Failure::usage("an integrator has no role; give --events and --data").into());
        }
        let changed: Changed = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let people = whole::people(&client).await?;
            let id = self.id.to_string();
            let known = people
                .into_iter()
                .find(|person| person.kind == self.kind.word() && person.id == id);
            let request = self.request(known)?;
            let changed = global::ask(&client, ServiceName::Registry, "put-person", &request).await;
            client.disconnect().await;
            changed
        })?;
        print::changed(global.json, &changed)
    }

    /// What is not said stays: that somebody is disabled, and what he might do before.
    fn request(self, known: Option<Listed>) -> Result<PutPerson> {
        let is_new = known.is_none();
        let known = known.unwrap_or_default();
        if is_new && self.kind == Kind::Operator && self.role.is_none() {
            return Err(
                Failure::usage("say which role a new operator has: --role, for example `viewer`").into(),
            );
        }
        let (mut events, mut data) = (known.event_filters, known.data_devices);
        if !(self.events.is_empty() && self.data.is_empty()) {
            events = self.events.iter().map(Filter::to_string).collect();
            data = self.data;
        }
        // Nobody else has changed it meanwhile; a new one is not there yet.
        let expected_version = match self.expected_version {
            0 => known.version,
            version => version,
        };
        Ok(PutPerson {
            request_id: String::new(),
            id: self.id.to_string(),
            kind: self.kind.word().to_owned(),
            role: self.role.map_or(known.role, Into::into),
            event_filters: events,
            data_devices: data,
            disabled: self.disable || (known.disabled && !self.enable),
            expected_version,
            grants: known.grants,
        })
    }
}

impl Show {
    fn run(self, global: &Global) -> Result<()> {
        let mut people = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let people = whole::people(&client).await;
            client.disconnect().await;
            people
        })?;
        people.retain(|person| person.kind == self.kind.word());
        let called = (self.kind.word().trim_end_matches('s'), self.id.as_str());
        let person = whole::pick(people, called, |person| &person.id)?;
        if global.json {
            return print::json(&person);
        }
        print::fields(&[
            ("kind", person.kind.clone()),
            ("id", person.id.clone()),
            ("version", person.version.to_string()),
            ("may", rights(&person)),
            ("events", person.event_filters.join(", ")),
            ("data", person.data_devices.join(", ")),
            ("disabled", print::yes(person.disabled)),
        ])
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
            &["kind", "id", "role", "events", "data", "disabled", "version"],
            row,
        )
    }
}

/// Nothing of an integrator, who has no role.
fn rights(person: &Listed) -> String {
    match person.role == 0 && person.grants.is_empty() {
        true => String::new(),
        false => Rights::of(person.role(), &person.grants).words(),
    }
}

fn row(person: &Listed) -> Vec<String> {
    vec![
        person.kind.clone(),
        person.id.clone(),
        rights(person),
        person.event_filters.join(", "),
        person.data_devices.join(", "),
        print::yes(person.disabled),
        person.version.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use contract::v1::Grant;

    use super::*;

    fn put(kind: Kind, role: Option<Role>, events: &[&str], disable: bool) -> Put {
        Put {
            kind,
            id: "bob".parse().unwrap(),
            role,
            events: events.iter().map(|filter| filter.parse().unwrap()).collect(),
            data: Vec::new(),
            disable,
            enable: false,
            expected_version: 0,
        }
    }

    #[test]
    fn who_is_disabled_and_enabled_again_may_do_what_he_might() {
        let bob = Listed {
            id: "bob".into(),
            kind: "operators".into(),
            version: 3,
            grants: vec![Grant {
                role: Role::Operator.into(),
                groups: vec!["berlin".into()],
                ..Grant::default()
            }],
            ..Listed::default()
        };
        let off = put(Kind::Operator, None, &[], true)
            .request(Some(bob.clone()))
            .unwrap();
        assert_eq!((off.role, &off.grants, off.expected_version), (0, &bob.grants, 3));
        let bob = Listed {
            disabled: true,
            ..bob
        };
        let other = put(Kind::Operator, None, &["registry/#"], false);
        let other = other.request(Some(bob.clone())).unwrap();
        assert!(other.disabled, "who is shut out stays so, whatever else is said");
        let on = Put {
            enable: true,
            ..put(Kind::Operator, None, &[], false)
        };
        assert!(!on.request(Some(bob.clone())).unwrap().disabled);
        let viewer = put(Kind::Operator, Some(Role::Viewer), &[], false);
        let viewer = viewer.request(Some(bob.clone())).unwrap();
        assert_eq!((viewer.role(), &viewer.grants), (Role::Viewer, &bob.grants));
        assert!(
            put(Kind::Operator, None, &[], false).request(None).is_err(),
            "a new one has a role"
        );
    }

    #[test]
    fn what_an_integrator_may_follow_is_said_anew_or_stays() {
        let erp = Listed {
            event_filters: vec!["registry/#".into()],
            data_devices: vec!["+".into()],
            ..Listed::default()
        };
        let kept = put(Kind::Integrator, None, &[], true)
            .request(Some(erp.clone()))
            .unwrap();
        assert_eq!(
            (&kept.event_filters, &kept.data_devices),
            (&erp.event_filters, &erp.data_devices)
        );
        let anew = put(Kind::Integrator, None, &["monitoring/#"], false);
        let anew = anew.request(Some(erp)).unwrap();
        assert_eq!(
            (anew.event_filters, anew.data_devices.len()),
            (vec!["monitoring/#".to_owned()], 0)
        );
    }
}
