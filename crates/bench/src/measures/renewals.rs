//! `muster-bench renewals`: many devices renew, and how long ordinary requests take beside that.

use std::{rc::Rc, time::Duration};

use anyhow::{Result, ensure};
use contract::v1::MassRenewal;
use serde::Serialize;
use tokio::{task::spawn_local, time::timeout};

use crate::{
    fleet::{self, Fleet, Transport, operator::Operator, renewing::Renewer},
    load::{
        Crowd, Figures, Meter, Span,
        crowd::{all, open},
    },
    output::{Findings, number},
    programs::Programs,
    servers::Muster,
};

/// How long after the paced time the last device is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// A mass renewal while other devices report
///
/// Devices are connected over mTLS and wait for the order; keys and requests are made beforehand. Then an operator has
/// them renew at a pace: each asks for its next certificate, leaves, and comes back with it. Measured are the time from
/// a device's order to that, how long the whole took, and how long other devices' reports wait for their
/// acknowledgement, before it and meanwhile.
#[derive(Debug, clap::Args)]
pub(crate) struct Renewals {
    /// Devices that renew
    #[arg(long, default_value_t = 10_000)]
    devices: usize,
    /// Devices that are told in a minute
    #[arg(long, default_value_t = 6_000)]
    per_minute: u32,
    /// Other devices, which report
    #[arg(long, default_value_t = 200)]
    others: usize,
    /// Reports a second, of all others together
    #[arg(long, default_value_t = 200.0)]
    reports: f64,
    /// Seconds measured before
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct RenewalFindings {
    devices: usize,
    per_minute: u32,
    /// From the order to the service's word that every device has renewed.
    whole_seconds: f64,
    renewed: u32,
    renewals: Figures,
    reports_before: Figures,
    reports_meanwhile: Figures,
}

impl Renewals {
    pub(crate) async fn run(self, programs: &Programs) -> Result<RenewalFindings> {
        let fleet = fleet::fleet(programs, self.devices + self.others).await?;
        let muster = Muster::start(&programs.muster, &fleet.folder)?;
        let operator = Operator::connect(&fleet.folder, muster.place).await?;
        let before = self.reports(&fleet, &muster, self.seconds).await?;
        let renewers = self.renewers(&fleet, &muster).await?;
        let meter = Rc::new(Meter::new()?);
        meter.begin();
        let paced = self.devices as f64 * 60.0 / f64::from(self.per_minute);
        let id = operator.renew(&fleet.ids(self.devices), self.per_minute).await?;
        let running = fleet.renew(renewers, muster.place, &meter);
        let reports = self.reports(&fleet, &muster, paced);
        let (reports, renewed) = tokio::join!(
            reports,
            timeout(Duration::from_secs_f64(paced) + PATIENCE, running)
        );
        let _connected = renewed??;
        meter.end();
        let ended = operator.until_renewed(&id).await?;
        let renewed: u32 = ended.iter().map(|one| one.renewed).sum();
        ensure!(
            renewed as usize == self.devices,
            "only {renewed} are counted as renewed"
        );
        operator.leave().await;
        muster.process.stop()?;
        Ok(RenewalFindings {
            devices: self.devices,
            per_minute: self.per_minute,
            whole_seconds: seconds(&ended),
            renewed,
            renewals: meter.figures()?,
            reports_before: before,
            reports_meanwhile: reports?,
        })
    }

    async fn reports(&self, fleet: &Fleet, muster: &Muster, seconds: f64) -> Result<Figures> {
        let others = fleet.last(self.others, Transport::Mtls, muster.place)?;
        let span = Span {
            warm_up: Duration::from_secs(1),
            measured: Duration::from_secs_f64(seconds),
        };
        let load = Crowd::connect(others).await?;
        Ok(load.stroll(self.reports, span, &muster.process).await?.figures)
    }

    async fn renewers(&self, fleet: &Fleet, muster: &Muster) -> Result<Vec<Renewer>> {
        let connections = open(fleet.logins(self.devices, Transport::Mtls, muster.place)).await?;
        let ids = fleet.ids(self.devices);
        let listening = ids.into_iter().zip(connections);
        let listening =
            listening.map(|(id, open)| spawn_local(async move { Renewer::listening(&id, open).await }));
        all(listening.collect()).await
    }
}

/// From the first beginning to the last end.
fn seconds(ended: &[MassRenewal]) -> f64 {
    let begun = ended.iter().map(|one| one.begun_at_ms).min().unwrap_or_default();
    let over = ended.iter().map(|one| one.ended_at_ms).max().unwrap_or_default();
    (over - begun) as f64 / 1e3
}

impl Findings for RenewalFindings {
    fn heading(&self) -> String {
        format!(
            "{} devices renew, {} a minute are told; all have after {} s",
            self.devices,
            self.per_minute,
            number(self.whole_seconds)
        )
    }

    fn columns(&self) -> Vec<&'static str> {
        vec!["", "a second", "p50 ms", "p99 ms", "max ms"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |name: &str, figures: &Figures| {
            let values = [
                figures.acks_per_second,
                figures.p50_ms,
                figures.p99_ms,
                figures.max_ms,
            ];
            let name = std::iter::once(name.to_owned());
            name.chain(values.map(number)).collect()
        };
        vec![
            row("renewals, from the order on", &self.renewals),
            row("reports, before", &self.reports_before),
            row("reports, meanwhile", &self.reports_meanwhile),
        ]
    }
}
