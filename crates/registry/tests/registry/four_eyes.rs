//! Requests that another person must approve, as any service keeps them.

use contract::v1::*;

use crate::world::{ADA, World, register, registered};

const BOB: &str = "operators/bob";
const EVE: &str = "operators/eve";
const DAY_MS: i64 = 24 * 3_600_000;

fn person(id: &str, role: Role) -> PutPerson {
    PutPerson {
        id: id.into(),
        kind: "operators".into(),
        role: role.into(),
        ..PutPerson::default()
    }
}

fn rules(verbs: &[&str], criticality: Criticality) -> PutFourEyes {
    PutFourEyes {
        rules: vec![FourEyesRule {
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
            criticality: criticality.into(),
            over_devices: 0,
        }],
        ..PutFourEyes::default()
    }
}

/// Ada and Bob are admins, Eve is an operator; to retire what is critical takes two.
fn world() -> World {
    let mut w = World::new();
    for (id, role) in [
        ("ada", Role::Admin),
        ("bob", Role::Admin),
        ("eve", Role::Operator),
    ] {
        w.ask::<Changed>(ADA, "put-person", &person(id, role)).unwrap();
    }
    let critical = registered("pump-1", &[("criticality", "critical")]);
    w.ask::<Changed>(ADA, "register", &critical).unwrap();
    w.ask::<Changed>(ADA, "register", &register("pump-2")).unwrap();
    let put = rules(&["registry/retire"], Criticality::Critical);
    w.ask::<Changed>(ADA, "put-four-eyes", &put).unwrap();
    w.events();
    w
}

fn retire(id: &str) -> RetireDevice {
    RetireDevice {
        device_id: id.into(),
        reason: "old".into(),
        ..RetireDevice::default()
    }
}

fn waiting(w: &mut World, who: &str) -> Vec<Approval> {
    let listed: ApprovalsListed = w.ask(who, "approvals", &ListApprovals::default()).unwrap();
    listed.approvals
}

fn decide(id: &str) -> DecideApproval {
    DecideApproval {
        approval_id: id.into(),
        reason: "seen".into(),
        ..DecideApproval::default()
    }
}

fn held(w: &mut World) -> String {
    let refused = w
        .ask_as::<Changed>("r-held", EVE, "retire", &retire("pump-1"))
        .unwrap_err();
    assert_eq!(refused.code, "awaiting-approval");
    let all = waiting(w, EVE);
    assert_eq!(all.len(), 1);
    assert!(
        refused.message.contains(&all[0].approval_id),
        "{}",
        refused.message
    );
    all[0].approval_id.clone()
}

fn stage(w: &mut World, id: &str) -> Stage {
    w.device(id).stage()
}

fn names(w: &mut World) -> Vec<String> {
    let events = w.events().into_iter();
    events
        .map(|event| {
            format!(
                "{} {} by {}",
                event.subject.split('/').next().unwrap(),
                event.name,
                event.actor
            )
        })
        .collect()
}

#[test]
fn what_waits_is_done_once_as_the_request_of_whoever_asked() {
    let mut w = world();
    let id = held(&mut w);
    assert_eq!(stage(&mut w, "pump-1"), Stage::Registered);
    let shown = waiting(&mut w, BOB).remove(0);
    assert_eq!(
        (shown.who.as_str(), shown.verb.as_str()),
        (EVE, "registry/retire")
    );
    assert_eq!(shown.subjects, ["devices/pump-1"]);
    assert!(shown.request.contains("\"pump-1\""), "{}", shown.request);
    assert!(shown.why.contains("critical"), "{}", shown.why);
    assert_eq!(names(&mut w), ["approvals asked by operators/eve"]);
    w.restart();
    let done: ApprovalDecided = w.ask(BOB, "approve", &decide(&id)).unwrap();
    assert_eq!(done.outcome, "accepted");
    assert_eq!(stage(&mut w, "pump-1"), Stage::Retired);
    let told = names(&mut w);
    assert_eq!(told[0], "approvals approved by operators/bob");
    assert_eq!(told[1], "devices moved by operators/eve");
    assert!(waiting(&mut w, BOB).is_empty());
    assert_eq!(
        w.ask::<ApprovalDecided>(BOB, "approve", &decide(&id))
            .unwrap_err()
            .code,
        "not-found"
    );
    // Whoever asked hears what came of it by a repeat.
    let again: Changed = w.ask_as("r-held", EVE, "retire", &retire("pump-1")).unwrap();
    assert_eq!(again.id, "pump-1");
    let log: AuditRead = w.ask(ADA, "audit", &ReadAudit::default()).unwrap();
    let log: Vec<_> = log.entries.iter().rev().take(3).rev().collect();
    let told: Vec<_> = log
        .iter()
        .map(|e| (e.who.as_str(), e.verb.as_str(), e.outcome.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (EVE, "registry/retire", "awaiting-approval"),
            (BOB, "registry/approve", "accepted"),
            (EVE, "registry/retire", "accepted"),
        ]
    );
    assert_eq!(log[2].approved_by, BOB);
    assert!(log[1].subjects.contains(&"devices/pump-1".to_owned()));
}

