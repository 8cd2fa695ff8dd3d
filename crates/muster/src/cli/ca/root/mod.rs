//! `muster ca root`: a root that lives elsewhere, and the roots that an installation trusts.

mod add;
mod export;
mod link;
mod list;
mod new;
mod remove;
mod show;
mod sign;

use anyhow::Result;

use super::super::Global;

/// The root CA, where it stays off the server; and the roots that an installation trusts.
///
/// The root's folder holds root.key, root.pem, and below issued/ what it signed: `new`, `sign` and `link` need no network and
/// no installation. `list`, `show`, `add` and `remove` are about the roots in `pki/root.pem`; a running server follows them.
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
    /// Vouch for the next root with this one's key: devices that trust this one take it by themselves.
    #[command(
        after_help = "Example:\n  muster ca root link --offline --root-folder /media/safe/root next/root.pem link.pem"
    )]
    Link(link::Link),
    /// Take the root's key away from an installation, to a folder of its own.
    #[command(after_help = "Example:\n  muster ca root export /media/safe/root")]
    Export(export::Export),
    /// The roots that are trusted, and the issuing CAs under each.
    #[command(after_help = "Example:\n  muster ca root list")]
    List(list::List),
    /// One root with its certificate, to hold against a copy.
    #[command(after_help = "Example:\n  muster ca root show 3f9a11c0")]
    Show(show::Show),
    /// Trust another root beside those that are trusted; or give the link to one that is.
    #[command(
        after_help = "Examples:\n  muster ca root add next/root.pem --link link.pem\n  muster ca root add next/root.pem"
    )]
    Add(add::Add),
    /// Trust a root no more, once no issuing CA is under it.
    #[command(after_help = "Example:\n  muster ca root remove 3f9a11c0")]
    Remove(remove::Remove),
}

impl Root {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Root::New(command) => command.run(global),
            Root::Sign(command) => command.run(global),
            Root::Link(command) => command.run(global),
            Root::Export(command) => command.run(global),
            Root::List(command) => command.run(global),
            Root::Show(command) => command.run(global),
            Root::Add(command) => command.run(global),
            Root::Remove(command) => command.run(global),
        }
    }
}
