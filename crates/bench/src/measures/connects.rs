//! `muster-bench connects`: mTLS connections a second, from the first packet to the CONNACK.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    fleet::{self, Transport},
    load::{Figures, Load, Span, arrivals},
    output::{Findings, number},
    programs::Programs,
    servers::{Mosquitto, Muster, muster},
};

/// What a server verifies in a handshake with a device: the device's certificate, the CA's above it, and that the
/// device has its key.
const VERIFIES: f64 = 3.0;
/// A key of its own for the exchange, and the secret.
const EXCHANGES: f64 = 2.0;

/// mTLS connections a second, beside Mosquitto and beside OpenSSL's bare arithmetic
///
/// Devices connect with P-256 certificates of their own and a full handshake of TLS 1.3, get their CONNACK and
/// leave. Muster also looks up the certificate and the device, and tells monitoring of each session. OpenSSL's figure
/// is what one core could do if a handshake were nothing but its signatures and its key exchange.
#[derive(Debug, clap::Args)]
pub(crate) struct Connects {
    /// Devices that take turns
    #[arg(long, default_value_t = 200)]
    devices: usize,
    /// Devices that connect at the same time
    #[arg(long, default_value_t = 32)]
    parallel: usize,
    /// Seconds before the measured time
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds measured, for each server
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct ConnectFindings {
    peer: String,
    devices: usize,
    parallel: usize,
    muster: Side,
    mosquitto: Side,
    ratio_to_mosquitto: f64,
    /// The servers' CPU time for a connection, Mosquitto's divided by Muster's.
    cpu_ratio: f64,
    openssl_per_second_and_core: f64,
}

#[derive(Debug, Serialize)]
struct Side {
    figures: Figures,
    cpu_us_per_connection: f64,
}

impl Connects {
    pub(crate) async fn run(self, programs: &Programs) -> Result<ConnectFindings> {
        let peer = programs.peer()?;
        let openssl = openssl_limit()?;
        let fleet = fleet::fleet(programs, self.devices).await?;
        let span = Span {
            warm_up: Duration::from_secs_f64(self.warm_up),
            measured: Duration::from_secs_f64(self.seconds),
        };
        let muster = Muster::start(&programs.muster, &fleet.folder)?;
        let logins = fleet.logins(self.devices, Transport::Mtls, muster.place);
        let ours = arrivals::rush(logins, self.parallel, span, &muster.process).await?;
        muster.process.stop()?;
        let tls = muster::tls_files(&fleet.folder);
        let mosquitto = Mosquitto::start(&programs.mosquitto, &programs.work.join("peer"), &tls)?;
        let logins = fleet.logins(self.devices, Transport::Mtls, mosquitto.place);
        let theirs = arrivals::rush(logins, self.parallel, span, &mosquitto.process).await?;
        mosquitto.process.stop()?;
        let (ours, theirs) = (Side::of(ours), Side::of(theirs));
        Ok(ConnectFindings {
            peer,
            devices: self.devices,
            parallel: self.parallel,
            ratio_to_mosquitto: ours.figures.acks_per_second / theirs.figures.acks_per_second,
            cpu_ratio: theirs.cpu_us_per_connection / ours.cpu_us_per_connection,
            muster: ours,
            mosquitto: theirs,
            openssl_per_second_and_core: openssl,
        })
    }
}

impl Side {
    fn of(load: Load) -> Side {
        Side {
            cpu_us_per_connection: load.cpu_us_per_request(0.0),
            figures: load.figures,
        }
    }

    fn row(&self, name: &str) -> Vec<String> {
        let figures = &self.figures;
        let values = [
            figures.acks_per_second,
            figures.p50_ms,
            figures.p99_ms,
            self.cpu_us_per_connection,
        ];
        std::iter::once(name.to_owned())
            .chain(values.map(number))
            .collect()
    }
}

/// Handshakes a second that one core's signatures and key exchanges allow.
fn openssl_limit() -> Result<f64> {
    let output = Command::new("openssl")
        .args(["speed", "-mr", "-seconds", "1", "ecdsap256", "ecdhx25519"])
        .output()
        .context("openssl does not start; install it (`apt-get install openssl`)")?;
    limit_of(&String::from_utf8_lossy(&output.stdout)).context("`openssl speed` says something unexpected")
}

/// `+F4:{number}:{bits}:{signatures/s}:{verifications/s}` and `+F5:{number}:{bits}:{exchanges/s}:…`.
fn limit_of(speed: &str) -> Option<f64> {
    let rate = |mark: &str, place: usize| {
        let line = speed.lines().find(|line| line.starts_with(mark))?;
        let rate: f64 = line.split(':').nth(place)?.parse().ok()?;
        (rate > 0.0).then_some(rate)
    };
    let (signs, verifies, exchanges) = (rate("+F4:", 3)?, rate("+F4:", 4)?, rate("+F5:", 3)?);
    Some(1.0 / (1.0 / signs + VERIFIES / verifies + EXCHANGES / exchanges))
}

impl Findings for ConnectFindings {
    fn heading(&self) -> String {
        format!(
            "{} devices, {} at a time; peer: {}; connections a second {} x the peer's at 1/{} of its CPU time each",
            self.devices,
            self.parallel,
            self.peer,
            number(self.ratio_to_mosquitto),
            number(self.cpu_ratio),
        )
    }

    fn columns(&self) -> Vec<&'static str> {
        vec!["", "connections/s", "p50 ms", "p99 ms", "CPU µs each"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let openssl = self.openssl_per_second_and_core;
        let limit = [openssl, f64::NAN, f64::NAN, 1e6 / openssl];
        let cell = |value: f64| {
            if value.is_nan() {
                String::new()
            } else {
                number(value)
            }
        };
        vec![
            self.muster.row("Muster"),
            self.mosquitto.row("Mosquitto"),
            std::iter::once("openssl, one core".to_owned())
                .chain(limit.map(cell))
                .collect(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_openssl_says_becomes_a_limit() {
        let said =
            "+DTP:256:sign:ecdsa:1\n+F4:3:256:40000.000000:10000.000000\n+F5:24:253:20000.000000:0.0\n";
        // 25 µs + 3 * 100 µs + 2 * 50 µs
        assert!((limit_of(said).unwrap() - 1e6 / 425.0).abs() < 0.001);
        assert_eq!(limit_of("+F4:3:256:0:0"), None);
    }
}
