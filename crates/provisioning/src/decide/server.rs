//! `renew-server`: the server's next certificate, asked for or by itself in time.
//!
//! ```text
//! due, or asked for ── key (effect) ──► planned ── sign (effect) ──► issued ── install (effect) ──► active
//! ```
//!
//! The one before stays active until the next one is in its place, and is retired then. The next key is made as soon as
//! the one before has its certificate, and told at once, for clients that pin the server's key.

use contract::{
    Code, Refusal,
    id::{Kind, ServiceName},
    v1::{Certificate, CertificateStatus, RenewServer, ServerRenewed},
};
use pki::{Host, Profile, ServerCertificate};
use prost::Message;
use service::{Answer, Fault, Outcome, View, store::StoreError};

use super::{
    Situation,
    planning::{self, Wanted},
    used,
};
use crate::{
    DAY_MS, HOUR_MS, event, policy,
    server::{self, InstallOrder, Installed, KeyMade},
    state::{self, NextKey, Record, Refusals, Renewal},
};

/// The wake-up that looks whether it is time, and the word before the name of a renewal in its ticket.
pub(super) const LOOK: &str = "server";
/// The word before the name of a renewal in the id of the effect that makes the key.
pub(super) const KEY: &str = "server-key";
/// The word in the id of the effect that makes it ahead of that.
pub(super) const AHEAD: &str = "server-key-ahead";
/// The same for the effect that puts key and certificate in their place.
pub(super) const INSTALL: &str = "server-install";

/// Whose certificate it is.
const OWNER: &str = ServiceName::FrontDoor.word();
/// A renewal that has not come to its end by then never will.
const PATIENCE_MS: i64 = 600_000;
/// The shortest pause between two looks.
const PAUSE_MS: i64 = 1_000;

pub(super) fn decide(s: &mut Situation<'_>, m: &RenewServer) -> Result<Outcome, Fault> {
    let hosts = match m.hosts.is_empty() {
        true => present_hosts(&records(s)?).ok_or_else(|| {
            let message = "which names the server has is not known here; say them";
            Refusal::new(Code::Precondition, message).at("hosts")
        })?,
        false => policy::server_hosts(&m.hosts, &s.authorities.signing.names)?,
    };
    policy::names(&s.authorities.signing.names, &hosts)?;
    let mut outcome = Outcome::default();
    if !is_free(s, &mut outcome)? {
        let message = "the server's certificate is being renewed already";
        return Err(Refusal::new(Code::Conflict, message).into());
    }
    let renewal = begin(s, &mut outcome, &hosts, false);
    outcome.answer = Answer::Later(ticket(&renewal));
    Ok(outcome)
}

/// Renews it when it is time.
pub(super) fn look(s: &mut Situation<'_>) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let records = records(s)?;
    let Some(hosts) = present_hosts(&records) else {
        return Ok(outcome);
    };
    if !is_free(s, &mut outcome)? {
        outcome.wake_at(LOOK, s.now_ms.saturating_add(PATIENCE_MS));
        return Ok(outcome);
    }
    let active = records.iter().rfind(|r| r.status() == CertificateStatus::Active);
    match active.map(Record::certificate) {
        Some(active) if !is_due(s, &active) => look_at(s, &mut outcome, &active),
        Some(active) if !is_worth_it(s, &active) => look_later(s, &mut outcome),
        _ if s.service.settings.server_renew_before_ms == Some(0) => look_later(s, &mut outcome),
        // There may be none that counts: it was revoked.
        _ => {
            begin(s, &mut outcome, &hosts, true);
            outcome.wake_at(LOOK, s.now_ms.saturating_add(PATIENCE_MS));
        }
    }
    Ok(outcome)
}

