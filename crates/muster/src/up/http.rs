//! Health, readiness, metrics and revocation lists over HTTP.

use std::net::SocketAddr;

use anyhow::Result;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use contract::id::ServiceName;
use host::{Host, StatusCell};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Failure};

/// What health is told from.
#[derive(Clone)]
pub(super) struct Health {
    services: Vec<(ServiceName, StatusCell)>,
    front_door: bool,
}

#[derive(Clone)]
struct Shared {
    health: Health,
    metrics: Option<PrometheusHandle>,
}

impl Health {
    pub(super) fn new(hosts: &[(ServiceName, Host)], front_door: bool) -> Health {
        let services = hosts
            .iter()
            .map(|(name, host)| (*name, host.status_cell()))
            .collect();
        Health { services, front_door }
    }

    /// Alive as long as no store is in trouble.
    fn healthy(&self) -> bool {
        self.services
            .iter()
            .all(|(_, status)| status.get().trouble.is_empty())
    }

    fn ready(&self) -> bool {
        self.services.iter().all(|(_, status)| status.get().is_ready())
    }

    fn report(&self) -> Value {
        let mut services = Map::new();
        for (name, cell) in &self.services {
            let s = cell.get();
            services.insert(
                name.to_string(),
                json!({
                    "store_open": s.open, "bus_connected": s.connected, "facts_whole": s.whole,
                    "trouble": s.trouble, "events": s.events, "commits": s.commits, "decided": s.decided,
                }),
            );
        }
        json!({ "healthy": self.healthy(), "ready": self.ready(), "front_door": self.front_door, "services": services })
    }
}

/// Takes the address; nobody is answered yet.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    let refuse = |error: std::io::Error| {
        let message =
            format!("cannot listen on {address} (listen.http): {error}; is another instance running?");
        Failure::new(Exit::Conflict, message)
    };
    Ok(TcpListener::bind(address).await.map_err(refuse)?)
}

/// Serves until the end.
pub(super) fn serve(
    listener: TcpListener,
    health: Health,
    metrics: Option<PrometheusHandle>,
    lists: Router,
    end: CancellationToken,
) {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render_metrics))
        .with_state(Shared { health, metrics })
        .merge(lists);
    tokio::spawn(async move {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(end.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "HTTP stopped");
        }
    });
}

async fn healthz(State(shared): State<Shared>) -> impl IntoResponse {
    report(shared.health.healthy(), &shared.health)
}

async fn readyz(State(shared): State<Shared>) -> impl IntoResponse {
    report(shared.health.ready(), &shared.health)
}

fn report(good: bool, health: &Health) -> impl IntoResponse + use<> {
    let status = if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let headers = [("content-type", "application/json")];
    (status, headers, format!("{}\n", health.report()))
}

async fn render_metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let text = shared.metrics.map(|handle| handle.render()).unwrap_or_default();
    ([("content-type", "text/plain; version=0.0.4")], text)
}
