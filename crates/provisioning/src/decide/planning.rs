//! From an accepted request to a plan on disk: the one way to a certificate.

use contract::{
    Code, Refusal,
    id::Kind,
    v1::{Certificate, CertificateStatus},
};
use pki::{Csr, Extras, Plan, Profile, Serial, Subject, SubjectKind, Validity};
use prost::Message;
use service::{Fault, Outcome};

use super::{Situation, many, purge};
use crate::{
    effects::{self, SignOrder},
    policy,
    state::{self, Clock, KeyUse, Record},
};

/// The word before the serial in an effect's id, which is the caller's ticket too.
pub(super) const SIGN: &str = "sign";

/// Serials that are tried.
const DRAWS: usize = 8;

/// Whom a certificate is for.
pub(super) struct Wanted<'a> {
    pub(super) kind: Kind,
    pub(super) id: &'a str,
    pub(super) lifetime_ms: u64,
    /// What it says beside its profile.
    pub(super) extras: Extras,
    /// The batch under which it was asked for.
    pub(super) batch: &'a str,
    /// The batch by which its holder came in, where that was long ago.
    pub(super) origin: &'a str,
}

/// The subject that a certificate of this kind and id names.
pub(super) fn subject(s: &Situation<'_>, kind: Kind, id: &str) -> Result<Subject, Refusal> {
    let kind = SubjectKind::ALL.into_iter().find(|k| k.word() == kind.word());
    let subject = kind.and_then(|kind| Subject::new(s.site, kind, id).ok());
    subject.ok_or_else(|| Refusal::invalid("id", "no certificate can name this"))
}

/// Commits a plan and orders its signature; the caller gets its answer when that is done. The record
/// comes back with its certificate as planned.
pub(super) fn plan(
    s: &mut Situation<'_>,
    outcome: &mut Outcome,
    wanted: &Wanted<'_>,
    csr: &Csr,
) -> Result<Record, Fault> {
    plan_as(s, outcome, wanted, csr, Profile::Client)
}

/// The same for a certificate of any profile.
pub(super) fn plan_as(
    s: &mut Situation<'_>,
    outcome: &mut Outcome,
    wanted: &Wanted<'_>,
    csr: &Csr,
    profile: Profile,
) -> Result<Record, Fault> {
    let latest: Clock = s.view.load(state::CLOCK)?.unwrap_or_default();
    policy::clock(latest.latest_ms, s.now_ms)?;
    let key = csr.key_fingerprint_sha256();
    let used: Option<KeyUse> = s.view.load(state::key_key(&key))?;
    policy::key(used.as_ref(), wanted.kind, wanted.id)?;
    policy::names(&s.authorities.signing.names, profile.hosts())?;
    let subject = subject(s, wanted.kind, wanted.id)?;
    let validity =
        Validity::within(s.authorities.signing.validity, s.now_ms, wanted.lifetime_ms).map_err(|e| {
            Refusal::new(
                Code::Precondition,
                format!("the issuing authority cannot issue now: {e}"),
            )
        })?;
    let plan = Plan {
        extras: wanted.extras.clone(),
        ..Plan::new(fresh_serial(s)?, profile, subject, csr.public_key(), validity)
    };
    let record = recorded(s, wanted, &plan, key);
    many::demand_spared(s, &record)?;
    write(s, outcome, &record)?;
    let ticket = format!("{SIGN}/{}", plan.serial.to_hex());
    let order = SignOrder {
        issuer: record.certificate().issuer,
        plan: record.plan.clone(),
    };
    outcome.effect(ticket.clone(), effects::SIGN, order.encode_to_vec());
    outcome.answer = service::Answer::Later(ticket);
    let latest_ms = latest.latest_ms.max(s.now_ms);
    outcome.put(state::CLOCK, &Clock { latest_ms });
    Ok(record)
}

fn recorded(s: &Situation<'_>, wanted: &Wanted<'_>, plan: &Plan, key: String) -> Record {
    let certificate = Certificate {
        serial: plan.serial.to_hex(),
        kind: wanted.kind.word().into(),
        id: wanted.id.into(),
        status: CertificateStatus::Planned as i32,
        not_before_ms: plan.not_before_ms,
        not_after_ms: plan.not_after_ms,
        issued_at_ms: s.now_ms,
        batch: wanted.batch.into(),
        issuer: s.authorities.signing.id.clone(),
        ..Certificate::default()
    };
    Record {
        certificate: Some(certificate),
        plan: serde_json::to_vec(plan).unwrap_or_default(),
        key,
        origin: if wanted.origin.is_empty() {
            wanted.batch
        } else {
            wanted.origin
        }
        .into(),
        ..Record::default()
    }
}

/// Writes a record with all that finds it, now and when it is to be forgotten.
pub(super) fn write(s: &Situation<'_>, outcome: &mut Outcome, record: &Record) -> Result<(), Fault> {
    let certificate = record.certificate();
    let Certificate {
        serial,
        kind,
        id,
        not_after_ms,
        ..
    } = &certificate;
    outcome.put(state::certificate_key(serial), record);
    outcome
        .changes
        .put(state::owner_key(kind, id, serial), Vec::new());
    outcome
        .changes
        .put(state::end_key(*not_after_ms, serial), Vec::new());
    let key = KeyUse {
        kind: kind.clone(),
        id: id.clone(),
        revoked: false,
    };
    outcome.put(state::key_key(&record.key), &key);
    purge::begin(s, outcome)
}

/// A serial that no certificate has. A second draw has never been needed yet; where a few do not help, the
/// random source is broken, and nothing may be issued with it.
fn fresh_serial(s: &mut Situation<'_>) -> Result<Serial, Fault> {
    for _ in 0..DRAWS {
        let mut octets = [0; 16];
        s.entropy.fill(&mut octets);
        let serial = Serial::from_random(octets);
        if state::record(s.view, &serial.to_hex())?.is_none() {
            return Ok(serial);
        }
    }
    Err(Refusal::new(
        Code::Internal,
        "the random source gives the same numbers again and again",
    )
    .into())
}
