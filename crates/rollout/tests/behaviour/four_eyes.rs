//! Rollouts that another person must approve.

use contract::{Principal, v1::*};

use crate::world::{World, operator};

fn bob() -> Principal {
    "operators/bob".parse().unwrap()
}

/// Three devices; a rollout to more than one takes two people. Bob is a release manager.
fn world() -> (World, String) {
    let (mut w, artifact) = World::with_fleet(3);
    w.people.push(PrincipalFact {
        id: "bob".into(),
        kind: "operators".into(),
        role: Role::ReleaseManager.into(),
        ..PrincipalFact::default()
    });
    w.four_eyes = Some(FourEyes {
        version: 1,
        rules: vec![FourEyesRule {
            verbs: vec!["rollout/create".into()],
            over_devices: 1,
            ..FourEyesRule::default()
        }],
        within_ms: 3_600_000,
    });
    w.restart();
    (w, artifact)
}

fn waiting(w: &mut World) -> Vec<Approval> {
    let listed: ApprovalsListed = w.ask(&bob(), "approvals", &ListApprovals::default()).unwrap();
    listed.approvals
}

fn decide(id: &str) -> DecideApproval {
    DecideApproval {
        approval_id: id.into(),
        ..DecideApproval::default()
    }
}

#[test]
fn a_rollout_to_more_than_a_number_waits_and_begins_once_approved() {
    let (mut w, artifact) = world();
    let refused = w.create("all", &artifact, |_| {}).unwrap_err();
    assert_eq!(refused.code, "awaiting-approval");
    assert!(
        refused.message.contains("more than 1 devices"),
        "{}",
        refused.message
    );
    w.restart();
    let id = waiting(&mut w).remove(0).approval_id;
    let own: Result<ApprovalDecided, _> = w.ask(&operator(), "approve", &decide(&id));
    assert_eq!(own.unwrap_err().code, "denied");
    let done: Answered = w.ask_as(&bob(), "approve", &decide(&id), "b-1");
    assert!(done.is_some());
    let listed: RolloutsListed = w.ask(&bob(), "list", &ListRollouts::default()).unwrap();
    assert_eq!(listed.rollouts.len(), 1);
    assert_eq!(listed.rollouts[0].created_by, "operators/ada");
    assert!(waiting(&mut w).is_empty());
}

type Answered = Option<crate::world::Answer<ApprovalDecided>>;

#[test]
fn a_rollout_to_few_does_not_wait() {
    let (mut w, artifact) = world();
    let one = |request: &mut CreateRollout| {
        request.group.clear();
        request.device_ids = vec!["d0".into()];
    };
    w.create("one", &artifact, one).unwrap();
    w.steer("pause", "one").unwrap();
}

#[test]
fn what_was_asked_with_a_certificate_that_is_revoked_is_not_done() {
    let (mut w, artifact) = world();
    w.serial = "0a".into();
    w.create("all", &artifact, |_| {}).unwrap_err();
    w.serial.clear();
    let revoked = CertificateFact {
        serial: "0a".into(),
        kind: "operators".into(),
        id: "ada".into(),
        status: CertificateStatus::Revoked.into(),
        ..CertificateFact::default()
    };
    w.tell("revoked", "0a", &revoked);
    let id = waiting(&mut w).remove(0).approval_id;
    let done: Answered = w.ask_as(&bob(), "approve", &decide(&id), "b-1");
    assert_eq!(done.unwrap().unwrap().outcome, "denied");
    let listed: RolloutsListed = w.ask(&bob(), "list", &ListRollouts::default()).unwrap();
    assert!(listed.rollouts.is_empty());
}
