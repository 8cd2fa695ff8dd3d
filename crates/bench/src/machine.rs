//! The machine that figures come from, and its limit of open files.

use std::{fs, process::Command};

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// What must stand beside any figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    cpu: String,
    /// One, five and fifteen minutes, before the run: others at work show here.
    load_before: String,
}

impl Machine {
    pub(crate) fn now() -> Result<Machine> {
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let name = cpus.lines().find(|line| line.starts_with("model name"));
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Machine {
            cores: std::thread::available_parallelism()?.get(),
            cpu: name
                .and_then(|line| line.split_once(": "))
                .map_or("unknown", |(_, name)| name)
                .to_owned(),
            load_before: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
        })
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "{} cores, {}, load before the run {}",
            self.cores, self.cpu, self.load_before
        )
    }
}

/// Lets this process, and those it starts, open this many files.
pub(crate) fn allow_open_files(wanted: usize) -> Result<()> {
    if open_files()? >= wanted {
        return Ok(());
    }
    // Raising the soft limit up to the hard one needs no rights; without unsafe code a program must do it.
    let own = std::process::id().to_string();
    let _ = Command::new("prlimit")
        .args(["--pid", &own, &format!("--nofile={wanted}:")])
        .status();
    if open_files()? < wanted {
        bail!(
            "{wanted} files must be open at once; run `ulimit -n {wanted}` first, as root if it is refused"
        );
    }
    Ok(())
}

fn open_files() -> Result<usize> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line
        .and_then(|line| line.split_whitespace().next())
        .context("no limit of open files")?;
    Ok(soft.parse().unwrap_or(usize::MAX))
}
