//! `muster firmware`

mod add;
mod choice;
pub(super) mod image;
mod keygen;
mod list;
mod manifest;
mod recall;
mod sign;
mod upload;

use anyhow::Result;

pub(in crate::cli) use self::choice::{Choice, FORMS};
pub(in crate::cli) use self::{keygen::make_key, sign::read_key};
use super::Global;

/// Sign firmware and add it.
#[derive(clap::Subcommand)]
pub(super) enum Firmware {
    /// Make a key pair that signs firmware; needs no server
    #[command(after_help = "Examples:\n  muster firmware keygen --out /media/usb/release")]
    Keygen(keygen::Keygen),
    /// Sign an image: writes FILE.manifest.json; needs no server
    #[command(after_help = "Examples:
  muster firmware sign pump.bin --key release.key --name pump --version 2.1 --sequence 21 --model p2
  muster firmware sign a.bin --key 1.key --key 2.key --name a --version 3 --sequence 3 --model a")]
    Sign(sign::Sign),
    /// Add a signed image; repeating it is harmless
    #[command(after_help = "Examples:
  muster firmware add pump.bin
  muster firmware add pump.bin --manifest signed/pump.json")]
    Add(add::Add),
    /// List firmware
    #[command(after_help = "Examples:
  muster firmware list
  muster --json firmware list --all | jq -r 'select(.complete) | .artifact_id'")]
    List(list::List),
    /// Show one image and who signed it
    #[command(
        after_help = "Examples:\n  muster firmware show pump-fw@2.1.0\n  muster --json firmware show 9f86d081884c"
    )]
    Show(list::Show),
    /// Recall a release: its rollouts are aborted, and nobody makes another
    ///
    /// What has not begun is called off; a device that installs it already ends by its own health check, and one that
    /// runs it goes on running it: roll out a release after it.
    #[command(after_help = "Examples:
  muster firmware recall pump-fw@2.1.0 --reason 'pumps stop at low pressure'
  muster firmware recall pump-fw@2.1.0 --reason 'it was the sensor' --undo --yes")]
    Recall(recall::Recall),
}

impl Firmware {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Firmware::Keygen(command) => command.run(global),
            Firmware::Sign(command) => command.run(global),
            Firmware::Add(command) => command.run(global),
            Firmware::List(command) => command.run(global),
            Firmware::Show(command) => command.run(global),
            Firmware::Recall(command) => command.run(global),
        }
    }
}
