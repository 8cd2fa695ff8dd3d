//! `muster events`

use anyhow::Result;

use super::Global;

/// To come.
#[derive(clap::Args)]
pub struct Events {}

impl Events {
    pub(super) fn run(self, _global: &Global) -> Result<()> {
        Ok(())
    }
}
