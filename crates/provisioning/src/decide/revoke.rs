//! `revoke`: certificates that no longer count, at once and everywhere.

use contract::{
    Code, Refusal,
    id::{Kind, ServiceName},
    v1::{Certificate, CertificateStatus, Claim, DeviceFact, Revoke, Stage},
};
use prost::Message;
use service::{Answer, FactChange, Fault, Outcome};

use super::{Situation, list, signed::UNUSED, used::RETIRE};
use crate::{
    event, policy,
    state::{self, KeyUse, Record, Revocation, RevokedEntry},
};

/// The word before the revocation in the wake-up that ends the wait for its receipts.
pub(super) const RECEIPT: &str = "receipt";

pub(super) fn decide(s: &mut Situation<'_>, m: &Revoke) -> Result<Outcome, Fault> {
    let (reason, _) = policy::reason(&m.reason)?;
    let records = match (m.serial.is_empty(), m.kind.is_empty() && m.id.is_empty()) {
        (false, true) => vec![by_serial(s, &m.serial)?],
        (true, false) => by_owner(s, &m.kind, &m.id)?,
        _ => return Err(Refusal::invalid("serial", "name either a serial, or a kind and an id").into()),
    };
    let mut outcome = Outcome::default();
    let revocation = revoke_all(s, &mut outcome, records, reason, true)?;
    outcome.answer = Answer::Later(revocation);
    Ok(outcome)
}

fn by_serial(s: &Situation<'_>, serial: &str) -> Result<Record, Fault> {
    let serial = policy::serial(serial)?;
    let Some(record) = state::record(s.view, &serial)? else {
        return Err(Refusal::not_found("certificate", &serial).at("serial").into());
    };
    match record.status() {
        CertificateStatus::Revoked => Err(Refusal::new(
            Code::NotAllowed,
            "this certificate is revoked already",
        )
        .at("serial")
        .into()),
        CertificateStatus::Planned => Err(Refusal::new(
            Code::Busy,
            "this certificate is being signed; try again",
        )
        .at("serial")
        .into()),
        _ => Ok(record),
    }
}

fn by_owner(s: &Situation<'_>, kind: &str, id: &str) -> Result<Vec<Record>, Fault> {
    if Kind::from_word(kind).is_none() {
        let allowed = Kind::ALL.map(Kind::word);
        return Err(Refusal::invalid("kind", "no kind of principal")
            .allowing(allowed)
            .into());
    }
    let id = policy::id("id", id)?;
    let live = revocable(s, kind, id.as_str())?;
    if live.is_empty() {
        let message = format!("{kind}/{id} has no certificate that could be revoked");
        return Err(Refusal::new(Code::NotFound, message).at("id").into());
    }
    Ok(live)
}

/// Those that count, or would again if a status were lost.
fn revocable(s: &Situation<'_>, kind: &str, id: &str) -> Result<Vec<Record>, Fault> {
    let mut records = state::records_of(s.view, kind, id, usize::MAX)?;
    records.retain(|r| {
        let over = matches!(
            r.status(),
            CertificateStatus::Revoked | CertificateStatus::Planned
        );
        !over && r.certificate().not_after_ms > s.now_ms
    });
    Ok(records)
}

/// Revokes them under one revocation, whose name comes back.
fn revoke_all(
    s: &mut Situation<'_>,
    outcome: &mut Outcome,
    records: Vec<Record>,
    reason: &str,
    asked: bool,
) -> Result<String, Fault> {
    let revocation = format!("rev-{}", s.random_hex());
    let mut serials = Vec::new();
    for record in records {
        serials.push(revoke_one(s, outcome, record, reason, &revocation)?);
    }
    let record = Revocation {
        open: serials.clone(),
        serials,
        sessions: 0,
        at_ms: s.now_ms,
        asked,
    };
    outcome.put(state::revocation_key(&revocation), &record);
    let until = s.now_ms.saturating_add_unsigned(s.service.settings.receipt_ms);
    outcome.wake_at(format!("{RECEIPT}/{revocation}"), until);
    list::schedule(s, outcome)?;
    Ok(revocation)
}

fn revoke_one(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    record: Record,
    reason: &str,
    revocation: &str,
) -> Result<String, Fault> {
    let certificate = Certificate {
        status: CertificateStatus::Revoked as i32,
        revoked_at_ms: s.now_ms,
        revocation_reason: reason.into(),
        ..record.certificate()
    };
    let serial = certificate.serial.clone();
    let entry = RevokedEntry {
        at_ms: s.now_ms,
        reason: reason.into(),
        not_after_ms: certificate.not_after_ms,
    };
    outcome.put(state::revoked_key(&serial), &entry);
    let key = KeyUse {
        kind: certificate.kind.clone(),
        id: certificate.id.clone(),
        revoked: true,
    };
    outcome.put(state::key_key(&record.key), &key);
    if certificate.kind == Kind::Claim.word() {
        if let Some(claim) = state::batch(s.view, &certificate.id)? {
            outcome.put(
                state::batch_key(&claim.batch),
                &Claim {
                    revoked: true,
                    version: claim.version + 1,
                    ..claim
                },
            );
        }
    }
    let record = Record {
        certificate: Some(certificate.clone()),
        revocation: revocation.into(),
        ..record
    };
    outcome.put(state::certificate_key(&serial), &record);
    outcome.no_wake(format!("{UNUSED}/{serial}"));
    outcome.no_wake(format!("{RETIRE}/{serial}"));
    event::fact(outcome, &record);
    event::revoked(outcome, &certificate, revocation);
    Ok(serial)
}

/// A device that is retired, or that the registry does not know any more, leaves no key behind.
pub(super) fn on_fact(s: &mut Situation<'_>, fact: FactChange<'_>) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    if fact.owner != ServiceName::Registry || fact.entity != "device" {
        return Ok(outcome);
    }
    let device = fact.value.and_then(|value| DeviceFact::decode(value).ok());
    if device.is_some_and(|device| device.stage() != Stage::Retired) {
        return Ok(outcome);
    }
    let records = revocable(s, Kind::Device.word(), fact.id)?;
    if !records.is_empty() {
        revoke_all(s, &mut outcome, records, "cessationOfOperation", false)?;
    }
    Ok(outcome)
}
