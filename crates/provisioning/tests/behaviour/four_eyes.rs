//! Revocations that another person must approve: their answer comes later even once they are approved.

use contract::v1::{self, CertificateStatus, Criticality, Role};

use crate::world::{ADA, World};

const BOB: &str = "operators/bob";

#[test]
fn what_is_critical_is_revoked_once_somebody_else_approves_it() {
    let mut w = World::new();
    w.tell_role("operators", "bob", Role::SecurityOfficer, false);
    w.tell_critical("pump-7", Criticality::Critical);
    w.tell_critical("pump-8", Criticality::Low);
    w.tell_four_eyes(&["provisioning/revoke"], Criticality::High);
    w.claim("lot", 5);
    let critical = w.sign("pump-7", "lot").unwrap().serial;
    let other = w.sign("pump-8", "lot").unwrap().serial;
    let by_serial = |serial: &str| v1::Revoke {
        serial: serial.into(),
        ..Default::default()
    };
    w.ask_over::<v1::Revoked>(ADA, "", "", "revoke", &by_serial(&other));
    assert_eq!(w.status(&other), CertificateStatus::Revoked);
    for request in [
        by_serial(&critical),
        v1::Revoke {
            kind: "devices".into(),
            id: "pump-7".into(),
            ..Default::default()
        },
    ] {
        let refused = w.ask::<v1::Revoked>(ADA, "revoke", &request).unwrap_err();
        assert_eq!(refused.code, "awaiting-approval");
    }
    assert_ne!(w.status(&critical), CertificateStatus::Revoked);
    w.restart();
    let listed: v1::ApprovalsListed = w.ask(BOB, "approvals", &v1::ListApprovals::default()).unwrap();
    let outcomes: Vec<_> = listed
        .approvals
        .into_iter()
        .map(|one| {
            let decide = v1::DecideApproval {
                approval_id: one.approval_id,
                ..Default::default()
            };
            let done: v1::ApprovalDecided = w.ask(BOB, "approve", &decide).unwrap();
            done.outcome
        })
        .collect();
    // The second came too late: the state is looked at again.
    assert_eq!(outcomes.len(), 2);
    assert_eq!(outcomes[0], "taken");
    assert!(
        ["not-found", "not-allowed"].contains(&outcomes[1].as_str()),
        "{outcomes:?}"
    );
    assert_eq!(w.status(&critical), CertificateStatus::Revoked);
    let refused = w.ask::<v1::Signed>(ADA, "issue", &issue()).unwrap_err();
    assert_eq!(
        refused.code, "awaiting-approval",
        "whoever issues a person's certificate can be that person"
    );
}

fn issue() -> v1::Issue {
    v1::Issue {
        kind: "operators".into(),
        id: "bob".into(),
        csr: crate::world::key_and_csr("bob").1,
        ..Default::default()
    }
}
