//! The devices: reference agents, each with its folder, its key and its connection.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agent::{
    AgentEvent, Claim, Config, Ending, Endpoint, Event, HealthCheck, Metrics, PublicKey, UpdateStep,
};
use anyhow::{Context, Result, bail};
use contract::Id;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::stage::Stage;
use crate::folder::{read_secret, read_text};

/// What all devices are.
pub(super) const MODEL: &str = "demo-pump";
/// The firmware they were delivered with.
pub(super) const OLD: &str = "1.0.0";
/// How long the slowest step may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the devices have done so far.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) enrolled: BTreeSet<String>,
    pub(super) reported: BTreeSet<String>,
    pub(super) configured: BTreeSet<String>,
    pub(super) updated: BTreeSet<String>,
    pub(super) rolled_back: BTreeSet<String>,
    pub(super) retired: BTreeSet<String>,
    pub(super) kicked: BTreeSet<String>,
    pub(super) problems: BTreeMap<String, String>,
}

/// The fleet.
pub(super) struct Fleet {
    agents: JoinSet<Result<Ending, agent::Error>>,
    stop: CancellationToken,
    done: Arc<Mutex<Done>>,
    ids: Vec<String>,
}

/// The ids of a fleet of so many.
pub(super) fn ids(count: u32) -> Vec<String> {
    (1..=count).map(|n| format!("pump-{n:04}")).collect()
}

impl Fleet {
    /// Starts all devices; each claims its identity, reports and beats. The sick ones refuse any new firmware.
    pub(super) fn start(stage: &Stage, ids: Vec<String>, sick: &BTreeSet<String>) -> Result<Fleet> {
        let (events, heard) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let mut agents = JoinSet::new();
        let template = Template::read(stage)?;
        for id in &ids {
            let config = template.config(stage.folder(), id, sick.contains(id))?;
            agents.spawn(agent::run(config, stop.clone(), events.clone()));
        }
        let done = Arc::new(Mutex::new(Done::default()));
        tokio::spawn(listen(heard, done.clone()));
        Ok(Fleet {
            agents,
            stop,
            done,
            ids,
        })
    }

    /// Waits until all devices (but for those that cannot any more) have done something.
    pub(super) async fn until(
        &self,
        stage: &Stage,
        what: &str,
        wanted: usize,
        count: impl Fn(&Done) -> usize,
    ) -> Result<()> {
        let begun = tokio::time::Instant::now();
        let mut told = 0;
        loop {
            let there = self.look(&count);
            if there >= wanted {
                return stage.tell(format!("{there} of {} devices {what}", self.ids.len()));
            }
            if begun.elapsed() > PATIENCE {
                let problems = self.look(|done| done.problems.clone());
                bail!("only {there} of {wanted} devices {what} within {PATIENCE:?}; {problems:?}");
            }
            if there >= told + wanted.div_ceil(4) {
                told = there;
                stage.tell(format!("{there} …"))?;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) fn look<T>(&self, read: impl FnOnce(&Done) -> T) -> T {
        read(&self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stops all devices.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        while self.agents.join_next().await.is_some() {}
    }
}

/// What all devices share.
struct Template {
    server: Endpoint,
    roots: String,
    claim: Claim,
    release_key: PublicKey,
}

impl Template {
    fn read(stage: &Stage) -> Result<Template> {
        let folder = stage.folder();
        let claim = folder.join("claims/demo");
        let key =
            String::from_utf8(read_secret(&claim.join("key.pem"))?).context("the claim's key is no PEM")?;
        Ok(Template {
            server: Endpoint {
                host: stage.address.ip().to_string(),
                port: stage.address.port(),
            },
            roots: read_text(&claim.join("roots.pem"))?,
            claim: Claim {
                certificate_pem: read_text(&claim.join("certificate.pem"))?,
                key_pem: key,
                secret: None,
            },
            release_key: PublicKey::from_pem(&read_text(&folder.join("release/release.pub"))?)?,
        })
    }

    fn config(&self, folder: &Path, id: &str, is_sick: bool) -> Result<Config> {
        let folder = folder.join("devices").join(id);
        let id: Id = id.parse()?;
        let config = Config::new(folder, id, self.server.clone(), self.roots.clone());
        let health = match is_sick {
            true => HealthCheck::closure(|image| Err(format!("{} makes it hot", image.version))),
            false => HealthCheck::Always,
        };
        Ok(Config {
            claim: Some(self.claim.clone()),
            release_keys: vec![self.release_key.clone()],
            model: MODEL.into(),
            firmware_version: OLD.into(),
            heartbeat: Duration::from_secs(1),
            confirm_within: Duration::from_secs(30),
            health,
            metrics: Metrics::closure(|| BTreeMap::from([("temperature".into(), 21.5)])),
            ..config
        })
    }
}

async fn listen(mut heard: mpsc::UnboundedReceiver<AgentEvent>, done: Arc<Mutex<Done>>) {
    while let Some(AgentEvent { device_id, event }) = heard.recv().await {
        let id = device_id.to_string();
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Enrolled { .. } => drop(done.enrolled.insert(id)),
            Event::Reported => drop(done.reported.insert(id)),
            Event::Configured { error: None, .. } => drop(done.configured.insert(id)),
            Event::Retired => drop(done.retired.insert(id)),
            Event::Disconnected { .. } => drop(done.kicked.insert(id)),
            Event::Problem { what } => drop(done.problems.insert(id, what)),
            Event::Update {
                step: UpdateStep::Succeeded,
                ..
            } => drop(done.updated.insert(id)),
            Event::Update {
                step: UpdateStep::RolledBack,
                ..
            } => drop(done.rolled_back.insert(id)),
            _ => {}
        }
    }
}
