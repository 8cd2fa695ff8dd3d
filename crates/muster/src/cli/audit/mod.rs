//! `muster audit`

mod change;
mod export;
mod read;
mod show;
mod verify;

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use contract::id::ServiceName;

pub(in crate::cli) use self::show::past;
use super::Global;

/// Who asked for which change, from where, and what came of it.
///
/// Each service keeps a log of its own. An entry holds the hash of the one before it, so that nothing can be changed,
/// removed or put in between unnoticed.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Audit {
    /// Show entries, the newest first
    #[command(after_help = "Examples:
  muster audit show
  muster audit show --who ada --since 7d
  muster audit show --subject devices/pump-7 --changes
  muster --json audit show --verb registry/retire --all")]
    Show(show::Show),
    /// Write whole logs as NDJSON, in order
    #[command(after_help = "Examples:
  muster audit export > audit.ndjson
  muster audit export --service registry --after 1200 --output registry.ndjson")]
    Export(export::Export),
    /// Check that nothing was changed, removed or put in between
    #[command(after_help = "Examples:
  muster audit verify
  muster --json events --filter 'audit/+/head' --replay-only > heads.ndjson
  muster audit verify audit.ndjson --heads heads.ndjson")]
    Verify(verify::Verify),
}

impl Audit {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Audit::Show(command) => command.run(global),
            Audit::Export(command) => command.run(global),
            Audit::Verify(command) => command.run(global),
        }
    }
}

fn service() -> impl TypedValueParser<Value = ServiceName> {
    // Only these words get this far.
    PossibleValuesParser::new(ServiceName::KEEPERS.map(ServiceName::word))
        .try_map(|word| ServiceName::from_word(&word).ok_or("there is no such service"))
}

/// The services that are meant: those that were named, or all.
fn services(named: Vec<ServiceName>) -> Vec<ServiceName> {
    if named.is_empty() {
        ServiceName::KEEPERS.to_vec()
    } else {
        named
    }
}
