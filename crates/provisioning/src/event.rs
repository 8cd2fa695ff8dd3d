//! The only place where events and facts are made.

use contract::{
    Principal,
    id::{Id, Kind},
    v1::{
        Certificate, CertificateFact, Claim, FactoryCertificate, Manufacturer, MassRenewal, MassRenewalState,
        RenewOrder, RenewingDevice, WaitingDevice,
    },
};
use pki::FactoryTrust;
use serde_json::{Value, json};
use service::{FactDraft, Outcome};

use crate::state::{ListState, Record, Refusals, Revocation};

fn subject(serial: &str) -> String {
    format!("certificates/{serial}")
}

fn about(certificate: &Certificate) -> Value {
    json!({
        "serial": certificate.serial,
        "kind": certificate.kind,
        "id": certificate.id,
        "not_after_ms": certificate.not_after_ms.to_string(),
    })
}

/// What others must know of a certificate.
pub(crate) fn fact(outcome: &mut Outcome, record: &Record) {
    let certificate = record.certificate();
    let fact = CertificateFact {
        serial: certificate.serial.clone(),
        kind: certificate.kind.clone(),
        id: certificate.id.clone(),
        status: certificate.status,
        not_after_ms: certificate.not_after_ms,
        revocation: record.revocation.clone(),
    };
    outcome.fact("certificate", certificate.serial, &fact);
}

/// A certificate was issued.
pub(crate) fn issued(outcome: &mut Outcome, certificate: &Certificate) {
    let mut data = about(certificate);
    data["batch"] = json!(certificate.batch);
    data["fingerprint"] = json!(certificate.fingerprint);
    outcome.event(subject(&certificate.serial), "issued", data);
}

/// A certificate was used for the first time.
pub(crate) fn activated(outcome: &mut Outcome, certificate: &Certificate) {
    outcome.event(subject(&certificate.serial), "activated", about(certificate));
}

/// A certificate counts no more, and was not revoked.
pub(crate) fn retired(outcome: &mut Outcome, certificate: &Certificate, why: Retired) {
    let mut data = about(certificate);
    data["why"] = json!(why.word());
    outcome.event(subject(&certificate.serial), "retired", data);
}

/// Why a certificate counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retired {
    /// The next one is in use.
    Superseded,
    /// Nobody used it in time, or the next one was used first.
    Unused,
}

impl Retired {
    fn word(self) -> &'static str {
        match self {
            Retired::Superseded => "superseded",
            Retired::Unused => "unused",
        }
    }
}

/// The revocation lists were made anew.
pub(crate) fn lists_published(outcome: &mut Outcome, list: &ListState) {
    let data = json!({
        "number": list.number.to_string(),
        "next_update_ms": list.next_update_ms.to_string(),
    });
    outcome.event("lists/crl", "published", data);
}

/// The server has its next certificate.
pub(crate) fn installed(
    outcome: &mut Outcome,
    certificate: &Certificate,
    hosts: &[String],
    replaced: &[String],
) {
    let mut data = about(certificate);
    data["hosts"] = json!(hosts);
    data["replaced"] = json!(replaced);
    outcome.event(subject(&certificate.serial), "installed", data);
}

/// The server's next key is known, before it is served with.
pub(crate) fn key_announced(outcome: &mut Outcome, key: &str) {
    let about = format!("certificates/{}", contract::ServiceName::FrontDoor);
    outcome.event(about, "announced", json!({ "key": key }));
}

/// A device asked for its next certificate over one that had ended.
pub(crate) fn renewed_late(outcome: &mut Outcome, ended: &Certificate, next: &Certificate, now_ms: i64) {
    let mut data = about(ended);
    data["next"] = json!(next.serial);
    data["ended_before_ms"] = json!(now_ms.saturating_sub(ended.not_after_ms).to_string());
    outcome.event(subject(&ended.serial), "renewed-late", data);
}

/// A certificate was revoked.
pub(crate) fn revoked(outcome: &mut Outcome, certificate: &Certificate, revocation: &str) {
    let mut data = about(certificate);
    data["reason"] = json!(certificate.revocation_reason);
    data["revocation"] = json!(revocation);
    outcome.event(subject(&certificate.serial), "revoked", data);
}

