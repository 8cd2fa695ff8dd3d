//! `muster rollout`

use anyhow::Result;

use super::Global;

/// To come.
#[derive(clap::Subcommand)]
pub enum Rollout {
    /// To come.
    Nothing,
}

impl Rollout {
    pub(super) fn run(self, _global: &Global) -> Result<()> {
        Ok(())
    }
}
