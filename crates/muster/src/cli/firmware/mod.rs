//! `muster firmware`

mod add;
mod image;
mod keygen;
mod list;
mod manifest;
mod sign;
mod upload;

use anyhow::Result;

use super::Global;

/// Sign firmware and add it.
#[derive(clap::Subcommand)]
pub(super) enum Firmware {
    /// Make a key pair that signs firmware; needs no server
    #[command(after_help = "Examples:\n  muster firmware keygen --out /media/usb/release")]
    Keygen(keygen::Keygen),
    /// Sign an image: writes FILE.manifest.json; needs no server
    #[command(after_help = "Examples:
  muster firmware sign pump.bin --key release.key --name pump-fw --version 2.1.0 --sequence 21 --model p200
  muster firmware sign pump.bin --key a.key --key b.key --name pump-fw --version 2.1.0 --sequence 21 \\
    --model p200 --model p210 --expires 365d")]
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
        after_help = "Examples:\n  muster firmware show 9f86d081884c\n  muster --json firmware show 9f86d081884c"
    )]
    Show(list::Show),
}

impl Firmware {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Firmware::Keygen(command) => command.run(global),
            Firmware::Sign(command) => command.run(global),
            Firmware::Add(command) => command.run(global),
            Firmware::List(command) => command.run(global),
            Firmware::Show(command) => command.run(global),
        }
    }
}
