//! The agent's side of the SDK: a played restart, the health check, the metrics.

use std::collections::BTreeMap;

use device::{Boot, Event, Id, Image, Platform};
use tokio::sync::mpsc::UnboundedSender;

use crate::{AgentEvent, health::HealthCheck, metrics::Metrics};

pub(crate) struct Linux {
    device_id: Id,
    health: HealthCheck,
    metrics: Metrics,
    events: UnboundedSender<AgentEvent>,
}

impl Linux {
    pub(crate) fn new(
        device_id: Id,
        health: HealthCheck,
        metrics: Metrics,
        events: UnboundedSender<AgentEvent>,
    ) -> Linux {
        Linux {
            device_id,
            health,
            metrics,
            events,
        }
    }
}

impl Platform for Linux {
    async fn boot(&self, _image: &Image) -> Boot {
        Boot::Running
    }

    async fn check(&self, image: &Image) -> Result<(), String> {
        self.health.judge(image).await
    }

    fn metrics(&self) -> BTreeMap<String, f64> {
        self.metrics.read()
    }

    fn heard(&self, event: Event) {
        let device_id = self.device_id.clone();
        // Nobody needs to listen.
        let _ = self.events.send(AgentEvent { device_id, event });
    }
}
