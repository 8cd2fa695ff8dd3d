//! `muster firmware`

use anyhow::Result;

use super::Global;

/// To come.
#[derive(clap::Subcommand)]
pub enum Firmware {
    /// To come.
    Nothing,
}

impl Firmware {
    pub(super) fn run(self, _global: &Global) -> Result<()> {
        Ok(())
    }
}
