//! `muster up` and `muster serve`

use anyhow::Result;
use contract::id::ServiceName;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Global, print};
use crate::{
    config::Config,
    exit::Failure,
    up::{self, Bound, Parts},
};

/// Run the broker and all services.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  muster up\n  muster --dir /var/lib/muster up\n  MUSTER_LISTEN__PRINCIPALS=127.0.0.1:8883 muster up"
)]
pub(super) struct Up {}

/// Run one service by itself, or the front door.
///
/// The front door writes where it listens for services, and the secret they need, to state/bus.json; services
/// in processes of their own read it there. Set listen.services to a fixed port for that.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  muster serve front-door\n  muster serve registry")]
pub(super) struct Serve {
    /// front-door, registry, provisioning, rollout or monitoring; several may be given
    #[arg(required = true, value_parser = part)]
    parts: Vec<ServiceName>,
}

fn part(word: &str) -> Result<ServiceName, String> {
    ServiceName::from_word(word)
        .ok_or_else(|| "one of front-door, registry, provisioning, rollout, monitoring".to_owned())
}

impl Up {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        run(global, &Parts::all())
    }
}

impl Serve {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let front_door = self.parts.contains(&ServiceName::FrontDoor);
        let services: Vec<_> = self
            .parts
            .into_iter()
            .filter(|part| *part != ServiceName::FrontDoor)
            .collect();
        let config = global.config()?;
        if !front_door && config.services.port() == 0 {
            let message =
                "listen.services must name a fixed port when services run in processes of their own";
            return Err(Failure::usage(message).into());
        }
        run(global, &Parts { front_door, services })
    }
}

fn run(global: &Global, parts: &Parts) -> Result<()> {
    let config = global.config()?;
    up::log_to_stderr(&config.log, config.log_json);
    up::log_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(global, &config, parts))
}

async fn serve(global: &Global, config: &Config, parts: &Parts) -> Result<()> {
    let running = up::start(config, parts).await?;
    // Whoever is told that it is ready may ask it to stop.
    let stop = stop_signal();
    // Nobody may read it any more (`muster up | head -1`): that is no reason not to serve.
    if let Err(error) = say_bound(global, &running.bound) {
        tracing::warn!("nobody reads where it can be reached: {error:#}");
    }
    // Without systemd there is nobody to notify.
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
    running.until(stop).await
}

fn say_bound(global: &Global, bound: &Bound) -> Result<()> {
    let text = |address: Option<std::net::SocketAddr>| address.map(|a| a.to_string()).unwrap_or_default();
    if global.json {
        return print::json(&serde_json::json!({
            "ready": true,
            "principals": text(bound.principals),
            "services": text(bound.services),
            "http": text(bound.http),
            "insecure_test": text(bound.insecure),
            "websocket": text(bound.websocket),
            "est": text(bound.est),
        }));
    }
    print::line("ready")?;
    print::fields(&[
        (
            "devices, operators, integrators (MQTT over mTLS)",
            text(bound.principals),
        ),
        ("services (MQTT, this machine only)", text(bound.services)),
        ("health and metrics (HTTP)", text(bound.http)),
        ("over WebSocket", text(bound.websocket)),
        ("devices that enrol (EST)", text(bound.est)),
        ("TEST LISTENER WITHOUT TLS", text(bound.insecure)),
    ])
}

/// Resolves when the process is asked to stop. From the call on, not from the first poll on, the signals no longer end it.
pub(super) fn stop_signal() -> impl Future<Output = ()> {
    let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    async {
        tokio::select! {
            () = comes(interrupt) => {}
            () = comes(terminate) => {}
        }
    }
}

async fn comes(signal: std::io::Result<Signal>) {
    match signal {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // It ends the process as ever.
        Err(_) => std::future::pending().await,
    }
}
