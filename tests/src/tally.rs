//! One fault's figures, as a row of a table.

use std::time::Duration;

/// How often a fault was injected, and what came of it.
pub struct Tally {
    fault: String,
    injected: u64,
    recoveries: Vec<Duration>,
}

impl Tally {
    /// Of a fault.
    pub fn of(fault: impl Into<String>) -> Tally {
        Tally {
            fault: fault.into(),
            injected: 0,
            recoveries: Vec::new(),
        }
    }

    /// It was injected, and this long after its end the first request was acknowledged.
    pub fn recovered(&mut self, after: Duration) {
        self.injected += 1;
        self.recoveries.push(after);
    }

    /// It was injected, and there was nothing to recover from.
    pub fn injected(&mut self) {
        self.injected += 1;
    }

    /// Prints the row: fault, times injected, acknowledged, lost, recovery p50 and p99.
    pub fn print(mut self, acknowledged: u64, lost: usize) {
        self.recoveries.sort();
        let percentile = |share: usize| match self.recoveries.len() {
            0 => "–".to_owned(),
            many => format!(
                "{:.2} s",
                self.recoveries[(many * share).div_ceil(100) - 1].as_secs_f64()
            ),
        };
        println!(
            "| {} | {} | {acknowledged} | {lost} | {} | {} |",
            self.fault,
            self.injected,
            percentile(50),
            percentile(99),
        );
    }
}

/// How often to inject: as the environment says, else `unless`.
pub fn times(variable: &str, unless: u64) -> u64 {
    std::env::var_os(variable)
        .and_then(|n| n.to_str()?.parse().ok())
        .unwrap_or(unless)
}
