//! Counts acknowledgements and how long they took, within the measured time only.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::Notify;

/// Beyond this an acknowledgement counts as this late.
const WORST_MICROS: u64 = 60_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmingUp,
    Measuring,
    Draining,
}

/// Shared by all connections of a load.
pub(crate) struct Meter {
    phase: Cell<Phase>,
    latencies: RefCell<Histogram<u64>>,
    acknowledged: Cell<u64>,
    begun: Cell<Instant>,
    took: Cell<Duration>,
    ended: Notify,
}

/// What a load came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    pub(crate) acks_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Acknowledged within the measured time.
    pub(crate) measured: u64,
    /// Acknowledged in all, with warming up and draining.
    pub(crate) acknowledged: u64,
}

impl Meter {
    pub(crate) fn new() -> Result<Meter> {
        Ok(Meter {
            phase: Cell::new(Phase::WarmingUp),
            latencies: RefCell::new(Histogram::new_with_max(WORST_MICROS, 3)?),
            acknowledged: Cell::new(0),
            begun: Cell::new(Instant::now()),
            took: Cell::default(),
            ended: Notify::new(),
        })
    }

    pub(crate) fn acknowledged(&self, latency: Duration) {
        self.acknowledged.set(self.acknowledged.get() + 1);
        if self.phase.get() == Phase::Measuring {
            let micros = u64::try_from(latency.as_micros()).unwrap_or(WORST_MICROS);
            self.latencies.borrow_mut().saturating_record(micros);
        }
    }

    /// Whether more is to be sent.
    pub(crate) fn goes_on(&self) -> bool {
        self.phase.get() != Phase::Draining
    }

    pub(crate) fn begin(&self) {
        self.begun.set(Instant::now());
        self.phase.set(Phase::Measuring);
    }

    pub(crate) fn end(&self) {
        self.took.set(self.begun.get().elapsed());
        self.phase.set(Phase::Draining);
        self.ended.notify_waiters();
    }

    /// Resolves at the end, for whoever waits for it by then.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }

    pub(crate) fn figures(&self) -> Result<Figures> {
        let latencies = self.latencies.borrow();
        if latencies.is_empty() {
            bail!("nothing was acknowledged while it was measured");
        }
        let ms = |micros: u64| micros as f64 / 1000.0;
        Ok(Figures {
            acks_per_second: latencies.len() as f64 / self.took.get().as_secs_f64(),
            p50_ms: ms(latencies.value_at_quantile(0.5)),
            p99_ms: ms(latencies.value_at_quantile(0.99)),
            max_ms: ms(latencies.max()),
            measured: latencies.len(),
            acknowledged: self.acknowledged.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_measured_time_counts() {
        let meter = Meter::new().unwrap();
        let ms = Duration::from_millis;
        meter.acknowledged(ms(500));
        meter.begin();
        for latency in [1, 2, 9] {
            meter.acknowledged(ms(latency));
        }
        meter.end();
        meter.acknowledged(ms(700));
        let figures = meter.figures().unwrap();
        assert_eq!((figures.measured, figures.acknowledged), (3, 5));
        assert!((figures.max_ms - 9.0).abs() < 0.1 && (figures.p50_ms - 2.0).abs() < 0.1);
        assert!(!meter.goes_on());
    }

    #[test]
    fn nothing_is_no_figure() {
        assert!(Meter::new().unwrap().figures().is_err());
    }
}
