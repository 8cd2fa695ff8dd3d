//! `muster ca root`: a root that lives elsewhere.

mod export;
mod new;
mod sign;

use anyhow::Result;

use super::super::Global;

/// The root CA, where it stays off the server.
///
/// The root's folder holds root.key, root.pem, and below issued/ the answers that it gave. Nothing here needs a network
/// or an installation, but `export`.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Root {
    /// Make a root in a folder of its own, on a machine that stays offline.
    #[command(after_help = "Example:\n  muster ca root new /media/safe/root --site berlin")]
    New(new::New),
    /// Answer a request: sign an installation's next issuing CA.
    #[command(
        after_help = "Examples:\n  muster ca root sign --offline --root-folder /media/safe/root request.csr answer.pem\n  muster ca root sign request.csr answer.pem"
    )]
    Sign(sign::Sign),
    /// Take the root's key away from an installation, to a folder of its own.
    #[command(after_help = "Example:\n  muster ca root export /media/safe/root")]
    Export(export::Export),
}

impl Root {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Root::New(command) => command.run(global),
            Root::Sign(command) => command.run(global),
            Root::Export(command) => command.run(global),
        }
    }
}
