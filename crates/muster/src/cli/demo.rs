//! `muster demo`

use anyhow::Result;

use super::Global;

/// To come.
#[derive(clap::Args)]
pub struct Demo {}

impl Demo {
    pub(super) fn run(self, _global: &Global) -> Result<()> {
        Ok(())
    }
}