#[test]
fn only_what_the_rules_name_waits() {
    let mut w = world();
    w.ask::<Changed>(EVE, "retire", &retire("pump-2")).unwrap();
    let restrict = RestrictDevice {
        device_id: "pump-1".into(),
        reason: "x".into(),
        ..RestrictDevice::default()
    };
    w.ask::<Changed>(EVE, "suspend", &restrict).unwrap();
    // What would come to nothing does not wait for anybody.
    let stale = RetireDevice {
        expected_version: 99,
        ..retire("pump-1")
    };
    assert_eq!(
        w.ask::<Changed>(EVE, "retire", &stale).unwrap_err().code,
        "conflict"
    );
    assert!(waiting(&mut w, ADA).is_empty());
}

#[test]
fn nobody_approves_his_own_request_or_one_beyond_his_role() {
    let mut w = world();
    for (id, role) in [("kim", Role::Viewer), ("lee", Role::SecurityOfficer)] {
        w.ask::<Changed>(ADA, "put-person", &person(id, role))
            .unwrap_err();
        let id = waiting(&mut w, BOB).remove(0).approval_id;
        w.ask::<ApprovalDecided>(BOB, "approve", &decide(&id)).unwrap();
    }
    let id = held(&mut w);
    for who in [EVE, "operators/kim", "operators/lee", "operators/nobody"] {
        let refused = w
            .ask::<ApprovalDecided>(who, "approve", &decide(&id))
            .unwrap_err();
        assert_eq!(refused.code, "denied", "{who}");
    }
    for who in ["operators/kim", "operators/lee"] {
        let refused = w
            .ask::<ApprovalDecided>(who, "disapprove", &decide(&id))
            .unwrap_err();
        assert_eq!(refused.code, "denied", "{who}");
        assert!(waiting(&mut w, who).is_empty());
    }
    let taken_back: ApprovalDecided = w.ask(EVE, "disapprove", &decide(&id)).unwrap();
    assert_eq!(taken_back.outcome, "refused");
    assert_eq!(stage(&mut w, "pump-1"), Stage::Registered);
    let again = w
        .ask_as::<Changed>("r-held", EVE, "retire", &retire("pump-1"))
        .unwrap_err();
    assert_eq!(again.code, "precondition");
}

#[test]
fn rights_and_state_are_looked_at_again_when_it_is_done() {
    let mut w = world();
    let id = held(&mut w);
    let change = ChangeDevice {
        device_id: "pump-1".into(),
        set: [("name".to_owned(), "x".to_owned())].into(),
        ..ChangeDevice::default()
    };
    w.ask::<Changed>(ADA, "change", &change).unwrap();
    let done: ApprovalDecided = w.ask(BOB, "approve", &decide(&id)).unwrap();
    assert_eq!(done.outcome, "accepted", "no version was expected");
    // A second one, of somebody who may no longer when it is approved.
    let critical = registered("pump-3", &[("criticality", "critical")]);
    w.ask::<Changed>(ADA, "register", &critical).unwrap();
    w.ask_as::<Changed>("r-3", EVE, "retire", &retire("pump-3"))
        .unwrap_err();
    let third = waiting(&mut w, EVE).remove(0).approval_id;
    w.ask::<Changed>(ADA, "put-person", &person("eve", Role::Viewer))
        .unwrap_err();
    let demotion = waiting(&mut w, BOB)
        .into_iter()
        .find(|one| one.verb == "registry/put-person")
        .unwrap();
    w.ask::<ApprovalDecided>(BOB, "approve", &decide(&demotion.approval_id))
        .unwrap();
    let done: ApprovalDecided = w.ask(BOB, "approve", &decide(&third)).unwrap();
    assert_eq!(done.outcome, "denied", "{}", done.detail);
    assert_eq!(stage(&mut w, "pump-3"), Stage::Registered);
}

