//! `revoke`: certificates that no longer count, at once and everywhere.

use contract::{
    Code, Refusal,
    approval::Touched,
    id::Kind,
    v1::{Certificate, CertificateStatus, Claim, Revoke},
};
use service::{Answer, Fault, Outcome, Sight, View};

use super::{
    Situation, last_admin, list, planning::SIGN, signed::UNUSED, touched::touched_one, used::RETIRE,
};
use crate::{
    event, measure, policy,
    state::{self, KeyUse, Record, Revocation, RevokedEntry},
};

/// The word before the revocation in the wake-up that ends the wait for its receipts.
pub(super) const RECEIPT: &str = "receipt";

/// Whoever revokes the certificate over which he is connected loses that session too, and the answer with it:
/// it is kept, and given to a repeat over another certificate of his.
pub(super) fn decide(s: &mut Situation<'_>, sight: &Sight, m: &Revoke) -> Result<Outcome, Fault> {
    let (word, reason) = policy::reason(&m.reason)?;
    let is_owners = !(m.kind.is_empty() && m.id.is_empty());
    let records = match (m.serial.is_empty(), is_owners, m.key.is_empty()) {
        (false, false, true) => vec![by_serial(s, &m.serial)?],
        (true, true, true) => by_owner(s, &m.kind, &m.id)?,
        (true, false, false) => by_key(s, &m.key)?,
        _ => {
            let message = "name either a serial, or a kind and an id, or a key";
            return Err(Refusal::invalid("serial", message).into());
        }
    };
    demand_in_sight(s, sight, &records)?;
    last_admin::demand_one_stays(s, &records, reason)?;
    let mut outcome = Outcome::default();
    let revocation = revoke_all(s, &mut outcome, records, word, true)?;
    outcome.answer = Answer::Later(revocation);
    Ok(outcome)
}

/// The device whose certificates a revocation is about, if it is a device's.
pub(crate) fn touched(view: &View<'_>, m: &Revoke) -> Result<Touched, Fault> {
    let (kind, id) = match policy::serial(&m.serial) {
        Ok(serial) => match state::record(view, &serial)? {
            Some(record) => (record.certificate().kind, record.certificate().id),
            None => return Ok(Touched::default()),
        },
        Err(_) => (m.kind.clone(), m.id.clone()),
    };
    match kind == Kind::Device.word() {
        true => touched_one(view, &id),
        false => Ok(Touched::default()),
    }
}

/// Whoever may revoke for some groups only revokes their devices' certificates and nobody else's.
fn demand_in_sight(s: &Situation<'_>, sight: &Sight, records: &[Record]) -> Result<(), Fault> {
    for record in records {
        let certificate = record.certificate();
        if !state::in_sight(s.view, sight, &certificate)? {
            let owner = format!("{}/{}", certificate.kind, certificate.id);
            let message = format!("`revoke` was granted to you for some groups only; {owner} is not in them");
            return Err(Refusal::new(Code::Denied, message).into());
        }
    }
    Ok(())
}

