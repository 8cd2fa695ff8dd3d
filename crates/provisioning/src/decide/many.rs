//! `revoke-many`: all certificates of a batch's devices, or all of an issuing authority, page after page.
//!
//! ```text
//! asked ── page ──► page ──► … ──► looked through ── the last receipt, or none in time ──► answered
//! ```
//!
//! Each page is a decision and a revocation of its own, so that no commit is larger than one; others are served in
//! between. What would come about behind the page that is looked at is refused until all is looked through.

use std::collections::BTreeSet;

use contract::{
    Code, Refusal,
    approval::Touched,
    id::Kind,
    v1::{CertificateStatus, ManyRevoked, RevokeMany},
};
use service::{Answer, Fault, Outcome, View};

use super::{
    Situation, last_admin, list, manufacturer, revoke,
    touched::{for_each, touched_devices},
};
use crate::{
    policy,
    state::{self, Many, Record, Revocation},
};

/// The word before the name in the wake-up that takes the next page.
pub(super) const NEXT: &str = "many";
/// Certificates that are looked at in one decision.
const PAGE: usize = 250;
/// When whoever asks for a certificate meanwhile is to ask again, milliseconds.
const AGAIN_MS: u64 = 5_000;

pub(super) fn decide(s: &mut Situation<'_>, m: &RevokeMany) -> Result<Outcome, Fault> {
    let (word, reason) = policy::reason(&m.reason)?;
    let mut many = Many {
        issuer: m.issuer.clone(),
        reason: word.into(),
        ..Many::default()
    };
    let mut outcome = Outcome::default();
    match (m.batch.is_empty(), m.issuer.is_empty()) {
        (false, true) => many.batch = batch(s, &mut outcome, &m.batch)?,
        (true, false) => demand_signs_not(s, &m.issuer)?,
        _ => return Err(Refusal::invalid("batch", "name either a batch or an issuing CA").into()),
    }
    last_admin::demand_one_stays_of_many(s, reason, |record| takes(&many, record))?;
    let name = format!("many-{}", s.random_hex());
    outcome.put(state::many_key(&name), &many);
    outcome.wake_at(format!("{NEXT}/{name}"), s.now_ms);
    outcome.answer = Answer::Later(name);
    Ok(outcome)
}

/// The devices that have certificates of them, ended ones too.
pub(crate) fn touched(view: &View<'_>, m: &RevokeMany) -> Result<Touched, Fault> {
    let many = Many {
        batch: m.batch.clone(),
        issuer: m.issuer.clone(),
        ..Many::default()
    };
    let mut devices = BTreeSet::new();
    for_each(view, state::CERTIFICATES, |record: Record| {
        let certificate = record.certificate();
        let is_devices = certificate.kind == Kind::Device.word();
        if is_devices && record.status() != CertificateStatus::Revoked && takes(&many, &record) {
            devices.insert(certificate.id);
        }
        Ok(())
    })?;
    touched_devices(view, devices.iter().map(String::as_str))
}

/// The batch, which opens nothing from now on: whoever holds its key would go on meanwhile. One that is known no more
/// may have devices still.
fn batch(s: &Situation<'_>, outcome: &mut Outcome, name: &str) -> Result<String, Fault> {
    let asked = policy::id("batch", name)?;
    let manufacturer = state::manufacturer(s.view, name)?;
    if let Some(manufacturer) = manufacturer.filter(|found| found.name == name) {
        manufacturer::close(outcome, &manufacturer);
    }
    let Some(claim) = state::batch(s.view, name)? else {
        return Ok(asked.to_string());
    };
    revoke::close_batch(s, outcome, name)?;
    Ok(claim.batch)
}

fn demand_signs_not(s: &Situation<'_>, issuer: &str) -> Result<(), Refusal> {
    if s.authorities.signing.id != issuer {
        return Ok(());
    }
    let message =
        "this issuing CA signs: what it revokes now it would give out again; activate another first";
    Err(Refusal::new(Code::Precondition, message).at("issuer"))
}

