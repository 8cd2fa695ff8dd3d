//! Logs and metrics.

use std::{io::IsTerminal, panic::PanicHookInfo, sync::OnceLock};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Logs to standard error, as text or as JSON. A filter that does not parse means `info`.
pub fn log_to_stderr(filter: &str, json: bool) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Told on standard error too, and a thread would die of it when nobody reads there.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    // A second call, as tests make it, changes nothing.
    let _ = if json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
}

/// A panic is a line in the log like any other. Where the store turns it into an error, that is told and
/// acted on there.
pub fn log_panics() {
    std::panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let what = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    if store::panic_becomes_an_error() {
        tracing::warn!(place, what, "the storage engine gave up");
        return;
    }
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(place, what, %backtrace, "a panic: this is a fault in muster");
}

/// Bounds of the times from a revocation to the end of its sessions, seconds: a second is the most that it may take.
const KICK_SECONDS: [f64; 12] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
];

/// Installs the recorder once for the process.
pub(super) fn install_metrics() -> Option<PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE
        .get_or_init(|| recorder().and_then(PrometheusBuilder::install_recorder).ok())
        .clone()
}

fn recorder() -> Result<PrometheusBuilder, BuildError> {
    let kicks = Matcher::Full(provisioning::TIME_TO_KICK.into());
    PrometheusBuilder::new().set_buckets_for_metric(kicks, &KICK_SECONDS)
}
