//! `muster store`: the databases, while Muster is stopped.

mod compact;
mod look;
mod migrate;
mod place;
mod put_back;
mod repair;
mod stats;
mod verify;

use anyhow::Result;

use super::Global;

/// Check, repair, shrink and move the databases, while Muster is stopped.
#[derive(clap::Subcommand)]
pub(super) enum Store {
    /// Read every record and every file, and say whether all of it is as it was written
    ///
    /// Ends with 7 if anything is damaged, and names it.
    #[command(after_help = "Examples:
  muster store verify
  muster --json store verify registry")]
    Verify(verify::Verify),
    /// Take over what can be read of a damaged database, and put lost firmware images back
    ///
    /// Works on a copy. What can be read goes into a fresh database, which takes the damaged one's place; that
    /// one is kept beside it. What is lost is lost: if you have a backup, compare first. A database that is
    /// sound is left as it is. An image whose file is missing or damaged is put back from where it was kept: the
    /// file that was added, or a backup. Ends with 7 if something stays damaged.
    #[command(after_help = "Examples:
  muster store repair registry --dry-run
  muster store repair registry --yes
  muster store repair rollout --from pump-2.1.bin --yes
  muster store repair rollout --from /backup/muster-monday --yes")]
    Repair(repair::Repair),
    /// Write a database anew, without the space that its engine keeps
    #[command(after_help = "Examples:
  muster store compact
  muster store compact monitoring")]
    Compact(compact::Compact),
    /// Say what a database holds, and what it takes on disk
    #[command(after_help = "Examples:
  muster store stats
  muster --json store stats registry")]
    Stats(stats::Stats),
    /// Bring a database to the other engine
    ///
    /// Then set store.engine in muster.toml to the same word: Muster refuses a database of another engine.
    #[command(after_help = "Examples:
  muster store migrate --to redb
  muster store migrate --to sled monitoring")]
    Migrate(migrate::Migrate),
}

impl Store {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        store::quiet_engine_panics();
        match self {
            Store::Verify(command) => command.run(global),
            Store::Repair(command) => command.run(global),
            Store::Compact(command) => command.run(global),
            Store::Stats(command) => command.run(global),
            Store::Migrate(command) => command.run(global),
        }
    }
}
