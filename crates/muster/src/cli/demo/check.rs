//! `muster demo-check`: the demo's checker, a process of its own that knows nothing but what it is told over
//! MQTT.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use client::{Client, Inbox};
use contract::{Topic, id::ServiceName, v1};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::{Global, global, print},
    check_life,
    report::Report,
    story::JOB,
};

/// The demo's checker. It is started by `muster demo`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  muster demo")]
pub(in crate::cli) struct Check {
    /// The integrator's folder
    #[arg(long)]
    watcher: PathBuf,
    /// The operator's folder
    #[arg(long)]
    auditor: PathBuf,
}

/// What the demo says it has done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Expected {
    pub(super) devices: Vec<String>,
    pub(super) sick: BTreeSet<String>,
    pub(super) version: String,
    pub(super) artifact: String,
    pub(super) quarantined: String,
    pub(super) revoked: String,
    pub(super) retired: String,
    pub(super) ordered: Vec<String>,
    pub(super) successor: String,
    pub(super) transferred: String,
    pub(super) critical: String,
    pub(super) closed_after_ms: u64,
}

/// An event, as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    epoch: String,
    subject: String,
    name: String,
    data: Value,
}

/// Events of each service by their number.
pub(super) type Story = BTreeMap<ServiceName, BTreeMap<u64, Seen>>;

impl Check {
    pub(in crate::cli) fn run(self, global: &Global) -> Result<()> {
        global.block_on(async {
            let (watcher, mut inbox) = as_person(global, &self.watcher).connect().await?;
            let root = watcher.root().clone();
            watcher.subscribe(&format!("{root}/events/#")).await?;
            let (auditor, _) = as_person(global, &self.auditor).connect().await?;
            print::line("following")?;
            let told = tokio::task::spawn_blocking(|| -> Result<String> {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text)?;
                Ok(text)
            });
            let expected: Expected =
                serde_json::from_str(&told.await??).context("what was done is not told")?;
            let mut live = Story::new();
            while let Ok(delivery) = inbox.try_recv() {
                take(&mut live, &root, &delivery.topic, &delivery.payload)?;
            }
            let replayed = replay(&watcher, &mut inbox).await?;
            let mut report = Report::default();
            check_streams(&mut report, &live, &replayed);
            check_events(&mut report, &replayed, &expected);
            check_services(&mut report, &auditor, &expected).await?;
            let all = devices(&auditor).await?;
            check_life::check(&mut report, &replayed, &auditor, (&expected, &all)).await?;
            print::json(&report)
        })
    }
}

fn as_person(global: &Global, folder: &std::path::Path) -> Global {
    Global {
        person: folder.display().to_string(),
        ..global.clone()
    }
}

/// Notes an event; what else arrives is none.
fn take(story: &mut Story, root: &contract::Root, topic: &str, payload: &[u8]) -> Result<()> {
    let event: Value = serde_json::from_slice(payload).context("an event is no JSON")?;
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let service = text("source").rsplit('/').next().and_then(ServiceName::from_word);
    let (Some(service), Ok(sequence)) = (service, text("sequence").parse()) else {
        bail!("on {topic} came what is no event of a service");
    };
    let name = text("type").rsplit('.').nth(1).unwrap_or_default().to_owned();
    if let Some(Topic::Event { service: by, .. }) = root.parse_topic(topic) {
        anyhow::ensure!(by == service, "{topic} carries an event of {service}");
    }
    let seen = Seen {
        epoch: text("epoch"),
        subject: text("subject"),
        name,
        data: event["data"].clone(),
    };
    story.entry(service).or_default().insert(sequence, seen);
    Ok(())
}

