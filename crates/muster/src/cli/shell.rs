//! `muster completion` and `muster man`

use anyhow::Result;

/// To come.
#[derive(clap::Args)]
pub struct Completion {}

/// To come.
#[derive(clap::Args)]
pub struct Man {}

impl Completion {
    pub(super) fn run(self) -> Result<()> {
        Ok(())
    }
}

impl Man {
    pub(super) fn run(self) -> Result<()> {
        Ok(())
    }
}