/// Has the next key made, or looked at, and looks again when this certificate is due. Each day at least: the settings, the authorities and the clock change.
pub(super) fn look_at(s: &Situation<'_>, outcome: &mut Outcome, certificate: &Certificate) {
    let tomorrow = s.now_ms.saturating_add_unsigned(DAY_MS);
    let due_ms = due_ms(s, certificate).unwrap_or(tomorrow);
    let soonest = s.now_ms.saturating_add(PAUSE_MS);
    outcome.wake_at(LOOK, due_ms.clamp(soonest, tomorrow));
    let name = format!("{AHEAD}/{}-{}", certificate.serial, s.now_ms);
    outcome.effect(name, server::KEY, Vec::new());
}

/// The next key is there, long before its certificate. Where there is none, it is made with that.
pub(super) fn key_ahead(s: &Situation<'_>, result: &[u8]) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let made = KeyMade::decode(result).unwrap_or_default();
    let subject = planning::subject(s, Kind::Service, OWNER);
    if let Ok(csr) = subject.and_then(|subject| policy::csr(&made.csr, &subject)) {
        tell_key(s, &mut outcome, csr.key_fingerprint_sha256())?;
    }
    Ok(outcome)
}

/// Tells of the next key, unless it is told already.
fn tell_key(s: &Situation<'_>, outcome: &mut Outcome, key: String) -> Result<(), Fault> {
    let told: Option<NextKey> = s.view.load(state::NEXT_KEY)?;
    if told.is_none_or(|told| told.key != key) {
        event::key_announced(outcome, &key);
        outcome.put(state::NEXT_KEY, &NextKey { key });
    }
    Ok(())
}

/// The keys that a client may meet: the one that is served with, and the next one.
pub(crate) fn keys(view: &View<'_>) -> Result<Vec<String>, StoreError> {
    let mut records = state::records_of(view, Kind::Service.word(), OWNER, usize::MAX)?;
    records.sort_by_key(|r| r.certificate().issued_at_ms);
    let active = records.iter().rfind(|r| r.status() == CertificateStatus::Active);
    let next: Option<NextKey> = view.load(state::NEXT_KEY)?;
    let keys = active.map(|record| record.key.clone());
    Ok(keys.into_iter().chain(next.map(|next| next.key)).collect())
}

fn look_later(s: &Situation<'_>, outcome: &mut Outcome) {
    outcome.wake_at(LOOK, s.now_ms.saturating_add_unsigned(HOUR_MS));
}

fn due_ms(s: &Situation<'_>, certificate: &Certificate) -> Option<i64> {
    let before_ms = s.service.settings.server_renew_before_ms;
    policy::server_due(certificate.issued_at_ms, certificate.not_after_ms, before_ms)
}

fn is_due(s: &Situation<'_>, certificate: &Certificate) -> bool {
    due_ms(s, certificate).is_some_and(|due_ms| due_ms <= s.now_ms)
}

/// Not where the next one would end no later: an authority near its end would be asked again and again.
fn is_worth_it(s: &Situation<'_>, certificate: &Certificate) -> bool {
    s.authorities.signing.validity.not_after_ms > certificate.not_after_ms
}

/// The server's certificates, the newest last.
fn records(s: &Situation<'_>) -> Result<Vec<Record>, Fault> {
    let mut records = state::records_of(s.view, Kind::Service.word(), OWNER, usize::MAX)?;
    records.sort_by_key(|r| r.certificate().issued_at_ms);
    Ok(records)
}

/// What the newest one that was ever in its place is for.
fn present_hosts(records: &[Record]) -> Option<Vec<Host>> {
    let mut readable = records.iter().rev().filter(|r| !r.certificate().pem.is_empty());
    let is_active = |r: &&Record| r.status() == CertificateStatus::Active;
    let newest = readable.clone().find(is_active).or_else(|| readable.next())?;
    let read = ServerCertificate::parse_pem(&newest.certificate().pem).ok()?;
    Some(read.hosts)
}

