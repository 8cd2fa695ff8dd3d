//! Security officers of some groups only.

use contract::v1::{self, Role, Stage};

use crate::world::World;

const EVE: &str = "operators/eve";

/// `pump-1` is in `berlin`, `pump-2` is not; both have certificates. Eve is a security officer in Berlin.
fn world() -> (World, String, String) {
    let mut w = World::new();
    w.tell_device("pump-2", Stage::Registered);
    w.tell_grouped("pump-1", &["berlin"]);
    w.tell_scoped("eve", Role::SecurityOfficer, &["berlin"]);
    w.claim("lot", 5);
    let inside = w.sign("pump-1", "lot").unwrap().serial;
    let outside = w.sign("pump-2", "lot").unwrap().serial;
    (w, inside, outside)
}

fn secret(device: &str) -> v1::PutSecret {
    v1::PutSecret {
        device_id: device.into(),
        sha256: "ab".repeat(32),
        expires_ms: crate::world::START + 3_600_000,
        ..Default::default()
    }
}

#[test]
fn certificates_of_other_groups_are_neither_seen_nor_revoked() {
    let (mut w, inside, outside) = world();
    let listed: v1::CertificatesListed = w.ask(EVE, "list", &v1::ListCertificates::default()).unwrap();
    let owners: Vec<_> = listed.certificates.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(owners, ["pump-1"]);
    let show = |serial: &str| v1::ShowCertificate {
        serial: serial.into(),
        ..Default::default()
    };
    w.ask::<v1::CertificateShown>(EVE, "show", &show(&inside))
        .unwrap();
    let refused = w.ask::<v1::CertificateShown>(EVE, "show", &show(&outside));
    assert_eq!(refused.unwrap_err().code, "not-found");
    let by_serial = |serial: &str| v1::Revoke {
        serial: serial.into(),
        ..Default::default()
    };
    let by_owner = |kind: &str, id: &str| v1::Revoke {
        kind: kind.into(),
        id: id.into(),
        ..Default::default()
    };
    for request in [
        by_serial(&outside),
        by_owner("devices", "pump-2"),
        by_owner("claims", "lot"),
    ] {
        let refused = w.ask::<v1::Revoked>(EVE, "revoke", &request).unwrap_err();
        assert_eq!(refused.code, "denied", "{request:?}");
    }
    w.ask_over::<v1::Revoked>(EVE, "", "", "revoke", &by_serial(&inside));
    assert_eq!(w.status(&inside), v1::CertificateStatus::Revoked);
}

#[test]
fn secrets_are_for_devices_in_sight_and_claims_for_the_whole_fleet() {
    let (mut w, ..) = world();
    w.ask::<v1::Done>(EVE, "put-secret", &secret("pump-1")).unwrap();
    let refused = w
        .ask::<v1::Done>(EVE, "put-secret", &secret("pump-2"))
        .unwrap_err();
    assert_eq!(refused.code, "denied");
    let refused = w.ask::<v1::ClaimsListed>(EVE, "claims", &v1::ListClaims::default());
    assert_eq!(refused.unwrap_err().code, "denied");
    let refused = w.ask::<v1::ClaimMade>(EVE, "put-claim", &v1::PutClaim::default());
    assert_eq!(refused.unwrap_err().code, "denied");
}

#[test]
fn replayed_events_are_those_about_devices_in_sight() {
    let (mut w, inside, _) = world();
    w.ask::<v1::Done>(crate::world::ADA, "put-secret", &secret("pump-1"))
        .unwrap();
    w.ask::<v1::Done>(crate::world::ADA, "put-secret", &secret("pump-2"))
        .unwrap();
    let before = w.frames.len();
    let _: v1::ReplayMarker = w.ask(EVE, "replay", &v1::Replay::default()).unwrap();
    let replayed = w.frames[before..]
        .iter()
        .filter(|frame| frame.topic.ends_with("/replay/event"));
    let subjects: std::collections::BTreeSet<String> = replayed
        .map(|frame| {
            let event: serde_json::Value = serde_json::from_slice(&frame.payload).unwrap();
            event["subject"].as_str().unwrap().to_owned()
        })
        .collect();
    let expected = [format!("certificates/{inside}"), "secrets/pump-1".to_owned()];
    assert_eq!(subjects, expected.into());
}

