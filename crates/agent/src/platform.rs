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
    reboot::Reboot,
};

pub(crate) struct Linux {
    device_id: Id,
    health: HealthCheck,
    metrics: Metrics,
    reboot: Option<Reboot>,
    options: Options,
    log: Log,
    events: UnboundedSender<AgentEvent>,
}

impl Linux {
    pub(crate) fn new(
        device_id: Id,
        (health, metrics, reboot): (HealthCheck, Metrics, Option<Reboot>),
        options: Options,
        events: UnboundedSender<AgentEvent>,
    ) -> Linux {
        Linux {
            device_id,
            health,
            metrics,
            reboot,
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
        let reboot = self.reboot.as_ref().map(|_| commands::REBOOT);
        let all = commands::CAN.into_iter().chain(reboot);
        all.map(str::to_owned).collect()
    }

    async fn command(&self, order: &Order, _progress: &Progress) -> Ended {
        if order.name == commands::REBOOT && self.reboot.is_some() {
            let output = String::new();
            return Ended::Reboot { output };
        }
        commands::obey(&order.name, &order.arguments, &self.log, &self.metrics)
    }

    async fn reboot(&self) -> String {
        match &self.reboot {
            Some(reboot) => reboot.run().await,
            None => "nobody said how this machine is restarted".to_owned(),
        }
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
