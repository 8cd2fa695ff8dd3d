//! `record`: the installation's set-up tells of certificates that it issued before there was a service.

use contract::{
    Refusal,
    id::Kind,
    v1::{Certificate, CertificateStatus, RecordCertificate},
};
use service::{Fault, Outcome};

use super::{Situation, list, planning, server};
use crate::{
    event, founding, policy,
    state::{self, Record},
};

pub(super) fn decide(s: &Situation<'_>, m: &RecordCertificate) -> Result<Outcome, Fault> {
    let id = policy::id("id", &m.id)?;
    let kind = Kind::from_word(&m.kind).ok_or_else(|| Refusal::invalid("kind", "no kind of principal"))?;
    let found = founding::read(&m.certificate, &s.authorities, kind, id.as_str())?;
    let mut outcome = Outcome::default();
    // An installation has a revocation list from its first minute, be it empty.
    list::schedule(s, &mut outcome)?;
    if state::record(s.view, &found.serial)?.is_some() {
        return Ok(outcome);
    }
    let certificate = Certificate {
        serial: found.serial,
        kind: m.kind.clone(),
        id: m.id.clone(),
        status: first_status(kind) as i32,
        not_before_ms: found.not_before_ms,
        not_after_ms: found.not_after_ms,
        fingerprint: found.fingerprint,
        issued_at_ms: s.now_ms,
        issuer: found.issuer,
        pem: m.certificate.clone(),
        ..Certificate::default()
    };
    let record = Record {
        certificate: Some(certificate.clone()),
        key: found.key,
        ..Record::default()
    };
    planning::write(s, &mut outcome, &record)?;
    event::fact(&mut outcome, &record);
    event::issued(&mut outcome, &certificate);
    if kind == Kind::Service {
        server::look_at(s, &mut outcome, &certificate);
    }
    Ok(outcome)
}

/// The server serves with its certificate and never connects with it, so nobody would report its first use.
fn first_status(kind: Kind) -> CertificateStatus {
    match kind {
        Kind::Service => CertificateStatus::Active,
        _ => CertificateStatus::Issued,
    }
}
