//! A plan was signed, or could not be.

use contract::{
    Code, Refusal,
    id::Kind,
    v1::{Certificate, CertificateStatus, Claim, ClaimMade, Signed},
};
use prost::Message;
use service::{Fault, Outcome, View};

use super::{Situation, planning, server};
use crate::{
    DAY_MS, HOUR_MS, effects, event, measure,
    state::{self, Record},
};

/// The word before the serial in the wake-up of a certificate that nobody uses.
pub(super) const UNUSED: &str = "unused";
/// How late that wake-up may be.
const OVERSLEPT_MS: i64 = HOUR_MS as i64;

pub(super) fn decide(s: &mut Situation<'_>, serial: &str, result: &[u8]) -> Result<Outcome, Fault> {
    let Some(record) = state::record(s.view, serial)?.filter(|r| r.status() == CertificateStatus::Planned)
    else {
        return Ok(Outcome::default());
    };
    let signed = effects::Signed::decode(result).unwrap_or_default();
    if signed.pem.is_empty() {
        // The executor itself failed when there is no reason either.
        let why = Some(signed.failure.as_str()).filter(|why| !why.is_empty());
        return failed(
            s,
            &record,
            why.unwrap_or("the work failed; the server's log says more"),
        );
    }
    let mut outcome = Outcome::default();
    let record = issued(record, &signed);
    let certificate = record.certificate();
    outcome.put(state::certificate_key(serial), &record);
    event::fact(&mut outcome, &record);
    event::issued(&mut outcome, &certificate);
    measure::issued(&mut outcome, &certificate);
    if certificate.kind == Kind::Device.word() {
        outcome.wake_at(
            format!("{UNUSED}/{serial}"),
            s.now_ms.saturating_add_unsigned(s.service.settings.unused_ms),
        );
    }
    let issuer = s.authorities.pem(&certificate.issuer);
    let chain = format!("{}{issuer}", certificate.pem);
    if certificate.kind == Kind::Service.word() {
        server::signed(s, &mut outcome, serial, chain)?;
        return Ok(outcome);
    }
    let ticket = format!("{}/{serial}", planning::SIGN);
    if certificate.kind == Kind::Claim.word() {
        if let Some(claim) = state::batch(s.view, &certificate.id)? {
            event::claim_made(&mut outcome, &claim);
            event::claim_fact(&mut outcome, &claim);
        }
        let made = ClaimMade {
            request_id: String::new(),
            batch: certificate.id,
            certificate: chain,
            serial: serial.into(),
        };
        outcome.complete(ticket, Ok(Box::new(made)));
        return Ok(outcome);
    }
    let reply = Signed {
        request_id: String::new(),
        certificate: chain,
        serial: serial.into(),
        not_after_ms: certificate.not_after_ms,
        roots: s.authorities.roots_pem.clone(),
        root_links: s.authorities.links_pem.clone(),
    };
    outcome.complete(ticket, Ok(Box::new(reply)));
    Ok(outcome)
}

fn issued(record: Record, signed: &effects::Signed) -> Record {
    let mut certificate = record.certificate();
    certificate.set_status(CertificateStatus::Issued);
    certificate.pem = signed.pem.clone();
    certificate.fingerprint = signed.fingerprint.clone();
    // The plan has done its work; the certificate says the same.
    Record {
        certificate: Some(certificate),
        plan: Vec::new(),
        ..record
    }
}

/// Nothing was signed: it is as if nobody had asked.
fn failed(s: &Situation<'_>, record: &Record, why: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let certificate = record.certificate();
    if let Some(kind) = Kind::from_word(&certificate.kind) {
        measure::refused(&mut outcome, kind, Code::Internal);
    }
    outcome.delete(state::certificate_key(&certificate.serial));
    outcome.delete(state::owner_key(
        &certificate.kind,
        &certificate.id,
        &certificate.serial,
    ));
    outcome.delete(state::end_key(certificate.not_after_ms, &certificate.serial));
    if !is_shared(s.view, record)? {
        outcome.delete(state::key_key(&record.key));
    }
    if let Some(claim) = state::batch(s.view, &certificate.batch)? {
        let key = state::batch_key(&certificate.batch);
        match certificate.kind == Kind::Claim.word() {
            true => outcome.delete(key),
            false => outcome.put(
                key,
                &Claim {
                    used: claim.used.saturating_sub(1),
                    version: claim.version.saturating_add(1),
                    ..claim
                },
            ),
        }
    }
    let refusal = Refusal::new(Code::Internal, format!("the authority could not sign: {why}"));
    if certificate.kind == Kind::Service.word() {
        server::not_signed(s, &mut outcome, &certificate.serial, refusal)?;
        return Ok(outcome);
    }
    outcome.complete(format!("{}/{}", planning::SIGN, certificate.serial), Err(refusal));
    Ok(outcome)
}

/// Whether another certificate of this party is for the same key, which then stays its own.
pub(super) fn is_shared(view: &View<'_>, record: &Record) -> Result<bool, Fault> {
    let Certificate { serial, kind, id, .. } = record.certificate();
    let records = state::records_of(view, &kind, &id, usize::MAX)?;
    Ok(records
        .iter()
        .any(|r| r.key == record.key && r.certificate().serial != serial))
}

/// What was issued and never used is withdrawn. If this service slept through that moment, or the clock was
/// set, the holder could not use it either, and has another day.
pub(super) fn expire_unused(s: &Situation<'_>, serial: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let Some(record) = state::record(s.view, serial)?.filter(|r| r.status() == CertificateStatus::Issued)
    else {
        return Ok(outcome);
    };
    let until_ms = match record.unused_until_ms {
        0 => {
            let issued_at_ms = record.certificate().issued_at_ms;
            issued_at_ms.saturating_add_unsigned(s.service.settings.unused_ms)
        }
        put_off => put_off,
    };
    if s.now_ms.saturating_sub(until_ms) <= OVERSLEPT_MS {
        super::used::retire_record(&mut outcome, record, event::Retired::Unused);
        return Ok(outcome);
    }
    let unused_until_ms = s.now_ms.saturating_add_unsigned(DAY_MS);
    let put_off = Record {
        unused_until_ms,
        ..record
    };
    outcome.put(state::certificate_key(serial), &put_off);
    outcome.wake_at(format!("{UNUSED}/{serial}"), unused_until_ms);
    Ok(outcome)
}