/// The front door has closed the sessions over a revoked certificate.
pub(crate) fn closed(
    outcome: &mut Outcome,
    serial: &str,
    sessions: u32,
    revocation: &Revocation,
    now_ms: i64,
) {
    let data = json!({
        "serial": serial,
        "sessions": sessions,
        "closed_after_ms": now_ms.saturating_sub(revocation.at_ms).max(0).to_string(),
    });
    outcome.event(subject(serial), "closed", data);
}

/// A certificate that ended long ago is known no more.
pub(crate) fn forgotten(outcome: &mut Outcome, certificate: &Certificate) {
    outcome.event(subject(&certificate.serial), "forgotten", about(certificate));
}

/// An issuing authority has another place among those that are trusted.
pub(crate) fn authority_changed(outcome: &mut Outcome, id: &str, place: &str) {
    let data = json!({ "id": id, "state": place });
    outcome.event(format!("authorities/{id}"), "changed", data);
}

/// Requests for a certificate were refused: how many since the last event, and the last of them.
pub(crate) fn refused(outcome: &mut Outcome, about: &str, refusals: &Refusals) {
    let data = json!({
        "kind": refusals.kind,
        "id": refusals.id,
        "batch": refusals.batch,
        "code": refusals.code,
        "message": refusals.message,
        "why": refusals.why,
        "count": refusals.count,
    });
    outcome.event(subject(about), "refused", data);
}

/// What the front door needs to turn a batch's holder away when it connects. The count of its uses is left
/// out: it would make a fact of each signature.
pub(crate) fn claim_fact(outcome: &mut Outcome, claim: &Claim) {
    let fact = Claim {
        version: 0,
        used: 0,
        ..claim.clone()
    };
    outcome.fact("claim", claim.batch.clone(), &fact);
}

/// Nobody needs to know of a thing any more.
pub(crate) fn no_fact(outcome: &mut Outcome, entity: &'static str, id: &str) {
    outcome.facts.push(FactDraft {
        entity,
        id: id.into(),
        value: None,
    });
}

/// A batch may ask for certificates.
pub(crate) fn claim_made(outcome: &mut Outcome, claim: &Claim) {
    let data = json!({
        "batch": claim.batch,
        "uses": claim.uses,
        "expires_ms": claim.expires_ms.to_string(),
        "id_pattern": claim.id_pattern,
        "types": claim.types,
        "serial": claim.serial,
    });
    outcome.event(format!("claims/{}", claim.batch), "made", data);
}

/// A batch was used as often as it may be.
pub(crate) fn claim_used_up(outcome: &mut Outcome, claim: &Claim) {
    let data = json!({ "batch": claim.batch, "uses": claim.uses });
    outcome.event(format!("claims/{}", claim.batch), "used-up", data);
}

/// A batch was revoked.
pub(crate) fn claim_closed(outcome: &mut Outcome, claim: &Claim) {
    let data = json!({ "batch": claim.batch, "used": claim.used });
    outcome.event(format!("claims/{}", claim.batch), "closed", data);
}

/// What the front door needs to let a manufacturer's devices in. The count of its uses is left out, as a batch's is.
pub(crate) fn manufacturer_fact(outcome: &mut Outcome, manufacturer: &Manufacturer) {
    let fact = Manufacturer {
        version: 0,
        used: 0,
        types: Vec::new(),
        ..manufacturer.clone()
    };
    outcome.fact("manufacturer", manufacturer.name.clone(), &fact);
}

fn about_manufacturer(name: &str) -> String {
    format!("manufacturers/{name}")
}

/// A manufacturer's certificates let devices in.
pub(crate) fn manufacturer_changed(outcome: &mut Outcome, manufacturer: &Manufacturer, trust: &FactoryTrust) {
    let data = json!({
        "name": manufacturer.name,
        "types": manufacturer.types,
        "identity": manufacturer.identity().as_str_name(),
        "ca_keys": trust.keys().collect::<Vec<_>>(),
        "revoked": manufacturer.revoked,
    });
    outcome.event(about_manufacturer(&manufacturer.name), "changed", data);
}

/// A manufacturer's certificates let nobody in any more.
pub(crate) fn manufacturer_removed(outcome: &mut Outcome, manufacturer: &Manufacturer) {
    let data = json!({ "name": manufacturer.name, "used": manufacturer.used.to_string() });
    outcome.event(about_manufacturer(&manufacturer.name), "removed", data);
}

/// A device's factory certificate opens nothing any more, or does again.
pub(crate) fn factory_refused(outcome: &mut Outcome, manufacturer: &str, device: &str, lift: bool) {
    let data = json!({ "name": manufacturer, "serial_number": device, "refused": !lift });
    outcome.event(about_manufacturer(manufacturer), "refused", data);
}