fn under_way(s: &Situation<'_>, name: &str) -> Result<Option<Renewal>, Fault> {
    let renewal: Option<Renewal> = s.view.load(state::RENEWAL)?;
    Ok(renewal.filter(|renewal| renewal.name == name))
}

/// Whether none is under way. One that was given up, or whose certificate was revoked meanwhile, is no more.
fn is_free(s: &Situation<'_>, outcome: &mut Outcome) -> Result<bool, Fault> {
    let Some(renewal) = s.view.load::<Renewal>(state::RENEWAL)? else {
        return Ok(true);
    };
    let age_ms = s.now_ms.saturating_sub(renewal.begun_ms);
    if (0..PATIENCE_MS).contains(&age_ms) {
        return Ok(false);
    }
    let refusal = Refusal::new(
        Code::Internal,
        "this renewal has come to no end; another is begun",
    );
    outcome.delete(state::RENEWAL);
    outcome.complete(ticket(&renewal), Err(refusal));
    Ok(true)
}

fn begin(s: &mut Situation<'_>, outcome: &mut Outcome, hosts: &[Host], by_itself: bool) -> Renewal {
    let renewal = Renewal {
        name: s.random_hex(),
        hosts: hosts.iter().map(Host::to_string).collect(),
        begun_ms: s.now_ms,
        by_itself,
        serial: String::new(),
    };
    outcome.put(state::RENEWAL, &renewal);
    outcome.effect(format!("{KEY}/{}", renewal.name), server::KEY, Vec::new());
    renewal
}

fn ticket(renewal: &Renewal) -> String {
    format!("{LOOK}/{}", renewal.name)
}

/// The key is there: its certificate is planned.
pub(super) fn key_made(s: &mut Situation<'_>, name: &str, result: &[u8]) -> Result<Outcome, Fault> {
    let Some(renewal) = under_way(s, name)?.filter(|renewal| renewal.serial.is_empty()) else {
        return Ok(Outcome::default());
    };
    let made = KeyMade::decode(result).unwrap_or_default();
    let planned = match made.csr.is_empty() {
        true => Err(failure("the server's next key could not be made", &made.failure).into()),
        false => planned(s, &renewal, &made),
    };
    match planned {
        Ok(outcome) => Ok(outcome),
        Err(Fault::Refused(refusal)) => {
            let mut outcome = Outcome::default();
            give_up(s, &mut outcome, &renewal, refusal);
            Ok(outcome)
        }
        Err(fault) => Err(fault),
    }
}

fn planned(s: &mut Situation<'_>, renewal: &Renewal, made: &KeyMade) -> Result<Outcome, Fault> {
    let is_known = |r: &Record| r.certificate().fingerprint == made.serving;
    if renewal.by_itself && !records(s)?.iter().any(is_known) {
        let message = "the server shows a certificate that is not recorded here; it is left alone";
        return Err(Refusal::new(Code::Precondition, message).into());
    }
    let csr = policy::csr(&made.csr, &planning::subject(s, Kind::Service, OWNER)?)?;
    let key = csr.key_fingerprint_sha256();
    let hosts = policy::hosts(&renewal.hosts)?;
    let wanted = Wanted {
        kind: Kind::Service,
        id: OWNER,
        lifetime_ms: s.service.settings.server_lifetime_ms,
        extras: pki::Extras::default(),
        batch: "",
        origin: "",
    };
    let mut outcome = Outcome::default();
    let record = planning::plan_as(s, &mut outcome, &wanted, &csr, Profile::Server { hosts })?;
    tell_key(s, &mut outcome, key)?;
    // Whoever asked is answered by the installation, not by the signature.
    outcome.answer = Answer::Done;
    let serial = record.certificate().serial;
    outcome.put(
        state::RENEWAL,
        &Renewal {
            serial,
            ..renewal.clone()
        },
    );
    Ok(outcome)
}

