//! `muster audit verify`

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use client::{Client, Inbox};
use contract::{
    audit::{Head, Walk, Walked},
    id::ServiceName,
    v1::{AuditEntry, ReadAudit, Replay, ReplayMarker},
};
use serde::Deserialize;

use super::read;
use crate::{
    cli::{Global, global, print},
    exit::{Exit, Failure},
};

/// A line of an export and of the heads is no longer.
const LINE_BYTES: usize = 256 * 1024;

#[derive(clap::Args)]
pub(in crate::cli) struct Verify {
    /// What `muster audit export` wrote [default: the logs of the running services]
    file: Option<PathBuf>,
    /// Heads that were published: events as `muster --json events` prints them [default: for the running
    /// services those of their event logs]
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
}

/// The event that tells a head.
#[derive(Deserialize)]
struct HeadEvent {
    r#type: String,
    source: String,
    epoch: String,
    data: HeadData,
}

#[derive(Deserialize)]
struct HeadData {
    sequence: String,
    hash: String,
    first: String,
}

type Heads = BTreeMap<String, Vec<Head>>;
type Results = BTreeMap<String, Walked>;

impl Verify {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let heads = self.heads.as_deref().map(read_heads).transpose()?;
        let results = match &self.file {
            Some(file) => read_export(file, heads.unwrap_or_default())?,
            None => global.block_on(ask_all(global, heads))?,
        };
        report(global, &results)
    }
}

fn report(global: &Global, results: &Results) -> Result<()> {
    for (service, walked) in results {
        if global.json {
            print::json(&serde_json::json!({
                "service": service,
                "entries": walked.entries,
                "last": walked.last,
                "heads": walked.heads,
                "heads_before": walked.heads_before,
                "faults": walked.faults,
            }))?;
            continue;
        }
        let verdict = if walked.faults.is_empty() {
            "holds"
        } else {
            "DOES NOT HOLD"
        };
        let mut line = format!(
            "{service}: {verdict}; {} entries up to {}, {} of them published as heads",
            walked.entries, walked.last, walked.heads
        );
        if walked.heads_before > 0 {
            line.push_str(&format!(
                ", {} heads of entries that are not here",
                walked.heads_before
            ));
        }
        print::line(line)?;
        for fault in &walked.faults {
            print::line(format!("  {fault}"))?;
        }
    }
    let broken: Vec<_> = results
        .iter()
        .filter(|(_, walked)| !walked.faults.is_empty())
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = broken.iter().map(|(service, _)| service.as_str()).collect();
    let message = format!("the audit log of {} does not hold", names.join(", "));
    Err(Failure::new(Exit::Damaged, message).into())
}

/// Checks the logs of the running services against their own heads, or those that are given.
async fn ask_all(global: &Global, heads: Option<Heads>) -> Result<Results> {
    let (client, mut inbox) = global.connect().await?;
    let mut results = Results::new();
    for service in ServiceName::KEEPERS {
        let own = match &heads {
            Some(heads) => heads.get(service.word()).cloned().unwrap_or_default(),
            None => published(&client, &mut inbox, service).await?,
        };
        results.insert(service.to_string(), walk(&client, service, &own).await?);
    }
    client.disconnect().await;
    Ok(results)
}

async fn walk(client: &Client, service: ServiceName, heads: &[Head]) -> Result<Walked> {
    let ask = ReadAudit::default();
    let anchor = read::pages(client, service, &ask, 1, |_| Ok(())).await?;
    let mut walk = if anchor.first > 1 {
        Walk::after(anchor.first - 1, &anchor.anchor_hash)
    } else {
        Walk::default()
    };
    let take = |page: Vec<AuditEntry>| {
        page.iter().for_each(|entry| walk.take(entry, heads));
        Ok(())
    };
    read::pages(client, service, &ask, usize::MAX, take).await?;
    // What the service says is its newest entry must be there, too.
    let told = Head {
        service: service.to_string(),
        epoch: String::new(),
        sequence: anchor.head,
        hash: anchor.head_hash,
        first: anchor.first,
    };
    if told.sequence == 0 {
        return Ok(walk.end(heads));
    }
    let mut walked = walk.end(&[heads, &[told]].concat());
    walked.heads = walked.heads.saturating_sub(1);
    Ok(walked)
}