#[test]
fn the_answer_is_kept_from_the_moment_it_is_given() {
    let mut w = world();
    let id = held(&mut w);
    w.wait(DAY_MS - 3_600_000);
    let done: ApprovalDecided = w.ask(BOB, "approve", &decide(&id)).unwrap();
    assert_eq!(done.outcome, "accepted");
    let first: Changed = w.ask_as("r-held", EVE, "retire", &retire("pump-1")).unwrap();
    names(&mut w);
    // A day after the question, and a day after the answer.
    w.wait(2 * 3_600_000);
    for _ in 0..21 {
        w.wait(3_600_000);
    }
    assert_eq!(w.ask_as("r-held", EVE, "retire", &retire("pump-1")), Ok(first));
    assert_eq!(names(&mut w), Vec::<String>::new(), "a repeat does nothing");
    w.wait(3 * 3_600_000);
    let other = RetireDevice {
        reason: "another body".into(),
        ..retire("pump-1")
    };
    let refused = w.ask_as::<Changed>("r-held", EVE, "retire", &other).unwrap_err();
    assert_eq!(refused.code, "not-allowed", "the name is free again");
}

/// Eve asks, with this shown.
fn held_over(w: &mut World, over: Frame) -> String {
    w.over = over;
    let id = held(w);
    w.over = Frame::default();
    names(w);
    id
}

/// What waits is approved, and not done: what it was asked with does not open any more.
fn is_void(w: &mut World, id: &str, what: &str) {
    names(w);
    let done: ApprovalDecided = w.ask(BOB, "approve", &decide(id)).unwrap();
    assert_eq!(done.outcome, "denied");
    assert!(done.detail.contains(what), "{}", done.detail);
    assert_eq!(stage(w, "pump-1"), Stage::Registered);
    let expected = [
        "approvals approved by operators/bob",
        "approvals refused by services/registry",
    ];
    assert_eq!(names(w), expected);
    let again = w.ask_as::<Changed>("r-held", EVE, "retire", &retire("pump-1"));
    assert_eq!(again.unwrap_err().code, "denied");
    let log: AuditRead = w.ask(ADA, "audit", &ReadAudit::default()).unwrap();
    let entry = log.entries.last().unwrap();
    assert_eq!(
        (
            entry.who.as_str(),
            entry.outcome.as_str(),
            entry.approved_by.as_str()
        ),
        (EVE, "denied", BOB)
    );
    assert!(entry.reason.contains(what), "{}", entry.reason);
}

#[test]
fn what_was_asked_with_a_certificate_that_is_revoked_is_not_done() {
    let mut w = world();
    w.certificate("operators", "eve", CertificateStatus::Active);
    let over = Frame {
        serial: "0a".into(),
        ..Frame::default()
    };
    let id = held_over(&mut w, over);
    w.certificate("operators", "eve", CertificateStatus::Revoked);
    let told: Vec<CertificateFact> = w.facts("revoked");
    assert_eq!(told.len(), 1, "who follows the registry alone hears of it");
    is_void(&mut w, &id, "certificate");
}

#[test]
fn what_was_asked_over_a_login_that_was_taken_back_is_not_done() {
    let mut w = world();
    let token = PutToken {
        kind: "operators".into(),
        id: "eve".into(),
        sha256: "ab".repeat(32),
        expires_ms: w.now_ms + DAY_MS,
        ..PutToken::default()
    };
    w.ask::<TokenMade>(ADA, "put-token", &token).unwrap_err();
    let waits = waiting(&mut w, BOB).remove(0).approval_id;
    w.ask::<ApprovalDecided>(BOB, "approve", &decide(&waits)).unwrap();
    let id = held_over(
        &mut w,
        Frame {
            login: format!("token {}", "ab".repeat(6)),
            until_ms: token.expires_ms,
            ..Frame::default()
        },
    );
    let revoke = RevokeToken {
        kind: "operators".into(),
        id: "eve".into(),
        all: true,
        ..RevokeToken::default()
    };
    w.ask::<TokensRevoked>(ADA, "revoke-token", &revoke).unwrap();
    is_void(&mut w, &id, "token");
    let mut w = world();
    let id = held_over(
        &mut w,
        Frame {
            login: "password 7".into(),
            ..Frame::default()
        },
    );
    is_void(&mut w, &id, "password");
}

#[test]
fn a_request_waits_no_longer_than_what_it_was_asked_with() {
    let mut w = world();
    let over = Frame {
        serial: "0a".into(),
        until_ms: w.now_ms + 60_000,
        ..Frame::default()
    };
    let id = held_over(&mut w, over);
    assert_eq!(waiting(&mut w, BOB)[0].expires_ms, w.now_ms + 60_000);
    w.wait(59_000);
    assert_eq!(waiting(&mut w, BOB).len(), 1);
    w.wait(2_000);
    assert!(waiting(&mut w, BOB).is_empty());
    let refused = w.ask::<ApprovalDecided>(BOB, "approve", &decide(&id));
    assert_eq!(refused.unwrap_err().code, "not-found");
}