/// A device asks for its first certificate with its factory certificate.
pub(crate) fn factory_used(
    outcome: &mut Outcome,
    shown: &FactoryCertificate,
    device: &str,
    next: &Certificate,
) {
    let data = json!({
        "name": shown.manufacturer,
        "serial_number": device,
        "fingerprint": shown.fingerprint,
        "device_id": next.id,
        "serial": next.serial,
    });
    outcome.event(about_manufacturer(&shown.manufacturer), "used", data);
}

/// A device was given a one-time secret; who gave it is the event's actor.
pub(crate) fn secret_made(outcome: &mut Outcome, device_id: &str, expires_ms: i64) {
    let data = json!({
        "device_id": device_id,
        "expires_ms": expires_ms.to_string(),
    });
    outcome.event(format!("secrets/{device_id}"), "made", data);
}

/// A device's one-time secret is used up.
pub(crate) fn secret_used(outcome: &mut Outcome, device_id: &str) {
    let data = json!({ "device_id": device_id });
    outcome.event(format!("secrets/{device_id}"), "used", data);
}

/// Too many wrong ones.
pub(crate) fn secret_locked(outcome: &mut Outcome, device_id: &str, until_ms: i64) {
    let data = json!({ "device_id": device_id, "until_ms": until_ms.to_string() });
    outcome.event(format!("secrets/{device_id}"), "locked", data);
}

/// Whoever was asked about a device's key has answered.
pub(crate) fn answered(outcome: &mut Outcome, name: &'static str, waiting: &WaitingDevice, reason: &str) {
    let data = json!({
        "device_id": waiting.device_id,
        "batch": waiting.batch,
        "fingerprint": waiting.fingerprint,
        "approver": waiting.approver,
        "reason": reason,
    });
    outcome.event(format!("admissions/{}", waiting.device_id), name, data);
}

/// A device waits for an operator's word, or has it.
pub(crate) fn admission(outcome: &mut Outcome, name: &'static str, waiting: &WaitingDevice) {
    let data = json!({
        "device_id": waiting.device_id,
        "batch": waiting.batch,
        "fingerprint": waiting.fingerprint,
    });
    outcome.event(format!("admissions/{}", waiting.device_id), name, data);
}

/// Many devices are to renew.
pub(crate) fn renewal_begun(outcome: &mut Outcome, renewal: &MassRenewal) {
    told_of(outcome, "begun", renewal);
}

/// A mass renewal is over.
pub(crate) fn renewal_ended(outcome: &mut Outcome, renewal: &MassRenewal) {
    told_of(outcome, "ended", renewal);
}

fn told_of(outcome: &mut Outcome, name: &'static str, renewal: &MassRenewal) {
    let data = json!({
        "renewal_id": renewal.renewal_id,
        "state": MassRenewalState::as_str_name(&renewal.state()),
        "issuer": renewal.issuer,
        "batch": renewal.batch,
        "key_kind": renewal.key_kind,
        "group": renewal.group,
        "device_type": renewal.device_type,
        "within": renewal.within,
        "reason": renewal.reason,
        "devices": renewal.devices,
        "renewed": renewal.renewed,
        "failed": renewal.failed,
    });
    outcome.event(format!("renewals/{}", renewal.renewal_id), name, data);
}

/// A device of a mass renewal gets no next certificate.
pub(crate) fn renewing_failed(outcome: &mut Outcome, renewal: &str, device: &RenewingDevice) {
    let data = json!({ "renewal_id": renewal, "device_id": device.device_id, "why": device.why });
    outcome.event(format!("renewals/{renewal}"), "device-failed", data);
}

/// Tells a device to renew; what it was told before is no more.
pub(crate) fn order(outcome: &mut Outcome, device: &str, order: RenewOrder) {
    if let Some(device) = principal(device) {
        outcome.push(device, "renew", order);
    }
}

/// Takes back what a device was told.
pub(crate) fn take_order_back(outcome: &mut Outcome, device: &str) {
    if let Some(device) = principal(device) {
        outcome.take_back(device, "renew");
    }
}

/// What was stored was an id when it came in.
fn principal(device: &str) -> Option<Principal> {
    let device = device.parse::<Id>().ok()?;
    Some(Principal::new(Kind::Device, device))
}
