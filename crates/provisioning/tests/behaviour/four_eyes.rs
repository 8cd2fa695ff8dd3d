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

/// Bob, a critical device's certificate, and a service that has lost the thread of the registry's facts.
fn behind() -> (World, String) {
    let mut w = World::new();
    w.tell_role("operators", "bob", Role::SecurityOfficer, false);
    w.tell_critical("pump-7", Criticality::Critical);
    w.claim("lot", 5);
    let serial = w.sign("pump-7", "lot").unwrap().serial;
    w.round(vec![service::Input::Disconnected]);
    (w, serial)
}

fn revoke(serial: &str) -> v1::Revoke {
    v1::Revoke {
        serial: serial.into(),
        ..Default::default()
    }
}

#[test]
fn whoever_asks_before_the_rules_have_come_waits_for_them() {
    let (mut w, serial) = behind();
    let before = w.frames.len();
    let early = w.ask_as::<v1::Revoked>("early", ADA, "", "", "revoke", &revoke(&serial));
    assert!(early.is_none(), "{early:?}");
    w.tell_four_eyes(&["provisioning/revoke"], Criticality::High);
    assert!(w.answer_since::<v1::Revoked>(before, "early").is_none());
    w.follow();
    let refused = w
        .answer_since::<v1::Revoked>(before, "early")
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.code, "awaiting-approval");
    assert_ne!(w.status(&serial), CertificateStatus::Revoked);
    // So does whoever approves: he may have been shut out meanwhile.
    let listed: v1::ApprovalsListed = w.ask(BOB, "approvals", &v1::ListApprovals::default()).unwrap();
    let decide = v1::DecideApproval {
        approval_id: listed.approvals[0].approval_id.clone(),
        ..Default::default()
    };
    w.round(vec![service::Input::Disconnected]);
    let before = w.frames.len();
    let early = w.ask_as::<v1::ApprovalDecided>("bob-1", BOB, "", "", "approve", &decide);
    assert!(early.is_none(), "{early:?}");
    w.tell_role("operators", "bob", Role::SecurityOfficer, true);
    w.follow();
    let refused = w.answer_since::<v1::ApprovalDecided>(before, "bob-1").unwrap();
    assert_eq!(refused.unwrap_err().code, "denied");
    assert_ne!(w.status(&serial), CertificateStatus::Revoked);
}

#[test]
fn those_who_wait_for_the_rules_are_bounded() {
    let (mut w, _) = behind();
    let ask = |w: &mut World, n: usize| {
        let name = format!("early-{n}");
        w.ask_as::<v1::Revoked>(&name, ADA, "", "", "revoke", &revoke("0a0b"))
    };
    for n in 0..1_024 {
        assert!(ask(&mut w, n).is_none(), "{n}");
    }
    let refused = ask(&mut w, 1_024).unwrap().unwrap_err();
    assert_eq!((refused.code.as_str(), refused.retry_after_ms), ("busy", 1_000));
    w.follow();
    let again = ask(&mut w, 1_024).unwrap().unwrap_err();
    assert_eq!(
        again.code, "not-found",
        "what said when to try again is not the last word"
    );
    // Large ones fill it sooner.
    w.round(vec![service::Input::Disconnected]);
    let large = v1::Revoke {
        reason: "x".repeat(1024 * 1024),
        ..revoke("0a0b")
    };
    let taken = (0..12)
        .take_while(|n| {
            let name = format!("large-{n}");
            w.ask_as::<v1::Revoked>(&name, ADA, "", "", "revoke", &large)
                .is_none()
        })
        .count();
    assert_eq!(taken, 7);
}

#[test]
fn what_was_asked_with_a_certificate_that_is_revoked_is_not_done() {
    const EVE: &str = "operators/eve";
    let mut w = World::new();
    w.tell_role("operators", "bob", Role::SecurityOfficer, false);
    w.tell_role("operators", "eve", Role::SecurityOfficer, false);
    let serial = w.issue("operators", "eve").serial;
    w.tell_four_eyes(&["provisioning/put-claim"], Criticality::Unspecified);
    let request = v1::PutClaim {
        batch: "lot".into(),
        csr: crate::world::key_and_csr("lot").1,
        uses: 5,
        per_minute: 60,
        expires_ms: w.now_ms + 3_600_000,
        id_pattern: "pump-*".into(),
        ..Default::default()
    };
    let held = w.ask_over::<v1::ClaimMade>(EVE, &serial, "", "put-claim", &request);
    assert_eq!(held.unwrap().unwrap_err().code, "awaiting-approval");
    let listed: v1::ApprovalsListed = w.ask(BOB, "approvals", &v1::ListApprovals::default()).unwrap();
    w.ask_over::<v1::Revoked>(BOB, "", "", "revoke", &revoke(&serial));
    assert_eq!(w.status(&serial), CertificateStatus::Revoked);
    let decide = v1::DecideApproval {
        approval_id: listed.approvals[0].approval_id.clone(),
        ..Default::default()
    };
    let done: v1::ApprovalDecided = w.ask(BOB, "approve", &decide).unwrap();
    assert_eq!(done.outcome, "denied");
    assert!(done.detail.contains("certificate"), "{}", done.detail);
    let claims: v1::ClaimsListed = w.ask(ADA, "claims", &v1::ListClaims::default()).unwrap();
    assert!(claims.claims.is_empty());
}

