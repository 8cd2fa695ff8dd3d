//! Another peer: PostgreSQL in a cluster of its own, reached over a Unix socket by its own `psql` and `pgbench`.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use tempfile::TempDir;

/// Where Debian keeps the programs of a version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// It refuses to run as root.
const ACCOUNT: &str = "postgres";
/// Everything else is as the cluster is made: durable commits are its default.
const SETTINGS: &str =
    "listen_addresses = ''\nshared_buffers = '1GB'\nmax_wal_size = '4GB'\nmax_connections = 200\n";

/// A running PostgreSQL; ends with its guard.
pub(crate) struct Postgres {
    programs: PathBuf,
    cluster: TempDir,
    /// The path of a socket has at most 107 bytes: not where the data lie.
    socket: TempDir,
}

/// What a script of pgbench came to.
pub(crate) struct Ran {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Postgres {
    /// Makes a cluster in `folder` and starts it; none where it is not installed.
    pub(crate) fn start(folder: &Path) -> Result<Option<Postgres>> {
        let Some(programs) = newest(Path::new(DEBIAN)) else {
            return Ok(None);
        };
        let postgres = Postgres {
            programs,
            cluster: tempfile::tempdir_in(folder)?,
            socket: tempfile::tempdir()?,
        };
        for place in [&postgres.cluster, &postgres.socket] {
            postgres.give(place.path())?;
        }
        let data = postgres.data();
        let make = [
            "--auth=trust",
            "--no-locale",
            "--encoding=UTF8",
            "--pgdata",
            &data,
        ];
        postgres.run("initdb", &make)?;
        fs::write(format!("{data}/postgresql.auto.conf"), SETTINGS).context("its settings")?;
        let options = format!("-k {}", postgres.socket.path().display());
        let log = format!("{data}/log");
        postgres.run(
            "pg_ctl",
            &["start", "--wait", "-D", &data, "-l", &log, "-o", &options],
        )?;
        Ok(Some(postgres))
    }

    /// What is measured, in its own words.
    pub(crate) fn version(&self) -> Result<String> {
        Ok(text(&self.run("postgres", &["--version"])?).trim().to_owned())
    }

    /// Runs statements, each committed by itself; what they return.
    pub(crate) fn sql(&self, statements: &str) -> Result<String> {
        let file = self.socket.path().join("statements.sql");
        fs::write(&file, statements)?;
        self.file(&file)
    }

    /// Runs the statements of a file.
    pub(crate) fn file(&self, file: &Path) -> Result<String> {
        let name = file.display().to_string();
        let socket = self.socket.path().display().to_string();
        let given = [
            "-h",
            &socket,
            "-d",
            "postgres",
            "-v",
            "ON_ERROR_STOP=1",
            "-qAt",
            "-f",
            &name,
        ];
        Ok(text(&self.run("psql", &given)?).trim().to_owned())
    }

    /// Runs a script over and over.
    pub(crate) fn bench(&self, script: &str, clients: usize, seconds: f64) -> Result<Ran> {
        let folder = tempfile::tempdir()?;
        self.give(folder.path())?;
        let file = folder.path().join("script.sql");
        fs::write(&file, script)?;
        let socket = self.socket.path().display().to_string();
        let given = [
            "-h".to_owned(),
            socket,
            "--no-vacuum".to_owned(),
            "--protocol=prepared".to_owned(),
            format!("--client={clients}"),
            format!("--time={}", seconds.ceil() as u64),
            "--log".to_owned(),
            format!("--log-prefix={}/log", folder.path().display()),
            format!("--file={}", file.display()),
            "postgres".to_owned(),
        ];
        let given: Vec<_> = given.iter().map(String::as_str).collect();
        let said = text(&self.run("pgbench", &given)?);
        latencies(folder.path(), rate(&said)?)
    }

    /// Bytes of the tables and indexes.
    pub(crate) fn disk_bytes(&self) -> Result<f64> {
        Ok(self.sql("SELECT pg_database_size('postgres');")?.parse()?)
    }

    fn data(&self) -> String {
        self.cluster.path().join("data").display().to_string()
    }

    fn give(&self, folder: &Path) -> Result<()> {
        if !is_root()? {
            return Ok(());
        }
        let status = Command::new("chown").arg(ACCOUNT).arg(folder).status()?;
        ensure!(
            status.success(),
            "{} cannot be given to {ACCOUNT}",
            folder.display()
        );
        Ok(())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let path = self.programs.join(program);
        let mut command = if is_root()? {
            let mut command = Command::new("runuser");
            command.args(["-u", ACCOUNT, "--"]).arg(&path);
            command
        } else {
            Command::new(&path)
        };
        let output = command.args(arguments).current_dir("/").output();
        let output = output.with_context(|| format!("{} does not start", path.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            bail!("{program} fails: {} {said}", text(&output));
        }
        Ok(output)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        let _ = self.run("pg_ctl", &["stop", "--wait", "--mode=fast", "-D", &data]);
    }
}

fn newest(versions: &Path) -> Option<PathBuf> {
    let found = fs::read_dir(versions).ok()?;
    let programs = found.filter_map(|version| Some(version.ok()?.path().join("bin")));
    programs.filter(|bin| bin.join("pgbench").exists()).max()
}

fn is_root() -> Result<bool> {
    Ok(fs::metadata("/proc/self")?.uid() == 0)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `tps = 1234.5 (without initial connection time)`
fn rate(said: &str) -> Result<f64> {
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let number = line.and_then(|line| line.split(' ').next());
    Ok(number.context("pgbench names no rate")?.parse()?)
}

/// Each line of its logs is one transaction; the third number is its time in microseconds.
fn latencies(folder: &Path, per_second: f64) -> Result<Ran> {
    let mut all = Histogram::<u64>::new_with_max(600_000_000, 3)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("log"))
        {
            for line in fs::read_to_string(path)?.lines() {
                let micros = line.split(' ').nth(2).context("a line of pgbench's log")?;
                all.saturating_record(micros.parse()?);
            }
        }
    }
    let ms = |quantile| all.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(Ran {
        per_second,
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_from_what_pgbench_says() {
        let said = "latency average = 0.1 ms\ntps = 812.25 (without initial connection time)\n";
        assert_eq!(rate(said).unwrap(), 812.25);
        assert!(rate("nothing").is_err());
    }
}