/// The devices that were told to renew since.
fn told(w: &World, before: usize) -> Vec<String> {
    let pushes = w.frames[before..]
        .iter()
        .filter(|frame| frame.topic.ends_with("/down/provisioning/renew"));
    pushes
        .map(|frame| frame.topic.split('/').nth(3).unwrap().to_owned())
        .collect()
}

fn begun(w: &mut World, who: &str, request: &v1::RenewMany) -> String {
    let before = w.frames.len();
    let id = w.ask::<v1::Changed>(who, "renew-many", request).unwrap().id;
    for _ in 0..4 {
        w.wait(1);
    }
    let fleet = who == crate::world::ADA;
    let expected: &[&str] = if fleet { &["pump-1", "pump-2"] } else { &["pump-1"] };
    assert_eq!(told(w, before), expected);
    id
}

#[test]
fn a_mass_renewal_reaches_the_devices_in_sight_and_is_seen_by_whoever_has_them() {
    let (mut w, ..) = world();
    w.tell_scoped("max", Role::SecurityOfficer, &["munich"]);
    w.now_ms += 1;
    let all = v1::RenewMany {
        per_minute: 60_000,
        ..Default::default()
    };
    let named = |id: &str| v1::RenewMany {
        device_ids: vec![id.into()],
        ..Default::default()
    };
    let refused = w.ask::<v1::Changed>(EVE, "renew-many", &named("pump-2"));
    assert_eq!(refused.unwrap_err().code, "denied");
    let hers = begun(&mut w, EVE, &all);
    let fleets = begun(&mut w, crate::world::ADA, &all);
    let seen = |w: &mut World, who: &str| -> Vec<v1::MassRenewal> {
        let listed: v1::RenewalsListed = w.ask(who, "renewals", &v1::ListRenewals::default()).unwrap();
        listed.renewals
    };
    let of_eve = seen(&mut w, EVE);
    assert_eq!(of_eve.len(), 1);
    assert_eq!(
        (of_eve[0].renewal_id.as_str(), of_eve[0].devices),
        (hers.as_str(), 1)
    );
    assert_eq!(of_eve[0].within, ["berlin"]);
    assert_eq!(seen(&mut w, crate::world::ADA).len(), 2);
    assert!(seen(&mut w, "operators/max").is_empty());
    let renewing = |id: &str| v1::ListRenewing {
        renewal_id: id.into(),
        ..Default::default()
    };
    let listed: v1::RenewingListed = w.ask(EVE, "renewing", &renewing(&hers)).unwrap();
    assert_eq!(listed.devices.len(), 1);
    let abort = |id: &str| v1::AbortRenewal {
        renewal_id: id.into(),
        ..Default::default()
    };
    for (who, id) in [(EVE, &fleets), ("operators/max", &hers)] {
        let refused = w.ask::<v1::RenewingListed>(who, "renewing", &renewing(id));
        assert_eq!(refused.unwrap_err().code, "not-found");
        let refused = w.ask::<v1::Changed>(who, "abort-renewal", &abort(id));
        assert_eq!(refused.unwrap_err().code, "not-found");
    }
    w.ask::<v1::Changed>(EVE, "abort-renewal", &abort(&hers)).unwrap();
    // One that has left the group before its turn is no part of it.
    w.tell_grouped("pump-0", &["berlin"]);
    w.sign("pump-0", "lot").unwrap();
    w.wait(1);
    let slow = v1::RenewMany {
        device_ids: vec!["pump-0".into(), "pump-1".into()],
        per_minute: 1,
        ..Default::default()
    };
    let before = w.frames.len();
    let id = w.ask::<v1::Changed>(EVE, "renew-many", &slow).unwrap().id;
    w.wait(1);
    w.tell_grouped("pump-1", &["munich"]);
    w.wait(60_000);
    let left = seen(&mut w, EVE).into_iter().find(|it| it.renewal_id == id);
    assert_eq!(left.unwrap().devices, 1);
    assert_eq!(told(&w, before), ["pump-0"]);
}
