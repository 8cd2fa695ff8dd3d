//! What the front door counts (docs/operations.md). The names stand where they are counted, too.

use service::metric::{self, Metric};
use session::{Cause, Limit};

/// All of it.
pub const METRICS: &[Metric] = &[
    Metric::gauge("muster_sessions", "Principals connected."),
    Metric::gauge(
        "muster_kept_sessions",
        "Sessions without a connection that are kept.",
    ),
    Metric::counter(
        "muster_kept_events_dropped_total",
        "Events and devices' data that made way in sessions without a connection.",
    ),
    Metric::counter("muster_requests_total", "Requests passed to services."),
    Metric::counter(
        "muster_silent_dismissed_total",
        "Connections that said nothing and made room for others.",
    ),
    Metric::counter(
        "muster_connections_ended_total",
        "Connections that ended, by cause.",
    )
    .with(|_| metric::each("cause", Cause::ALL.map(Cause::word))),
    Metric::counter(
        "muster_limits_met_total",
        "How often each limit of the front door was met.",
    )
    .with(|_| metric::each("limit", Limit::ALL.iter().map(|limit| limit.word()))),
    Metric::counter(
        "muster_refused_total",
        "Connections, publishes and subscriptions refused.",
    ),
    Metric::counter("muster_delivered_total", "Messages put before principals."),
    Metric::counter("muster_data_total", "Messages of devices for whoever listens."),
    Metric::gauge("muster_window", "Requests that wait for a service."),
    Metric::gauge("muster_service_linked", "1 while the service is connected."),
    Metric::gauge(
        "muster_facts_stale",
        "1 while the registry or provisioning is silent: who may do what is as it was last known.",
    ),
    Metric::counter(
        "muster_stray_frames_total",
        "Frames of services that were not theirs to send.",
    ),
    Metric::counter(
        "muster_tls_refused_total",
        "Connections refused before MQTT: no certificate, a wrong one, too slow.",
    ),
    Metric::counter(
        "muster_est_replies_total",
        "Answers over EST, by their HTTP status.",
    )
    .with(|_| metric::each("status", ["200", "401", "429", "503"])),
    Metric::counter(
        "muster_turned_away_total",
        "Connections beyond a limit of the entrance.",
    ),
    Metric::counter(
        "muster_accept_errors_total",
        "The operating system could not accept a connection.",
    ),
];
