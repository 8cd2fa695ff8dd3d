//! What is counted and timed, by name: said before anything has happened, so that whoever watches sees a zero and not
//! nothing.

use contract::ServiceName;

/// What tells one series from others of its name; few values each.
pub type Labels = Vec<(&'static str, &'static str)>;

/// A metric and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name, as Prometheus has it.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// What it means, for people.
    pub help: &'static str,
    /// The series that are there from the start, in a process that runs these services. None where a zero would be untrue,
    /// or where the labels are not known yet.
    pub from_start: fn(&[ServiceName]) -> Vec<Labels>,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It is as it is now.
    Gauge,
    /// Many values, by their size.
    Histogram,
}

impl Metric {
    /// A counter that has no labels, and begins at zero.
    pub const fn counter(name: &'static str, help: &'static str) -> Metric {
        Metric {
            name,
            kind: MetricKind::Counter,
            help,
            from_start: |_| vec![Labels::new()],
        }
    }

    /// A gauge, which is there once it is known.
    pub const fn gauge(name: &'static str, help: &'static str) -> Metric {
        Metric {
            name,
            kind: MetricKind::Gauge,
            help,
            from_start: |_| Vec::new(),
        }
    }

    /// A histogram that has no labels.
    pub const fn histogram(name: &'static str, help: &'static str) -> Metric {
        Metric {
            name,
            kind: MetricKind::Histogram,
            help,
            from_start: |_| vec![Labels::new()],
        }
    }

    /// The same with these series from the start.
    #[must_use]
    pub const fn with(self, from_start: fn(&[ServiceName]) -> Vec<Labels>) -> Metric {
        Metric { from_start, ..self }
    }
}

/// A series for each service that the process runs.
pub fn each_service(services: &[ServiceName]) -> Vec<Labels> {
    services
        .iter()
        .map(|service| vec![("service", service.word())])
        .collect()
}

/// A series for each value of one label.
pub fn each(label: &'static str, values: impl IntoIterator<Item = &'static str>) -> Vec<Labels> {
    values.into_iter().map(|value| vec![(label, value)]).collect()
}
