//! `muster monitor`

mod alerts;
mod devices;
mod rule;
mod security;
mod status;

use anyhow::Result;

use super::Global;

/// Presence, rules and alerts.
#[derive(clap::Subcommand)]
pub(crate) enum Monitor {
    /// The fleet in numbers
    #[command(
        after_help = "Examples:\n  muster monitor status\n  muster --json monitor status | jq -r .offline"
    )]
    Status(status::Status),
    /// List devices and whether they are there
    #[command(after_help = "Examples:
  muster monitor devices --connectivity offline
  muster --json monitor devices --all | jq -r 'select(.open_alerts > 0) | .device_id'")]
    Devices(devices::Devices),
    /// Show one device's connectivity and newest metrics
    #[command(after_help = "Examples:\n  muster monitor show pump-7")]
    Show(devices::Show),
    /// List open alerts, oldest first
    #[command(after_help = "Examples:
  muster monitor alerts
  muster monitor alerts --device pump-7 --cleared
  muster monitor alerts --severity critical --all")]
    Alerts(alerts::Alerts),
    /// List what was tried that may not be: what, by whom, from where, how often
    ///
    /// Whoever was not let in, failed logins, what was published or subscribed to in vain, refused requests for
    /// certificates; the newest first, from the events that are kept.
    #[command(after_help = "Examples:
  muster monitor security
  muster monitor security --since 7d --kind connect-denied --kind login-failed
  muster monitor security --who pump-7 --from 192.0.2. --wide
  muster monitor security --since 2030-01-31 --csv > incidents.csv")]
    Security(security::Security),
    /// Rules that raise alerts
    #[command(subcommand)]
    Rule(rule::Rule),
}

impl Monitor {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Monitor::Status(command) => command.run(global),
            Monitor::Devices(command) => command.run(global),
            Monitor::Show(command) => command.run(global),
            Monitor::Alerts(command) => command.run(global),
            Monitor::Security(command) => command.run(global),
            Monitor::Rule(command) => command.run(global),
        }
    }
}
