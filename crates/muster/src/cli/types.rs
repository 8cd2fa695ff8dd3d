//! `muster type`

use std::{fs, path::PathBuf};

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{
        Changed, Check, CheckKind, DeprecateType, DeviceType, ListTypes, PutType, ShowType, TypeShown,
        TypesListed,
    },
};

use super::{
    Global, global,
    list::Limit,
    print,
    rule::{self, Rule},
    whole, words,
};
use crate::exit::{Exit, Failure};

/// What sorts of devices there are, and what they must pass.
#[derive(clap::Subcommand)]
pub(super) enum Type {
    /// Make a type, or change it; what is not said stays
    #[command(after_help = "Examples:
  muster type add pump --schema pump.schema.json --check ok=self-test:self-test
  muster type add pump --command diagnose --command logs --signed-command open
  muster type add pump --command-deadline 10m --commands-at-once 5
  muster type add pump --drop-check ok --any-command
  muster type add pump --check trial=test-rollout:'trial-*'
  muster type add pump --check fw=firmware-at-least:1.4.0 --check burn-in=attested")]
    Add(Add),
    /// List types
    #[command(after_help = "Examples:\n  muster type list\n  muster device count --by type")]
    List(List),
    /// Show one type
    #[command(after_help = "Examples:\n  muster type show pump")]
    Show(Show),
    /// Let no further device be of a type
    #[command(after_help = "Examples:\n  muster type deprecate pump\n  muster type deprecate pump --undo")]
    Deprecate(Deprecate),
}

#[derive(clap::Args)]
pub(super) struct Add {
    /// The type
    id: Id,
    /// What it is
    #[arg(long)]
    description: Option<String>,
    /// A file with a JSON Schema for the attributes
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// What must hold before a device is active: NAME=self-test:ATTRIBUTE, NAME=reported:ATTRIBUTE,
    /// NAME=firmware-at-least:VERSION, NAME=test-rollout:PATTERN or NAME=attested; may be given several times
    #[arg(long = "check", value_name = "CHECK", value_parser = check)]
    checks: Vec<Check>,
    /// A check that need not hold any longer; may be given several times
    #[arg(long = "drop-check", value_name = "NAME")]
    dropped: Vec<Id>,
    #[command(flatten)]
    rule: Rule,
    /// Only if the type has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(super) struct Show {
    /// The type
    id: Id,
}

#[derive(clap::Args)]
pub(super) struct Deprecate {
    /// The type
    id: Id,
    /// Take the deprecation back
    #[arg(long)]
    undo: bool,
    /// Only if the type has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

impl Type {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Type::Add(command) => command.run(global),
            Type::List(command) => command.run(global),
            Type::Show(command) => command.run(global),
            Type::Deprecate(command) => command.run(global),
        }
    }
}

impl Add {
    fn run(self, global: &Global) -> Result<()> {
        let read = |path: PathBuf| {
            fs::read_to_string(&path)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
        };
        let schema = self.schema.clone().map(read).transpose()?;
        let changed: Changed = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let known = whole::device_type(&client, &self.id).await?;
            let request = self.request(schema, known)?;
            let changed = global::ask(&client, ServiceName::Registry, "put-type", &request).await;
            client.disconnect().await;
            changed
        })?;
        print::changed(global.json, &changed)
    }

    /// What is not said stays.
    fn request(self, schema: Option<String>, known: Option<DeviceType>) -> Result<PutType> {
        let known = known.unwrap_or_default();
        Ok(PutType {
            request_id: String::new(),
            type_id: self.id.to_string(),
            description: self.description.unwrap_or(known.description),
            schema: schema.unwrap_or(known.schema),
            checks: checked(known.checks, self.checks, &self.dropped)?,
            // Nobody else has changed it meanwhile; a new one is not there yet.
            expected_version: match self.expected_version {
                0 => known.version,
                version => version,
            },
            commands: self.rule.commands().unwrap_or(known.commands),
            signed_commands: self.rule.signed_commands().unwrap_or(known.signed_commands),
            commands_within_ms: self.rule.within_ms().unwrap_or(known.commands_within_ms),
            commands_at_once: self.rule.at_once().unwrap_or(known.commands_at_once),
        })
    }
}

/// A check of the same name takes the former one's place.
fn checked(known: Vec<Check>, put: Vec<Check>, dropped: &[Id]) -> Result<Vec<Check>> {
    let mut checks = known;
    for name in dropped {
        let before = checks.len();
        checks.retain(|check| check.name != name.as_str());
        if checks.len() == before {
            return Err(Failure::new(Exit::NotFound, format!("the type has no check `{name}`")).into());
        }
    }
    for new in put {
        match checks.iter_mut().find(|check| check.name == new.name) {
            Some(check) => *check = new,
            None => checks.push(new),
        }
    }
    Ok(checks)
}

