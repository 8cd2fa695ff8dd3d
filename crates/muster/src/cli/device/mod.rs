//! `muster device`

mod change;
mod import;
mod register;
mod show;

use anyhow::Result;

use super::{Global, print};

/// Register, list, move, quarantine and retire devices.
#[derive(clap::Subcommand)]
pub(super) enum Device {
    /// Register one device
    #[command(after_help = "Examples:
  muster device register pump-7 --model p200 --criticality high --group line-7
  muster device register pump-8 --model p200 --planned")]
    Register(register::Register),
    /// Register many devices from a file
    ///
    /// The file holds one JSON object a line, with the fields of RegisterDevice: device_id, name, serial_number,
    /// model, criticality (CRITICALITY_HIGH …), owner, site, groups, planned, hardware_revision. A file with a
    /// line that does not parse registers nothing. Repeating an import is harmless: devices that are known are
    /// refused as existing.
    #[command(after_help = "Examples:
  muster device import fleet.ndjson
  jq -c '.[]' fleet.json | muster device import -")]
    Import(import::Import),
    /// Show one device
    #[command(after_help = "Examples:\n  muster device show pump-7\n  muster --json device show pump-7")]
    Show(show::Show),
    /// List devices; all given conditions must hold
    #[command(after_help = "Examples:
  muster device list --stage active --model p200
  muster device list --restriction quarantined --all
  muster --json device list --group line-7 | jq -r .device_id")]
    List(show::List),
    /// Change a device's name, owner, site or criticality
    #[command(after_help = "Examples:\n  muster device change pump-7 --owner ops --criticality critical")]
    Change(change::Change),
    /// Move a device to another stage of its life
    #[command(after_help = "Examples:
  muster device move pump-7 maintenance --reason 'new bearing'
  muster device move pump-7 active")]
    Move(change::Move),
    /// Shut a device out until it is released
    #[command(after_help = "Examples:\n  muster device suspend pump-7 --reason 'owner in arrears'")]
    Suspend(change::Restrict),
    /// Leave a device only what repairs it: reports, updates, certificates
    #[command(after_help = "Examples:\n  muster device quarantine pump-7 --reason 'odd traffic'")]
    Quarantine(change::Restrict),
    /// Lift a suspension or a quarantine
    #[command(after_help = "Examples:\n  muster device release pump-7 --reason 'firmware is sound'")]
    Release(change::Restrict),
    /// Order a device to erase its keys, and end its life
    #[command(after_help = "Examples:
  muster device retire pump-7 --reason 'sold'
  muster device retire pump-7 --wait 1h --yes")]
    Retire(change::Retire),
}

impl Device {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Device::Register(command) => command.run(global),
            Device::Import(command) => command.run(global),
            Device::Show(command) => command.run(global),
            Device::List(command) => command.run(global),
            Device::Change(command) => command.run(global),
            Device::Move(command) => command.run(global),
            Device::Suspend(command) => command.run(global, "suspend"),
            Device::Quarantine(command) => command.run(global, "quarantine"),
            Device::Release(command) => command.run(global, "release"),
            Device::Retire(command) => command.run(global),
        }
    }
}

fn changed(global: &Global, changed: &contract::v1::Changed) -> Result<()> {
    print::changed(global.json, changed)
}
