//! A fleet of agents in one process, against the front door that the device's tests play.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../device/tests/world/mod.rs"]
mod world;

use std::{collections::BTreeMap, time::Duration};

use agent::{AgentEvent, Config, Ending, Event, HealthCheck, Metrics, UpdateStep};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use world::{World, image, public_release_key, release};

const AGENTS: usize = 100;

fn config(world: &World, n: usize) -> Config {
    let id = format!("pump-{n}");
    let settings = world.settings(&id);
    let mut config = Config::new(
        settings.folder,
        settings.device_id,
        settings.server,
        settings.roots_pem,
    );
    config.claim = Some(world.claim());
    config.release_keys = vec![public_release_key()];
    config.model = "pump".into();
    config.heartbeat = Duration::from_secs(1);
    config.metrics = Metrics::closure(|| BTreeMap::from([("temperature".into(), 21.5)]));
    if n.is_multiple_of(10) {
        config.health = HealthCheck::closure(|image| Err(format!("{} smokes", image.version)));
    }
    config
}

fn steps(events: &[AgentEvent], wanted: UpdateStep) -> usize {
    let of = |heard: &&AgentEvent| matches!(&heard.event, Event::Update { step, .. } if *step == wanted);
    events.iter().filter(of).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_agents_claim_and_update_and_the_sick_ones_go_back() {
    let world = World::new().await;
    let (events, mut heard) = mpsc::unbounded_channel();
    let (stop, mut agents) = (CancellationToken::new(), JoinSet::new());
    for n in 0..AGENTS {
        agents.spawn(agent::run(config(&world, n), stop.clone(), events.clone()));
    }
    drop(events);
    world.until("all report", |s| s.reports.len() >= AGENTS).await;
    let image = image(3, 8 * 1024);
    for n in 0..AGENTS {
        world.assign(&format!("pump-{n}"), &release("r1", 3, &image), &image);
    }
    world.until("all are done", |s| s.assigned.is_empty()).await;
    stop.cancel();
    while let Some(ended) = agents.join_next().await {
        assert_eq!(ended.unwrap().unwrap(), Ending::Shutdown);
    }
    let mut all = Vec::new();
    while let Some(event) = heard.recv().await {
        all.push(event);
    }
    assert_eq!(steps(&all, UpdateStep::Succeeded), AGENTS - AGENTS / 10);
    assert_eq!(steps(&all, UpdateStep::RolledBack), AGENTS / 10);
    assert_eq!(world.state.lock().serials as usize, AGENTS);
}
