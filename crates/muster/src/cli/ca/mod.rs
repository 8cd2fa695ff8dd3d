//! `muster ca`: the issuing CAs of this installation, and how one follows the other.

mod activate;
mod kind;
mod list;
mod new;
mod remove;

use anyhow::Result;

pub(super) use self::kind::CaKey;
use super::Global;

/// The issuing CAs, and how one follows the other.
///
/// A new one is trusted at once, and signs nothing until it is activated. The one before stays trusted until it
/// is removed. These commands change files below `pki/`; a running server follows them within seconds.
#[derive(clap::Subcommand)]
pub(super) enum Ca {
    /// The issuing CAs, the one that signs first.
    #[command(after_help = "Example:\n  muster ca list")]
    List(list::List),
    /// Make the next issuing CA, under the same root. Needs the root's key.
    #[command(
        after_help = "Examples:\n  muster ca new --root-key /media/safe/root.key\n  muster ca new --key p384"
    )]
    New(new::New),
    /// Let another issuing CA sign.
    #[command(after_help = "Example:\n  muster ca activate 5b1f22a0")]
    Activate(activate::Activate),
    /// Trust an issuing CA no more.
    #[command(after_help = "Example:\n  muster ca remove 4c07e1d9")]
    Remove(remove::Remove),
}

impl Ca {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Ca::List(command) => command.run(global),
            Ca::New(command) => command.run(global),
            Ca::Activate(command) => command.run(global),
            Ca::Remove(command) => command.run(global),
        }
    }
}

/// What is said after each change.
const FOLLOWS: &str = "a running server follows within seconds";
