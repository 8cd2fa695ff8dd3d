//! `muster policy`

mod export;
mod mosquitto;
mod roll;

use anyhow::Result;

use super::Global;

/// The same access policy for other brokers.
#[derive(clap::Subcommand)]
pub(super) enum Policy {
    /// Write the policy as another broker's configuration
    #[command(subcommand)]
    Export(Export),
}

#[derive(clap::Subcommand)]
pub(super) enum Export {
    /// Write muster.conf, muster.acl, roots.pem and crl.pem for Mosquitto 2
    ///
    /// Who may do what is as it is now: run it again after people, claims or restrictions change, before the
    /// revocation list ends (a week at most), and send Mosquitto a SIGHUP. What another broker cannot keep is
    /// listed in docs/other-brokers.md.
    #[command(after_help = "Examples:
  muster policy export mosquitto --out ./mosquitto && mosquitto -c ./mosquitto/muster.conf
  muster policy export mosquitto --out /etc/muster --listen 1884 --certificate mq.pem --key mq.key")]
    Mosquitto(export::Mosquitto),
}

impl Policy {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Policy::Export(Export::Mosquitto(command)) => command.run(global),
        }
    }
}
