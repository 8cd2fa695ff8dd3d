//! How much room there is on the disk, as gauges.

use std::{path::Path, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// How often the disk is looked at.
const EVERY: Duration = Duration::from_secs(15);

/// Looks until the end.
pub(super) fn watch(config: &Config, end: CancellationToken) {
    metrics::gauge!("muster_state_reserve_bytes").set(config.reserve_bytes as f64);
    let state = config.path(&config.state);
    tokio::spawn(async move {
        loop {
            let place = state.clone();
            // A disk that does not answer must hold up nobody else.
            let _ = tokio::task::spawn_blocking(move || look(&place)).await;
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    });
}

fn look(state: &Path) {
    if let Ok(disk) = rustix::fs::statvfs(state) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        metrics::gauge!("muster_state_free_bytes").set(free as f64);
    }
}
