//! What the audit log tells of each change that a person may ask for: who, what, before and after, what came of it.

use std::collections::BTreeSet;

use contract::{
    ServiceName,
    v1::{self, Admission, AuditEntry, AuditRead, Criticality, ReadAudit, Role},
    verb::{Audit, VERBS, Who},
};
use pki::{Charter, KeyKind, Serial};

use crate::world::{ADA, START, World, key_and_csr};

const BOB: &str = "operators/bob";

/// A verb, asked for real, and the change that its entry must tell. `*` in a record's name stands for the rest of it,
/// `+` for any value but none.
struct Row {
    verb: &'static str,
    subject: &'static str,
    change: (&'static str, &'static str, &'static str, &'static str),
    ask: fn(&mut World),
}

const ROWS: &[Row] = &[
    Row {
        verb: "put-claim",
        subject: "claims/dock",
        change: ("claims/dock", "uses", "", "5"),
        ask: |w| drop(w.claim("dock", 5)),
    },
    Row {
        verb: "put-secret",
        subject: "devices/pump-7",
        change: ("secrets/pump-7", "expires_ms", "", "+"),
        ask: |w| {
            let expires_ms = w.now_ms + 3_600_000;
            let request = v1::PutSecret {
                device_id: "pump-7".into(),
                sha256: "ab".repeat(32),
                expires_ms,
                ..Default::default()
            };
            done(w, "put-secret", &request);
        },
    },
    Row {
        verb: "admit",
        subject: "devices/pump-7",
        change: (
            "admissions/pump-7",
            "status",
            WAITING,
            "ADMISSION_STATUS_ADMITTED",
        ),
        ask: |w| {
            let (fingerprint, _) = waits(w, Admission::Manual);
            done(w, "admit", &decide(&fingerprint));
        },
    },
    Row {
        verb: "turn-away",
        subject: "devices/pump-7",
        change: (
            "admissions/pump-7",
            "status",
            WAITING,
            "ADMISSION_STATUS_TURNED_AWAY",
        ),
        ask: |w| {
            let (fingerprint, _) = waits(w, Admission::Manual);
            done(w, "turn-away", &decide(&fingerprint));
        },
    },
    Row {
        verb: "answer-admission",
        subject: "devices/pump-7",
        change: ("admissions/pump-7", "decided_by", "", ADA),
        ask: |w| {
            let (fingerprint, question) = waits(w, Admission::Hook);
            let request = v1::AnswerAdmission {
                question,
                device_id: "pump-7".into(),
                fingerprint,
                admit: true,
                ..Default::default()
            };
            done(w, "answer-admission", &request);
        },
    },
    Row {
        verb: "put-manufacturer",
        subject: "manufacturers/acme",
        change: ("manufacturers/acme", "version", "", "1"),
        ask: manufacturer,
    },
    Row {
        verb: "remove-manufacturer",
        subject: "manufacturers/acme",
        change: ("manufacturers/acme", "name", "acme", ""),
        ask: |w| {
            manufacturer(w);
            let request = v1::RemoveManufacturer {
                name: "acme".into(),
                ..Default::default()
            };
            done(w, "remove-manufacturer", &request);
        },
    },
    Row {
        verb: "refuse-factory",
        subject: "manufacturers/acme",
        change: ("manufacturers/acme", "refused", "", "[\"sn-1\"]"),
        ask: |w| {
            manufacturer(w);
            let request = v1::RefuseFactory {
                manufacturer: "acme".into(),
                serial_number: "SN-1".into(),
                ..Default::default()
            };
            w.ask::<v1::FactoryRefused>(ADA, "refuse-factory", &request)
                .unwrap();
        },
    },
    Row {
        verb: "issue",
        subject: BOB,
        change: ("certificates/*", "id", "", "bob"),
        ask: |w| drop(w.issue("operators", "bob")),
    },
    Row {
        verb: "renew-server",
        subject: "",
        change: ("renewals/front-door", "hosts", "", "[\"muster.example\",\"+"),
        ask: |w| {
            let request = v1::RenewServer {
                hosts: vec!["muster.example".into()],
                ..Default::default()
            };
            w.ask::<v1::ServerRenewed>(ADA, "renew-server", &request).unwrap();
        },
    },
    Row {
        verb: "revoke",
        subject: "certificates/*",
        change: ("certificates/*", "status", ISSUED, REVOKED),
        ask: |w| {
            let serial = device(w);
            revoke(w, v1::Revoke { serial, ..because() });
        },
    },
    Row {
        verb: "revoke",
        subject: "devices/pump-7",
        change: ("certificates/*", "revocation_reason", "", "keyCompromise"),
        ask: |w| {
            device(w);
            let (kind, id) = ("devices".into(), "pump-7".into());
            revoke(
                w,
                v1::Revoke {
                    kind,
                    id,
                    ..because()
                },
            );
        },
    },
    Row {
        verb: "revoke",
        subject: "certificates/*",
        change: ("certificates/*", "revoked_at_ms", "", "+"),
        ask: |w| {
            let (key, csr) = key_and_csr("pump-7");
            w.claim("lot", 5);
            let request = v1::Sign {
                csr,
                ..Default::default()
            };
            w.sign_with("pump-7", "lot", &request).unwrap();
            let key = pki::PublicKey::of_private(&key).unwrap().fingerprint_sha256();
            revoke(w, v1::Revoke { key, ..because() });
        },
    },
    Row {
        verb: "revoke-many",
        subject: "claims/lot",
        change: ("claims/lot", "revoked", "", "true"),
        ask: |w| {
            device(w);
            many(
                w,
                v1::RevokeMany {
                    batch: "lot".into(),
                    reason: "superseded".into(),
                    ..Default::default()
                },
            );
        },
    },
    Row {
        verb: "revoke-many",
        subject: "authorities/*",
        change: ("revocations/*", "issuer", "", "+"),
        ask: |w| {
            device(w);
            let (old, new) = (w.authority.clone(), w.another(7));
            w.go_on_under(&new, &[&old]);
            w.issue("operators", "ada");
            many(
                w,
                v1::RevokeMany {
                    issuer: old.id(),
                    reason: "superseded".into(),
                    ..Default::default()
                },
            );
        },
    },
    Row {
        verb: "publish-lists",
        subject: "",
        change: ("lists/crl", "asked_for", "", "+"),
        ask: |w| {
            let request = v1::PublishLists::default();
            let _: Option<Result<v1::ListsPublished, _>> = w.ask_over(ADA, "", "", "publish-lists", &request);
            w.wait(1);
            w.wait(1);
        },
    },
    Row {
        verb: "renew-many",
        subject: "renewals/*",
        change: ("renewals/*", "batch", "", "lot"),
        ask: |w| drop(renew_many(w)),
    },
    Row {
        verb: "abort-renewal",
        subject: "renewals/*",
        change: ("renewals/*", "state", "+", "+"),
        ask: |w| {
            let renewal_id = renew_many(w);
            let request = v1::AbortRenewal {
                renewal_id,
                ..Default::default()
            };
            w.ask::<v1::Changed>(ADA, "abort-renewal", &request).unwrap();
        },
    },
    Row {
        verb: "approve",
        subject: "approvals/*",
        change: ("", "", "", ""),
        ask: |w| decide_about_a_critical_one(w, "approve"),
    },
    Row {
        verb: "disapprove",
        subject: "approvals/*",
        change: ("", "", "", ""),
        ask: |w| decide_about_a_critical_one(w, "disapprove"),
    },
];

