//! Provisioning's fact that a certificate was issued: its device is provisioned.

use contract::v1::{CertificateFact, CertificateStatus};
use contract::{id::Kind, id::ServiceName};
use prost::Message;
use service::{FactChange, Fault, Outcome};

use super::{
    Situation,
    enter::{Why, enter, save},
};
use crate::{
    event,
    lifecycle::{self, Cause},
    state,
};

pub(super) fn decide(s: &Situation<'_>, fact: FactChange<'_>) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let Some(certificate) = usable(&fact) else {
        return Ok(outcome);
    };
    let Some(mut device) = state::device_or_twin(s.view, &certificate.id)? else {
        return Ok(outcome);
    };
    let transition = lifecycle::find(&device, Cause::Certificate, s.now_ms);
    let (Some(transition), true) = (transition, device.device_id == certificate.id) else {
        return Ok(outcome);
    };
    let before = event::fact_of(&device);
    let reason = format!("certificate {} was issued", fact.id);
    let why = Why {
        reason: &reason,
        ..Why::default()
    };
    enter(s, &mut outcome, &mut device, transition, &why)?;
    // A report can overtake the fact of the certificate it came over.
    let overtaken = lifecycle::find(&device, Cause::Report, s.now_ms).filter(|_| device.reported_at_ms > 0);
    if let Some(transition) = overtaken {
        let why = Why {
            reason: "the device had reported",
            ..Why::default()
        };
        enter(s, &mut outcome, &mut device, transition, &why)?;
    }
    save(&mut outcome, Some(&before), &device);
    Ok(outcome)
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
