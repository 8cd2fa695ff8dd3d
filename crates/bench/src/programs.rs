//! The programs that are measured, and the folder for what they write.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::servers::mosquitto;

/// Options that every measurement has.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The muster program; by default the one beside this program
    #[arg(long, global = true, value_name = "PATH")]
    muster: Option<PathBuf>,
    /// The mosquitto program
    #[arg(long, global = true, value_name = "PATH")]
    mosquitto: Option<PathBuf>,
    /// A folder on the disk to be measured; fleets are kept there for the next run
    #[arg(long, global = true, default_value = "target/bench", value_name = "FOLDER")]
    work: PathBuf,
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Programs and folder, found.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) muster: PathBuf,
    pub(crate) mosquitto: PathBuf,
    pub(crate) work: PathBuf,
}

impl Options {
    pub(crate) fn find(&self) -> Result<Programs> {
        std::fs::create_dir_all(&self.work)
            .with_context(|| format!("cannot make {}", self.work.display()))?;
        let beside = || Ok(std::env::current_exe()?.with_file_name("muster"));
        Ok(Programs {
            muster: self.muster.clone().map_or_else(beside, anyhow::Ok)?,
            mosquitto: self.mosquitto.clone().unwrap_or_else(usual_mosquitto),
            work: self.work.canonicalize()?,
        })
    }
}

/// Debian keeps it where only root looks.
pub(crate) fn usual_mosquitto() -> PathBuf {
    let sbin = Path::new("/usr/sbin/mosquitto");
    if sbin.exists() {
        sbin.to_owned()
    } else {
        PathBuf::from("mosquitto")
    }
}

impl Programs {
    /// The peer's version, or how to install it.
    pub(crate) fn peer(&self) -> Result<String> {
        mosquitto::version(&self.mosquitto)
    }
}
