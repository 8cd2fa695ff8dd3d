//! `muster device`

mod change;
mod count;
mod export;
mod faults;
mod import;
mod life;
mod maintenance;
mod many;
mod past;
mod record;
mod register;
mod retirement;
mod rows;
mod show;
mod transfer;
mod update;

use anyhow::Result;

pub(in crate::cli) use self::{count::total, rows::guarded};
pub(super) use self::{
    import::{Report, send},
    rows::Format,
};
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
    /// Either one JSON object a line, with the fields of RegisterDevice, or a table with a line of headings:
    /// device_id, planned, groups, and the fields of docs/registry.md, for example site, warranty_until or
    /// tags.line. A file with a row that makes no sense registers nothing, unless --keep-going is given; what the
    /// registry refuses is told by line. Repeating an import is harmless: rows that say what is known change
    /// nothing. With --update a row that says something else of a device that is there changes it: what the row
    /// does not say stays.
    #[command(after_help = "Examples:
  muster device import fleet.csv --dry-run
  muster device import fleet.ndjson
  jq -c '.[]' fleet.json | muster device import -
  muster device import edited.csv --update --dry-run")]
    Import(import::Import),
    /// Write devices into a file that import reads
    ///
    /// Everything that operators have written is in it, but not what devices report of themselves, nor how far
    /// their lives have come. Types, suppliers, orders and groups must be there before it is imported elsewhere.
    #[command(after_help = "Examples:
  muster device export fleet.csv
  muster device export edited.csv --versions --where 'site = berlin'
  muster device export - --where 'site = berlin' | jq .device_id")]
    Export(export::Export),
    /// Show one device
    #[command(after_help = "Examples:
  muster device show pump-7
  muster --json device show pump-7
  muster device show pump-7 --at 2026-01-31T12:00:00Z
  muster device show pump-7 --at 12h")]
    Show(show::Show),
    /// List devices; all given conditions must hold
    #[command(after_help = "Examples:
  muster device list --stage active --model p200
  muster device list --restriction quarantined --all
  muster device list --where 'warranty_until < now+90d' --order-by warranty_until
  muster --json device list --group line-7 | jq -r .device_id")]
    List(show::List),
    /// Count devices, by the values of a field, and say what their numbers come to
    #[command(after_help = "Examples:
  muster device count --by site
  muster device count --where 'stage = active' --by firmware --top 5
  muster device count --by model --of attributes.battery
  muster device count --of 'age(purchased_on)'")]
    Count(count::Count),
    /// What happened to a device, and on what grounds
    #[command(after_help = "Examples:\n  muster device history pump-7")]
    History(life::History),
    /// A device's record and history as one JSON document with its digest
    #[command(after_help = "Examples:\n  muster device record pump-7 > pump-7.json")]
    Record(record::Record),
    /// The signed record of a device's end, to be filed and checked by others
    #[command(after_help = "Examples:
  muster device retirement pump-7
  muster device retirement pump-7 --out pump-7.retirement
  muster device retirement verify pump-7.retirement")]
    Retirement(retirement::Retirement),
    /// What stands in the way of a device's next stage, or of each stage that there is
    #[command(after_help = "Examples:\n  muster device why pump-7 active\n  muster device why pump-7")]
    Why(life::Why),
    /// Change what is written down about devices
    #[command(after_help = "Examples:
  muster device change pump-7 --owner ops --criticality critical
  muster device change pump-7 pump-8 --set warranty_until=2028-01-31 --set tags.line=7
  muster device change --where 'site = rome and not has owner' --owner south --dry-run")]
    Change(change::Change),
    /// Move devices to another stage of their life
    #[command(override_usage = "muster device move [OPTIONS] <DEVICE>... <STAGE>
       muster device move [OPTIONS] --group <GROUP> <STAGE>")]
    #[command(after_help = "Examples:
  muster device move pump-7 maintenance --reason 'new bearing'
  muster device move pump-7 pump-8 active
  muster device move --group hall-3 maintenance --reason 'new floor' --yes")]
    Move(change::Move),
    /// Shut devices out until they are released
    #[command(after_help = "Examples:
  muster device suspend pump-7 --reason 'owner in arrears'
  muster device suspend --where 'owner = acme' --reason 'in arrears' --dry-run")]
    Suspend(change::Restrict),
    /// Leave devices only what repairs them: reports, updates, certificates
    #[command(after_help = "Examples:
  muster device quarantine pump-7 pump-8 --reason 'odd traffic'
  muster device quarantine --group hall-3 --reason 'odd traffic' --yes")]
    Quarantine(change::Restrict),
    /// Lift a suspension or a quarantine
    #[command(after_help = "Examples:
  muster device release pump-7 --reason 'firmware is sound'
  muster device release --where 'restriction = quarantined and firmware >= 1.4' --yes")]
    Release(change::Restrict),
    /// Order devices to erase their keys, and end their lives
    #[command(after_help = "Examples:
  muster device retire pump-7 --reason 'sold'
  muster device retire pump-7 pump-8 --wait 1h --yes")]
    Retire(change::Retire),
    /// Write down what was done to a device, and when it is due again
    #[command(subcommand)]
    Maintenance(maintenance::Maintenance),
    /// Offer a device to another owner, who accepts it with a secret
    #[command(after_help = "Examples:
  muster device transfer pump-7 --to south --note 'contract 4711'
  muster device transfer pump-7 --to south --for 14d --group south")]
    Transfer(transfer::Transfer),
    /// Make an offered device its next owner's
    #[command(after_help = "Examples:
  muster device accept pump-7 --secret pump-7.secret
  pass show pump-7 | muster device accept pump-7 --secret -")]
    Accept(transfer::Accept),
    /// Take the offer of a device back
    #[command(after_help = "Examples:\n  muster device cancel-transfer pump-7 --reason 'not signed' --yes")]
    CancelTransfer(transfer::Cancel),
    /// Which devices were offered to other owners, and what became of it
    #[command(after_help = "Examples:\n  muster device transfers --state offered")]
    Transfers(transfer::List),
    /// Give a device's place to its successor: site, position, owner, function, tags, groups, what is behind it
    #[command(after_help = "Examples:\n  muster device replace pump-7 pump-7b --reason 'bearing gone'")]
    Replace(life::Replace),
    /// Take retired devices back: they begin again as registered
    #[command(after_help = "Examples:\n  muster device readmit pump-7 pump-8 --reason 'refurbished' --yes")]
    Readmit(life::Readmit),
    /// Say that devices passed an acceptance check of their type
    #[command(override_usage = "muster device attest [OPTIONS] <DEVICE>... <CHECK>
       muster device attest [OPTIONS] --group <GROUP> <CHECK>")]
    #[command(after_help = "Examples:
  muster device attest pump-7 burn-in --note '48 h at 60 °C'
  muster device attest pump-7 pump-8 burn-in --failed --note 'leak'")]
    Attest(life::Attest),
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
            Device::Export(command) => command.run(global),
            Device::Count(command) => command.run(global),
            Device::History(command) => command.run(global),
            Device::Why(command) => command.run(global),
            Device::Record(command) => command.run(global),
            Device::Retirement(command) => command.run(global),
            Device::Transfer(command) => command.run(global),
            Device::Accept(command) => command.run(global),
            Device::CancelTransfer(command) => command.run(global),
            Device::Transfers(command) => command.run(global),
            Device::Maintenance(command) => command.run(global),
            Device::Replace(command) => command.run(global),
            Device::Readmit(command) => command.run(global),
            Device::Attest(command) => command.run(global),
        }
    }
}

fn changed(global: &Global, changed: &contract::v1::Changed) -> Result<()> {
    print::changed(global.json, changed)
}

/// Fields by name, as they are given on the command line.
#[derive(clap::Args)]
struct Fields {
    /// A field of docs/registry.md, for example `warranty_until=2028-01-31` or `tags.line=7`; may be given
    /// several times, an empty value removes
    #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = field)]
    set: Vec<(String, String)>,
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write FIELD=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}
