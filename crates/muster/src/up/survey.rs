//! What provisioning holds, as gauges: counted now and then over all of its records.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use host::Clock;
use provisioning::{DAYS, Ends, Survey};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::copies::Shelf;

/// Until the first look: by then the service has begun.
const FIRST: Duration = Duration::from_secs(2);
/// The shortest time between two looks.
const EVERY: Duration = Duration::from_secs(15);
/// A look takes one part in so many of the time at most.
const SHARE: u32 = 100;

/// Looks until the end.
pub(super) fn watch(shelf: Shelf, clock: Arc<dyn Clock>, end: CancellationToken) {
    tokio::spawn(async move {
        let mut pause = FIRST;
        let mut shown = Shown::default();
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let (shelf, clock) = (shelf.clone(), clock.clone());
            let before = shown.clone();
            let looked = tokio::task::spawn_blocking(move || look(&shelf, &*clock, before)).await;
            let took;
            (took, shown) = looked.unwrap_or_default();
            pause = EVERY.max(took * SHARE);
        }
    });
}

/// Issuing CAs whose certificates were counted: of one that is gone there is none.
type Shown = BTreeSet<String>;

/// How long it took. A store that is just opened anew is looked at later.
fn look(shelf: &Shelf, clock: &dyn Clock, mut shown: Shown) -> (Duration, Shown) {
    let Some(store) = shelf.open() else {
        return (Duration::ZERO, shown);
    };
    let begun = clock.now();
    match provisioning::survey(&*store, begun.wall_ms) {
        Ok(survey) => {
            shown.extend(survey.issuers.keys().cloned());
            show(&survey, &shown);
        }
        Err(error) => warn!(%error, "certificates cannot be counted for the metrics"),
    }
    let took = clock.now().mono_ms.saturating_sub(begun.mono_ms);
    (Duration::from_millis(took), shown)
}

/// In the form of a histogram of the moment: what was counted before does not count again.
fn show(survey: &Survey, issuers: &Shown) {
    // Those of whose kind there is none any more, too.
    let none = Ends::default();
    for kind in contract::Kind::ALL.map(contract::Kind::word) {
        let ends = survey.ends.get(kind).unwrap_or(&none);
        let bounds = DAYS.map(|days| days.to_string());
        let counts = bounds.into_iter().zip(ends.within);
        for (bound, count) in counts.chain([("+Inf".to_owned(), ends.count)]) {
            metrics::gauge!("muster_certificate_days_to_end_bucket", "kind" => kind, "le" => bound)
                .set(count as f64);
        }
        metrics::gauge!("muster_certificate_days_to_end_count", "kind" => kind).set(ends.count as f64);
        metrics::gauge!("muster_certificate_days_to_end_sum", "kind" => kind).set(ends.days as f64);
    }
    for issuer in issuers {
        let count = survey.issuers.get(issuer).copied().unwrap_or_default();
        metrics::gauge!("muster_ca_certificates", "ca" => issuer.clone()).set(count as f64);
    }
    for (state, devices) in [("waiting", survey.waiting), ("told", survey.told)] {
        metrics::gauge!("muster_mass_renewal_devices", "state" => state).set(devices as f64);
    }
    metrics::gauge!("muster_admissions_waiting").set(survey.admissions as f64);
    // Before the first one there is none that could end.
    if let Some(next_update_ms) = survey.crl_next_update_ms {
        metrics::gauge!("muster_crl_next_update_seconds").set((next_update_ms / 1000) as f64);
    }
}
