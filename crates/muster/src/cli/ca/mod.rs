//! `muster ca`: the issuing CAs of this installation, and how one follows the other.

mod activate;
mod import;
mod kind;
mod list;
mod new;
mod permit;
mod remove;
mod root;
mod root_files;
mod taken;

use anyhow::Result;

pub(super) use self::{kind::CaKey, new::say_asked, permit::Permit};
use super::Global;

/// The issuing CAs, and how one follows the other.
///
/// A new one is trusted at once, and signs nothing until it is activated. The one before stays trusted until it
/// is removed. These commands change files below `pki/`; a running server follows them within seconds, and `activate` and
/// `remove` wait until it has.
#[derive(clap::Subcommand)]
pub(super) enum Ca {
    /// The issuing CAs, the one that signs first.
    #[command(after_help = "Example:\n  muster ca list")]
    List(list::List),
    /// Show one issuing CA.
    #[command(after_help = "Example:\n  muster ca show 4c07e1d9")]
    Show(list::Show),
    /// Make the next issuing CA, under the same root; where the root's key is not here, the request for it.
    #[command(
        after_help = "Examples:\n  muster ca new\n  muster ca new --root-key /media/safe/root.key\n  muster ca new --key p384"
    )]
    New(new::New),
    /// Take the root's answer to a request.
    #[command(after_help = "Example:\n  muster ca import answer.pem")]
    Import(import::Import),
    /// Let another issuing CA sign.
    #[command(after_help = "Example:\n  muster ca activate 5b1f22a0")]
    Activate(activate::Activate),
    /// Trust an issuing CA no more.
    #[command(after_help = "Example:\n  muster ca remove 4c07e1d9")]
    Remove(remove::Remove),
    #[command(subcommand)]
    Root(root::Root),
}

impl Ca {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Ca::List(command) => command.run(global),
            Ca::Show(command) => command.run(global),
            Ca::New(command) => command.run(global),
            Ca::Activate(command) => command.run(global),
            Ca::Remove(command) => command.run(global),
            Ca::Import(command) => command.run(global),
            Ca::Root(command) => command.run(global),
        }
    }
}

/// What is said after a change that nothing else rests on yet.
const FOLLOWS: &str = "a running server follows within seconds";
