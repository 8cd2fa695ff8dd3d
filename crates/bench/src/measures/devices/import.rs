//! A fleet comes out of a table, by the program that an operator uses.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::rows;
use crate::{
    fleet::operator::BATCH,
    programs::Programs,
    servers::{Counters, Muster, Process},
};

/// Between two looks at the program.
const LOOK: Duration = Duration::from_millis(20);
/// Between two words on how far it has come.
const TELL: Duration = Duration::from_secs(10);
/// The most that one answer may take.
const ANSWER: &str = "10m";

/// The figures of an import.
pub(super) struct Imported {
    pub(super) per_second: f64,
    /// Devices in one commit.
    pub(super) group: f64,
    /// Records written and removed for a device.
    pub(super) records_of_a_row: f64,
    /// The server's processor time for a device, microseconds.
    pub(super) cpu_us: f64,
    /// What the server's memory grew by.
    pub(super) memory_bytes: u64,
    /// The most that the importing program had.
    pub(super) client_bytes: u64,
}

/// What the program prints at its end.
#[derive(Deserialize)]
struct Report {
    registered: usize,
}

/// Writes the table, and imports it. The time is the program's, from its start to its end.
pub(super) async fn import(
    programs: &Programs,
    folder: &Path,
    server: &Muster,
    devices: usize,
    empty_bytes: u64,
) -> Result<Imported> {
    let table = folder.join("fleet.csv");
    write(&table, devices)?;
    let before = Counters::read(server.http)?;
    let (begun, busy) = (Instant::now(), server.process.cpu()?);
    let mut process = Process::spawn(
        "muster device import",
        &mut command(programs, folder, server, &table),
    )?;
    let mut stdout = BufReader::new(process.stdout().context("it has no output")?);
    let (mut client_bytes, mut told) = (0, Instant::now());
    let status = loop {
        if let Some(status) = process.ended()? {
            break status;
        }
        // Between its end and its being waited for there is nothing to read.
        client_bytes = process.most_resident().unwrap_or(client_bytes).max(client_bytes);
        if told.elapsed() > TELL {
            told = Instant::now();
            // Under load it may be late with what is only a word in between.
            if let Ok(now) = Counters::read(server.http) {
                let rows = now.since(before).events();
                let rate = rows / begun.elapsed().as_secs_f64();
                eprintln!("  {rows:.0} of {devices} rows, {rate:.0} a second");
            }
        }
        tokio::time::sleep(LOOK).await;
    };
    let took = begun.elapsed();
    let mut said = String::new();
    stdout.read_line(&mut said)?;
    ensure!(
        status.success(),
        "`muster device import` ends with {status}: {said}"
    );
    let report: Report = serde_json::from_str(&said).context("`muster device import` does not report")?;
    ensure!(
        report.registered == devices,
        "{} rows were registered",
        report.registered
    );
    // Some counters are read by the second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let work = Counters::read(server.http)?.since(before);
    Ok(Imported {
        per_second: devices as f64 / took.as_secs_f64(),
        group: work.group() * BATCH.min(devices) as f64,
        records_of_a_row: work.keys() / devices as f64,
        cpu_us: (server.process.cpu()? - busy).as_secs_f64() * 1e6 / devices as f64,
        memory_bytes: server.process.resident()?.saturating_sub(empty_bytes),
        client_bytes,
    })
}

fn write(table: &Path, devices: usize) -> Result<()> {
    let mut file = BufWriter::new(File::create(table)?);
    writeln!(file, "{}", rows::COLUMNS)?;
    for row in rows::rows(devices) {
        writeln!(file, "{}", row.cells())?;
    }
    Ok(file.flush()?)
}

fn command(programs: &Programs, folder: &Path, server: &Muster, table: &Path) -> Command {
    let mut command = Command::new(&programs.muster);
    command
        .arg("--dir")
        .arg(folder)
        .args([
            "--json",
            "--timeout",
            ANSWER,
            "--server",
            &server.place.tls.to_string(),
        ])
        .args(["device", "import"])
        .arg(table)
        .stdout(Stdio::piped());
    command
}
