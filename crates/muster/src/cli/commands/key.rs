//! `muster command key`

use std::path::PathBuf;

use anyhow::Result;

use super::super::{Global, firmware};

/// An operator's own keys, which sign what can do harm.
#[derive(clap::Subcommand)]
pub(crate) enum Key {
    /// Make a key pair that signs commands; needs no server
    #[command(after_help = "Examples:\n  muster command key new --out /media/usb/ada")]
    New(New),
}

#[derive(clap::Args)]
pub(crate) struct New {
    /// Where command.key and command.pub are written
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl Key {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let Key::New(new) = self;
        let advice =
            "keep the key to yourself; give the public half to devices: muster agent --command-key FILE";
        firmware::make_key(global, &new.out, "command", advice)
    }
}
