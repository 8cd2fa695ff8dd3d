//! `muster-bench provisioning`: certificates a second through the whole path.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::raw_signing;
use crate::{
    fleet::{enrol, operator::Operator},
    load::Figures,
    output::{Findings, number},
    programs::Programs,
    servers::{Muster, muster},
};

/// Certificates through the whole path, beside a bare signing loop
///
/// Each device connects over mTLS with its batch's claim certificate, subscribes, asks for its certificate,
/// gets it, and leaves. Keys and requests are made beforehand. The bare loop reads the same requests and signs
/// them with rcgen on one thread: no TLS, no MQTT, no disk.
#[derive(Debug, clap::Args)]
pub(crate) struct Provisioning {
    /// Devices that ask for their first certificate
    #[arg(long, default_value_t = 2_000)]
    devices: usize,
    /// Devices that ask at the same time
    #[arg(long, default_value_t = 32)]
    parallel: usize,
    /// Seconds of the bare loop
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct ProvisioningFindings {
    devices: usize,
    parallel: usize,
    muster: Figures,
    server_cpu_ms_per_certificate: f64,
    raw_signing_per_second: f64,
    ratio_to_raw_signing: f64,
}

impl Provisioning {
    pub(crate) async fn run(self, programs: &Programs) -> Result<ProvisioningFindings> {
        let place = tempfile::tempdir_in(&programs.work)?;
        let folder = place.path().join("installation");
        muster::init(&programs.muster, &folder)?;
        let muster = Muster::start(&programs.muster, &folder)?;
        let operator = Operator::connect(&folder, muster.place).await?;
        let ids = enrol::ids(self.devices)?;
        operator.register(&ids).await.context("registering the devices")?;
        let claim = operator
            .make_claim(self.devices)
            .await
            .context("making a claim")?;
        operator.leave().await;
        let newcomers = enrol::newcomers(&ids)?;
        let requests: Vec<_> = newcomers
            .iter()
            .map(|newcomer| newcomer.csr_pem.clone())
            .collect();

        let before = muster.process.cpu()?;
        let (_, figures) = enrol::certify(newcomers, &claim, muster.place, self.parallel).await?;
        let cpu = muster.process.cpu()? - before;
        muster.process.stop()?;
        let raw = raw_signing::rate(&folder, &requests, Duration::from_secs_f64(self.seconds))?;
        Ok(ProvisioningFindings {
            devices: self.devices,
            parallel: self.parallel,
            server_cpu_ms_per_certificate: cpu.as_secs_f64() * 1000.0 / self.devices as f64,
            ratio_to_raw_signing: figures.acks_per_second / raw,
            raw_signing_per_second: raw,
            muster: figures,
        })
    }
}

impl Findings for ProvisioningFindings {
    fn heading(&self) -> String {
        format!(
            "{} devices, {} at a time; the server's CPU time for a certificate: {} ms",
            self.devices,
            self.parallel,
            number(self.server_cpu_ms_per_certificate)
        )
    }

    fn columns(&self) -> Vec<&'static str> {
        vec!["", "certificates/s", "p50 ms", "p99 ms", "max ms", "Muster is"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let Figures {
            acks_per_second,
            p50_ms,
            p99_ms,
            max_ms,
            ..
        } = &self.muster;
        let blank = String::new;
        let muster = [acks_per_second, p50_ms, p99_ms, max_ms].map(|value| number(*value));
        let ratio = format!("× {}", number(self.ratio_to_raw_signing));
        vec![
            [vec!["Muster".to_owned()], muster.to_vec(), vec![blank()]].concat(),
            vec![
                "bare signing".to_owned(),
                number(self.raw_signing_per_second),
                blank(),
                blank(),
                blank(),
                ratio,
            ],
        ]
    }
}
