//! What operators may order devices to do, as a type or a group says it.

use std::time::Duration;

use contract::Id;

use super::commands::millis;

/// What is said of the rule; what is not said stays.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Rule {
    /// All that operators may order its devices to do; may be given several times [default: what nothing else forbids]
    #[arg(long = "command", value_name = "NAME")]
    commands: Vec<Id>,
    /// Lets operators order whatever nothing else forbids
    #[arg(long, conflicts_with = "commands")]
    any_command: bool,
    /// What they may order only with a signature of their own, `*` for all; may be given several times
    #[arg(long = "signed-command", value_name = "NAME")]
    signed_commands: Vec<String>,
    /// Asks for no signature
    #[arg(long, conflicts_with = "signed_commands")]
    no_signed_command: bool,
    /// The longest time that a command may have
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    command_deadline: Option<Duration>,
    /// Bounds no command's time
    #[arg(long, conflicts_with = "command_deadline")]
    no_command_deadline: bool,
    /// So many of its devices are under way at once in a job at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    commands_at_once: Option<u32>,
    /// Bounds no job
    #[arg(long, conflicts_with = "commands_at_once")]
    no_commands_at_once: bool,
}

impl Rule {
    /// All that may be ordered; empty: whatever nothing else forbids. `None`: as it is.
    pub(super) fn commands(&self) -> Option<Vec<String>> {
        let names = self.commands.iter().map(Id::to_string).collect();
        said(names, self.any_command)
    }

    /// What is to be signed. `None`: as it is.
    pub(super) fn signed_commands(&self) -> Option<Vec<String>> {
        said(self.signed_commands.clone(), self.no_signed_command)
    }

    /// The longest time, milliseconds; 0: no bound. `None`: as it is.
    pub(super) fn within_ms(&self) -> Option<u64> {
        let goes = self.no_command_deadline.then_some(0);
        self.command_deadline.map(millis).or(goes)
    }

    /// So many at once; 0: no bound. `None`: as it is.
    pub(super) fn at_once(&self) -> Option<u32> {
        let goes = self.no_commands_at_once.then_some(0);
        self.commands_at_once.or(goes)
    }
}

fn said(names: Vec<String>, goes: bool) -> Option<Vec<String>> {
    (goes || !names.is_empty()).then_some(names)
}

/// A bound of time as people read it; none: nothing.
pub(super) fn deadline(ms: u64) -> String {
    match ms {
        0 => String::new(),
        ms => humantime::format_duration(Duration::from_millis(ms)).to_string(),
    }
}

/// A bound of devices as people read it; none: nothing.
pub(super) fn at_once(count: u32) -> String {
    match count {
        0 => String::new(),
        count => count.to_string(),
    }
}