/// Whether it is one of them. The server's own stays: nobody connects with it, and it is renewed by a request of its
/// own.
fn takes(many: &Many, record: &Record) -> bool {
    let certificate = record.certificate();
    match many.batch.is_empty() {
        true => certificate.issuer == many.issuer && certificate.kind != Kind::Service.word(),
        false => {
            let is_claim = certificate.kind == Kind::Claim.word() && certificate.id == many.batch;
            is_claim || record.origin == many.batch
        }
    }
}

/// Refuses a certificate that would be one of those that are being revoked.
pub(super) fn demand_spared(s: &Situation<'_>, record: &Record) -> Result<(), Fault> {
    let under_way = s.view.list::<Many>(state::MANY, None, usize::MAX)?;
    if !under_way
        .iter()
        .any(|(_, many)| !many.is_over && takes(many, record))
    {
        return Ok(());
    }
    let message = "certificates like this one are being revoked; ask again when that is done";
    Err(Refusal::new(Code::Conflict, message)
        .retry_after_ms(AGAIN_MS)
        .into())
}

/// Revokes those of the next page.
pub(super) fn next(s: &mut Situation<'_>, name: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let key = state::many_key(name);
    let Some(mut many) = s.view.load::<Many>(&key)?.filter(|many| !many.is_over) else {
        return Ok(outcome);
    };
    let after = Some(many.after.as_slice()).filter(|after| !after.is_empty());
    let rows = s.view.list::<Record>(state::CERTIFICATES, after, PAGE)?;
    many.is_over = rows.len() < PAGE;
    if let Some((last, _)) = rows.last() {
        many.after.clone_from(last);
    }
    let rows = rows.into_iter().map(|(_, record)| record);
    let going: Vec<_> = rows
        .filter(|record| takes(&many, record) && revoke::is_revocable(s, record))
        .collect();
    if !going.is_empty() {
        many.revoked += going.len() as u64;
        let revocation = revoke::under_one(s, &mut outcome, going, &many.reason, Some(name))?;
        many.open.push(revocation);
    }
    if many.is_over {
        list::schedule(s, &mut outcome)?;
    } else {
        outcome.wake_at(format!("{NEXT}/{name}"), s.now_ms);
    }
    put(&mut outcome, name, many);
    Ok(outcome)
}

/// The sessions of one page are closed, or the front door did not say so in time.
pub(super) fn settled(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    name: &str,
    revocation: &Revocation,
) -> Result<(), Fault> {
    let Some(mut many) = s.view.load::<Many>(state::many_key(&revocation.many))? else {
        return Ok(());
    };
    many.open.retain(|open| open != name);
    many.sessions = many.sessions.saturating_add(revocation.sessions);
    let after_ms = s.now_ms.saturating_sub(revocation.at_ms).max(0).unsigned_abs();
    many.closed_after_ms = many.closed_after_ms.max(after_ms);
    many.receipt_missing |= !revocation.open.is_empty();
    put(outcome, &revocation.many, many);
    Ok(())
}

/// Keeps it until all is looked through and every receipt has come or is missing; then whoever asked is answered.
fn put(outcome: &mut Outcome, name: &str, many: Many) {
    let key = state::many_key(name);
    if !many.is_over || !many.open.is_empty() {
        outcome.put(key, &many);
        return;
    }
    outcome.delete(key);
    let answer = match many.revoked {
        0 => Err(Refusal::new(
            Code::NotFound,
            "there is no certificate like that that could be revoked",
        )),
        revoked => Ok(Box::new(ManyRevoked {
            request_id: String::new(),
            revoked,
            sessions_closed: many.sessions,
            closed_after_ms: many.closed_after_ms,
            receipt_missing: many.receipt_missing,
        }) as Box<dyn contract::wire::Reply>),
    };
    outcome.complete(name, answer);
}
