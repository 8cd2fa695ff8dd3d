//! `muster monitor`

use anyhow::Result;

use super::Global;

/// To come.
#[derive(clap::Subcommand)]
pub enum Monitor {
    /// To come.
    Nothing,
}

impl Monitor {
    pub(super) fn run(self, _global: &Global) -> Result<()> {
        Ok(())
    }
}