/// The heads in a service's event log.
async fn published(client: &Client, inbox: &mut Inbox, service: ServiceName) -> Result<Vec<Head>> {
    let (mut heads, mut after) = (Vec::new(), 0);
    loop {
        let replay = Replay {
            after,
            filter: "audit/+/head".into(),
            ..Replay::default()
        };
        let marker: ReplayMarker = global::ask(client, service, "replay", &replay).await?;
        // The page came before its marker.
        while let Ok(delivery) = inbox.try_recv() {
            heads.extend(head(&delivery.payload)?.filter(|head| head.service == service.word()));
        }
        after = marker.last;
        if marker.complete {
            return Ok(heads);
        }
    }
}

/// Checks an export, which may hold the logs of several services.
fn read_export(file: &Path, heads: Heads) -> Result<Results> {
    let mut walks: BTreeMap<String, Walk> = heads
        .keys()
        .map(|service| (service.clone(), Walk::default()))
        .collect();
    lines(file, |line| {
        let entry: AuditEntry = serde_json::from_str(line)?;
        let own = heads.get(&entry.service).map_or(&[][..], Vec::as_slice);
        walks.entry(entry.service.clone()).or_default().take(&entry, own);
        Ok(())
    })?;
    if walks.is_empty() {
        bail!("{} holds no entries", file.display());
    }
    let ended = walks.into_iter().map(|(service, walk)| {
        let walked = walk.end(heads.get(&service).map_or(&[][..], Vec::as_slice));
        (service, walked)
    });
    Ok(ended.collect())
}

fn read_heads(file: &Path) -> Result<Heads> {
    let mut heads = Heads::new();
    lines(file, |line| {
        if let Some(head) = head(line.as_bytes())? {
            heads.entry(head.service.clone()).or_default().push(head);
        }
        Ok(())
    })?;
    if heads.is_empty() {
        bail!(
            "{} holds no heads: events such as muster.registry.audit.head.v1",
            file.display()
        );
    }
    Ok(heads)
}

/// The head that an event tells; other events tell none.
fn head(event: &[u8]) -> Result<Option<Head>> {
    let value: serde_json::Value = serde_json::from_slice(event).context("no event")?;
    let is_head = value["type"]
        .as_str()
        .is_some_and(|t| t.ends_with(".audit.head.v1"));
    if !is_head {
        return Ok(None);
    }
    let event: HeadEvent = serde_json::from_value(value).context("a head that says too little")?;
    let service = event.source.rsplit('/').next().unwrap_or_default().to_owned();
    if event.r#type != format!("muster.{service}.audit.head.v1") {
        bail!("the event says {}, and comes from {}", event.r#type, event.source);
    }
    Ok(Some(Head {
        service,
        epoch: event.epoch,
        sequence: event.data.sequence.parse().context("the head's sequence")?,
        hash: event.data.hash,
        first: event.data.first.parse().context("the head's first")?,
    }))
}

fn lines(file: &Path, mut take: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let unread = |error| Failure::usage(format!("cannot read {}: {error}", file.display()));
    let open = File::open(file).map_err(unread)?;
    let place = |n: usize| format!("{}, line {}", file.display(), n + 1);
    for (n, line) in BufReader::new(open).lines().enumerate() {
        let line = line.with_context(|| place(n))?;
        if line.len() > LINE_BYTES {
            bail!("{}: too long for an entry", place(n));
        }
        if !line.trim().is_empty() {
            take(&line).with_context(|| place(n))?;
        }
    }
    Ok(())
}
