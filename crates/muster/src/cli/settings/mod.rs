//! `muster config`

mod change;
mod explain;
mod show;
mod template;

use anyhow::Result;
use contract::v1::ConfigMode;

use super::Global;

pub(super) use change::assignments;

/// What devices are set to.
#[derive(clap::Subcommand)]
pub(super) enum Settings {
    /// What a device is to have, and what it says it has
    #[command(after_help = "Examples:
  muster config show pump-7
  muster --json config show pump-7 | jq -r .config.desired")]
    Show(show::Show),
    /// Set settings of one device, one by one
    #[command(after_help = "Examples:
  muster config set pump-7 heartbeat=10s net.mtu=1400
  muster config set pump-7 'net.dns=[\"10.0.0.1\"]' --expected-version 4")]
    Set(change::Set),
    /// Lay a JSON merge patch (RFC 7396) over what is set for one device; null removes
    #[command(after_help = "Examples:
  muster config merge pump-7 '{\"net\": {\"mtu\": 1400, \"dns\": null}}'
  muster config merge pump-7 --file patch.json")]
    Merge(change::Whole),
    /// Put a JSON document in place of what is set for one device
    #[command(after_help = "Examples:
  muster config replace pump-7 --file pump-7.json
  muster config replace pump-7 '{}'")]
    Replace(change::Whole),
    /// Take away settings of one device; what templates say there counts again
    #[command(after_help = "Examples:\n  muster config unset pump-7 net.mtu heartbeat")]
    Unset(change::Unset),
    /// Settings for all devices of a type or of a group
    #[command(subcommand)]
    Template(template::Template),
    /// Devices for which something is set alone, and what
    #[command(after_help = "Examples:
  muster config list
  muster --json config list --where 'site = berlin' --all | jq -r .document")]
    List(show::List),
    /// Devices that do not have what they are to have
    #[command(after_help = "Examples:\n  muster config drift\n  muster --json config drift --all")]
    Drift(show::Drift),
    /// Where each setting of a device comes from
    #[command(after_help = "Examples:\n  muster config explain pump-7")]
    Explain(explain::Explain),
}

impl Settings {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Settings::Show(command) => command.run(global),
            Settings::Set(command) => command.run(global),
            Settings::Merge(command) => command.run(global, ConfigMode::Merge),
            Settings::Replace(command) => command.run(global, ConfigMode::Replace),
            Settings::Unset(command) => command.run(global),
            Settings::Template(command) => command.run(global),
            Settings::List(command) => command.run(global),
            Settings::Drift(command) => command.run(global),
            Settings::Explain(command) => command.run(global),
        }
    }
}
