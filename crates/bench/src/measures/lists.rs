//! `muster-bench lists`: a long revocation list is made, and how long ordinary requests take beside that.

use std::{
    path::Path,
    process::{Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use pki::{Authority, Reason, Revoked, Serial};
use serde::Serialize;
use tokio::{
    task::spawn_local,
    time::{sleep, sleep_until, timeout},
};

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

/// How long a list that is given to the installation counts, milliseconds.
const LIST_LIFETIME_MS: i64 = 7 * 24 * 3_600_000;
/// How long a list is waited for.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks for the next list.
const LOOK: Duration = Duration::from_millis(20);
/// No list has come for so long: there is none under way.
const QUIET: Duration = Duration::from_secs(5);
/// Certificates that one device asks for; eight unused ones are the most.
const OF_ONE: f64 = 6.0;
/// Devices that are revoked one after the other.
const REVOKED: usize = 64;
const EVERY: Duration = Duration::from_secs(1);

/// A long revocation list that is made again and again while devices report and renew
///
/// An installation takes a list over, as after a restore; from then on every list has its lines. Measured are how long
/// devices' reports wait for their acknowledgement and renewals for their certificate, while nothing is revoked, and
/// while a device is revoked every second; and the time from a revocation to the list that names it.
#[derive(Debug, clap::Args)]
pub(crate) struct Lists {
    /// Lines of the list
    #[arg(long, default_value_t = 100_000)]
    lines: usize,
    /// Seconds measured, without and with lists being made
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// Devices that report
    #[arg(long, default_value_t = 200)]
    others: usize,
    /// Reports a second, of all together
    #[arg(long, default_value_t = 200.0)]
    reports: f64,
    /// Certificates that are asked for in a second
    #[arg(long, default_value_t = 20.0)]
    renewals: f64,
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct ListFindings {
    lines: usize,
    bytes: u64,
    /// From a revocation to the published list that names it, half a second of waiting for others included.
    published_ms: f64,
    /// Lists that were made while it was measured.
    lists: u64,
    reports_before: Figures,
    reports_meanwhile: Figures,
    renewals_before: Figures,
    renewals_meanwhile: Figures,
}

impl Lists {
    pub(crate) async fn run(self, programs: &Programs) -> Result<ListFindings> {
        let renewing = (self.renewals * 2.0 * (self.seconds + 2.0) / OF_ONE).ceil() as usize;
        let fleet = fleet::fleet(programs, renewing + REVOKED + self.others).await?;
        fill(programs, &fleet.folder, self.lines)?;
        let muster = Muster::start(&programs.muster, &fleet.folder)?;
        let operator = Operator::connect(&fleet.folder, muster.place).await?;
        until_quiet(&operator).await?;
        let ids = fleet.ids(renewing + REVOKED).split_off(renewing);
        let mut revoked = ids.iter();
        let renewers = renewers(&fleet, &muster, renewing).await?;
        let reports = || self.reports(&fleet, &muster);
        let (before, renewals) = tokio::join!(reports(), self.renewals(renewers));
        let (reports_before, (renewers, renewals_before)) = (before?, renewals?);
        let number = operator.list_number().await?;
        let revoking = async {
            let end = Instant::now() + Duration::from_secs_f64(self.seconds);
            while Instant::now() < end {
                operator.revoke(revoked.next().context("none is left")?).await?;
                sleep(EVERY).await;
            }
            operator.list_number().await
        };
        let (meanwhile, renewals, last) = tokio::join!(reports(), self.renewals(renewers), revoking);
        let (reports_meanwhile, (_connected, renewals_meanwhile)) = (meanwhile?, renewals?);
        until_quiet(&operator).await?;
        let published_ms = published(&operator, revoked.next().context("none is left")?).await?;
        operator.leave().await;
        muster.process.stop()?;
        Ok(ListFindings {
            lines: self.lines,
            bytes: longest_list(&fleet.folder)?,
            published_ms,
            lists: last?.saturating_sub(number),
            reports_before,
            reports_meanwhile,
            renewals_before,
            renewals_meanwhile,
        })
    }

    async fn reports(&self, fleet: &Fleet, muster: &Muster) -> Result<Figures> {
        let others = fleet.last(self.others, Transport::Mtls, muster.place)?;
        let span = Span {
            warm_up: Duration::from_secs(1),
            measured: Duration::from_secs_f64(self.seconds),
        };
        let load = Crowd::connect(others).await?;
        Ok(load.stroll(self.reports, span, &muster.process).await?.figures)
    }

    /// Devices ask for certificates in turns, from the request to the answer.
    async fn renewals(&self, renewers: Vec<Renewer>) -> Result<(Vec<Renewer>, Figures)> {
        let meter = Rc::new(Meter::new()?);
        meter.begin();
        let begun = Instant::now();
        let end = begun + Duration::from_secs_f64(self.seconds);
        let interval = Duration::from_secs_f64(renewers.len() as f64 / self.renewals);
        let running = renewers.into_iter().enumerate().map(|(n, mut renewer)| {
            let meter = meter.clone();
            let mut due = begun + Duration::from_secs_f64(n as f64 / self.renewals);
            spawn_local(async move {
                while due < end {
                    sleep_until(due.into()).await;
                    let sent = Instant::now();
                    renewer.ask().await?;
                    meter.acknowledged(sent.elapsed());
                    due += interval;
                }
                Ok(renewer)
            })
        });
        let renewers = all(running.collect()).await?;
        meter.end();
        Ok((renewers, meter.figures()?))
    }
}

/// Has an installation take over a list of so many lines, as after a restore.
fn fill(programs: &Programs, folder: &Path, lines: usize) -> Result<()> {
    let aside = tempfile::tempdir_in(&programs.work)?;
    let (list, backup) = (aside.path().join("list.pem"), aside.path().join("backup"));
    std::fs::write(&list, made(folder, lines)?)?;
    let run = |arguments: &[&str]| -> Result<()> {
        let mut command = Command::new(&programs.muster);
        command.arg("--dir").arg(folder).args(arguments);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        ensure!(status.success(), "`muster {}` fails: {status}", arguments[0]);
        Ok(())
    };
    let (list, backup) = (list.display().to_string(), backup.display().to_string());
    run(&["backup", &backup])?;
    run(&["restore", &backup, "--replace", "--crl", &list, "--yes"])
}

fn made(folder: &Path, lines: usize) -> Result<String> {
    let pki = |name: &str| folder.join("pki").join(name);
    let key = pki::open_key(&std::fs::read(pki("issuing.key"))?, None)?;
    let chain = std::fs::read_to_string(pki("issuing.pem"))?;
    let first = pki::IssuingCertificate::read(&chain, &std::fs::read_to_string(pki("root.pem"))?)?;
    // A minute after it was made, which was backdated.
    let now_ms = first.validity.not_before_ms + 60_000;
    let line = |_| Revoked {
        serial: Serial::from_random(rand::random()),
        at_ms: now_ms,
        reason: Reason::KeyCompromise,
    };
    let revoked: Vec<_> = (0..lines).map(line).collect();
    let authority = Authority::open(&chain, &key, now_ms)?;
    Ok(authority
        .revocation_list(1, now_ms, now_ms + LIST_LIFETIME_MS, &revoked)?
        .pem)
}

async fn renewers(fleet: &Fleet, muster: &Muster, count: usize) -> Result<Vec<Renewer>> {
    let connections = open(fleet.logins(count, Transport::Mtls, muster.place)).await?;
    let mut renewers = Vec::with_capacity(count);
    for (id, connection) in fleet.ids(count).iter().zip(connections) {
        renewers.push(Renewer::listening(id, connection).await?);
    }
    Ok(renewers)
}

/// Waits until no list is under way.
async fn until_quiet(operator: &Operator) -> Result<()> {
    let waiting = async {
        let (mut number, mut since) = (operator.list_number().await?, Instant::now());
        while number == 0 || since.elapsed() < QUIET {
            sleep(LOOK).await;
            let now = operator.list_number().await?;
            if now != number {
                (number, since) = (now, Instant::now());
            }
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, waiting).await.context("there is no list")?
}

/// How long it takes until the next list is there after a revocation, milliseconds.
async fn published(operator: &Operator, device: &str) -> Result<f64> {
    let number = operator.list_number().await?;
    let begun = Instant::now();
    operator.revoke(device).await?;
    let waiting = async {
        while operator.list_number().await? == number {
            sleep(LOOK).await;
        }
        anyhow::Ok(begun.elapsed().as_secs_f64() * 1e3)
    };
    timeout(PATIENCE, waiting).await.context("there is no list")?
}

/// Bytes of the longest list in DER.
fn longest_list(folder: &Path) -> Result<u64> {
    let mut longest = 0;
    for entry in std::fs::read_dir(folder.join("state/provisioning/files"))? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|end| end == "der") {
            longest = longest.max(entry.metadata()?.len());
        }
    }
    Ok(longest)
}

impl Findings for ListFindings {
    fn heading(&self) -> String {
        format!(
            "a list of {} lines has {} MB and is there {} ms after a revocation; {} lists were made meanwhile",
            self.lines,
            number(self.bytes as f64 / 1e6),
            number(self.published_ms),
            self.lists
        )
    }

    fn columns(&self) -> Vec<&'static str> {
        vec!["", "a second", "p50 ms", "p99 ms", "max ms"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let rows = [
            ("reports, no list under way", &self.reports_before),
            ("reports, meanwhile", &self.reports_meanwhile),
            ("renewals, no list under way", &self.renewals_before),
            ("renewals, meanwhile", &self.renewals_meanwhile),
        ];
        let row = |(name, figures): (&str, &Figures)| {
            let values = [
                figures.acks_per_second,
                figures.p50_ms,
                figures.p99_ms,
                figures.max_ms,
            ];
            let name = std::iter::once(name.to_owned());
            name.chain(values.map(number)).collect()
        };
        rows.into_iter().map(row).collect()
    }
}
