//! Bad networks between devices and the server: cut at any byte, slow, one byte at a time, silent without an end.
//! Nothing that was acknowledged is lost, and everybody is back when it is over.
//! `FIRE_CUTS` says at how many places connections are cut.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use client::Endpoint;
use contract::ServiceName;
use world::{
    Crew, Load, Tally, Vitals, World,
    chaos::{Chaos, Weather},
    checkup, memory_kib, times,
};

/// An installation behind a bad network, under load.
struct Scene {
    world: World,
    crew: Crew,
    chaos: Chaos,
    load: Load,
    before_kib: u64,
}

impl Scene {
    async fn set() -> Scene {
        let world = World::new().await;
        let crew = Crew::enlist(&world).await;
        let chaos = Chaos::before(world.endpoint().port).await;
        let endpoint = Endpoint {
            host: "127.0.0.1".into(),
            port: chaos.port(),
        };
        let load = Load::begin(&crew, &endpoint).await;
        let before_kib = memory_kib(&[world.server().pid()]);
        Scene {
            world,
            crew,
            chaos,
            load,
            before_kib,
        }
    }

    /// Fair again, and how long it takes until all services acknowledge.
    async fn clears(&self) -> Duration {
        self.chaos.turns(Weather::Fair);
        self.load.recovered(&ServiceName::KEEPERS, Instant::now()).await
    }

    /// The journal against the services, then the four checks.
    async fn end(self, tally: Tally) {
        // Everybody gets through once more, so that the journal ends in acknowledgements.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let journal = self.load.end().await;
        let endpoint = self.world.endpoint();
        let mut auditor = self.crew.connect(&endpoint, &self.crew.admin, "audit").await;
        let verdict = journal.audit(&mut auditor).await;
        tally.print(verdict.acknowledged, verdict.lost.len());
        verdict.demand_nothing_lost();
        let vitals = [Vitals::from(self.world.server())];
        checkup(&endpoint, &self.crew.probe, &vitals, self.before_kib).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_cut_at_any_byte_and_nothing_is_lost() {
    let scene = Scene::set().await;
    let mut tally = Tally::of("connections cut at any byte");
    let wanted = times("FIRE_CUTS", 300);
    while scene.chaos.cuts() < wanted {
        // From within the TLS handshake (some 4 kB) to well after a few requests.
        scene.chaos.turns(Weather::CutWithin(10_000));
        tokio::time::sleep(Duration::from_millis(500)).await;
        tally.recovered(scene.clears().await);
    }
    println!("{} connections were cut", scene.chaos.cuts());
    scene.end(tally).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_and_a_dripping_network_lose_nothing() {
    let scene = Scene::set().await;
    let mut tally = Tally::of("network slow (300 ms), dripping (1 byte in 2 ms)");
    for weather in [
        Weather::Slow(Duration::from_millis(300)),
        Weather::Drip(Duration::from_millis(2)),
    ] {
        scene.chaos.turns(weather);
        let begun = Instant::now();
        let took = scene.load.recovered(&ServiceName::KEEPERS, begun).await;
        println!("{weather:?}: all services acknowledge after {took:?}");
        tokio::time::sleep(Duration::from_secs(3)).await;
        tally.recovered(scene.clears().await);
    }
    scene.end(tally).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_falls_silent_loses_nothing() {
    let scene = Scene::set().await;
    let mut tally = Tally::of("network silent, connections open, 15 s");
    scene.chaos.turns(Weather::Silent);
    let others = scene
        .crew
        .connect(&scene.world.endpoint(), &scene.crew.probe, "")
        .await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(times("FIRE_SILENCE_SECONDS", 15)) {
        // Whoever has another way in is served meanwhile.
        let standing = contract::v1::GetStanding::default();
        let asked = Instant::now();
        let _: contract::v1::Standing = others.ask(ServiceName::Registry, "standing", &standing).await;
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    others.client.disconnect().await;
    tally.recovered(scene.clears().await);
    scene.end(tally).await;
}
