//! What Muster does with many devices, through MQTT over mTLS as an operator has it.

use std::{
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use contract::{
    ServiceName,
    v1::{
        ChangeDevice, Changed, Criticality, DevicesListed, GroupsListed, ListDevices, ListGroups, PutGroup,
    },
};
use rand::Rng as _;
use store::Engine;
use tokio::task::spawn_local;

use super::{
    import::{Imported, import},
    rows::{self, OF_A_SITE},
};
use crate::{
    fleet::operator::{BATCH, Operator},
    load::{Figures, Meter, crowd::all},
    programs::Programs,
    servers::{Counters, Muster, muster},
};

const GROUP: &str = "urgent";
/// A search of the whole fleet for members may take this long.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// A server with its fleet.
pub(super) struct Site {
    server: Muster,
    operator: Rc<Operator>,
    devices: usize,
    empty_bytes: u64,
}

/// The figures of one size.
pub(super) struct Findings {
    pub(super) import: Imported,
    pub(super) disk_bytes: u64,
    /// Of all services together.
    pub(super) all_disk_bytes: u64,
    /// Of the registry again, after a start.
    pub(super) started_disk_bytes: u64,
    pub(super) start: Duration,
    pub(super) memory_bytes: u64,
    pub(super) query: Figures,
    pub(super) scan: Duration,
    pub(super) change: Figures,
    pub(super) changes: Figures,
    pub(super) change_group: f64,
    /// The server's processor time for a change, microseconds.
    pub(super) change_cpu_us: f64,
    pub(super) settling: Duration,
    pub(super) joining: Figures,
    /// The event that is the first of a change.
    pub(super) first_change: u64,
}

/// How long and how wide.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    pub(super) span: Duration,
    /// Requests under way when the rate of changes is measured.
    pub(super) window: usize,
    pub(super) engine: Engine,
}

/// Everything at one size, on an installation in `folder`.
pub(super) async fn measure(
    programs: &Programs,
    folder: &Path,
    devices: usize,
    effort: Effort,
) -> Result<Findings> {
    muster::init(&programs.muster, folder)?;
    let say = |what: &str| eprintln!("{devices} devices: {what}");
    say("they are imported");
    let site = Site::open(programs, folder, devices, effort.engine).await?;
    let empty_bytes = site.empty_bytes;
    let import = import(programs, folder, &site.server, devices, empty_bytes).await?;
    site.close().await?;

    say("the server starts again");
    let (state, registry) = (folder.join("state"), folder.join("state/registry"));
    let (all_disk_bytes, disk_bytes) = (size_of_folder(&state)?, size_of_folder(&registry)?);
    let begun = Instant::now();
    let site = Site::open(programs, folder, devices, effort.engine).await?;
    let start = begun.elapsed();
    let started_disk_bytes = size_of_folder(&registry)?;
    let memory_bytes = site.server.process.resident()?.saturating_sub(empty_bytes);
    say("some are asked for by a query");
    let query = site.queries(effort.span).await?;
    say("all are looked at");
    let scan = site.scan().await?;
    say("single ones are changed");
    let first = Counters::read(site.server.http)?;
    let change = site.changes(1, effort.span, tagged).await?;
    let (before, busy) = (Counters::read(site.server.http)?, site.server.process.cpu()?);
    let changes = site.changes(effort.window, effort.span, tagged).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let spent = site.server.process.cpu()? - busy;
    let change_cpu_us = spent.as_secs_f64() * 1e6 / changes.acknowledged as f64;
    let change_group = Counters::read(site.server.http)?.since(before).group();
    say("a dynamic group is made");
    let settling = site.group().await?;
    say("single ones join and leave it");
    let joining = site.changes(1, effort.span, ranked).await?;
    site.close().await?;
    Ok(Findings {
        import,
        disk_bytes,
        all_disk_bytes,
        started_disk_bytes,
        start,
        memory_bytes,
        query,
        scan,
        change,
        changes,
        change_group,
        change_cpu_us,
        settling,
        joining,
        first_change: first.events as u64,
    })
}

impl Site {
    async fn open(programs: &Programs, folder: &Path, devices: usize, engine: Engine) -> Result<Site> {
        let server = Muster::start_with(&programs.muster, folder, engine)?;
        let empty_bytes = server.process.resident()?;
        let operator = Operator::connect(folder, server.place).await?;
        Ok(Site {
            operator: Rc::new(operator),
            server,
            devices,
            empty_bytes,
        })
    }