const WAITING: &str = "ADMISSION_STATUS_WAITING";
const ISSUED: &str = "CERTIFICATE_STATUS_ISSUED";
const REVOKED: &str = "CERTIFICATE_STATUS_REVOKED";

fn done(w: &mut World, verb: &str, request: &impl contract::wire::Wire) {
    w.ask::<v1::Done>(ADA, verb, request).unwrap();
}

/// A device's key that waits for a word: its fingerprint, and the question.
fn waits(w: &mut World, admission: Admission) -> (String, String) {
    let asked = v1::PutClaim {
        uses: 5,
        admission: admission.into(),
        approver: if admission == Admission::Hook { ADA } else { "" }.into(),
        ..Default::default()
    };
    w.claim_as("gate", asked);
    w.sign("pump-7", "gate").unwrap_err();
    let list = v1::ListAdmissions::default();
    let listed: v1::AdmissionsListed = w.ask(ADA, "admissions", &list).unwrap();
    let waits = listed.devices.into_iter().next().unwrap();
    (waits.fingerprint, waits.question)
}

fn decide(fingerprint: &str) -> v1::DecideAdmission {
    v1::DecideAdmission {
        device_id: "pump-7".into(),
        fingerprint: fingerprint.into(),
        ..Default::default()
    }
}

