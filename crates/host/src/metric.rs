//! What the shell around a service counts and times (docs/operations.md). The names stand where they are counted, too.

use service::metric::{Metric, each_service};

/// All of it.
pub const METRICS: &[Metric] = &[
    Metric::counter("muster_decided_total", "Requests decided.").with(each_service),
    Metric::histogram(
        "muster_commit_seconds",
        "Time of one commit, flush and fsync included.",
    )
    .with(each_service),
    Metric::histogram("muster_commit_keys", "Keys written in one commit.").with(each_service),
    Metric::counter(
        "muster_effect_panics_total",
        "A signature, a seal or the like that failed by a mistake in Muster; it is tried again.",
    )
    .with(each_service),
];
