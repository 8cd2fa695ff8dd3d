//! `used`: the front door saw a certificate for the first time. It becomes active, and a device's former
//! ones retire after the overlap.

use contract::{
    id::Kind,
    v1::{Certificate, CertificateStatus, CertificateUsed},
};
use service::{Fault, Outcome};

use super::{Situation, renewals, signed::UNUSED};
use crate::{
    event::{self, Retired},
    policy,
    state::{self, Record},
};

/// The word before the serial in the wake-up of a certificate whose overlap ends.
pub(super) const RETIRE: &str = "retire";

pub(super) fn decide(s: &Situation<'_>, m: &CertificateUsed) -> Result<Outcome, Fault> {
    let serial = policy::serial(&m.serial)?;
    let mut outcome = Outcome::default();
    let Some(record) = state::record(s.view, &serial)?.filter(|r| r.status() == CertificateStatus::Issued)
    else {
        return Ok(outcome);
    };
    let mut certificate = record.certificate();
    certificate.set_status(CertificateStatus::Active);
    let active = Record {
        certificate: Some(certificate.clone()),
        ..record
    };
    outcome.put(state::certificate_key(&serial), &active);
    outcome.no_wake(format!("{UNUSED}/{serial}"));
    event::fact(&mut outcome, &active);
    event::activated(&mut outcome, &certificate);
    if certificate.kind == Kind::Device.word() {
        retire_former(s, &mut outcome, &certificate)?;
        renewals::renewed(s, &mut outcome, &certificate)?;
    }
    Ok(outcome)
}

/// An operator may have one certificate for each machine; a device has one, the newest that it has used. If
/// it goes back to an older one, the newest stays all the same: a device is never left without any.
fn retire_former(s: &Situation<'_>, outcome: &mut Outcome, used: &Certificate) -> Result<(), Fault> {
    let at_ms = s.now_ms.saturating_add_unsigned(s.service.settings.overlap_ms);
    let mut others = state::records_of(s.view, Kind::Device.word(), &used.id, usize::MAX)?;
    others.retain(|r| r.is_live() && r.certificate().serial != used.serial);
    // Whatever else a batch's holder got for this device and never used may be in other hands.
    for unused in others.extract_if(.., |r| is_claimed_and_unused(r)) {
        retire_record(outcome, unused, Retired::Unused);
    }
    let is_newer = |r: &Record| r.certificate().issued_at_ms > used.issued_at_ms;
    let has_replaced_it = |r: &Record| is_newer(r) && r.status() == CertificateStatus::Active;
    if others.iter().any(has_replaced_it) {
        outcome.wake_at(format!("{RETIRE}/{}", used.serial), at_ms);
    } else {
        outcome.no_wake(format!("{RETIRE}/{}", used.serial));
    }
    for former in others.iter().filter(|r| !is_newer(r)) {
        outcome.wake_at(format!("{RETIRE}/{}", former.certificate().serial), at_ms);
    }
    Ok(())
}

fn is_claimed_and_unused(record: &Record) -> bool {
    record.status() == CertificateStatus::Issued && !record.certificate().batch.is_empty()
}

/// The overlap is over.
pub(super) fn retire(s: &Situation<'_>, serial: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    if let Some(record) = state::record(s.view, serial)?.filter(Record::is_live) {
        let why = match record.status() {
            CertificateStatus::Issued => Retired::Unused,
            _ => Retired::Superseded,
        };
        retire_record(&mut outcome, record, why);
    }
    Ok(outcome)
}

pub(super) fn retire_record(outcome: &mut Outcome, record: Record, why: Retired) {
    let mut certificate = record.certificate();
    certificate.set_status(CertificateStatus::Retired);
    outcome.no_wake(format!("{UNUSED}/{}", certificate.serial));
    let retired = Record {
        certificate: Some(certificate.clone()),
        ..record
    };
    outcome.put(state::certificate_key(&certificate.serial), &retired);
    event::fact(outcome, &retired);
    event::retired(outcome, &certificate, why);
}
