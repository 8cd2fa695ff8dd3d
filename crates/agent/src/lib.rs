//! The reference agent: the device SDK on a Linux machine, or hundreds of them in one process.
//!
//! It uses nothing but the public interface of [`device`]. A restart is played: the image that is to be
//! tried counts as running once it is marked, the health check judges it, and it is confirmed or rolled back.
//!
//! Its configuration may say `{"heartbeat": "10s"}`: how often it says that it is alive. What else is in it, it
//! keeps for the programs beside it, in the file `settings.json` of its folder.
//!
//! It can `diagnose` itself, tell its newest `logs`, and `restart`: [`run`] returns [`Ending::Restart`] then, and is to
//! be called again, best by a process of its own. With [`Config::reboot`] it can `reboot` its machine. It can `wipe` itself, if an operator has signed that with one of
//! [`Config::command_keys`]: [`Ending::Wiped`].
//!
//! ```no_run
//! use agent::{Config, Endpoint};
//! # async fn example(roots: String) -> Result<(), Box<dyn std::error::Error>> {
//! let server = Endpoint { host: "localhost".into(), port: 8883 };
//! let config = Config::new("/var/lib/pump", "pump-7".parse()?, server, roots);
//! let (events, mut heard) = tokio::sync::mpsc::unbounded_channel::<agent::AgentEvent>();
//! tokio::spawn(async move {
//!     while let Some(heard) = heard.recv().await {
//!         println!("{}: {:?}", heard.device_id, heard.event);
//!     }
//! });
//! let ending = agent::run(config, Default::default(), events).await?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod commands;
mod config;
mod health;
mod metrics;
mod options;
mod platform;
mod reboot;

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use device::{
    About, Claim, CommandStep, Ending, Endpoint, Error, Event, Factory, Id, Image, Location, PublicKey, Root,
    UpdateStep,
};
pub use health::{HealthCheck, Judge};
pub use metrics::{Gauge, Metrics};
pub use reboot::Reboot;

use options::Options;
use platform::Linux;

/// Something happened to one agent.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentEvent {
    /// Whose.
    pub device_id: Id,
    /// What.
    pub event: Event,
}

/// Runs an agent until it is told to stop or retires. Nobody needs to listen to the events.
pub async fn run(
    config: Config,
    shutdown: CancellationToken,
    events: UnboundedSender<AgentEvent>,
) -> Result<Ending, Error> {
    let reboot = config.reboot.clone();
    let (settings, health, metrics) = config.into_parts();
    let options = Options::new(settings.folder.join("settings.json"));
    let platform = Linux::new(
        settings.device_id.clone(),
        (health, metrics, reboot),
        options,
        events,
    );
    device::Device::open(settings, platform)?.run(shutdown).await
}
