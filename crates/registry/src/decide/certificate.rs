//! Provisioning's facts of certificates: a device that was issued one is provisioned; that an operator's is revoked is
//! told on to those who follow the registry alone.

use contract::v1::{CertificateFact, CertificateStatus};
use contract::{id::Kind, id::ServiceName};
use prost::Message;
use service::{FactChange, FactDraft, Fault, Outcome};

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
    if fact.owner != ServiceName::Provisioning || fact.entity != "certificate" {
        return Ok(Outcome::default());
    }
    let Some(certificate) = usable(&fact) else {
        return tell_on(s, &fact);
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
    let certificate = CertificateFact::decode(fact.value?).ok()?;
    let usable = matches!(
        certificate.status(),
        CertificateStatus::Issued | CertificateStatus::Active
    );
    (usable && certificate.kind == Kind::Device.word()).then_some(certificate)
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
