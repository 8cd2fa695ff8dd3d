//! `muster command why`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{AskCommand, CommandRule, CommandWhy},
};

use super::super::{Global, print, rule};

#[derive(clap::Args)]
pub(crate) struct Why {
    /// The device
    device: Id,
    /// The command; without it: which ones
    command: Option<Id>,
}

impl Why {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = AskCommand {
            device_id: self.device.to_string(),
            name: self.command.as_ref().map(Id::to_string).unwrap_or_default(),
            ..AskCommand::default()
        };
        let why: CommandWhy = global.ask(ServiceName::Registry, "command-why", &request)?;
        if global.json {
            return print::json(&why);
        }
        print::line(print::clean(&why.summary))?;
        if !why.can.is_empty() {
            print::line(print::clean(&format!(
                "it says that it can: {}",
                why.can.join(", ")
            )))?;
        }
        if why.rules.is_empty() {
            return Ok(());
        }
        print::table(
            &["rule of", "lets", "with a signature only", "within", "at once"],
            why.rules.iter().map(row).collect(),
        )
    }
}

fn row(rule: &CommandRule) -> Vec<String> {
    let lets = match rule.commands.as_slice() {
        [] => "all".to_owned(),
        names => names.join(", "),
    };
    vec![
        rule.of.clone(),
        lets,
        rule.signed_commands.join(", "),
        rule::deadline(rule.within_ms),
        rule::at_once(rule.at_once),
    ]
}
