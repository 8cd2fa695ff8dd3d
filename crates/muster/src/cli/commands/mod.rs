//! `muster command`

mod run;
mod show;

use anyhow::Result;

use super::Global;

/// What devices are told to do.
#[derive(clap::Subcommand)]
pub(super) enum Commands {
    /// Tell a device to do something, once at most
    #[command(after_help = "Examples:
  muster command run pump-7 diagnose --wait
  muster command run pump-7 logs lines=20 --wait --deadline 2m
  muster command run pump-7 restart --id restart-2026-11")]
    Run(run::Run),
    /// List commands by device
    #[command(after_help = "Examples:
  muster command list --device pump-7
  muster --json command list --state failed")]
    List(show::List),
    /// One command, and what came of it
    #[command(after_help = "Examples:
  muster command show restart-2026-11
  muster --json command show restart-2026-11 | jq -r .command.output")]
    Show(show::Show),
    /// Take a command back that its device has not begun
    #[command(after_help = "Examples:\n  muster command cancel restart-2026-11")]
    Cancel(show::Cancel),
}

impl Commands {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Commands::Run(command) => command.run(global),
            Commands::List(command) => command.run(global),
            Commands::Show(command) => command.run(global),
            Commands::Cancel(command) => command.run(global),
        }
    }
}