/// Reads `burn-in=attested`.
pub(super) fn check(text: &str) -> Result<Check, String> {
    let (name, rest) = text
        .split_once('=')
        .ok_or("a check is written as NAME=KIND:ARGUMENT")?;
    let (kind, argument) = rest.split_once(':').unwrap_or((rest, ""));
    let unknown = || format!("a kind is one of {}", words::list::<CheckKind>());
    let kind = words::find::<CheckKind>(kind).ok_or_else(unknown)?;
    Ok(Check {
        name: name.into(),
        kind: kind.into(),
        argument: argument.into(),
    })
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "types"),
            |page| ListTypes {
                page_size: page.size,
                page: page.token,
                ..ListTypes::default()
            },
            |reply: TypesListed| (reply.types, reply.next_page),
        )?;
        listed.print(
            global,
            &["id", "description", "checks", "schema", "deprecated", "version"],
            row,
        )
    }
}

fn row(kind: &DeviceType) -> Vec<String> {
    vec![
        kind.type_id.clone(),
        kind.description.clone(),
        checks(kind),
        print::yes(!kind.schema.is_empty()),
        print::yes(kind.deprecated),
        kind.version.to_string(),
    ]
}

fn checks(kind: &DeviceType) -> String {
    kind.checks.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// A check as it is read.
pub(super) fn word(check: &Check) -> String {
    let kind = words::say(check.kind());
    let argument = if check.argument.is_empty() {
        String::new()
    } else {
        format!(":{}", check.argument)
    };
    format!("{}={kind}{argument}", check.name)
}

impl Show {
    fn run(self, global: &Global) -> Result<()> {
        let request = ShowType {
            type_id: self.id.to_string(),
            ..ShowType::default()
        };
        let shown: TypeShown = global.ask(ServiceName::Registry, "show-type", &request)?;
        let kind = shown.device_type.unwrap_or_default();
        if global.json {
            return print::json(&kind);
        }
        print::fields(&[
            ("id", kind.type_id.clone()),
            ("version", kind.version.to_string()),
            ("description", kind.description.clone()),
            ("checks", checks(&kind)),
            ("commands", kind.commands.join(", ")),
            ("signed commands", kind.signed_commands.join(", ")),
            ("command deadline", rule::deadline(kind.commands_within_ms)),
            ("commands at once", rule::at_once(kind.commands_at_once)),
            (
                "schema",
                kind.schema.split_whitespace().collect::<Vec<_>>().join(" "),
            ),
            ("deprecated", print::yes(kind.deprecated)),
        ])
    }
}

impl Deprecate {
    fn run(self, global: &Global) -> Result<()> {
        let request = DeprecateType {
            request_id: String::new(),
            type_id: self.id.to_string(),
            undo: self.undo,
            expected_version: self.expected_version,
        };
        let changed: Changed = global.ask(ServiceName::Registry, "deprecate-type", &request)?;
        print::changed(global.json, &changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_read_as_they_are_shown() {
        for text in [
            "ok=self-test:self-test",
            "fw=firmware-at-least:1.4.0",
            "cal=reported:calibrated",
            "burn-in=attested",
            "trial=test-rollout",
            "trial=test-rollout:trial-*",
        ] {
            let kind = DeviceType {
                checks: vec![check(text).unwrap()],
                ..DeviceType::default()
            };
            assert_eq!(checks(&kind), text);
        }
        for bad in ["attested", "a=", "a=guessed"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    fn add(line: &str) -> Add {
        use clap::{Args, Command, FromArgMatches};
        let words = ["add"].into_iter().chain(line.split(' '));
        let matches = Add::augment_args(Command::new("add")).get_matches_from(words);
        Add::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn what_is_not_said_of_a_type_stays() {
        let known = DeviceType {
            description: "a pump".into(),
            schema: "{}".into(),
            checks: vec![
                check("ok=self-test:self-test").unwrap(),
                check("burn-in=attested").unwrap(),
            ],
            commands: vec!["diagnose".into()],
            signed_commands: vec!["open".into()],
            commands_within_ms: 600_000,
            commands_at_once: 5,
            version: 3,
            ..DeviceType::default()
        };
        let put = |line: &str| add(line).request(None, Some(known.clone()));
        let more = put("pump --check fw=firmware-at-least:2.0 --check burn-in=reported:burnt").unwrap();
        assert_eq!(
            (more.description, more.schema, more.expected_version),
            ("a pump".into(), "{}".into(), 3)
        );
        assert_eq!(more.commands, ["diagnose"]);
        assert_eq!(more.signed_commands, ["open"]);
        assert_eq!((more.commands_within_ms, more.commands_at_once), (600_000, 5));
        let names: Vec<_> = more.checks.iter().map(word).collect();
        let expected = [
            "ok=self-test:self-test",
            "burn-in=reported:burnt",
            "fw=firmware-at-least:2.0",
        ];
        assert_eq!(names, expected);
        let less = put("pump --drop-check ok --any-command --no-signed-command").unwrap();
        assert_eq!((less.checks.len(), less.commands.len()), (1, 0));
        assert!(less.signed_commands.is_empty());
        let other = put("pump --command-deadline 90s --no-commands-at-once").unwrap();
        assert_eq!((other.commands_within_ms, other.commands_at_once), (90_000, 0));
        assert!(
            put("pump --drop-check none").is_err(),
            "a slip of the keyboard drops nothing"
        );
        assert!(add("valve").request(None, None).unwrap().checks.is_empty());
    }
}
