//! Which devices a mass renewal is for.

use contract::{
    ServiceName,
    id::Kind,
    v1::{DeviceFact, MassRenewal, MassRenewalState},
};
use service::{Fault, Outcome, View};

use super::{Situation, keep, put_device, waiting};
use crate::state::{self, Course, Record};

/// Certificates that are looked at in one decision.
const PAGE: usize = 250;

/// Writes down the devices of the next page of certificates.
pub(super) fn page(s: &Situation<'_>, outcome: &mut Outcome, mut course: Course) -> Result<(), Fault> {
    let mut renewal = course.renewal();
    let after = Some(course.after.as_slice()).filter(|after| !after.is_empty());
    let rows = s.view.list::<Record>(state::CERTIFICATES, after, PAGE)?;
    let is_last = rows.len() < PAGE;
    if let Some((last, _)) = rows.last() {
        course.after.clone_from(last);
    }
    for (_, record) in rows {
        let certificate = record.certificate();
        if certificate.kind != Kind::Device.word() || !record.counts(s.now_ms) {
            continue;
        }
        let newest = to_renew(s, &renewal, &certificate.id)?;
        let is_it = newest.is_some_and(|newest| newest.certificate().serial == certificate.serial);
        if is_it && fits(s.view, &renewal, &record)? {
            put_device(outcome, &renewal.renewal_id, &waiting(certificate.id, s.now_ms));
            renewal.devices += 1;
            renewal.waiting += 1;
        }
    }
    if is_last {
        course.after.clear();
        course.round_at_ms = s.now_ms;
        renewal.set_state(MassRenewalState::Telling);
    }
    course.renewal = Some(renewal);
    keep(s, outcome, course, Some(s.now_ms));
    Ok(())
}

/// The newest certificate of a device that is older than the mass renewal and can be used.
pub(super) fn to_renew(
    s: &Situation<'_>,
    renewal: &MassRenewal,
    device: &str,
) -> Result<Option<Record>, Fault> {
    let records = state::records_of(s.view, Kind::Device.word(), device, usize::MAX)?;
    let counting = records
        .into_iter()
        .filter(|record| record.counts(s.now_ms) && issued_ms(record) <= renewal.begun_at_ms);
    Ok(counting.max_by_key(issued_ms))
}

fn issued_ms(record: &Record) -> i64 {
    record.certificate().issued_at_ms
}

/// Whether all conditions hold of it.
pub(super) fn fits(view: &View<'_>, renewal: &MassRenewal, record: &Record) -> Result<bool, Fault> {
    let certificate = record.certificate();
    let is_any = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
    if !is_any(&renewal.issuer, &certificate.issuer) || !is_any(&renewal.batch, &record.origin) {
        return Ok(false);
    }
    if !renewal.key_kind.is_empty() {
        let kind = pki::key_kind_of(&certificate.pem).map(pki::KeyKind::word);
        if kind != Some(renewal.key_kind.as_str()) {
            return Ok(false);
        }
    }
    if is_any_device(renewal) {
        return Ok(true);
    }
    let fact: Option<DeviceFact> = view.fact(ServiceName::Registry, "device", &certificate.id)?;
    Ok(fact.is_some_and(|fact| fits_device(renewal, &fact)))
}

fn is_any_device(renewal: &MassRenewal) -> bool {
    renewal.group.is_empty() && renewal.device_type.is_empty() && renewal.within.is_empty()
}

/// Whether the conditions about devices hold, by what the registry says of one.
pub(super) fn fits_device(renewal: &MassRenewal, fact: &DeviceFact) -> bool {
    let is_in = |group: &String| fact.groups.contains(group);
    (renewal.group.is_empty() || is_in(&renewal.group))
        && (renewal.device_type.is_empty() || renewal.device_type == fact.device_type)
        && (renewal.within.is_empty() || renewal.within.iter().any(is_in))
}
