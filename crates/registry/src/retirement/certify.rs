//! From the end of a device to the signature under its record.

use contract::{
    Code, ServiceName,
    event::rfc3339,
    id::Kind,
    v1::{
        Certificate, CertificateStatus, CertificatesListed, EndedCertificate, ListCertificates, Retirement,
        RetirementSignature, RetirementState, SignedRetirement,
    },
};
use prost::Message;
use service::{Fault, Outcome, View};

use super::{NAME, SIGN, key, name, named};
use crate::event;

/// Certificates of one device that count at one time: few, unless somebody means ill.
const CERTIFICATES_MAX: u32 = 64;
/// First and longest pause before provisioning is asked again, milliseconds. It revokes as soon as it hears that the
/// device is retired.
const FIRST_MS: i64 = 1_000;
const LONGEST_MS: i64 = 300_000;
/// Pause before the signature is tried again, milliseconds: an installation's key does not come back by itself.
const SIGN_AGAIN_MS: i64 = 3_600_000;

/// Asks provisioning what became of the certificates, and writes the retirement.
pub(super) fn ask(outcome: &mut Outcome, retirement: &mut Retirement) {
    retirement.attempt += 1;
    retirement.waits_for = "provisioning's word that its certificates are revoked".into();
    let question = ListCertificates {
        kind: Kind::Device.word().into(),
        id: retirement.device_id.clone(),
        expires_from_ms: retirement.retired_at_ms,
        page_size: CERTIFICATES_MAX,
        ..ListCertificates::default()
    };
    outcome.ask(name(retirement), ServiceName::Provisioning, "list", &question);
    outcome.put(key(retirement), retirement);
}

/// Provisioning has answered.
pub(crate) fn answered(
    view: &View<'_>,
    tag: &str,
    answer: Result<&[u8], Code>,
    (now_ms, site): (i64, &str),
) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let asked = named(view, tag)?.filter(|found| found.state() == RetirementState::Revoking);
    let Some(mut retirement) = asked else {
        return Ok(outcome);
    };
    let listed = answer
        .ok()
        .and_then(|bytes| CertificatesListed::decode(bytes).ok());
    let Some(listed) = listed else {
        wait(
            &mut outcome,
            &mut retirement,
            "provisioning, which did not answer",
            now_ms,
        );
        return Ok(outcome);
    };
    let mut certificates = listed.certificates;
    // Those of its next life, should it have begun one, are not meant.
    certificates.retain(|one| one.issued_at_ms <= retirement.retired_at_ms);
    let counts = |one: &&Certificate| one.status() != CertificateStatus::Revoked && one.not_after_ms > now_ms;
    if let Some(one) = certificates.iter().find(counts) {
        let what = format!("the revocation of certificate {}", one.serial);
        wait(&mut outcome, &mut retirement, &what, now_ms);
    } else if listed.next_page.is_empty() {
        seal(&mut outcome, retirement, &certificates, site);
    } else {
        wait(
            &mut outcome,
            &mut retirement,
            "the end of more certificates than one record names",
            now_ms,
        );
    }
    Ok(outcome)
}

fn wait(outcome: &mut Outcome, retirement: &mut Retirement, what: &str, now_ms: i64) {
    let pause_ms = FIRST_MS << retirement.attempt.saturating_sub(1).min(20);
    retirement.waits_for = what.to_owned();
    outcome.wake_at(
        wake_key(retirement),
        now_ms.saturating_add(pause_ms.min(LONGEST_MS)),
    );
    outcome.put(key(retirement), retirement);
}

/// Nothing is added from now on: these bytes are signed.
fn seal(outcome: &mut Outcome, mut retirement: Retirement, certificates: &[Certificate], site: &str) {
    let mut record = retirement.record.take().unwrap_or_default();
    record.installation = site.to_owned();
    record.certificates = certificates.iter().map(ended).collect();
    retirement.signed = Some(SignedRetirement {
        payload: serde_json::to_vec_pretty(&record).unwrap_or_default(),
        ..SignedRetirement::default()
    });
    retirement.set_state(RetirementState::Signing);
    retirement.attempt = 0;
    order(outcome, &mut retirement);
}

fn ended(one: &Certificate) -> EndedCertificate {
    let time = |ms: i64| if ms > 0 { rfc3339(ms) } else { String::new() };
    EndedCertificate {
        serial: one.serial.clone(),
        issuer: one.issuer.clone(),
        not_after: time(one.not_after_ms),
        revoked_at: time(one.revoked_at_ms),
        reason: one.revocation_reason.clone(),
    }
}

fn order(outcome: &mut Outcome, retirement: &mut Retirement) {
    retirement.attempt += 1;
    retirement.waits_for = "the installation's signature".into();
    let payload = retirement.signed.clone().unwrap_or_default().payload;
    // Its result comes under a name of its own: the questions' names are taken.
    outcome.effect(sign_name(retirement), SIGN, payload);
    outcome.put(key(retirement), retirement);
}

/// The signature, or none: there is no key.
pub(crate) fn signed(view: &View<'_>, id: &str, result: &[u8], now_ms: i64) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let ordered = named(view, id.strip_prefix(SIGN_NAME).unwrap_or_default())?;
    let Some(mut retirement) = ordered.filter(|found| found.state() == RetirementState::Signing) else {
        return Ok(outcome);
    };
    let made = RetirementSignature::decode(result).unwrap_or_default();
    if made.signature.is_empty() {
        retirement.waits_for = "the installation's key, pki/retirement.key".into();
        outcome.wake_at(wake_key(&retirement), now_ms.saturating_add(SIGN_AGAIN_MS));
    } else {
        let bare = retirement.signed.take().unwrap_or_default();
        retirement.signed = Some(SignedRetirement {
            payload_type: made.payload_type,
            key_id: made.key_id,
            signature: made.signature,
            ..bare
        });
        retirement.set_state(RetirementState::Signed);
        retirement.signed_at_ms = now_ms;
        retirement.waits_for.clear();
        event::retirement_signed(&mut outcome, &retirement);
    }
    outcome.put(key(&retirement), &retirement);
    Ok(outcome)
}

/// It is time to ask, or to sign, again.
pub(crate) fn wake(view: &View<'_>, rest: &str) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let Some(mut retirement) = named(view, &format!("{NAME}{rest}"))? else {
        return Ok(outcome);
    };
    match retirement.state() {
        RetirementState::Revoking => ask(&mut outcome, &mut retirement),
        RetirementState::Signing => order(&mut outcome, &mut retirement),
        _ => {}
    }
    Ok(outcome)
}

const SIGN_NAME: &str = "sign/";

fn sign_name(retirement: &Retirement) -> String {
    format!("{SIGN_NAME}{}", name(retirement))
}

fn wake_key(retirement: &Retirement) -> String {
    name(retirement)
}
