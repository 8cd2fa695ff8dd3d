//! The record of a device's end: it waits for all that belongs to the end, and is then signed once.

use contract::v1::{
    Certificate, CertificateStatus, CertificatesListed, Changed, Done, Erased, Erasure, ListCertificates,
    PutGroup, ReadmitDevice, RegisterDevice, RetireDevice, Retirement, RetirementRecord, RetirementShown,
    RetirementSignature, RetirementState, ShowRetirement, Stage,
};
use contract::{v1::ChangeMembers, v1::MembersChanged, wire};
use prost::Message;

use crate::world::{ADA, WAIT_MS, World, data, register};

const DAY_MS: i64 = 24 * 3_600_000;

fn retire(w: &mut World, id: &str) {
    let request = RetireDevice {
        device_id: id.into(),
        reason: "sold".into(),
        ..RetireDevice::default()
    };
    w.ask::<Changed>(ADA, "retire", &request).unwrap();
}

fn shown_of(w: &mut World, id: &str, version: u64) -> Option<Retirement> {
    let request = ShowRetirement {
        device_id: id.into(),
        version,
        ..ShowRetirement::default()
    };
    let shown: RetirementShown = w.ask(ADA, "retirement", &request).unwrap();
    shown.retirement
}

fn shown(w: &mut World, id: &str) -> Retirement {
    shown_of(w, id, 0).unwrap()
}

fn certificate(w: &World, serial: &str, status: CertificateStatus) -> Certificate {
    let revoked = status == CertificateStatus::Revoked;
    Certificate {
        serial: serial.into(),
        status: status.into(),
        issued_at_ms: 1_000,
        not_after_ms: w.now_ms + DAY_MS,
        revoked_at_ms: if revoked { w.now_ms } else { 0 },
        revocation_reason: if revoked {
            "cessationOfOperation".into()
        } else {
            String::new()
        },
        ..Certificate::default()
    }
}

fn listed(certificates: Vec<Certificate>) -> CertificatesListed {
    CertificatesListed {
        certificates,
        ..CertificatesListed::default()
    }
}

/// Answers the one question there is.
fn told(w: &mut World, certificates: Vec<Certificate>) {
    let questions = w.questions();
    assert_eq!(questions.len(), 1);
    w.answer(&questions[0], Ok(&listed(certificates)));
}

fn signature() -> RetirementSignature {
    RetirementSignature {
        key_id: "0123456789abcdef".into(),
        signature: vec![7; 64],
        payload_type: "test".into(),
    }
}

fn record(retirement: &Retirement) -> RetirementRecord {
    serde_json::from_slice(&retirement.signed.as_ref().unwrap().payload).unwrap()
}

#[test]
fn it_waits_for_the_receipt_the_revocations_and_the_signature() {
    let mut w = World::new();
    let serial = RegisterDevice {
        serial_number: "SN-7".into(),
        ..register("pump-7")
    };
    w.ask::<Changed>(ADA, "register", &serial).unwrap();
    w.certificate("devices", "pump-7", CertificateStatus::Issued);
    let group = PutGroup {
        group_id: "line".into(),
        ..PutGroup::default()
    };
    w.ask::<Changed>(ADA, "put-group", &group).unwrap();
    let join = ChangeMembers {
        group_id: "line".into(),
        device_ids: vec!["pump-7".into()],
        ..ChangeMembers::default()
    };
    w.ask::<MembersChanged>(ADA, "join-group", &join).unwrap();
    assert_eq!(shown_of(&mut w, "pump-7", 0), None);

    retire(&mut w, "pump-7");
    let ordered = shown(&mut w, "pump-7");
    assert_eq!(ordered.state(), RetirementState::Ordered);
    assert!(w.questions().is_empty());
    let erased = Erased {
        erased: vec!["identity.pem".into()],
        ..Erased::default()
    };
    w.ask::<Done>("devices/pump-7", "erased", &erased).unwrap();
    assert_eq!(shown(&mut w, "pump-7").state(), RetirementState::Revoking);

    // Provisioning has not heard of it yet.
    let questions = w.questions();
    let question: ListCertificates = wire::decode(&questions[0].payload, "").unwrap();
    assert_eq!(
        (
            question.kind.as_str(),
            question.id.as_str(),
            question.expires_from_ms
        ),
        ("devices", "pump-7", w.now_ms)
    );
    let live = listed(vec![certificate(&w, "0a", CertificateStatus::Active)]);
    w.answer(&questions[0], Ok(&live));
    assert!(shown(&mut w, "pump-7").waits_for.contains("certificate 0a"));
    assert!(w.effects.is_empty());
    w.wait(1_000);
    let revoked = certificate(&w, "0a", CertificateStatus::Revoked);
    told(&mut w, vec![revoked]);
    assert_eq!(shown(&mut w, "pump-7").state(), RetirementState::Signing);

    w.events();
    let effect = w.effects.pop().unwrap();
    w.done(&effect, signature().encode_to_vec());
    let done = shown(&mut w, "pump-7");
    assert_eq!(
        (done.state(), done.waits_for.as_str()),
        (RetirementState::Signed, "")
    );
    let sealed = done.signed.clone().unwrap();
    assert_eq!(
        (sealed.payload.clone(), sealed.signature.clone()),
        (effect.payload.clone(), vec![7; 64])
    );
    let events = w.events();
    let told: Vec<_> = events
        .iter()
        .map(|e| (e.subject.as_str(), e.name.as_str()))
        .collect();
    assert_eq!(told, [("retirements/pump-7", "signed")]);
    assert_eq!(data(&events[0])["key_id"], "0123456789abcdef");

    let record = record(&done);
    assert_eq!(
        (
            record.form.as_str(),
            record.installation.as_str(),
            record.serial_number.as_str()
        ),
        ("muster.retirement.v1", "test", "SN-7")
    );
    assert_eq!(
        (
            record.ordered_by.as_str(),
            record.reason.as_str(),
            record.cause.as_str()
        ),
        (ADA, "sold", "erased")
    );
    assert_eq!(record.erasure(), Erasure::Confirmed);
    assert_eq!(record.erased, ["identity.pem"]);
    assert_eq!(record.groups_left, ["line"]);
    let ended = &record.certificates[0];
    assert_eq!(
        (ended.serial.as_str(), ended.reason.as_str()),
        ("0a", "cessationOfOperation")
    );

    // Effects come at least once.
    w.done(
        &effect,
        RetirementSignature {
            signature: vec![8; 64],
            ..signature()
        }
        .encode_to_vec(),
    );
    assert_eq!(shown(&mut w, "pump-7"), done);
    assert_eq!(w.events(), []);
}

