//! `muster command`

mod jobs;
mod key;
mod many;
mod output;
mod run;
mod show;
mod sign;
mod why;

use anyhow::Result;

pub(super) use self::run::millis;
use super::Global;

/// What devices are told to do.
#[derive(clap::Subcommand)]
pub(super) enum Commands {
    /// Tell a device, or many, to do something, once at most
    #[command(
        override_usage = "muster command run [OPTIONS] <DEVICE> <COMMAND> [KEY=VALUE]...
       muster command run [OPTIONS] --group <ID> <COMMAND> [KEY=VALUE]...
       muster command run [OPTIONS] --devices <ID,ID> <COMMAND> [KEY=VALUE]..."
    )]
    #[command(after_help = "Examples:
  muster command run pump-7 diagnose --wait
  muster command run pump-7 logs lines=20 --wait --deadline 2m
  muster command run pump-7 restart --id restart-2026-11
  muster command run restart --group line-7 --at-once 20 --wait
  muster command run pump-7 wipe --sign-with /media/usb/ada/command.key
  muster command run logs lines=20 --devices pump-7,pump-8 --deadline 2m --all-within 1h")]
    Run(run::Run),
    /// List commands by device
    #[command(after_help = "Examples:
  muster command list --device pump-7
  muster --json command list --state failed")]
    List(show::List),
    /// One command, and what came of it
    #[command(after_help = "Examples:
  muster command show restart-2026-11
  muster command show restart-2026-11 --device pump-7
  muster --json command show restart-2026-11 | jq -r .command.output")]
    Show(show::Show),
    /// What a device may be ordered to do, and which rule says so
    #[command(after_help = "Examples:\n  muster command why pump-7\n  muster command why pump-7 restart")]
    Why(why::Why),
    /// The whole output of a command, where it is long; cut off, it goes on where it was
    #[command(after_help = "Examples:\n  muster command output logs-1 --out pump-7.log")]
    Output(output::Output),
    /// Take a command back that its device has not begun
    #[command(after_help = "Examples:\n  muster command cancel restart-2026-11")]
    Cancel(show::Cancel),
    /// Commands that were given to many devices
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// Keys of your own that sign what can do harm
    #[command(subcommand)]
    Key(key::Key),
}

impl Commands {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Commands::Run(command) => command.run(global),
            Commands::List(command) => command.run(global),
            Commands::Show(command) => command.run(global),
            Commands::Why(command) => command.run(global),
            Commands::Output(command) => command.run(global),
            Commands::Cancel(command) => command.run(global),
            Commands::Jobs(jobs) => jobs.run(global),
            Commands::Key(key) => key.run(global),
        }
    }
}
