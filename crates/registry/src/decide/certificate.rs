//! Provisioning's fact that a certificate was issued: its device is provisioned.

use contract::v1::{CertificateFact, CertificateStatus};
use contract::{id::Kind, id::ServiceName};
use prost::Message;
use service::{FactChange, Fault, Outcome};

use super::{
    Situation,
    act::{Act, Why},
    active,
};
use crate::{
    lifecycle::{self, Cause},
    state,
};

pub(super) fn decide(s: &Situation<'_>, fact: FactChange<'_>) -> Result<Outcome, Fault> {
    let Some(certificate) = usable(&fact) else {
        return Ok(Outcome::default());
    };
    let Some(mut device) = state::device_or_twin(s.view, &certificate.id)? else {
        return Ok(Outcome::default());
    };
    let transition = lifecycle::find(&device, Cause::Certificate, &s.ground(&device)?);
    let (Some(transition), true) = (transition, device.device_id == certificate.id) else {
        return Ok(Outcome::default());
    };
    let before = device.clone();
    let mut act = Act::new(s);
    let reason = format!("certificate {} was issued", fact.id);
    let why = Why {
        reason: &reason,
        grounds: [("certificate".to_owned(), fact.id.to_owned())].into(),
        ..Why::default()
    };
    act.enter(&mut device, transition, &why)?;
    // A report can overtake the fact of the certificate it came over.
    active::if_it_had_reported(&mut act, &mut device)?;
    act.save(Some(&before), &mut device)?;
    Ok(act.finish())
}

/// The fact, if it is a device's certificate that can be used.
fn usable(fact: &FactChange<'_>) -> Option<CertificateFact> {
    if fact.owner != ServiceName::Provisioning || fact.entity != "certificate" {
        return None;
    }
    let certificate = CertificateFact::decode(fact.value?).ok()?;
    let usable = matches!(
        certificate.status(),
        CertificateStatus::Issued | CertificateStatus::Active
    );
    (usable && certificate.kind == Kind::Device.word()).then_some(certificate)
}
