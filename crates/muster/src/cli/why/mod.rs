//! `muster why`

pub(super) mod answers;
mod connect;

use anyhow::Result;

use super::Global;

/// Why something is as it is.
#[derive(clap::Subcommand)]
pub(super) enum Why {
    /// Whether somebody may connect, and if not, why and what to do
    ///
    /// Decides as the front door does, by what the registry and provisioning say now, and tells of the last try that was
    /// refused where the server knew whose it was. Exits with 0 if they may
    /// connect and with 5 if not.
    #[command(after_help = "Examples:
  muster why connect pump-7
  muster why connect ada --kind operator
  muster --json why connect pump-7 | jq -r .why")]
    Connect(connect::Connect),
}

impl Why {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Why::Connect(command) => command.run(global),
        }
    }
}