    async fn close(self) -> Result<()> {
        self.operator.client.disconnect().await;
        self.server.process.stop()
    }

    /// One query after the other for the devices of some site.
    async fn queries(&self, span: Duration) -> Result<Figures> {
        let (meter, sites) = (Meter::new()?, rows::sites(self.devices));
        meter.begin();
        let begun = Instant::now();
        while begun.elapsed() < span {
            let site = rows::site(rand::rng().random_range(0..sites));
            let request = ListDevices {
                r#where: format!("site = {site} and criticality >= low"),
                page_size: OF_A_SITE as u32,
                ..ListDevices::default()
            };
            let asked = Instant::now();
            let listed: DevicesListed = self.operator.ask("list", &request).await?;
            meter.acknowledged(asked.elapsed());
            let expected = OF_A_SITE.min(self.devices);
            ensure!(listed.devices.len() == expected, "{} rows", listed.devices.len());
        }
        meter.end();
        meter.figures()
    }

    /// A query that no index helps, to its end.
    async fn scan(&self) -> Result<Duration> {
        let mut request = ListDevices {
            r#where: format!("name like '* {} *'", self.devices / 2),
            page_size: BATCH as u32,
            ..ListDevices::default()
        };
        let (begun, mut found) = (Instant::now(), 0);
        loop {
            let listed: DevicesListed = self.operator.ask("list", &request).await?;
            found += listed.devices.len();
            if listed.next_page.is_empty() {
                break;
            }
            request.page = listed.next_page;
        }
        ensure!(found == 1, "{found} devices have that name");
        Ok(begun.elapsed())
    }

    /// Changes of one device each, so many under way.
    async fn changes(&self, window: usize, span: Duration, change: Change) -> Result<Figures> {
        let meter = Rc::new(Meter::new()?);
        meter.begin();
        let begun = Instant::now();
        let lanes = (0..window).map(|_| {
            let (meter, operator, devices) = (meter.clone(), self.operator.clone(), self.devices);
            spawn_local(async move {
                while begun.elapsed() < span {
                    let request = change(rand::rng().random_range(0..devices));
                    let asked = Instant::now();
                    let _: Changed = operator.ask("change", &request).await?;
                    meter.acknowledged(asked.elapsed());
                }
                anyhow::Ok(())
            })
        });
        all(lanes.collect()).await?;
        meter.end();
        meter.figures()
    }

    /// Makes a dynamic group; how long the fleet was searched for its members.
    async fn group(&self) -> Result<Duration> {
        let begun = Instant::now();
        let request = PutGroup {
            group_id: GROUP.into(),
            query: Some("criticality = critical".into()),
            ..PutGroup::default()
        };
        let _: Changed = self.operator.ask("put-group", &request).await?;
        while begun.elapsed() < PATIENCE {
            let listed: GroupsListed = self.operator.ask("groups", &ListGroups::default()).await?;
            let group = listed.groups.iter().find(|group| group.group_id == GROUP);
            if !group.context("the group is not there")?.settling {
                return Ok(begun.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the group does not settle")
    }
}

type Change = fn(usize) -> ChangeDevice;

/// Another line in its tags, which have an index.
fn tagged(number: usize) -> ChangeDevice {
    let line = rand::rng().random_range(0..1_000_000);
    ChangeDevice {
        device_id: rows::id(number),
        set: [("tags.line".to_owned(), line.to_string())].into(),
        ..ChangeDevice::default()
    }
}

/// Another rank, which makes it join or leave the dynamic group every other time.
fn ranked(number: usize) -> ChangeDevice {
    let rank = if rand::rng().random() {
        Criticality::Critical
    } else {
        Criticality::High
    };
    ChangeDevice {
        device_id: rows::id(number),
        criticality: rank.into(),
        ..ChangeDevice::default()
    }
}

impl Operator {
    async fn ask<Reply: contract::wire::Wire>(
        &self,
        verb: &str,
        request: &impl contract::wire::Wire,
    ) -> Result<Reply> {
        Ok(self.client.ask(ServiceName::Registry, verb, request).await?)
    }
}

fn size_of_folder(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            size_of_folder(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}
