//! What operators may order devices to do, as a type or a group says it.

use contract::Id;

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
}

fn said(names: Vec<String>, goes: bool) -> Option<Vec<String>> {
    (goes || !names.is_empty()).then_some(names)
}