fn manufacturer(w: &mut World) {
    let charter = Charter {
        site: "works",
        key: KeyKind::P256,
        serial: Serial::from_random([50; 16]),
        now_ms: START,
        lifetime_ms: 1_000_000_000_000,
    };
    let request = v1::PutManufacturer {
        name: "acme".into(),
        ca: pki::create_root(&charter).unwrap().chain_pem,
        ..Default::default()
    };
    w.ask::<v1::Changed>(ADA, "put-manufacturer", &request).unwrap();
}

/// A device of the batch `lot`; its serial.
fn device(w: &mut World) -> String {
    w.claim("lot", 5);
    w.sign("pump-7", "lot").unwrap().serial
}

fn because() -> v1::Revoke {
    v1::Revoke {
        reason: "keyCompromise".into(),
        ..Default::default()
    }
}

fn revoke(w: &mut World, request: v1::Revoke) {
    let _: Option<Result<v1::Revoked, _>> = w.ask_over(ADA, "", "", "revoke", &request);
    w.wait(6_000);
}

fn many(w: &mut World, request: v1::RevokeMany) {
    let answer: Option<Result<v1::ManyRevoked, _>> = w.ask_over(ADA, "", "", "revoke-many", &request);
    assert!(answer.is_none(), "{answer:?}");
    for _ in 0..3 {
        w.wait(6_000);
    }
}

fn renew_many(w: &mut World) -> String {
    let serial = device(w);
    w.used(&serial);
    w.now_ms += 1;
    let request = v1::RenewMany {
        batch: "lot".into(),
        ..Default::default()
    };
    w.ask::<v1::Changed>(ADA, "renew-many", &request).unwrap().id
}

fn decide_about_a_critical_one(w: &mut World, word: &str) {
    w.tell_role("operators", "bob", Role::SecurityOfficer, false);
    w.tell_critical("pump-7", Criticality::Critical);
    w.tell_four_eyes(&["provisioning/revoke"], Criticality::High);
    let serial = device(w);
    let request = v1::Revoke { serial, ..because() };
    w.ask::<v1::Revoked>(ADA, "revoke", &request).unwrap_err();
    let listed: v1::ApprovalsListed = w.ask(BOB, "approvals", &v1::ListApprovals::default()).unwrap();
    let decide = v1::DecideApproval {
        approval_id: listed.approvals[0].approval_id.clone(),
        ..Default::default()
    };
    w.ask::<v1::ApprovalDecided>(BOB, word, &decide).unwrap();
}

fn entries(w: &mut World) -> Vec<AuditEntry> {
    let ask = ReadAudit {
        page_size: 500,
        ..ReadAudit::default()
    };
    w.ask::<AuditRead>(ADA, "audit", &ask).unwrap().entries
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once(['*', '+']) {
        Some((begin, _)) => text.len() > begin.len() && text.starts_with(begin),
        None => pattern == text,
    }
}

