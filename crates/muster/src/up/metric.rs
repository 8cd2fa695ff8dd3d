//! What is measured of an installation as a whole, and all metrics of the parts that run here, told before anything has
//! happened (docs/operations.md).

use contract::id::ServiceName;
use service::metric::{self, Metric, MetricKind};

use super::Parts;

const METRICS: &[Metric] = &[
    Metric::gauge(
        "muster_certificate_end_seconds",
        "When the server's certificate and each issuing CA end, seconds since 1970.",
    ),
    Metric::counter(
        "muster_pki_files_taken_total",
        "Files in the folder pki that changed and are in use.",
    )
    .with(|_| metric::each("what", FOLLOWED)),
    Metric::counter(
        "muster_pki_files_refused_total",
        "Files in the folder pki that changed and do not fit.",
    )
    .with(|_| metric::each("what", FOLLOWED)),
    Metric::counter(
        "muster_server_certificates_installed_total",
        "Certificates of its own that the server has got since the start.",
    ),
    Metric::gauge(
        "muster_state_free_bytes",
        "Free space of the disk that the state folder is on.",
    ),
    Metric::gauge(
        "muster_state_reserve_bytes",
        "Below so much free space nothing is written any more (state.reserve_mib).",
    ),
];

/// Counted over all records now and then.
const SURVEYED: &[Metric] = &[
    Metric::gauge(
        "muster_certificate_days_to_end_bucket",
        "Certificates that count now and end within so many days.",
    ),
    Metric::gauge(
        "muster_certificate_days_to_end_count",
        "Certificates that count now.",
    ),
    Metric::gauge(
        "muster_certificate_days_to_end_sum",
        "Days until the certificates that count now end, all together.",
    ),
    Metric::gauge(
        "muster_ca_certificates",
        "Certificates that count now, by their issuing CA, but for the server's own.",
    ),
    Metric::gauge(
        "muster_mass_renewal_devices",
        "Devices of mass renewals under way, waiting to be told or told.",
    ),
    Metric::gauge("muster_admissions_waiting", "Keys that wait for somebody's word."),
    Metric::gauge(
        "muster_crl_next_update_seconds",
        "Until when the revocation lists count, seconds since 1970; they are made anew at half of their time.",
    ),
];

/// Whoever follows the folder `pki`.
const FOLLOWED: [&str; 2] = [super::issuers::WHAT, super::tls_files::WHAT];

/// Tells of all metrics of the parts that run here.
pub(super) fn describe(parts: &Parts) {
    let mut all = vec![METRICS, host::METRICS];
    if parts.front_door {
        all.push(broker::METRICS);
    }
    if parts.services.contains(&ServiceName::Provisioning) {
        all.extend([provisioning::METRICS, SURVEYED]);
    }
    all.into_iter()
        .flatten()
        .for_each(|metric| tell(metric, &parts.services));
}

fn tell(metric: &Metric, services: &[ServiceName]) {
    let (name, help) = (metric.name, metric.help);
    match metric.kind {
        MetricKind::Counter => metrics::describe_counter!(name, help),
        MetricKind::Gauge => metrics::describe_gauge!(name, help),
        MetricKind::Histogram => metrics::describe_histogram!(name, help),
    }
    for labels in (metric.from_start)(services) {
        let labels: Vec<_> = labels
            .into_iter()
            .map(|(label, value)| metrics::Label::from_static_parts(label, value))
            .collect();
        match metric.kind {
            MetricKind::Counter => metrics::counter!(name, labels).increment(0),
            MetricKind::Gauge => metrics::gauge!(name, labels).set(0.0),
            MetricKind::Histogram => drop(metrics::histogram!(name, labels)),
        }
    }
}
