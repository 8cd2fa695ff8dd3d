//! A device that runs, and can be killed.

use std::sync::Arc;

use device::{
    Boot, Device, Document, Ended, Ending, Error, Event, Image, Order, Platform, Progress, Settings,
    UpdateStep,
};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What the tests watch, across restarts.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    pub(crate) boots: Arc<Mutex<Vec<String>>>,
    /// Why no image is well.
    pub(crate) illness: Arc<Mutex<Option<String>>>,
    /// Answers with a restart, so often.
    pub(crate) restarts: Arc<Mutex<u32>>,
    /// What is made while an image is looked at.
    pub(crate) fills: Arc<Mutex<Option<std::path::PathBuf>>>,
    /// What it was set to.
    pub(crate) configs: Arc<Mutex<Vec<String>>>,
    /// Why it does not take what it is to be set to.
    pub(crate) dislike: Arc<Mutex<Option<String>>>,
    /// What it says to whoever listens.
    pub(crate) says: Arc<Mutex<Vec<&'static str>>>,
    /// How often the machine was to go down.
    pub(crate) reboots: Arc<Mutex<u32>>,
    /// Why it stays up.
    pub(crate) stays_up: Arc<Mutex<Option<String>>>,
    /// What it began to do.
    pub(crate) commands: Arc<Mutex<Vec<String>>>,
}

impl Platform for Watch {
    async fn boot(&self, image: &Image) -> Boot {
        self.boots.lock().push(image.version.clone());
        let mut restarts = self.restarts.lock();
        if *restarts > 0 {
            *restarts -= 1;
            return Boot::Restart;
        }
        Boot::Running
    }

    async fn check(&self, image: &Image) -> Result<(), String> {
        if let Some(path) = self.fills.lock().take() {
            std::fs::create_dir(path).unwrap();
        }
        assert_eq!(std::fs::read(&image.path).unwrap().len() as u64, image.size);
        self.illness.lock().clone().map_or(Ok(()), Err)
    }

    async fn data(&self) -> Vec<u8> {
        let said = self.says.lock().pop();
        match said {
            Some(said) => said.into(),
            None => std::future::pending().await,
        }
    }

    async fn configure(&self, document: &Document) -> Result<(), String> {
        self.configs.lock().push(serde_json::to_string(document).unwrap());
        self.dislike.lock().clone().map_or(Ok(()), Err)
    }

    fn commands(&self) -> Vec<String> {
        ["say", "hang", "restart", "reboot", "wipe"]
            .map(str::to_owned)
            .to_vec()
    }

    async fn command(&self, order: &Order, progress: &Progress) -> Ended {
        self.commands.lock().push(order.command_id.clone());
        match order.name.as_str() {
            "say" => Ended::Succeeded {
                output: order.arguments["text"].as_str().unwrap().to_owned(),
            },
            "hang" => {
                progress.tell(40, "under\nway");
                std::future::pending().await
            }
            "wipe" => Ended::Wipe,
            "restart" => Ended::Restart {
                output: "again".into(),
            },
            "reboot" => Ended::Reboot {
                output: "going down".into(),
            },
            _ => Ended::Rejected { why: "what?".into() },
        }
    }

    async fn reboot(&self) -> String {
        *self.reboots.lock() += 1;
        let why = self.stays_up.lock().clone();
        match why {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    fn heard(&self, event: Event) {
        self.events.lock().push(event);
    }
}

impl Watch {
    pub(crate) fn heard(&self, holds: impl Fn(&Event) -> bool) -> usize {
        self.events.lock().iter().filter(|event| holds(event)).count()
    }

    /// Waits until it was told of something.
    pub(crate) async fn until(&self, holds: impl Fn(&Event) -> bool) {
        for _ in 0..6_000 {
            if self.heard(&holds) > 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("it is never told: {:?}", self.events.lock());
    }

    pub(crate) fn steps(&self) -> Vec<UpdateStep> {
        let mut steps: Vec<_> = self
            .events
            .lock()
            .iter()
            .filter_map(|event| match event {
                Event::Update { step, .. } => Some(*step),
                _ => None,
            })
            .collect();
        steps.dedup();
        steps
    }
}

/// A device that runs.
pub(crate) struct Pump {
    pub(crate) task: JoinHandle<Result<Ending, Error>>,
    pub(crate) stop: CancellationToken,
}

impl Pump {
    /// Starts; a process that was just killed may still hold the folder.
    pub(crate) async fn start(settings: &Settings, watch: &Watch) -> Pump {
        let device = loop {
            match Device::open(settings.clone(), watch.clone()) {
                Ok(device) => break device,
                Err(Error::InUse { .. }) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                Err(error) => panic!("{error}"),
            }
        };
        let stop = CancellationToken::new();
        Pump {
            task: tokio::spawn(device.run(stop.clone())),
            stop,
        }
    }

    pub(crate) async fn stop(self) -> Ending {
        self.stop.cancel();
        self.task.await.unwrap().unwrap()
    }

    pub(crate) async fn end(self) -> Result<Ending, Error> {
        self.task.await.unwrap()
    }

    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
