//! `muster command run`

use std::time::Duration;

use anyhow::{Context, Result};
use client::Client;
use contract::{
    Id, document,
    id::ServiceName,
    v1::{Changed, CommandShown, CommandState, DeviceCommand, RunCommand, ShowCommand},
};

use super::{
    super::{Global, global, print, settings::assignments, words},
    show,
};
use crate::exit::{Exit, Failure};

/// Between two looks at a command that is waited for.
const LOOK: Duration = Duration::from_millis(300);

#[derive(clap::Args)]
pub(crate) struct Run {
    /// The device
    device: Id,
    /// What to do
    name: Id,
    /// Arguments: keys joined by `.`, and JSON, or else a text
    #[arg(value_name = "KEY=VALUE")]
    arguments: Vec<String>,
    /// The command's name; the same once more changes nothing [default: by chance]
    #[arg(long)]
    id: Option<Id>,
    /// How long it may take in all, from now on
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration, value_name = "TIME")]
    deadline: Duration,
    /// Wait for its end, print what came of it, and fail if it did not succeed
    #[arg(long)]
    wait: bool,
}

impl Run {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let by_chance = || format!("c-{:016x}", rand::random::<u64>());
        let command_id = self.id.as_ref().map_or_else(by_chance, Id::to_string);
        let within_ms = u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX);
        let request = RunCommand {
            command_id,
            device_id: self.device.to_string(),
            name: self.name.to_string(),
            arguments: document::to_text(&assignments(&self.arguments)?),
            // 0 would be the server's default.
            within_ms: within_ms.max(1),
            ..RunCommand::default()
        };
        global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let told = tell(&client, global, &request, self.wait).await;
            client.disconnect().await;
            told
        })
    }
}

async fn tell(client: &Client, global: &Global, request: &RunCommand, wait: bool) -> Result<()> {
    let changed: Changed = global::ask(client, ServiceName::Registry, "command-run", request).await?;
    if !wait {
        if global.json {
            return print::json(&changed);
        }
        return print::line(format!(
            "{}: told to {}; see `muster command show {}`",
            request.device_id, request.name, changed.id
        ));
    }
    let command = end_of(client, &changed.id).await?;
    if global.json {
        print::json(&command)?;
    } else {
        show::result(&command)?;
    }
    outcome(&command)
}

/// Looks until it has ended; its deadline sees to it that it does.
async fn end_of(client: &Client, id: &str) -> Result<DeviceCommand> {
    let request = ShowCommand {
        command_id: id.to_owned(),
        ..ShowCommand::default()
    };
    loop {
        let shown: CommandShown =
            global::ask(client, ServiceName::Registry, "command-show", &request).await?;
        let command = shown.command.context("the answer holds no command")?;
        if command.ended_at_ms != 0 {
            return Ok(command);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How the process ends.
fn outcome(command: &DeviceCommand) -> Result<()> {
    let exit = match command.state() {
        CommandState::Succeeded => return Ok(()),
        CommandState::TimedOut => Exit::Unavailable,
        CommandState::Rejected => Exit::Conflict,
        _ => Exit::Failed,
    };
    let message = format!(
        "{} {}: {}",
        command.command_id,
        words::say(command.state()),
        print::clean(&command.error)
    );
    Err(Failure::new(exit, message).into())
}
