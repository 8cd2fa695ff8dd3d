//! `record`: the installation's set-up tells of certificates that it issued before there was a service.

use contract::{
    Code, Refusal,
    id::Kind,
    v1::{Certificate, CertificateStatus, RecordCertificate},
};
use pki::ClientCertificate;
use service::{Fault, Outcome};

use super::{Situation, list, planning};
use crate::{
    event, policy,
    state::{self, Record},
};

pub(super) fn decide(s: &Situation<'_>, m: &RecordCertificate) -> Result<Outcome, Fault> {
    let id = policy::id("id", &m.id)?;
    let kind = Kind::from_word(&m.kind).ok_or_else(|| Refusal::invalid("kind", "no kind of principal"))?;
    let mut outcome = Outcome::default();
    // An installation has a revocation list from its first minute, be it empty.
    list::schedule(s, &mut outcome)?;
    // The server's certificate names hosts, not a party: clients check it, and nobody connects with it.
    if kind == Kind::Service {
        return Ok(outcome);
    }
    let untrusted = |e: pki::ProfileError| Refusal::new(Code::Untrusted, e.to_string()).at("certificate");
    let read = ClientCertificate::parse_pem(&m.certificate).map_err(untrusted)?;
    if read.subject.id() != id.as_str() || read.subject.kind().word() != kind.word() {
        return Err(Refusal::invalid("certificate", "it names somebody else").into());
    }
    if state::record(s.view, &read.serial_hex)?.is_some() {
        return Ok(outcome);
    }
    let certificate = Certificate {
        serial: read.serial_hex,
        kind: m.kind.clone(),
        id: m.id.clone(),
        status: CertificateStatus::Issued as i32,
        not_before_ms: read.not_before_ms,
        not_after_ms: read.not_after_ms,
        fingerprint: read.fingerprint_sha256,
        issued_at_ms: s.now_ms,
        pem: m.certificate.clone(),
        ..Certificate::default()
    };
    let record = Record {
        certificate: Some(certificate.clone()),
        key: read.key_fingerprint_sha256,
        ..Record::default()
    };
    planning::write(&mut outcome, &record);
    event::fact(&mut outcome, &record);
    event::issued(&mut outcome, &certificate);
    Ok(outcome)
}
