//! `muster run_agent`

use anyhow::Result;

use super::Global;

/// To come.
#[derive(clap::Args)]
pub struct RunAgent {}

impl RunAgent {
    pub(super) fn run(self, _global: &Global) -> Result<()> {
        Ok(())
    }
}
