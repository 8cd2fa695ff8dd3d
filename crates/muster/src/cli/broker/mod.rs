//! `muster broker`

pub(super) mod clients;
mod kick;
mod limits;

use anyhow::Result;

use super::Global;

/// Who is connected to the front door, and what there is room for.
#[derive(clap::Subcommand)]
pub(crate) enum Broker {
    /// List sessions: who is connected, and whose session is kept without a connection
    #[command(after_help = "Examples:
  muster broker clients
  muster broker clients --kind device --prefix pump-
  muster --json broker clients --all | jq -r 'select(.state == \"kept\") | .client_id'")]
    Clients(clients::Clients),
    /// Show one principal's sessions in full, with what they have subscribed to
    #[command(after_help = "Examples:
  muster broker client pump-7
  muster broker client ada --kind operator
  muster --json broker client pump-7 | jq -r '.sessions[].filters[].filter'")]
    Client(clients::Client),
    /// Close a principal's connections
    ///
    /// Whoever may connect can come again at once. To keep somebody out: `muster device suspend`,
    /// `muster cert revoke`, or `muster person put --disable`.
    #[command(after_help = "Examples:
  muster broker kick pump-7 --reason 'floods the broker'
  muster broker kick erp --kind integrator --client erp:2 --reason 'an old process' --yes
  muster broker kick pump-7 --forget --reason 'its queue is stale' --dry-run")]
    Kick(kick::Kick),
    /// List the front door's limits, and how often each was met since the start
    #[command(after_help = "Examples:
  muster broker limits
  muster broker limits --met
  muster --json broker limits | jq -r 'select(.name == \"connections\") | .value'")]
    Limits(limits::Limits),
    /// List where principals connect, and how many did
    #[command(after_help = "Examples:\n  muster broker listeners")]
    Listeners(limits::Listeners),
}

impl Broker {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Broker::Clients(command) => command.run(global),
            Broker::Client(command) => command.run(global),
            Broker::Kick(command) => command.run(global),
            Broker::Limits(command) => command.run(global),
            Broker::Listeners(command) => command.run(global),
        }
    }
}
