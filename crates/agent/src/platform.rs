//! The agent's side of the SDK: a played restart, the health check, the metrics.

use std::{collections::BTreeMap, time::Duration};

use device::{Boot, Document, Ended, Event, Id, Image, Order, Platform, Progress};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    AgentEvent,
    commands::{self, Log},
    health::HealthCheck,
    metrics::Metrics,
    options::Options,
};

pub(crate) struct Linux {
    device_id: Id,
    health: HealthCheck,
    metrics: Metrics,
    options: Options,
    log: Log,
    events: UnboundedSender<AgentEvent>,
}

impl Linux {
    pub(crate) fn new(
        device_id: Id,
        health: HealthCheck,
        metrics: Metrics,
        options: Options,
        events: UnboundedSender<AgentEvent>,
    ) -> Linux {
        Linux {
            device_id,
            health,
            metrics,
            options,
            log: Log::new(),
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

    async fn configure(&self, document: &Document) -> Result<(), String> {
        self.options.apply(document)
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.options.heartbeat()
    }

    fn commands(&self) -> Vec<String> {
        commands::CAN.map(str::to_owned).to_vec()
    }

    async fn command(&self, order: &Order, _progress: &Progress) -> Ended {
        commands::obey(&order.name, &order.arguments, &self.log, &self.metrics)
    }

    fn heard(&self, event: Event) {
        self.log.note(&event);
        if matches!(event, Event::Retired | Event::Wiped)
            && let Err(error) = self.options.forget()
        {
            let what = format!("settings.json is still there: {error}");
            self.log.note(&Event::Problem { what: what.clone() });
            self.tell(Event::Problem { what });
        }
        self.tell(event);
    }
}

impl Linux {
    fn tell(&self, event: Event) {
        let device_id = self.device_id.clone();
        // Nobody needs to listen.
        let _ = self.events.send(AgentEvent { device_id, event });
    }
}