#[test]
fn an_erasure_that_nobody_confirmed_is_said_to_be_outstanding() {
    let mut w = World::new();
    w.activate("pump-7");
    retire(&mut w, "pump-7");
    w.wait(i64::try_from(WAIT_MS).unwrap());
    assert_eq!(w.device("pump-7").stage(), Stage::Retired);
    let ended = Certificate {
        not_after_ms: w.now_ms,
        ..certificate(&w, "0a", CertificateStatus::Retired)
    };
    told(&mut w, vec![ended]);
    let sealed = shown(&mut w, "pump-7");
    let record = record(&sealed);
    assert_eq!(
        (record.erasure(), record.cause.as_str()),
        (Erasure::Outstanding, "deadline")
    );
    assert_eq!(record.certificates[0].revoked_at, "");
}

#[test]
fn what_never_had_a_certificate_has_nothing_to_erase() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &register("pump-7")).unwrap();
    retire(&mut w, "pump-7");
    told(&mut w, Vec::new());
    let sealed = record(&shown(&mut w, "pump-7"));
    assert_eq!(sealed.erasure(), Erasure::NotNeeded);
    assert_eq!(sealed.ordered_at, sealed.retired_at);
}

#[test]
fn without_an_answer_or_a_key_it_is_tried_again_and_nothing_is_lost() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &register("pump-7")).unwrap();
    retire(&mut w, "pump-7");
    let first = w.questions();
    w.answer(&first[0], Err("busy"));
    assert!(w.questions().is_empty());
    w.restart();
    w.wait(1_000);
    let second = w.questions();
    // What was asked before is not listened to any more.
    w.answer(&first[0], Ok(&listed(Vec::new())));
    assert_eq!(shown(&mut w, "pump-7").state(), RetirementState::Revoking);
    w.answer(&second[0], Ok(&listed(Vec::new())));
    let unsigned = w.effects.pop().unwrap();
    w.done(&unsigned, Vec::new());
    assert!(shown(&mut w, "pump-7").waits_for.contains("retirement.key"));
    w.wait(3_600_000);
    let again = w.effects.pop().unwrap();
    assert_eq!(again.payload, unsigned.payload);
    w.done(&again, signature().encode_to_vec());
    assert_eq!(shown(&mut w, "pump-7").state(), RetirementState::Signed);
}

#[test]
fn each_life_has_its_record_and_the_next_one_changes_none() {
    let mut w = World::new();
    w.activate("pump-7");
    retire(&mut w, "pump-7");
    w.wait(i64::try_from(WAIT_MS).unwrap());
    let first = shown(&mut w, "pump-7");
    let question = w.questions();
    let readmit = ReadmitDevice {
        device_id: "pump-7".into(),
        reason: "refurbished".into(),
        ..ReadmitDevice::default()
    };
    w.ask::<Changed>(ADA, "readmit", &readmit).unwrap();
    // The certificate of its next life does not hold up the record of the last one.
    let next = Certificate {
        issued_at_ms: w.now_ms + 1,
        ..certificate(&w, "0b", CertificateStatus::Issued)
    };
    let ended = certificate(&w, "0a", CertificateStatus::Revoked);
    w.answer(&question[0], Ok(&listed(vec![ended, next])));
    let effect = w.effects.pop().unwrap();
    w.done(&effect, signature().encode_to_vec());
    retire(&mut w, "pump-7");
    told(&mut w, Vec::new());
    let second = shown(&mut w, "pump-7");
    assert!(second.version > first.version);
    assert_eq!(record(&second).certificates, []);
    let kept = shown_of(&mut w, "pump-7", first.version).unwrap();
    assert_eq!(kept.state(), RetirementState::Signed);
    assert_eq!(record(&kept).certificates[0].serial, "0a");
    let request = ShowRetirement {
        device_id: "pump-7".into(),
        version: 99,
        ..ShowRetirement::default()
    };
    let refusal = w.ask::<RetirementShown>(ADA, "retirement", &request).unwrap_err();
    assert_eq!(refusal.field, "version");
}
