//! An installation under load, for one fault after the other.

use std::time::{Duration, Instant};

use client::Endpoint;
use contract::ServiceName;

use crate::{
    chaos::Chaos,
    checkup::{Vitals, checkup, memory_kib},
    crew::Crew,
    load::Load,
    tally::Tally,
    world::World,
};

/// How long the stores' logs and caches take to fill under the load, by and large.
const WARM_UP: Duration = Duration::from_secs(10);

/// A `muster up`, its crew, and the load they make.
pub struct Scene {
    /// The installation.
    pub world: World,
    /// Who makes the traffic.
    pub crew: Crew,
    /// The traffic.
    pub load: Load,
    before_kib: u64,
}

impl Scene {
    /// A fresh installation with these settings, under load.
    pub async fn set(settings: &[(&str, &str)]) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        Scene::on(folder, settings).await
    }

    /// The same in a folder of one's own choosing.
    pub async fn on(folder: tempfile::TempDir, settings: &[(&str, &str)]) -> Scene {
        let world = World::on(folder, settings).await;
        let crew = Crew::enlist(&world).await;
        let endpoint = world.endpoint();
        Scene::played(world, crew, &endpoint).await
    }

    /// The same behind a bad network, which is fair at first.
    pub async fn behind_chaos() -> (Scene, Chaos) {
        let world = World::new().await;
        let crew = Crew::enlist(&world).await;
        let chaos = Chaos::before(world.endpoint().port).await;
        let endpoint = Endpoint {
            host: "127.0.0.1".into(),
            port: chaos.port(),
        };
        (Scene::played(world, crew, &endpoint).await, chaos)
    }

    /// The load goes to this endpoint.
    async fn played(world: World, crew: Crew, endpoint: &Endpoint) -> Scene {
        let load = Load::begin(&crew, endpoint).await;
        let before_kib = memory_kib(&[world.server().pid()]);
        Scene {
            world,
            crew,
            load,
            before_kib,
        }
    }

    /// Lets the load fill what any load fills, and takes that for what memory was before the fault: for a fault
    /// that leaves the server at work for long, where it would else be the machine's speed that is measured.
    pub async fn warm_up(&mut self) {
        tokio::time::sleep(WARM_UP).await;
        self.before_kib = memory_kib(&[self.world.server().pid()]);
    }

    /// Waits until all services have acknowledged something after `since`; how long that took.
    pub async fn recovered(&self, since: Instant) -> Duration {
        self.load.recovered(&ServiceName::KEEPERS, since).await
    }

    /// The journal against the services, then the four checks.
    pub async fn end(self, tally: Tally) {
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
