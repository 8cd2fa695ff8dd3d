//! `muster command show`, `list`, `cancel`

use anyhow::{Context, Result};
use contract::{
    Id,
    id::ServiceName,
    v1::{
        CancelCommand, Changed, CommandShown, CommandState, CommandsListed, DeviceCommand, ListCommands,
        ShowCommand,
    },
};

use super::super::{Global, list::Limit, print, words};

#[derive(clap::Args)]
pub(crate) struct Show {
    /// The command
    id: Id,
    #[command(flatten)]
    of: Of,
}

#[derive(clap::Args)]
pub(crate) struct Cancel {
    /// The command
    id: Id,
    #[command(flatten)]
    of: Of,
}

/// Whose command.
#[derive(clap::Args)]
pub(super) struct Of {
    /// Its device, where several have a command of this id
    #[arg(long, value_name = "ID")]
    device: Option<Id>,
}

impl Of {
    pub(super) fn text(&self) -> String {
        self.device.as_ref().map(Id::to_string).unwrap_or_default()
    }
}

#[derive(clap::Args)]
pub(crate) struct List {
    /// Those of this device only
    #[arg(long, value_name = "ID")]
    device: Option<Id>,
    /// Those in this state only
    #[arg(long, value_parser = words::parser::<CommandState>())]
    state: Option<CommandState>,
    #[command(flatten)]
    limit: Limit,
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = ShowCommand {
            command_id: self.id.to_string(),
            device_id: self.of.text(),
            ..ShowCommand::default()
        };
        let shown: CommandShown = global.ask(ServiceName::Registry, "command-show", &request)?;
        if global.json {
            return print::json(&shown);
        }
        let command = shown.command.context("the answer holds no command")?;
        print::fields(&fields(&command))?;
        result(&command)
    }
}

fn fields(command: &DeviceCommand) -> Vec<(&'static str, String)> {
    let progress = match command.percent {
        0 => String::new(),
        percent => format!("{percent} %"),
    };
    vec![
        ("device", command.device_id.clone()),
        ("command", command.name.clone()),
        ("arguments", command.arguments.clone()),
        ("state", words::say(command.state())),
        ("by", command.created_by.clone()),
        ("signed by", signers(command)),
        ("created", print::time(command.created_at_ms)),
        ("sent", print::time(command.sent_at_ms)),
        ("begun", print::time(command.started_at_ms)),
        ("ended", print::time(command.ended_at_ms)),
        ("deadline", print::time(command.deadline_ms)),
        ("progress", progress),
        ("note", command.note.clone()),
        ("error", command.error.clone()),
        ("said late", words::say(command.late())),
    ]
}

/// The keys that are said to have signed.
fn signers(command: &DeviceCommand) -> String {
    let signatures = command.warrant.iter().flat_map(|warrant| &warrant.signatures);
    let keys: Vec<_> = signatures.map(|signature| signature.key_id.as_str()).collect();
    keys.join(", ")
}

/// Prints what came of a command, as it is but for what would steer the terminal.
pub(super) fn result(command: &DeviceCommand) -> Result<()> {
    for line in command.output.lines() {
        print::line(print::clean(line))?;
    }
    if command.whole_size > 0 {
        let (id, device, size) = (&command.command_id, &command.device_id, command.whole_size);
        print::note(format!(
            "that is the beginning; all {size} bytes: muster command output {id} --device {device} --out FILE"
        ));
    } else if command.output_cut {
        print::note("the output was longer and is cut");
    }
    Ok(())
}

impl List {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(
            global,
            (ServiceName::Registry, "command-list"),
            |page| ListCommands {
                page_size: page.size,
                page: page.token,
                device_id: self.device.as_ref().map(Id::to_string).unwrap_or_default(),
                state: self.state.map(Into::into).unwrap_or_default(),
                ..ListCommands::default()
            },
            |reply: CommandsListed| (reply.commands, reply.next_page),
        )?;
        listed.print(
            global,
            &["id", "device", "command", "state", "created", "ended", "why"],
            row,
        )
    }
}

fn row(command: &DeviceCommand) -> Vec<String> {
    vec![
        command.command_id.clone(),
        command.device_id.clone(),
        command.name.clone(),
        words::say(command.state()),
        print::time(command.created_at_ms),
        print::time(command.ended_at_ms),
        command.error.clone(),
    ]
}

impl Cancel {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let request = CancelCommand {
            command_id: self.id.to_string(),
            device_id: self.of.text(),
            ..CancelCommand::default()
        };
        let changed: Changed = global.ask(ServiceName::Registry, "command-cancel", &request)?;
        if global.json {
            return print::json(&changed);
        }
        print::line(format!("{} is cancelled", changed.id))
    }
}