#[test]
fn of_many_those_count_that_would_be_reached() {
    let mut w = World::new();
    w.tell_role("operators", "bob", Role::SecurityOfficer, false);
    let verbs = [
        "provisioning/renew-many",
        "provisioning/abort-renewal",
        "provisioning/revoke-many",
    ];
    for (id, criticality) in [("pump-7", Criticality::Critical), ("pump-8", Criticality::Low)] {
        w.tell_critical(id, criticality);
    }
    w.claim("lot", 5);
    w.claim("other", 5);
    let critical = w.sign("pump-7", "lot").unwrap().serial;
    let low = w.sign("pump-8", "other").unwrap().serial;
    w.now_ms += 1;
    w.tell_four_eyes(&verbs, Criticality::High);
    let waits = |w: &mut World, request: &v1::RenewMany| {
        let asked = w.ask::<v1::Changed>(ADA, "renew-many", request);
        asked.err().map(|refused| refused.code) == Some("awaiting-approval".into())
    };
    let of = |request: v1::RenewMany| v1::RenewMany {
        per_minute: 60_000,
        ..request
    };
    let by_batch = |batch: &str| v1::RenewMany {
        batch: batch.into(),
        ..of(v1::RenewMany::default())
    };
    let named = |id: &str| v1::RenewMany {
        device_ids: vec![id.into()],
        ..of(v1::RenewMany::default())
    };
    assert!(waits(&mut w, &of(v1::RenewMany::default())));
    assert!(waits(&mut w, &by_batch("lot")) && waits(&mut w, &named("pump-7")));
    assert!(!waits(&mut w, &by_batch("other")) && !waits(&mut w, &named("pump-8")));
    for _ in 0..3 {
        w.wait(1);
    }
    // What is under way for the one of them may be aborted by one person.
    let listed: v1::RenewalsListed = w.ask(ADA, "renewals", &v1::ListRenewals::default()).unwrap();
    let abort = |it: &v1::MassRenewal| v1::AbortRenewal {
        renewal_id: it.renewal_id.clone(),
        ..Default::default()
    };
    assert_eq!(listed.renewals.len(), 2);
    w.ask::<v1::Changed>(ADA, "abort-renewal", &abort(&listed.renewals[0]))
        .unwrap();
    let held: v1::ApprovalsListed = w.ask(BOB, "approvals", &v1::ListApprovals::default()).unwrap();
    for one in held.approvals {
        let decide = v1::DecideApproval {
            approval_id: one.approval_id,
            ..Default::default()
        };
        w.ask::<v1::ApprovalDecided>(BOB, "approve", &decide).unwrap();
    }
    for _ in 0..3 {
        w.wait(1);
    }
    let listed: v1::RenewalsListed = w.ask(ADA, "renewals", &v1::ListRenewals::default()).unwrap();
    let of_lot = listed.renewals.iter().find(|it| it.batch == "lot").unwrap();
    let refused = w
        .ask::<v1::Changed>(ADA, "abort-renewal", &abort(of_lot))
        .unwrap_err();
    assert_eq!(refused.code, "awaiting-approval");

    let revoke = |batch: &str| v1::RevokeMany {
        batch: batch.into(),
        reason: "keyCompromise".into(),
        ..Default::default()
    };
    let refused = w.ask::<v1::ManyRevoked>(ADA, "revoke-many", &revoke("lot"));
    assert_eq!(refused.unwrap_err().code, "awaiting-approval");
    w.ask_over::<v1::ManyRevoked>(ADA, "", "", "revoke-many", &revoke("other"));
    w.wait(1);
    assert_eq!(w.status(&low), CertificateStatus::Revoked);
    assert_ne!(w.status(&critical), CertificateStatus::Revoked);
}
