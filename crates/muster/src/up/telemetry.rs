//! Logs and metrics.

use std::{io::IsTerminal, panic::PanicHookInfo, sync::OnceLock};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
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

/// Installs the recorder once for the process.
pub(super) fn install_metrics() -> Option<PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE
        .get_or_init(|| PrometheusBuilder::new().install_recorder().ok())
        .clone()
}
