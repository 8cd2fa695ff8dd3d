//! `muster command run`

use std::time::Duration;

use anyhow::{Context, Result};
use client::Client;
use contract::{
    Id, document,
    id::ServiceName,
    v1::{self, Changed, CommandShown, CommandState, DeviceCommand, RunCommand, ShowCommand},
};

use super::{
    super::{Global, global, print, settings::assignments, words},
    many::{self, Many},
    show,
    sign::Signing,
};
use crate::exit::{Exit, Failure};

/// Between two looks at a command that is waited for.
const LOOK: Duration = Duration::from_millis(300);

#[derive(clap::Args)]
pub(crate) struct Run {
    /// The device unless there are many, what to do, and arguments: keys joined by `.`, and JSON, or else a text
    #[arg(required = true, value_names = ["DEVICE", "COMMAND", "KEY=VALUE"], num_args = 1..)]
    words: Vec<String>,
    #[command(flatten)]
    many: Many,
    #[command(flatten)]
    signing: Signing,
    /// The command's or the job's name; the same once more changes nothing [default: by chance]
    #[arg(long)]
    id: Option<Id>,
    /// How long it may take from now on; of many, how long each has once its turn has come [default: 1h, or what the
    /// device's rules let]
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    deadline: Option<Duration>,
    /// Wait for its end, print what came of it, and fail if it did not succeed
    #[arg(long)]
    wait: bool,
}

impl Run {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        if self.many.is_given() {
            let (name, arguments) = named(&self.words, "give what to do")?;
            let request = v1::RunJob {
                job_id: self.id_or_chance("j"),
                name,
                arguments: document::to_text(&assignments(arguments)?),
                each_within_ms: self.deadline.map_or(0, millis),
                ..self.many.request()
            };
            return many::run(global, request, &self.signing, self.wait);
        }
        let (device_id, rest) = named(&self.words, "give a device, or --group, or --devices")?;
        let (name, arguments) = named(rest, "give a device and what it is to do")?;
        let mut request = RunCommand {
            command_id: self.id_or_chance("c"),
            device_id,
            name,
            arguments: document::to_text(&assignments(arguments)?),
            within_ms: self.deadline.map_or(0, millis),
            ..RunCommand::default()
        };
        self.signing.sign(&mut request)?;
        global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let told = tell(&client, global, &request, self.wait).await;
            client.disconnect().await;
            told
        })
    }
}

impl Run {
    fn id_or_chance(&self, letter: &str) -> String {
        let by_chance = || format!("{letter}-{:016x}", rand::random::<u64>());
        self.id.as_ref().map_or_else(by_chance, Id::to_string)
    }
}

/// The first word, which is an id, and the others.
fn named<'a>(words: &'a [String], otherwise: &str) -> Result<(String, &'a [String])> {
    let (first, rest) = words.split_first().ok_or_else(|| Failure::usage(otherwise))?;
    let id: Id = first
        .parse()
        .map_err(|e| Failure::usage(format!("`{first}`: {e}; {otherwise}")))?;
    Ok((id.to_string(), rest))
}

/// A time as requests hold it; 0 would be the server's default.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
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
    let command = end_of(client, &request.device_id, &changed.id).await?;
    if global.json {
        print::json(&command)?;
    } else {
        show::result(&command)?;
    }
    outcome(&command)
}

/// Looks until it has ended; its deadline sees to it that it does.
async fn end_of(client: &Client, device: &str, id: &str) -> Result<DeviceCommand> {
    let request = ShowCommand {
        command_id: id.to_owned(),
        device_id: device.to_owned(),
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
