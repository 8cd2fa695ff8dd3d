//! Provisioning's facts of certificates: what is known of a device's follows them, and one that was issued makes its
//! device provisioned; that an operator's is revoked is told on to those who follow the registry alone.

use contract::v1::{CertificateFact, CertificateStatus, Device};
use contract::{id::Kind, id::ServiceName};
use prost::Message;
use service::{FactChange, FactDraft, Fault, Outcome};

use super::{
    Situation,
    act::{Act, Why},
    active, hear,
};
use crate::{
    lifecycle::{self, Cause},
    live,
};

pub(super) fn decide(s: &Situation<'_>, fact: FactChange<'_>) -> Result<Outcome, Fault> {
    let present = fact.value.and_then(|value| CertificateFact::decode(value).ok());
    // What is gone does not say any more whose it was.
    let of = match &present {
        Some(certificate) => Some(certificate.clone()),
        None => s
            .view
            .fact::<CertificateFact>(ServiceName::Provisioning, "certificate", fact.id)?,
    };
    let Some(of) = of.filter(|certificate| certificate.kind == Kind::Device.word()) else {
        return tell_on(s, &fact);
    };
    let usable = present.filter(is_usable);
    let heard = |live: &mut _| live::hear_certificate(live, fact.id, usable.as_ref());
    hear::news(s, &of.id, heard, |act, device| match &usable {
        Some(_) => provision(act, device, fact.id),
        None => Ok(false),
    })
}

/// A certificate was issued. Whether that changes the device's own record.
fn provision(act: &mut Act<'_>, device: &mut Device, serial: &str) -> Result<bool, Fault> {
    let Some(transition) = lifecycle::find(device, Cause::Certificate, &act.s.ground(device)?) else {
        return Ok(false);
    };
    let reason = format!("certificate {serial} was issued");
    let why = Why {
        reason: &reason,
        grounds: [("certificate".to_owned(), serial.to_owned())].into(),
        ..Why::default()
    };
    act.enter(device, transition, &why)?;
    // A report can overtake the fact of the certificate it came over.
    active::if_it_had_reported(act, device)?;
    Ok(true)
}

fn is_usable(certificate: &CertificateFact) -> bool {
    matches!(
        certificate.status(),
        CertificateStatus::Issued | CertificateStatus::Active
    )
}

/// What was asked for with an operator's certificate, and waits for another person, must not be done once it is revoked.
fn tell_on(s: &Situation<'_>, fact: &FactChange<'_>) -> Result<Outcome, Fault> {
    let is_revoked = |known: &CertificateFact| {
        known.status() == CertificateStatus::Revoked && known.kind == Kind::Operator.word()
    };
    let former = s.view.fact::<CertificateFact>(fact.owner, fact.entity, fact.id)?;
    let present = fact.value.and_then(|value| CertificateFact::decode(value).ok());
    let mut outcome = Outcome::default();
    match (former.filter(is_revoked), present.filter(is_revoked)) {
        (_, Some(revoked)) => outcome.fact("revoked", fact.id.to_owned(), &revoked),
        (Some(_), None) => outcome.facts.push(FactDraft {
            entity: "revoked",
            id: fact.id.to_owned(),
            value: None,
        }),
        (None, None) => {}
    }
    Ok(outcome)
}
