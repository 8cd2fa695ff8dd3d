//! `muster-bench revocations`: from the order to the closed sockets, and revocation lists of many lines.

use std::{
    collections::VecDeque,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use pki::{Authority, Reason, Revoked, Serial};
use serde::Serialize;
use tokio::{task::spawn_local, time::timeout};

use crate::{
    fleet::{self, Transport, operator::Operator},
    load::{
        Figures, Meter,
        crowd::{all, open},
    },
    output::{Findings, number},
    programs::Programs,
    servers::Muster,
    wire::Connection,
};

/// How long a socket that is to be closed is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// When the lists are made, milliseconds since 1970: in the time of an installation that was made just now.
const LIST_LIFETIME_MS: i64 = 7 * 24 * 3_600_000;

/// Time from a revocation to the closed socket, for one certificate and for a whole batch, and long revocation lists
///
/// Devices connect over mTLS; then an operator has some of them revoked, one after the other, and at last all of their
/// batch. Measured are when a device finds its socket closed, from the order on, and the operator's answer, which comes
/// after the front door's last receipt. The lists are made in this process, on one thread, as provisioning makes them:
/// signed and read back.
#[derive(Debug, clap::Args)]
pub(crate) struct Revocations {
    /// Sessions that are open, for each run
    #[arg(long, value_delimiter = ',', default_values_t = [1, 5_000])]
    sessions: Vec<usize>,
    /// Devices of each run that are revoked one after the other; another one connects in their place
    #[arg(long, default_value_t = 200)]
    singles: usize,
    /// Lines of a list, for each list
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000])]
    lines: Vec<usize>,
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct RevocationFindings {
    batches: Vec<Batch>,
    lists: Vec<List>,
}

#[derive(Debug, Serialize)]
struct Batch {
    sessions: usize,
    /// One certificate after the other: from the order to the closed socket.
    singles: Figures,
    /// The same, to the operator's answer.
    singles_answered: Figures,
    /// Certificates, the claim's among them.
    revoked: u64,
    /// All at once: from the order to each closed socket.
    closed: Figures,
    answered_ms: f64,
}

#[derive(Debug, Serialize)]
struct List {
    lines: usize,
    made_ms: f64,
    bytes: usize,
}

impl Revocations {
    pub(crate) async fn run(self, programs: &Programs) -> Result<RevocationFindings> {
        let mut findings = RevocationFindings {
            batches: Vec::new(),
            lists: Vec::new(),
        };
        for sessions in self.sessions {
            findings
                .batches
                .push(batch(programs, sessions, self.singles).await?);
        }
        let place = tempfile::tempdir_in(&programs.work)?;
        let folder = place.path().join("installation");
        crate::servers::muster::init(&programs.muster, &folder)?;
        for lines in self.lines {
            findings.lists.push(list(&folder, lines)?);
        }
        Ok(findings)
    }
}

fn ended(meter: &Meter) -> Result<Figures> {
    meter.end();
    meter.figures()
}

async fn batch(programs: &Programs, sessions: usize, singles: usize) -> Result<Batch> {
    let fleet = fleet::fleet(programs, sessions + singles).await?;
    let muster = Muster::start(&programs.muster, &fleet.folder)?;
    let operator = Operator::connect(&fleet.folder, muster.place).await?;
    let mut logins = fleet.logins(sessions + singles, Transport::Mtls, muster.place);
    let later = logins.split_off(sessions);
    let names: Vec<_> = logins.iter().chain(&later).map(|l| l.client_id.clone()).collect();
    let mut open: VecDeque<_> = open(logins).await?.into();
    let (closings, answers) = (begun()?, begun()?);
    for (name, next) in names.iter().zip(&later) {
        let connection = open.pop_front().context("nobody is connected")?;
        let begun = Instant::now();
        let (closed, answered) = tokio::join!(timeout(PATIENCE, connection.closed()), async {
            let revoked = operator.revoke(name).await;
            revoked.map(|()| begun.elapsed())
        });
        closings.acknowledged(closed?.duration_since(begun));
        answers.acknowledged(answered?);
        open.push_back(Connection::open(next).await?);
    }
    let watching = open
        .into_iter()
        .map(|connection| spawn_local(async move { Ok(timeout(PATIENCE, connection.closed()).await?) }));
    let watching: Vec<_> = watching.collect();
    let order = Instant::now();
    let revoked = operator.revoke_batch().await?;
    let answered = order.elapsed();
    let each = begun()?;
    for closed in all(watching).await.context("not every socket was closed")? {
        each.acknowledged(closed.duration_since(order));
    }
    operator.leave().await;
    muster.process.stop()?;
    Ok(Batch {
        sessions,
        singles: ended(&closings)?,
        singles_answered: ended(&answers)?,
        revoked,
        closed: ended(&each)?,
        answered_ms: ms(answered),
    })
}

/// A meter that counts from now on.
fn begun() -> Result<Meter> {
    let meter = Meter::new()?;
    meter.begin();
    Ok(meter)
}

fn list(installation: &Path, lines: usize) -> Result<List> {
    let pki = |name: &str| installation.join("pki").join(name);
    let key = pki::open_key(&std::fs::read(pki("issuing.key"))?, None)?;
    let chain = std::fs::read_to_string(pki("issuing.pem"))?;
    let first = pki::IssuingCertificate::read(&chain, &std::fs::read_to_string(pki("root.pem"))?)?;
    // A minute after it was made, which was backdated.
    let now_ms = first.validity.not_before_ms + 60_000;
    let authority = Authority::open(&chain, &key, now_ms)?;
    let line = |_| Revoked {
        serial: Serial::from_random(rand::random()),
        at_ms: now_ms,
        reason: Reason::KeyCompromise,
    };
    let revoked: Vec<_> = (0..lines).map(line).collect();
    let begun = Instant::now();
    let made = authority.revocation_list(1, now_ms, now_ms + LIST_LIFETIME_MS, &revoked)?;
    Ok(List {
        lines,
        made_ms: ms(begun.elapsed()),
        bytes: made.der.len(),
    })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Findings for RevocationFindings {
    fn heading(&self) -> String {
        "a batch is revoked while its devices are connected; lists are signed and read back".to_owned()
    }

    fn columns(&self) -> Vec<&'static str> {
        vec![
            "",
            "certificates",
            "closed p50, ms",
            "p99, ms",
            "last, ms",
            "answered p50 or made, ms",
            "MB",
        ]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |name: String, count: u64, closed: &Figures, answered_ms: f64| {
            let times = [closed.p50_ms, closed.p99_ms, closed.max_ms, answered_ms];
            let mut row = vec![name, count.to_string()];
            row.extend(times.map(number));
            row.push(String::new());
            row
        };
        let batch = |batch: &Batch| {
            let (one, many) = (&batch.singles, &batch.closed);
            let sessions = batch.sessions;
            let name = |of: &str| format!("{sessions} sessions, {of}");
            [
                row(
                    name("one by one"),
                    one.measured,
                    one,
                    batch.singles_answered.p50_ms,
                ),
                row(name("all at once"), batch.revoked, many, batch.answered_ms),
            ]
        };
        let list = |list: &List| {
            let mut row = vec![String::new(); 7];
            row[0] = format!("list of {} lines", list.lines);
            row[5] = number(list.made_ms);
            row[6] = number(list.bytes as f64 / 1e6);
            row
        };
        let batches = self.batches.iter().flat_map(batch);
        batches.chain(self.lists.iter().map(list)).collect()
    }
}