/// Everything again, from the first event on, page by page.
async fn replay(client: &Client, inbox: &mut Inbox) -> Result<Story> {
    let mut story = Story::new();
    for service in ServiceName::KEEPERS {
        let mut after = 0;
        loop {
            let ask = v1::Replay {
                after,
                ..v1::Replay::default()
            };
            let marker: v1::ReplayMarker = global::ask(client, service, "replay", &ask).await?;
            after = marker.last;
            while let Ok(delivery) = inbox.try_recv() {
                take(&mut story, client.root(), &delivery.topic, &delivery.payload)?;
            }
            if marker.complete {
                break;
            }
        }
    }
    Ok(story)
}

fn check_streams(report: &mut Report, live: &Story, replayed: &Story) {
    for (service, events) in replayed {
        let first = events.keys().next().copied().unwrap_or_default();
        let last = events.keys().last().copied().unwrap_or_default();
        let epochs: BTreeSet<_> = events.values().map(|e| &e.epoch).collect();
        let whole = first == 1 && last == events.len() as u64 && epochs.len() == 1;
        report.check(
            &format!("the events of {service} have no gap"),
            whole,
            format!("{first} to {last}"),
        );
    }
    let followed: usize = live.values().map(BTreeMap::len).sum();
    let mut missed = 0;
    let mut other = 0;
    for (service, events) in live {
        let again = &replayed[service];
        let from = events.keys().next().copied().unwrap_or_default();
        let to = events.keys().last().copied().unwrap_or_default();
        missed += (from..=to).filter(|n| !events.contains_key(n)).count();
        other += events
            .iter()
            .filter(|(n, event)| again.get(n) != Some(event))
            .count();
    }
    let seen = format!("{followed} followed, {missed} missed, {other} told otherwise");
    report.check(
        "what was followed live is what replay tells",
        missed == 0 && other == 0 && followed > 0,
        seen,
    );
}

/// Subjects of the events of this name.
pub(super) fn subjects(
    story: &Story,
    service: ServiceName,
    name: &str,
    fits: impl Fn(&Value) -> bool,
) -> BTreeSet<String> {
    let events = story.get(&service).into_iter().flat_map(BTreeMap::values);
    events
        .filter(|e| e.name == name && fits(&e.data))
        .map(|e| e.subject.clone())
        .collect()
}

fn check_events(report: &mut Report, story: &Story, expected: &Expected) {
    check_beginnings(report, story, expected.devices.len());
    check_updates(report, story, expected);
    check_protection(report, story, expected);
}

/// Each step that every device takes once.
fn check_beginnings(report: &mut Report, story: &Story, all: usize) {
    type Condition = fn(&Value) -> bool;
    let any: Condition = |_| true;
    let device: Condition = |data| data["kind"] == "devices";
    let set: Condition = |data| data["drift"] == false;
    let obeyed: Condition = |data| data["job_id"] == JOB && data["state"] == "COMMAND_STATE_SUCCEEDED";
    let active: Condition = |data| data["to"] == "STAGE_ACTIVE";
    let steps = [
        (
            "every device was registered",
            ServiceName::Registry,
            "registered",
            any,
        ),
        (
            "every device was issued one certificate",
            ServiceName::Provisioning,
            "issued",
            device,
        ),
        ("and used it", ServiceName::Provisioning, "activated", device),
        (
            "every device became active",
            ServiceName::Registry,
            "moved",
            active,
        ),
        (
            "every device has applied its configuration",
            ServiceName::Registry,
            "config-reported",
            set,
        ),
        (
            "every device has done what the fleet was told",
            ServiceName::Registry,
            "commanded",
            obeyed,
        ),
        ("every device came online", ServiceName::Monitoring, "online", any),
    ];
    for (check, service, name, condition) in steps {
        let there = subjects(story, service, name, condition).len();
        report.check(check, there == all, format!("{there} of {all}"));
    }
}

