//! `muster device import`

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use contract::{
    id::ServiceName,
    limits,
    v1::{RegisterDevice, RegisterDevices, RegisterRefusal, RegisteredDevices},
};
use prost::Message;

use super::super::{Global, global, print, progress};
use crate::exit::{Exit, Failure};

/// Devices in one request.
const BATCH_DEVICES: usize = limits::PAGE_MAX;
/// Bytes in one request: the packet's limit, with room for what surrounds the devices.
const BATCH_BYTES: usize = limits::PAYLOAD_BYTES - 16 * 1024;
/// Mistakes of a file that are told at once.
const MISTAKES_MAX: usize = 20;

#[derive(clap::Args)]
pub(crate) struct Import {
    /// One JSON object a line; `-` reads standard input
    file: PathBuf,
}

impl Import {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let devices = read(&self.file)?;
        let count = devices.len();
        let report = global.block_on(register(global, batches(devices)))?;
        let refused = report.refused.len();
        say(global, &report)?;
        if refused > 0 {
            let message = format!("{refused} of {count} devices were refused");
            return Err(Failure::new(Exit::Conflict, message).into());
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<RegisterDevice>> {
    if path == Path::new("-") {
        return parse(io::stdin().lock());
    }
    let file = File::open(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    parse(BufReader::new(file))
}

/// All devices of a text, or all of its mistakes; blank lines are passed over.
fn parse(text: impl BufRead) -> Result<Vec<RegisterDevice>> {
    let (mut devices, mut mistakes) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.with_context(|| format!("line {number}"))?;
        if line.trim().is_empty() {
            continue;
        }
        match parse_row(&line) {
            Ok(device) => devices.push(device),
            Err(mistake) => mistakes.push(format!("line {number}: {mistake}")),
        }
        if mistakes.len() == MISTAKES_MAX {
            break;
        }
    }
    if !mistakes.is_empty() {
        let list = mistakes.join("\n  ");
        return Err(Failure::usage(format!("nothing was registered:\n  {list}")).into());
    }
    Ok(devices)
}

fn parse_row(line: &str) -> Result<RegisterDevice, String> {
    let device: RegisterDevice = serde_json::from_str(line)
        // Of its own line each row is the first.
        .map_err(|error| error.to_string().replace(" at line 1 column ", " at column "))?;
    device
        .device_id
        .parse::<contract::Id>()
        .map_err(|error| format!("device_id `{}`: {error}", device.device_id))?;
    Ok(device)
}

/// As many devices in a request as may be, in the file's order.
fn batches(devices: Vec<RegisterDevice>) -> Vec<Vec<RegisterDevice>> {
    let mut batches: Vec<Vec<RegisterDevice>> = Vec::new();
    let mut bytes = 0;
    for device in devices {
        // The device's own length and key come before it.
        let size = device.encoded_len() + 8;
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_DEVICES && bytes + size <= BATCH_BYTES => {
                batch.push(device);
                bytes += size;
            }
            _ => {
                batches.push(vec![device]);
                bytes = size;
            }
        }
    }
    batches
}

async fn register(global: &Global, batches: Vec<Vec<RegisterDevice>>) -> Result<RegisteredDevices> {
    let (client, _inbox) = global.connect().await?;
    let count: usize = batches.iter().map(Vec::len).sum();
    let bar = progress::bar(count as u64, "devices");
    let mut report = RegisteredDevices::default();
    for devices in batches {
        let done = devices.len() as u64;
        let request = RegisterDevices {
            devices,
            ..RegisterDevices::default()
        };
        let reply: RegisteredDevices = global::ask(&client, ServiceName::Registry, "register-many", &request)
            .await
            .with_context(|| {
                format!(
                    "after {} of {count} devices; the import may be repeated",
                    bar.position()
                )
            })?;
        report.registered += reply.registered;
        report.refused.extend(reply.refused);
        bar.inc(done);
    }
    bar.finish_and_clear();
    client.disconnect().await;
    Ok(report)
}

fn say(global: &Global, report: &RegisteredDevices) -> Result<()> {
    if global.json {
        return print::json(report);
    }
    if !report.refused.is_empty() {
        print::table(
            &["refused", "code", "why"],
            report.refused.iter().map(row).collect(),
        )?;
    }
    print::line(format!(
        "{} registered, {} refused",
        report.registered,
        report.refused.len()
    ))
}

fn row(refusal: &RegisterRefusal) -> Vec<String> {
    let rejection = refusal.rejection.clone().unwrap_or_default();
    vec![refusal.device_id.clone(), rejection.code, rejection.message]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: usize, name: &str) -> RegisterDevice {
        RegisterDevice {
            device_id: format!("d-{id}"),
            name: name.into(),
            ..RegisterDevice::default()
        }
    }

    #[test]
    fn rows_are_read_in_order_and_blank_lines_passed_over() {
        let text = "{\"device_id\":\"a\",\"criticality\":\"CRITICALITY_HIGH\",\"groups\":[\"g\"]}\n\n{\"device_id\":\"b\"}";
        let devices = parse(text.as_bytes()).unwrap();
        assert_eq!(
            devices.iter().map(|d| d.device_id.as_str()).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(devices[0].criticality(), contract::v1::Criticality::High);
    }

    #[test]
    fn all_mistakes_are_named_with_their_lines() {
        let text = "{\"device_id\":\"a\"}\n{\"device\":\"b\"}\nnot json\n{\"device_id\":\"a/b\"}\n{}\n";
        let error = parse(text.as_bytes()).unwrap_err().to_string();
        for part in [
            "line 2: unknown field `device`",
            "line 3:",
            "line 4: device_id `a/b`",
            "line 5:",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert!(!error.contains("line 1:"));
    }

    #[test]
    fn a_hopeless_file_is_given_up() {
        let error = parse("x\n".repeat(1_000).as_bytes()).unwrap_err().to_string();
        let named = error
            .lines()
            .filter(|line| line.trim_start().starts_with("line "));
        assert_eq!(named.count(), MISTAKES_MAX, "{error}");
    }

    #[test]
    fn batches_hold_500_devices_and_fit_a_packet() {
        let small = batches((0..1_201).map(|n| device(n, "")).collect());
        assert_eq!(small.iter().map(Vec::len).collect::<Vec<_>>(), [500, 500, 201]);
        let large = batches((0..1_000).map(|n| device(n, &"n".repeat(2_000))).collect());
        assert_eq!(large.iter().map(Vec::len).sum::<usize>(), 1_000);
        for devices in large {
            let request = RegisterDevices {
                devices,
                ..RegisterDevices::default()
            };
            assert!(request.encoded_len() < limits::PAYLOAD_BYTES);
        }
        assert!(batches(Vec::new()).is_empty());
    }
}
