//! `muster policy`

mod export;
mod mosquitto;
mod roll;
mod serve;

use anyhow::Result;

use super::Global;

/// The same access policy for other brokers.
#[derive(clap::Subcommand)]
pub(super) enum Policy {
    /// Write the policy as another broker's configuration
    #[command(subcommand)]
    Export(Export),
    /// Answer EMQX 5's questions about who may connect, publish and subscribe
    ///
    /// EMQX asks over HTTP (`/authn`, `/authz`) and does what it is told: what the front door would do, by what the
    /// services say now or said a moment ago. As long as it is not answered it falls back on its own settings, which
    /// must deny. docs/other-brokers.md has its configuration.
    #[command(after_help = "Examples:
  muster policy serve --secret hooks.secret
  muster policy serve --secret s --listen 0.0.0.0:8091 --certificate h.pem --key h.key
  muster policy serve --secret s --others ignore")]
    Serve(serve::Serve),
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
            Policy::Serve(command) => command.run(global),
        }
    }
}
