//! `muster demo`: a fleet lives its whole life on this machine, and a process of its own checks it.
//!
//! The demo uses the program's own commands, as an operator would; it shows each as it goes. The devices are
//! agents in this process, over real mTLS connections. The checker knows the server's address, an integrator's
//! and an operator's certificate, and nothing else.

mod check;
mod check_life;
mod fleet;
mod intruder;
mod life;
mod report;
mod stage;
mod story;

use std::path::PathBuf;

use anyhow::Result;

pub(super) use self::check::Check;
use super::Global;

/// Watch a fleet of devices live its whole life on this machine.
///
/// Makes an installation in a fresh folder, starts the server, orders devices and receives them, provisions them over mTLS,
/// puts some to an acceptance test, sets and commands them, rolls signed firmware out in waves, quarantines an intruder,
/// revokes a certificate, hands a device over, replaces and retires another, and checks all of it from the outside. Exit code 0 means that every check held.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  muster demo\n  muster demo --devices 300\n  muster demo --keep")]
pub(super) struct Demo {
    /// How many devices
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=5_000), value_name = "N")]
    devices: u32,
    /// Leave everything running when the story is told, and say how to connect
    #[arg(long)]
    keep: bool,
    /// Where to make the installation; it must not exist [default: a folder for temporary files]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Demo {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        crate::up::log_to_stderr("error", false);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(story::tell(&self, global))
    }
}
