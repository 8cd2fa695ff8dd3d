//! What heartbeats tell.

use std::{collections::BTreeMap, fmt, fs, sync::Arc};

/// A closure that gives metrics.
pub type Gauge = Arc<dyn Fn() -> BTreeMap<String, f64> + Send + Sync>;

/// What heartbeats tell.
#[derive(Clone, Default)]
pub enum Metrics {
    /// Nothing.
    None,
    /// What Linux says of the machine: load and free memory.
    #[default]
    Machine,
    /// A closure.
    Closure(Gauge),
}

impl Metrics {
    /// A closure that gives metrics.
    pub fn closure(gauge: impl Fn() -> BTreeMap<String, f64> + Send + Sync + 'static) -> Metrics {
        Metrics::Closure(Arc::new(gauge))
    }

    pub(crate) fn read(&self) -> BTreeMap<String, f64> {
        match self {
            Metrics::None => BTreeMap::new(),
            Metrics::Closure(gauge) => gauge(),
            Metrics::Machine => {
                let text = |path| fs::read_to_string(path).unwrap_or_default();
                machine(&text("/proc/loadavg"), &text("/proc/meminfo"))
            }
        }
    }
}

/// What the two files of `/proc` say; what they do not say is left out.
fn machine(loadavg: &str, meminfo: &str) -> BTreeMap<String, f64> {
    let load = loadavg
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    let available = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    let read = [
        ("load", load),
        ("memory.available_mib", available.map(|kib| kib / 1024.0)),
    ];
    read.into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Metrics::None => "None",
            Metrics::Machine => "Machine",
            Metrics::Closure(_) => "Closure",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_says() {
        let metrics = machine(
            "0.52 0.58 0.59 1/467 9\n",
            "MemTotal: 9 kB\nMemAvailable:   2048 kB\n",
        );
        assert_eq!(metrics.get("load"), Some(&0.52));
        assert_eq!(metrics.get("memory.available_mib"), Some(&2.0));
        assert!(machine("", "").is_empty());
        assert!(machine("x", "MemAvailable: many kB").is_empty());
    }
}