#[test]
fn what_nobody_approves_in_time_is_over() {
    let mut w = world();
    let id = held(&mut w);
    w.wait(DAY_MS - 2_000);
    assert_eq!(waiting(&mut w, BOB).len(), 1);
    names(&mut w);
    w.restart();
    w.wait(4_000);
    assert!(waiting(&mut w, BOB).is_empty());
    assert_eq!(names(&mut w), ["approvals expired by services/registry"]);
    assert_eq!(
        w.ask::<ApprovalDecided>(BOB, "approve", &decide(&id))
            .unwrap_err()
            .code,
        "not-found"
    );
    let log: AuditRead = w.ask(ADA, "audit", &ReadAudit::default()).unwrap();
    assert!(
        log.entries
            .iter()
            .any(|entry| entry.outcome == "expired" && entry.who == EVE)
    );
}

#[test]
fn the_rules_are_under_four_eyes_themselves_and_so_is_whatever_makes_two_of_one() {
    let mut w = world();
    let off = PutFourEyes::default();
    for (verb, refused) in [
        (
            "put-four-eyes",
            w.ask::<Changed>(ADA, "put-four-eyes", &off).unwrap_err(),
        ),
        (
            "put-person",
            w.ask::<Changed>(ADA, "put-person", &person("twin", Role::Admin))
                .unwrap_err(),
        ),
    ] {
        assert_eq!(refused.code, "awaiting-approval", "{verb}");
    }
    let id = waiting(&mut w, BOB)
        .into_iter()
        .find(|one| one.verb == "registry/put-four-eyes")
        .unwrap()
        .approval_id;
    w.ask::<ApprovalDecided>(BOB, "approve", &decide(&id)).unwrap();
    w.ask::<Changed>(ADA, "put-person", &person("twin", Role::Admin))
        .unwrap();
    w.ask::<Changed>(EVE, "retire", &retire("pump-1")).unwrap();
}

#[test]
fn rules_that_make_no_sense_are_refused_and_nobody_is_alone_with_them() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "put-person", &person("ada", Role::Admin))
        .unwrap();
    let alone = w.ask::<Changed>(
        ADA,
        "put-four-eyes",
        &rules(&["registry/*"], Criticality::Unspecified),
    );
    assert_eq!(alone.unwrap_err().code, "precondition");
    w.ask::<Changed>(ADA, "put-person", &person("bob", Role::SecurityOfficer))
        .unwrap();
    for (put, field) in [
        (rules(&[], Criticality::Unspecified), "rules.verbs"),
        (rules(&["registry/show"], Criticality::Unspecified), "rules.verbs"),
        (
            rules(&["registry/approve"], Criticality::Unspecified),
            "rules.verbs",
        ),
        (
            rules(&["front-door/kick"], Criticality::Unspecified),
            "rules.verbs",
        ),
        (
            PutFourEyes {
                within_ms: 5,
                ..rules(&["registry/retire"], Criticality::Unspecified)
            },
            "within_ms",
        ),
    ] {
        let refused = w.ask::<Changed>(ADA, "put-four-eyes", &put).unwrap_err();
        assert_eq!(refused.field, field, "{}", refused.message);
    }
    let put = rules(&["registry/register"], Criticality::Unspecified);
    w.ask::<Changed>(ADA, "put-four-eyes", &put).unwrap();
    // So many of one person: nobody keeps the others' from being asked.
    for n in 0..32 {
        let refused = w
            .ask::<Changed>(ADA, "register", &register(&format!("d{n}")))
            .unwrap_err();
        assert_eq!(refused.code, "awaiting-approval");
    }
    let refused = w
        .ask::<Changed>(ADA, "register", &register("one-more"))
        .unwrap_err();
    assert_eq!(refused.code, "limit");
}

#[test]
fn what_only_asks_what_would_come_of_it_waits_for_nobody() {
    let mut w = world();
    let put = rules(&["registry/change"], Criticality::Unspecified);
    let _ = w.ask::<Changed>(ADA, "put-four-eyes", &put);
    for one in waiting(&mut w, BOB) {
        let _: ApprovalDecided = w.ask(BOB, "approve", &decide(&one.approval_id)).unwrap();
    }
    w.all_events();
    let before = w.device("pump-1");
    let change = |dry_run, name: &str| ChangeDevice {
        device_id: "pump-1".into(),
        set: [("name".to_owned(), name.to_owned())].into(),
        dry_run,
        ..ChangeDevice::default()
    };
    let tried: Changed = w.ask(EVE, "change", &change(true, "north")).unwrap();
    assert_eq!(tried.version, before.version);
    let wrong = w
        .ask::<Changed>(EVE, "change", &change(true, "a\nb"))
        .unwrap_err();
    assert_eq!(wrong.field, "name");
    assert_eq!(w.device("pump-1"), before);
    assert!(w.all_events().is_empty());
    let waits = w
        .ask::<Changed>(EVE, "change", &change(false, "north"))
        .unwrap_err();
    assert_eq!(waits.code, "awaiting-approval");
}
