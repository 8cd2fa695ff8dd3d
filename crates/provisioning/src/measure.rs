//! The only place where what is counted and timed has its names (docs/operations.md).

use contract::{
    Code,
    id::Kind,
    v1::{Certificate, RenewingState},
};
use service::{
    Amount, Measure, Outcome,
    metric::{self, Labels, Metric},
};

use crate::policy;

/// From a revocation's commit to the front door's receipt for the sessions that it closed.
pub const TIME_TO_KICK: &str = "muster_time_to_kick_seconds";

/// All of it, with what there is to count from the start.
pub const METRICS: &[Metric] = &[
    Metric::counter(
        "muster_certificates_issued_total",
        "Certificates issued, by the kind of their owner.",
    )
    .with(|_| metric::each("kind", Kind::ALL.map(Kind::word))),
    Metric::counter(
        "muster_certificates_renewed_total",
        "Certificates issued that were the next one of a device, or of the server.",
    )
    .with(|_| metric::each("kind", [Kind::Device, Kind::Service].map(Kind::word))),
    Metric::counter(
        "muster_certificate_requests_refused_total",
        "Requests for a certificate that were refused, by who asked and the code of the refusal.",
    )
    .with(|_| refusals()),
    Metric::counter(
        "muster_certificates_revoked_total",
        "Certificates revoked, by reason.",
    )
    .with(|_| metric::each("reason", policy::reasons())),
    Metric::histogram(
        TIME_TO_KICK,
        "From a revocation on disk to the receipt that the sessions over the certificate are closed.",
    ),
    Metric::counter(
        "muster_mass_renewal_devices_total",
        "Devices of mass renewals that were told, have renewed, have failed or were canceled.",
    )
    .with(|_| metric::each("state", ["told", "renewed", "failed", "canceled"])),
    Metric::counter(
        "muster_mass_renewal_failures_total",
        "Why devices of mass renewals failed: a word, or the code of the refusal.",
    )
    .with(|_| metric::each("reason", ["timed-out", "no-certificate"])),
];

/// Who asks for certificates, and what they may be told.
fn refusals() -> Vec<Labels> {
    let askers = [Kind::Claim, Kind::Device, Kind::Operator].map(Kind::word);
    let codes = |kind| {
        Code::ALL
            .iter()
            .map(move |code| vec![("kind", kind), ("code", code.word())])
    };
    askers.into_iter().flat_map(codes).collect()
}

fn count(outcome: &mut Outcome, name: &'static str, labels: Vec<(&'static str, &'static str)>) {
    outcome.measures.push(Measure {
        name,
        labels,
        amount: Amount::Counted(1),
    });
}

/// A certificate was issued; a device's that came by no way in is its next one.
pub(crate) fn issued(outcome: &mut Outcome, certificate: &Certificate) {
    let Some(kind) = Kind::from_word(&certificate.kind) else {
        return;
    };
    count(
        outcome,
        "muster_certificates_issued_total",
        vec![("kind", kind.word())],
    );
    let is_next = kind == Kind::Service || (kind == Kind::Device && certificate.batch.is_empty());
    if is_next {
        count(
            outcome,
            "muster_certificates_renewed_total",
            vec![("kind", kind.word())],
        );
    }
}

/// Somebody asked for a certificate and gets none.
pub(crate) fn refused(outcome: &mut Outcome, kind: Kind, code: Code) {
    let labels = vec![("kind", kind.word()), ("code", code.word())];
    count(outcome, "muster_certificate_requests_refused_total", labels);
}

/// A certificate was revoked, for a reason of RFC 5280.
pub(crate) fn revoked(outcome: &mut Outcome, reason: &'static str) {
    count(
        outcome,
        "muster_certificates_revoked_total",
        vec![("reason", reason)],
    );
}

/// The sessions over a revoked certificate are closed; where there was none, nothing took any time.
pub(crate) fn kicked(outcome: &mut Outcome, sessions: u32, ms: i64) {
    if sessions > 0 {
        outcome.measures.push(Measure {
            name: TIME_TO_KICK,
            labels: Vec::new(),
            amount: Amount::Took(ms.max(0) as f64 / 1e3),
        });
    }
}

/// A device of a mass renewal has come to another state.
pub(crate) fn renewing(outcome: &mut Outcome, state: RenewingState) {
    let state = match state {
        RenewingState::Told => "told",
        RenewingState::Renewed => "renewed",
        RenewingState::Failed => "failed",
        RenewingState::Canceled => "canceled",
        RenewingState::Waiting | RenewingState::Unspecified => return,
    };
    count(
        outcome,
        "muster_mass_renewal_devices_total",
        vec![("state", state)],
    );
}

/// Why a device of a mass renewal has failed: the code of its refusal, or a word of ours.
pub(crate) fn not_renewed(outcome: &mut Outcome, reason: &'static str) {
    count(
        outcome,
        "muster_mass_renewal_failures_total",
        vec![("reason", reason)],
    );
}