/// It is signed, and goes to its place.
pub(super) fn signed(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    serial: &str,
    chain: String,
) -> Result<(), Fault> {
    let renewal: Option<Renewal> = s.view.load(state::RENEWAL)?;
    if let Some(renewal) = renewal.filter(|renewal| renewal.serial == serial) {
        let order = InstallOrder { chain }.encode_to_vec();
        outcome.effect(format!("{INSTALL}/{}", renewal.name), server::INSTALL, order);
    }
    Ok(())
}

/// It could not be signed.
pub(super) fn not_signed(
    s: &Situation<'_>,
    outcome: &mut Outcome,
    serial: &str,
    refusal: Refusal,
) -> Result<(), Fault> {
    let renewal: Option<Renewal> = s.view.load(state::RENEWAL)?;
    if let Some(renewal) = renewal.filter(|renewal| renewal.serial == serial) {
        give_up(s, outcome, &renewal, refusal);
    }
    Ok(())
}

/// It is in its place, or could not be brought there: then what served before serves on.
pub(super) fn installed(s: &Situation<'_>, name: &str, result: &[u8]) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let Some(renewal) = under_way(s, name)? else {
        return Ok(outcome);
    };
    let issued = state::record(s.view, &renewal.serial)?;
    let issued = issued.filter(|r| r.status() == CertificateStatus::Issued);
    let done = Installed::decode(result).unwrap_or_default();
    match (issued, done.done) {
        (Some(issued), true) => succeed(s, &mut outcome, &renewal, issued)?,
        (issued, _) => {
            if let Some(issued) = issued {
                used::retire_record(&mut outcome, issued, event::Retired::Unused);
            }
            let refusal = failure("the server's next certificate is not in its place", &done.failure);
            give_up(s, &mut outcome, &renewal, refusal);
        }
    }
    Ok(outcome)
}

fn succeed(s: &Situation<'_>, outcome: &mut Outcome, renewal: &Renewal, issued: Record) -> Result<(), Fault> {
    let mut certificate = issued.certificate();
    certificate.set_status(CertificateStatus::Active);
    let mut replaced = Vec::new();
    for former in records(s)? {
        if former.is_live() && former.certificate().serial != certificate.serial {
            replaced.push(former.certificate().serial);
            used::retire_record(outcome, former, event::Retired::Superseded);
        }
    }
    let active = Record {
        certificate: Some(certificate.clone()),
        ..issued
    };
    outcome.put(state::certificate_key(&certificate.serial), &active);
    event::fact(outcome, &active);
    event::installed(outcome, &certificate, &renewal.hosts, &replaced);
    outcome.delete(state::RENEWAL);
    outcome.delete(state::NEXT_KEY);
    look_at(s, outcome, &certificate);
    let renewed = ServerRenewed {
        request_id: String::new(),
        serial: certificate.serial,
        not_after_ms: certificate.not_after_ms,
        hosts: renewal.hosts.clone(),
        replaced,
    };
    outcome.complete(ticket(renewal), Ok(Box::new(renewed)));
    Ok(())
}

/// Nothing was renewed. It is told, and tried again in an hour if it is still time.
fn give_up(s: &Situation<'_>, outcome: &mut Outcome, renewal: &Renewal, refusal: Refusal) {
    let refusals = Refusals {
        count: 1,
        kind: Kind::Service.word().into(),
        id: OWNER.into(),
        batch: String::new(),
        code: refusal.code.word().into(),
        message: refusal.message.clone(),
        why: refusal.behind.clone(),
    };
    event::refused(outcome, OWNER, &refusals);
    outcome.delete(state::RENEWAL);
    look_later(s, outcome);
    outcome.complete(ticket(renewal), Err(refusal));
}

/// Where the executor itself failed there is no reason.
fn failure(what: &str, why: &str) -> Refusal {
    let why = match why {
        "" => "the work failed; the server's log says more",
        why => why,
    };
    Refusal::new(Code::Internal, format!("{what}: {why}"))
}
