//! A server process that we started, and what the kernel says it costs.

use std::{
    fs,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Ticks a second in `/proc/*/stat`; the kernel fixes it for everything it shows to programs.
const TICKS: u64 = 100;
/// How long a server may take to end by itself: one with a million devices has much to write.
const PATIENCE: Duration = Duration::from_secs(600);

/// Ends with its guard.
pub(crate) struct Process {
    child: Child,
    name: &'static str,
}

impl Process {
    pub(crate) fn spawn(name: &'static str, command: &mut Command) -> Result<Process> {
        let program = command.get_program().to_owned();
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Process { child, name })
    }

    pub(crate) fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// User and system time so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu(&self.read("stat")?)
    }

    /// Resident memory, bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most resident memory that it has had so far, bytes.
    pub(crate) fn most_resident(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line
            .and_then(|line| line.split_whitespace().next())
            .and_then(|kib| kib.parse::<u64>().ok());
        Ok(kib.with_context(|| format!("/proc/*/status names no {name}"))? * 1024)
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// An error when it runs no longer.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended by itself: {status}", self.name),
            None => Ok(()),
        }
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.check()?;
        Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > PATIENCE {
                bail!("{} does not end", self.name);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("{} is gone", self.name))
    }
}

/// The user and system time of the clients so far, which all live in this process.
pub(crate) fn own_cpu() -> Result<Duration> {
    cpu(&fs::read_to_string("/proc/self/stat")?)
}

/// User and system time in a `/proc/*/stat`.
fn cpu(stat: &str) -> Result<Duration> {
    // The program's name stands in brackets and may hold blanks.
    let (_, fields) = stat.rsplit_once(')').context("/proc/*/stat has no name")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
