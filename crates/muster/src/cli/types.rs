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

use super::{Global, list::Limit, print, words};
use crate::exit::Failure;

/// What sorts of devices there are, and what they must pass.
#[derive(clap::Subcommand)]
pub(super) enum Type {
    /// Make a type, or change it
    #[command(after_help = "Examples:
  muster type add pump --schema pump.schema.json --check ok=self-test:self-test
  muster type add pump --command diagnose --command logs
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
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// A file with a JSON Schema for the attributes
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// What must hold before a device is active: NAME=self-test:ATTRIBUTE, NAME=reported:ATTRIBUTE,
    /// NAME=firmware-at-least:VERSION, NAME=test-rollout:PATTERN or NAME=attested; may be given several times
    #[arg(long = "check", value_name = "CHECK", value_parser = check)]
    checks: Vec<Check>,
    /// What operators may order devices of this type to do; may be given several times [default: whatever they can]
    #[arg(long = "command", value_name = "NAME")]
    commands: Vec<Id>,
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
        let request = PutType {
            request_id: String::new(),
            type_id: self.id.to_string(),
            description: self.description,
            schema: self.schema.map(read).transpose()?.unwrap_or_default(),
            checks: self.checks,
            expected_version: self.expected_version,
            commands: self.commands.iter().map(Id::to_string).collect(),
        };
        let changed: Changed = global.ask(ServiceName::Registry, "put-type", &request)?;
        print::changed(global.json, &changed)
    }
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
}
