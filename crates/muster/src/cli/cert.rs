//! `muster cert`

use anyhow::Result;

use super::Global;

/// To come.
#[derive(clap::Subcommand)]
pub enum Cert {
    /// To come.
    Nothing,
}

impl Cert {
    pub(super) fn run(self, _global: &Global) -> Result<()> {
        Ok(())
    }
}
