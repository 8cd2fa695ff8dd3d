//! The only place where events and facts are made.

use contract::{
    Refusal, limits,
    v1::{Certificate, CertificateFact, Claim},
};
use serde_json::{Value, json};
use service::{Caller, Outcome};

use crate::state::{Record, Revocation};

fn subject(serial: &str) -> String {
    format!("certificates/{serial}")
}

fn about(certificate: &Certificate) -> Value {
    json!({
        "serial": certificate.serial,
        "kind": certificate.kind,
        "id": certificate.id,
        "not_after_ms": certificate.not_after_ms.to_string(),
    })
}

/// What others must know of a certificate.
pub(crate) fn fact(outcome: &mut Outcome, record: &Record) {
    let certificate = record.certificate();
    let fact = CertificateFact {
        serial: certificate.serial.clone(),
        kind: certificate.kind.clone(),
        id: certificate.id.clone(),
        status: certificate.status,
        not_after_ms: certificate.not_after_ms,
        revocation: record.revocation.clone(),
    };
    outcome.fact("certificate", certificate.serial, &fact);
}

/// A certificate was issued.
pub(crate) fn issued(outcome: &mut Outcome, certificate: &Certificate) {
    let mut data = about(certificate);
    data["batch"] = json!(certificate.batch);
    data["fingerprint"] = json!(certificate.fingerprint);
    outcome.event(subject(&certificate.serial), "issued", data);
}

/// A certificate was used for the first time.
pub(crate) fn activated(outcome: &mut Outcome, certificate: &Certificate) {
    outcome.event(subject(&certificate.serial), "activated", about(certificate));
}

/// A certificate was revoked.
pub(crate) fn revoked(outcome: &mut Outcome, certificate: &Certificate, revocation: &str) {
    let mut data = about(certificate);
    data["reason"] = json!(certificate.revocation_reason);
    data["revocation"] = json!(revocation);
    outcome.event(subject(&certificate.serial), "revoked", data);
}

/// The front door has closed the sessions over a revoked certificate.
pub(crate) fn closed(
    outcome: &mut Outcome,
    serial: &str,
    sessions: u32,
    revocation: &Revocation,
    now_ms: i64,
) {
    let data = json!({
        "serial": serial,
        "sessions": sessions,
        "closed_after_ms": now_ms.saturating_sub(revocation.at_ms).max(0).to_string(),
    });
    outcome.event(subject(serial), "closed", data);
}

/// A request for a certificate was refused. The message may quote the request, and is cut.
pub(crate) fn refused(outcome: &mut Outcome, about: &str, caller: &Caller, refusal: &Refusal) {
    let data = json!({
        "kind": caller.principal.kind.word(),
        "id": caller.principal.id.as_str(),
        "batch": caller.batch.as_ref().map(ToString::to_string).unwrap_or_default(),
        "code": refusal.code.word(),
        "message": refusal.message.chars().take(limits::TEXT_CHARS).collect::<String>(),
    });
    outcome.event(subject(about), "refused", data);
}

/// A batch may ask for certificates.
pub(crate) fn claim_made(outcome: &mut Outcome, claim: &Claim) {
    let data = json!({
        "batch": claim.batch,
        "uses": claim.uses,
        "expires_ms": claim.expires_ms.to_string(),
        "id_prefix": claim.id_prefix,
        "serial": claim.serial,
    });
    outcome.event(format!("claims/{}", claim.batch), "made", data);
}
