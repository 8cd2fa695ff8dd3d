//! Parts that run in processes of their own are killed (SIGKILL) under load, each by itself and all at once, and
//! started in any order: nothing that was acknowledged is lost, nothing takes effect twice.
//! `FIRE_KILLS` says how often each part is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use contract::ServiceName;
use rand::{Rng, seq::SliceRandom};
use world::{Crew, Load, PARTS, Parts, Tally, Vitals, World, checkup, free_port, memory_kib, times};

/// A running installation in parts, with its crew.
struct Scene {
    world: World,
    crew: Crew,
    parts: Parts,
}

impl Scene {
    async fn set() -> Scene {
        let services = free_port();
        let address = format!("127.0.0.1:{services}");
        let mut world = World::with(&[("MUSTER_LISTEN__SERVICES", &address)]).await;
        let crew = Crew::enlist(&world).await;
        assert_eq!(world.stop(), Some(0));
        let mut parts = Parts::of(world.folder(), world.endpoint().port, services);
        parts.start_all(&PARTS);
        Scene { world, crew, parts }
    }

    fn memory(&self) -> u64 {
        let pids: Vec<_> = self.parts.processes().map(world::Process::pid).collect();
        memory_kib(&pids)
    }

    /// The end of it: the journal against the services, then the four checks.
    async fn end(self, load: Load, tally: Tally, before_kib: u64) {
        // Everybody gets through once more, so that the journal ends in acknowledgements.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let journal = load.end().await;
        let mut auditor = self
            .crew
            .connect(&self.world.endpoint(), &self.crew.admin, "audit")
            .await;
        let verdict = journal.audit(&mut auditor).await;
        tally.print(verdict.acknowledged, verdict.lost.len());
        verdict.demand_nothing_lost();
        let vitals: Vec<_> = self.parts.processes().map(Vitals::from).collect();
        checkup(&self.world.endpoint(), &self.crew.probe, &vitals, before_kib).await;
        assert!(!self.parts.past().contains("panic"), "{}", self.parts.past());
    }
}

/// Whose acknowledgements come through a part.
fn served_by(part: &str) -> Vec<ServiceName> {
    match ServiceName::from_word(part) {
        Some(ServiceName::FrontDoor) | None => ServiceName::KEEPERS.to_vec(),
        Some(service) => vec![service],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_by_itself_is_killed_and_nothing_is_lost() {
    let mut scene = Scene::set().await;
    let load = Load::begin(&scene.crew, &scene.world.endpoint()).await;
    let before_kib = scene.memory();
    let mut tally = Tally::of("kill -9 of one part");
    for _ in 0..times("FIRE_KILLS", 2) {
        for part in PARTS {
            let pause = rand::rng().random_range(20..400);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            scene.parts.kill(part);
            let killed = Instant::now();
            let away = rand::rng().random_range(0..200);
            tokio::time::sleep(Duration::from_millis(away)).await;
            scene.parts.start(part);
            tally.recovered(load.recovered(&served_by(part), killed).await);
        }
    }
    scene.parts.until_ready();
    scene.end(load, tally, before_kib).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_parts_are_killed_at_once_and_started_in_any_order() {
    let mut scene = Scene::set().await;
    let load = Load::begin(&scene.crew, &scene.world.endpoint()).await;
    let before_kib = scene.memory();
    let mut tally = Tally::of("kill -9 of all parts, any order of start");
    for _ in 0..times("FIRE_KILLS", 2) {
        let pause = rand::rng().random_range(20..400);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        scene.parts.kill_all();
        let killed = Instant::now();
        let mut order = PARTS;
        order.shuffle(&mut rand::rng());
        for part in order {
            scene.parts.start(part);
            let pause = rand::rng().random_range(0..150);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        scene.parts.until_ready();
        tally.recovered(load.recovered(&ServiceName::KEEPERS, killed).await);
    }
    scene.end(load, tally, before_kib).await;
}
