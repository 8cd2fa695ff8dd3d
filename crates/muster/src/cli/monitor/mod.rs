//! `muster monitor`

mod alerts;
mod devices;
mod rule;
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
            Monitor::Rule(command) => command.run(global),
        }
    }
}
