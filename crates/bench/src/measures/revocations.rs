//! `muster-bench revocations`: from the order to the closed sockets, and revocation lists of many lines.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use pki::{Authority, Reason, Revoked, Serial};
use serde::Serialize;
use tokio::{task::spawn_local, time::timeout};

use crate::{
    fleet::{self, Transport, operator::Operator},
    load::crowd::{all, open},
    output::{Findings, number},
    programs::Programs,
    servers::Muster,
};

/// How long a socket that is to be closed is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// When the lists are made, milliseconds since 1970: in the time of an installation that was made just now.
const LIST_LIFETIME_MS: i64 = 7 * 24 * 3_600_000;

/// Revocation of a whole batch whose devices are connected, and the making of long revocation lists
///
/// Devices connect over mTLS; then an operator has all of their batch revoked. Measured are his answer, which comes
/// after the front door's last receipt, and when the first and the last device find their sockets closed. The lists
/// are made in this process, on one thread, as provisioning makes them: signed and read back.
#[derive(Debug, clap::Args)]
pub(crate) struct Revocations {
    /// Sessions that are open, for each run
    #[arg(long, value_delimiter = ',', default_values_t = [1, 5_000])]
    sessions: Vec<usize>,
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
    /// Certificates, the claim's among them.
    revoked: u64,
    first_closed_ms: f64,
    last_closed_ms: f64,
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
            findings.batches.push(batch(programs, sessions).await?);
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

async fn batch(programs: &Programs, sessions: usize) -> Result<Batch> {
    let fleet = fleet::fleet(programs, sessions).await?;
    let muster = Muster::start(&programs.muster, &fleet.folder)?;
    let connections = open(fleet.logins(sessions, Transport::Mtls, muster.place)).await?;
    let watching = connections
        .into_iter()
        .map(|connection| spawn_local(async move { Ok(timeout(PATIENCE, connection.closed()).await?) }));
    let watching: Vec<_> = watching.collect();
    let operator = Operator::connect(&fleet.folder, muster.place).await?;
    let begun = Instant::now();
    let revoked = operator.revoke_batch().await?;
    let answered = begun.elapsed();
    let closed = all(watching).await.context("not every socket was closed")?;
    let after = |at: Option<&Instant>| at.map(|at| ms(at.duration_since(begun))).unwrap_or_default();
    operator.leave().await;
    muster.process.stop()?;
    Ok(Batch {
        sessions,
        revoked,
        first_closed_ms: after(closed.iter().min()),
        last_closed_ms: after(closed.iter().max()),
        answered_ms: ms(answered),
    })
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
            "revoked",
            "first closed, ms",
            "last closed, ms",
            "answered or made, ms",
            "MB",
        ]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let batch = |batch: &Batch| {
            vec![
                format!("{} sessions", batch.sessions),
                batch.revoked.to_string(),
                number(batch.first_closed_ms),
                number(batch.last_closed_ms),
                number(batch.answered_ms),
                String::new(),
            ]
        };
        let list = |list: &List| {
            vec![
                format!("list of {} lines", list.lines),
                String::new(),
                String::new(),
                String::new(),
                number(list.made_ms),
                number(list.bytes as f64 / 1e6),
            ]
        };
        let batches = self.batches.iter().map(batch);
        batches.chain(self.lists.iter().map(list)).collect()
    }
}