fn check_updates(report: &mut Report, story: &Story, expected: &Expected) {
    let ended = |state: &'static str| {
        subjects(story, ServiceName::Rollout, "updated", move |data: &Value| {
            data["state"] == state
        })
    };
    let good = ended("UPDATE_STATE_SUCCEEDED").len();
    let healthy = expected.devices.len() - expected.sick.len();
    report.check(
        "the healthy ones were updated",
        good == healthy,
        format!("{good} of {healthy}"),
    );
    let back = ended("UPDATE_STATE_ROLLED_BACK");
    let sick: BTreeSet<_> = expected.sick.iter().map(|id| format!("devices/{id}")).collect();
    report.check(
        "exactly the sick ones went back",
        back == sick,
        format!("{} of {}", back.len(), sick.len()),
    );
}

fn check_protection(report: &mut Report, story: &Story, expected: &Expected) {
    let intruder = |data: &Value| data["device_id"] == expected.quarantined.as_str();
    let alerts = subjects(story, ServiceName::Monitoring, "raised", intruder).len();
    report.check(
        "the intruder raised an alert",
        alerts == 1,
        format!("{alerts} raised"),
    );
    let sessions = |data: &Value| data["sessions"].as_u64().is_some_and(|n| n > 0);
    let closed = subjects(story, ServiceName::Provisioning, "closed", sessions).len();
    report.check(
        "the revoked certificate's session was closed",
        closed >= 1,
        format!("{closed} closed"),
    );
    let ms = expected.closed_after_ms;
    report.check("within a second of the commit", ms < 1_000, format!("{ms} ms"));
}

async fn check_services(report: &mut Report, client: &Client, expected: &Expected) -> Result<()> {
    let devices = devices(client).await?;
    report.check(
        "the registry lists all devices",
        devices.len() == expected.devices.len(),
        devices.len().to_string(),
    );
    let on = |version: &str| devices.values().filter(|d| d.firmware_version == version).count();
    let wanted = expected.devices.len() - expected.sick.len();
    let there = on(&expected.version);
    report.check(
        "the registry knows who runs the new firmware",
        there == wanted,
        format!("{there} of {wanted}"),
    );
    let device = |id: &str| devices.get(id).cloned().unwrap_or_default();
    let victim = device(&expected.quarantined);
    let quarantined =
        victim.restriction() == v1::Restriction::Quarantined && victim.changed_by == "services/monitoring";
    report.check(
        "the intruder's device is quarantined, by monitoring",
        quarantined,
        &*expected.quarantined,
    );
    let worn = device(&expected.retired);
    let retired = worn.stage() == v1::Stage::Retired && worn.erased;
    report.check(
        "the retired device has erased its keys",
        retired,
        &*expected.retired,
    );
    for (what, id) in [("revoked", &expected.revoked), ("retired", &expected.retired)] {
        let check = format!("the {what} device's certificates are revoked");
        let (revoked, all) = certificates(client, id).await?;
        report.check(&check, revoked == all && all > 0, format!("{revoked} of {all}"));
    }
    check_configuration(report, client, expected).await?;
    check_job(report, client, expected).await?;
    check_rollout(report, client, expected).await?;
    check_monitoring(report, client, expected).await
}

async fn devices(client: &Client) -> Result<BTreeMap<String, v1::Device>> {
    let mut devices = BTreeMap::new();
    let mut page = String::new();
    loop {
        let ask = v1::ListDevices {
            page_size: 200,
            page,
            ..v1::ListDevices::default()
        };
        let listed: v1::DevicesListed = global::ask(client, ServiceName::Registry, "list", &ask).await?;
        devices.extend(listed.devices.into_iter().map(|d| (d.device_id.clone(), d)));
        page = listed.next_page;
        if page.is_empty() {
            return Ok(devices);
        }
    }
}

/// How many of a device's certificates are revoked, and how many it has.
async fn certificates(client: &Client, id: &str) -> Result<(usize, usize)> {
    let ask = v1::ListCertificates {
        kind: "devices".into(),
        id: id.into(),
        ..v1::ListCertificates::default()
    };
    let listed: v1::CertificatesListed = global::ask(client, ServiceName::Provisioning, "list", &ask).await?;
    let revoked = listed
        .certificates
        .iter()
        .filter(|c| c.status() == v1::CertificateStatus::Revoked)
        .count();
    Ok((revoked, listed.certificates.len()))
}