#[test]
fn each_change_that_a_person_asks_for_leaves_who_what_before_and_after() {
    for row in ROWS {
        let mut w = World::new();
        (row.ask)(&mut w);
        let all = entries(&mut w);
        let verb = format!("provisioning/{}", row.verb);
        let of: Vec<_> = all.iter().filter(|entry| entry.verb == verb).collect();
        let asked = of
            .first()
            .unwrap_or_else(|| panic!("no entry of {verb}: {all:?}"));
        let who = if row.verb.ends_with("approve") { BOB } else { ADA };
        assert_eq!(asked.who, who, "{verb}");
        let (record, field, before, after) = row.change;
        let is_told = |entry: &&&AuditEntry| {
            let mut changes = entry.changes.iter();
            changes.any(|c| {
                fits(record, &c.record)
                    && c.field == field
                    && fits(before, &c.before)
                    && fits(after, &c.after)
            })
        };
        assert!(
            record.is_empty() || of.iter().find(is_told).is_some(),
            "{verb}: {record} {field} is not told: {asked:#?}"
        );
        let is_about = |subject: &String| fits(row.subject, subject);
        assert!(
            row.subject.is_empty() || asked.subjects.iter().any(is_about),
            "{verb}: {:?}",
            asked.subjects
        );
        // What was promised has come to its end.
        let ended = of.iter().filter(|entry| entry.completes == asked.sequence);
        match asked.outcome.as_str() {
            "taken" => assert_eq!(
                ended.map(|entry| entry.outcome.as_str()).collect::<Vec<_>>(),
                ["accepted"]
            ),
            outcome => assert_eq!(outcome, "accepted", "{verb}"),
        }
    }
}

#[test]
fn no_verb_of_people_is_left_out_of_the_table_above() {
    let is_persons = |who: &Who| matches!(who, Who::Operator(_));
    let known = VERBS.iter().filter(|verb| {
        let is_ours = verb.service == ServiceName::Provisioning && verb.audit == Audit::Recorded;
        is_ours && verb.who.iter().any(is_persons)
    });
    let known: BTreeSet<_> = known.map(|verb| verb.name).collect();
    let shown: BTreeSet<_> = ROWS.iter().map(|row| row.verb).collect();
    assert_eq!(shown, known);
}

#[test]
fn a_request_that_somebody_approved_says_who_asked_and_who_approved() {
    let mut w = World::new();
    decide_about_a_critical_one(&mut w, "approve");
    w.wait(6_000);
    let of: Vec<_> = entries(&mut w)
        .into_iter()
        .filter(|entry| entry.verb == "provisioning/revoke")
        .map(|entry| (entry.who, entry.approved_by, entry.outcome))
        .collect();
    let told = |approved: &str, outcome: &str| (ADA.to_owned(), approved.to_owned(), outcome.to_owned());
    assert_eq!(
        of,
        [
            told("", "awaiting-approval"),
            told(BOB, "taken"),
            told(BOB, "accepted")
        ]
    );
}

#[test]
fn what_muster_ca_changes_is_told_state_by_state() {
    let mut w = World::new();
    let (old, new) = (w.authority.clone(), w.another(7));
    w.restart_under(&old, &[]);
    w.go_on_under(&old, &[&new]);
    w.go_on_under(&new, &[&old]);
    w.go_on_under(&new, &[]);
    let all = entries(&mut w);
    let of = all.iter().filter(|entry| entry.verb == "provisioning/ca");
    let told: Vec<_> = of
        .map(|entry| {
            assert_eq!(
                (entry.who.as_str(), entry.outcome.as_str()),
                ("services/provisioning", "accepted")
            );
            let changes = entry.changes.iter();
            let changes = changes.map(|c| (c.record.clone(), c.before.clone(), c.after.clone()));
            changes.collect::<Vec<_>>()
        })
        .collect();
    let change = |of: &pki::Authority, before: &str, after: &str| {
        (
            format!("authorities/{}", of.id()),
            before.to_owned(),
            after.to_owned(),
        )
    };
    assert_eq!(
        told,
        [
            vec![change(&new, "", "trusted")],
            vec![change(&new, "trusted", "signs"), change(&old, "signs", "trusted")],
            vec![change(&old, "trusted", "removed")],
        ]
    );
    let ask = ReadAudit {
        subject: format!("authorities/{}", old.id()),
        ..ReadAudit::default()
    };
    assert_eq!(w.ask::<AuditRead>(ADA, "audit", &ask).unwrap().entries.len(), 2);
}

#[test]
fn of_a_secret_nothing_is_told_that_opens() {
    let mut w = World::new();
    let row = ROWS.iter().find(|row| row.verb == "put-secret").unwrap();
    (row.ask)(&mut w);
    let all = format!("{:?}", entries(&mut w));
    assert!(
        all.contains("secrets/pump-7") && !all.contains(&"ab".repeat(4)),
        "{all}"
    );
}