fn by_serial(s: &Situation<'_>, serial: &str) -> Result<Record, Fault> {
    let serial = policy::serial(serial)?;
    let Some(record) = state::record(s.view, &serial)? else {
        return Err(Refusal::not_found("certificate", &serial).at("serial").into());
    };
    if record.status() == CertificateStatus::Revoked {
        let message = "this certificate is revoked already";
        return Err(Refusal::new(Code::NotAllowed, message).at("serial").into());
    }
    Ok(record)
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

/// A key belongs to one party.
fn by_key(s: &Situation<'_>, key: &str) -> Result<Vec<Record>, Fault> {
    let key = policy::key_fingerprint(key)?;
    let mut records = Vec::new();
    if let Some(KeyUse { kind, id, .. }) = s.view.load(state::key_key(&key))? {
        records = revocable(s, &kind, &id)?;
        records.retain(|record| record.key == key);
    }
    if records.is_empty() {
        let message = "no certificate for this key could be revoked";
        return Err(Refusal::new(Code::NotFound, message).at("key").into());
    }
    Ok(records)
}

/// Those that count, or would if a status were lost or a signature came, and those that could still be renewed.
fn revocable(s: &Situation<'_>, kind: &str, id: &str) -> Result<Vec<Record>, Fault> {
    let mut records = state::records_of(s.view, kind, id, usize::MAX)?;
    records.retain(|r| is_revocable(s, r));
    Ok(records)
}

pub(super) fn is_revocable(s: &Situation<'_>, record: &Record) -> bool {
    let is_over = record.certificate().not_after_ms <= s.now_ms;
    let renews = || record.renews_late(s.now_ms, s.service.settings.renew_after_ms);
    record.status() != CertificateStatus::Revoked && (!is_over || renews())
}

/// Revokes them under one revocation, whose name comes back; a list with them is due soon.
fn revoke_all(
    s: &mut Situation<'_>,
    outcome: &mut Outcome,
    records: Vec<Record>,
    reason: &str,
    asked: bool,
) -> Result<String, Fault> {
    let revocation = under_one(s, outcome, records, reason, asked.then_some(""))?;
    list::schedule(s, outcome)?;
    Ok(revocation)
}

/// Revokes them under one revocation, whose name comes back. Who waits for its receipts: nobody, whoever holds its name
/// as a ticket (an empty name), or those many of which it is a part.
pub(super) fn under_one(
    s: &mut Situation<'_>,
    outcome: &mut Outcome,
    records: Vec<Record>,
    reason: &str,
    waits: Option<&str>,
) -> Result<String, Fault> {
    let revocation = format!("rev-{}", s.random_hex());
    let mut serials = Vec::new();
    for record in records {
        serials.push(revoke_one(s, outcome, record, (reason, s.now_ms), &revocation)?);
    }
    let record = Revocation {
        open: serials.clone(),
        serials,
        sessions: 0,
        at_ms: s.now_ms,
        asked: waits.is_some(),
        late: false,
        many: waits.unwrap_or_default().into(),
    };
    outcome.put(state::revocation_key(&revocation), &record);
    let until = s.now_ms.saturating_add_unsigned(s.service.settings.receipt_ms);
    outcome.wake_at(format!("{RECEIPT}/{revocation}"), until);
    Ok(revocation)
}

/// Revokes one, for a reason and at a time; under no revocation where there is no session to close.
pub(super) fn revoke_one(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    record: Record,
    (reason, at_ms): (&str, i64),
    revocation: &str,
) -> Result<String, Fault> {
    let certificate = Certificate {
        status: CertificateStatus::Revoked as i32,
        revoked_at_ms: at_ms,
        revocation_reason: reason.into(),
        ..record.certificate()
    };
    let serial = certificate.serial.clone();
    if record.status() == CertificateStatus::Planned {
        let refusal = Refusal::new(
            Code::NotAllowed,
            "this certificate was revoked before it was signed",
        );
        outcome.complete(format!("{SIGN}/{serial}"), Err(refusal));
    }
    list_it(outcome, &certificate);
    burn_key(outcome, &certificate, &record.key);
    if certificate.kind == Kind::Claim.word() {
        close_batch(s, outcome, &certificate.id)?;
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
    // The word is one of the list by now.
    measure::revoked(outcome, policy::reason(reason)?.0);
    Ok(serial)
}

fn list_it(outcome: &mut Outcome, certificate: &Certificate) {
    let entry = RevokedEntry {
        at_ms: certificate.revoked_at_ms,
        reason: certificate.revocation_reason.clone(),
        not_after_ms: certificate.not_after_ms,
        issuer: certificate.issuer.clone(),
    };
    outcome.put(state::revoked_key(&certificate.serial), &entry);
}

/// The key is nobody's any more, whatever the reason.
fn burn_key(outcome: &mut Outcome, certificate: &Certificate, key: &str) {
    let burnt = KeyUse {
        kind: certificate.kind.clone(),
        id: certificate.id.clone(),
        revoked: true,
    };
    outcome.put(state::key_key(key), &burnt);
}

pub(super) fn close_batch(s: &Situation<'_>, outcome: &mut Outcome, batch: &str) -> Result<(), Fault> {
    if let Some(claim) = state::batch(s.view, batch)? {
        let was_open = !claim.revoked;
        let closed = Claim {
            revoked: true,
            version: claim.version.saturating_add(1),
            ..claim
        };
        outcome.put(state::batch_key(batch), &closed);
        event::claim_fact(outcome, &closed);
        if was_open {
            event::claim_closed(outcome, &closed);
        }
    }
    Ok(())
}

/// Revokes all of a party because of what the registry says of it; nobody waits for an answer.
pub(super) fn of_party(s: &mut Situation<'_>, kind: Kind, id: &str, reason: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let records = revocable(s, kind.word(), id)?;
    if !records.is_empty() {
        revoke_all(s, &mut outcome, records, reason, false)?;
    }
    Ok(outcome)
}