async fn check_configuration(report: &mut Report, client: &Client, expected: &Expected) -> Result<()> {
    let ask = v1::ListConfigDrift::default();
    let listed: v1::ConfigDriftListed =
        global::ask(client, ServiceName::Registry, "config-drift", &ask).await?;
    let drifting = listed.devices.len();
    report.check(
        "no device drifts from what it is to be set to",
        drifting == 0,
        format!("{drifting} drift"),
    );
    let ask = v1::ShowConfig {
        device_id: expected.devices.first().cloned().unwrap_or_default(),
        ..v1::ShowConfig::default()
    };
    let shown: v1::ConfigShown = global::ask(client, ServiceName::Registry, "config-show", &ask).await?;
    let reported = shown.config.unwrap_or_default().reported;
    report.check(
        "the one that differs has both its own setting and the fleet's",
        reported == r#"{"heartbeat":"1s","valve":{"limit":5}}"#,
        reported.as_str(),
    );
    Ok(())
}

async fn check_job(report: &mut Report, client: &Client, expected: &Expected) -> Result<()> {
    let ask = v1::ShowJob {
        job_id: JOB.into(),
        ..v1::ShowJob::default()
    };
    let shown: v1::JobShown = global::ask(client, ServiceName::Registry, "job-show", &ask).await?;
    let job = shown.job.unwrap_or_default();
    let counts = job.counts.unwrap_or_default();
    let all = expected.devices.len();
    let good = job.state() == v1::JobState::Succeeded
        && job.devices as usize == all
        && counts.succeeded as usize == all;
    let seen = format!("{} of {}", counts.succeeded, job.devices);
    report.check("the command to the fleet succeeded on every device", good, seen);
    Ok(())
}

async fn check_rollout(report: &mut Report, client: &Client, expected: &Expected) -> Result<()> {
    let ask = v1::ShowRollout {
        rollout_id: "spring".into(),
        ..v1::ShowRollout::default()
    };
    let shown: v1::RolloutShown = global::ask(client, ServiceName::Rollout, "show", &ask).await?;
    let rollout = shown.rollout.unwrap_or_default();
    let good = rollout.state() == v1::RolloutState::Succeeded && rollout.artifact_id == expected.artifact;
    report.check(
        "the rollout succeeded",
        good,
        format!("{} waves", rollout.waves.len()),
    );
    let sum = |part: fn(&v1::Wave) -> u32| rollout.waves.iter().map(part).sum::<u32>() as usize;
    let (all, good, bad) = (sum(|w| w.devices), sum(|w| w.succeeded), sum(|w| w.failed));
    let adds_up = all == expected.devices.len() && bad == expected.sick.len() && good + bad == all;
    report.check(
        "its counts add up",
        adds_up,
        format!("{good} good and {bad} bad of {all}"),
    );
    Ok(())
}

async fn check_monitoring(report: &mut Report, client: &Client, expected: &Expected) -> Result<()> {
    let ask = v1::Summarize::default();
    let summary: v1::Summary = global::ask(client, ServiceName::Monitoring, "summary", &ask).await?;
    let wanted = expected.devices.len() as u64 - 2;
    let seen = format!("{} of {wanted}", summary.online);
    report.check(
        "all but the revoked and the retired are online",
        summary.online == wanted,
        seen,
    );
    let ask = v1::ShowStatus {
        device_id: expected.revoked.clone(),
        ..v1::ShowStatus::default()
    };
    let shown: v1::StatusShown = global::ask(client, ServiceName::Monitoring, "show", &ask).await?;
    let status = shown.status.unwrap_or_default();
    let away = status.connectivity() == v1::Connectivity::Offline && status.heartbeat_ms > 0;
    report.check(
        "the revoked one was there, and is away",
        away,
        format!("cause: {}", status.cause),
    );
    Ok(())
}
