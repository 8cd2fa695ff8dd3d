//! A device's life, from planned to retired.

use crate::world::{ADA, Answered, World, data, register};
use contract::v1::{
    CertificateStatus, Changed, Device, DeviceFact, Done, Erased, GetStanding, MoveDevice, RegisterDevice,
    Report, RestrictDevice, Restriction, RetireDevice, RetireOrder, Stage, Standing,
};
use contract::{v1::Purpose, wire};

fn move_to(w: &mut World, id: &str, stage: Stage) -> Answered<Changed> {
    let request = MoveDevice {
        device_id: id.into(),
        stage: stage.into(),
        reason: "test".into(),
        ..Default::default()
    };
    w.ask(ADA, "move", &request)
}

fn restrict(w: &mut World, who: &str, verb: &str, id: &str) -> Answered<Changed> {
    let request = RestrictDevice {
        device_id: id.into(),
        reason: "odd traffic".into(),
        ..Default::default()
    };
    w.ask(who, verb, &request)
}

fn retire(w: &mut World, id: &str) -> Answered<Changed> {
    w.ask(
        ADA,
        "retire",
        &RetireDevice {
            device_id: id.into(),
            reason: "worn out".into(),
            ..Default::default()
        },
    )
}

fn standing(w: &mut World, id: &str) -> Standing {
    w.ask(&format!("devices/{id}"), "standing", &GetStanding::default())
        .unwrap()
}

#[test]
fn from_planned_to_active() {
    let mut w = World::new();
    let planned = RegisterDevice {
        planned: true,
        ..register("pump-7")
    };
    w.ask::<Changed>(ADA, "register", &planned).unwrap();
    w.certificate("devices", "pump-7", CertificateStatus::Issued);
    assert_eq!(w.device("pump-7").stage(), Stage::Planned);
    move_to(&mut w, "pump-7", Stage::Registered).unwrap();
    w.certificate("operators", "pump-7", CertificateStatus::Issued);
    w.certificate("devices", "PUMP-7", CertificateStatus::Issued);
    w.certificate("devices", "pump-7", CertificateStatus::Planned);
    assert_eq!(w.device("pump-7").stage(), Stage::Registered);
    w.certificate("devices", "pump-7", CertificateStatus::Active);
    assert_eq!(w.device("pump-7").stage(), Stage::Provisioned);
    w.ask::<Changed>("devices/pump-7", "report", &Report::default())
        .unwrap();
    let device = w.device("pump-7");
    assert_eq!(
        (device.stage(), device.changed_by.as_str()),
        (Stage::Active, "devices/pump-7")
    );
    move_to(&mut w, "pump-7", Stage::Maintenance).unwrap();
    let device = w.device("pump-7");
    assert_eq!(
        (device.changed_by.as_str(), device.change_reason.as_str()),
        (ADA, "test")
    );
    move_to(&mut w, "pump-7", Stage::Active).unwrap();
    let moves: Vec<_> = w
        .events()
        .into_iter()
        .filter(|e| e.name == "moved")
        .map(|e| data(&e))
        .collect();
    let ways: Vec<_> = moves
        .iter()
        .map(|m| format!("{} {}", m["from"], m["to"]))
        .collect();
    assert_eq!(ways.len(), 5);
    assert_eq!(ways[4], "\"STAGE_MAINTENANCE\" \"STAGE_ACTIVE\"");
    assert_eq!(moves[1]["cause"], "certificate");
    assert_eq!(moves[1]["reason"], "certificate 0a was issued");
}

#[test]
fn a_revoked_certificate_takes_no_stage_back_and_the_next_one_changes_none() {
    let mut w = World::new();
    w.activate("pump-7");
    // What is known of its certificates stands beside its record.
    let record = |w: &mut World| Device {
        live: None,
        ..w.device("pump-7")
    };
    let before = record(&mut w);
    w.events();
    for status in [
        CertificateStatus::Revoked,
        CertificateStatus::Retired,
        CertificateStatus::Issued,
        CertificateStatus::Active,
    ] {
        w.certificate("devices", "pump-7", status);
        assert_eq!(record(&mut w), before, "{status:?}");
    }
    assert_eq!(w.events(), []);
}

#[test]
fn a_report_may_overtake_the_fact_of_its_certificate() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &register("a")).unwrap();
    w.ask::<Changed>("devices/a", "report", &Report::default())
        .unwrap();
    assert_eq!(w.device("a").stage(), Stage::Registered);
    w.certificate("devices", "a", CertificateStatus::Issued);
    assert_eq!(w.device("a").stage(), Stage::Active);
}

#[test]
fn an_illegal_move_names_the_legal_ones() {
    let mut w = World::new();
    w.activate("a");
    let rejection = move_to(&mut w, "a", Stage::Provisioned).unwrap_err();
    assert_eq!(
        (rejection.code.as_str(), rejection.field.as_str()),
        ("not-allowed", "stage")
    );
    assert_eq!(rejection.allowed, ["STAGE_MAINTENANCE"]);
    let unknown = MoveDevice {
        device_id: "a".into(),
        stage: 99,
        ..Default::default()
    };
    let rejection = w.ask::<Changed>(ADA, "move", &unknown).unwrap_err();
    assert_eq!((rejection.code.as_str(), rejection.allowed.len()), ("invalid", 7));
}

#[test]
fn a_retiring_device_erases_itself() {
    let mut w = World::new();
    w.activate("a");
    let early = w
        .ask::<Done>("devices/a", "erased", &Erased::default())
        .unwrap_err();
    assert_eq!(early.code, "not-allowed");
    w.frames.clear();
    retire(&mut w, "a").unwrap();
    let order = w.frames.iter().find(|f| f.purpose() == Purpose::Message).unwrap();
    assert_eq!(order.topic, "muster/v1/devices/a/down/registry/retire");
    let order: RetireOrder = wire::decode(&order.payload, "").unwrap();
    assert_eq!(
        (order.reason.as_str(), order.deadline_ms),
        ("worn out", w.now_ms + 1_000)
    );
    assert!(standing(&mut w, "a").retire);
    assert_eq!(retire(&mut w, "a").unwrap_err().code, "not-allowed");
    let receipt = Erased {
        erased: vec!["device.key".into()],
        ..Default::default()
    };
    w.events();
    w.ask::<Done>("devices/a", "erased", &receipt).unwrap();
    let events = w.events();
    assert_eq!(data(&events[0])["erased"][0], "device.key");
    let device = w.device("a");
    assert!(device.stage() == Stage::Retired && device.erased);
    w.frames.clear();
    w.ask::<Done>("devices/a", "erased", &receipt).unwrap();
    w.wait(10_000);
    assert!(w.events().is_empty());
    assert_eq!(w.device("a"), device);
}

#[test]
fn a_device_without_a_receipt_is_retired_at_its_deadline_even_after_a_restart() {
    let mut w = World::new();
    w.activate("a");
    let long = RetireDevice {
        device_id: "a".into(),
        wait_ms: 5_000,
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "retire", &long).unwrap();
    w.wait(4_999);
    assert_eq!(w.device("a").stage(), Stage::Retiring);
    w.restart();
    w.wait(1);
    let device = w.device("a");
    assert!(device.stage() == Stage::Retired && !device.erased);
    assert_eq!(device.changed_by, "services/registry");
}

#[test]
fn whoever_knows_that_no_receipt_will_come_waits_no_longer() {
    let mut w = World::new();
    w.activate("a");
    let retire = |wait_ms| RetireDevice {
        device_id: "a".into(),
        wait_ms,
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "retire", &retire(1_000_000)).unwrap();
    let again = w.ask::<Changed>(ADA, "retire", &retire(0)).unwrap_err();
    assert!(again.message.contains("another wait"), "{again:?}");
    w.wait(10);
    w.ask::<Changed>(ADA, "retire", &retire(500)).unwrap();
    assert_eq!(w.device("a").retire_deadline_ms, w.now_ms + 500);
    w.wait(499);
    assert_eq!(w.device("a").stage(), Stage::Retiring);
    w.wait(1);
    assert_eq!(w.device("a").stage(), Stage::Retired);
}

#[test]
fn a_deadline_that_passed_while_the_service_was_away_leaves_time_for_the_receipt() {
    let mut w = World::new();
    w.activate("a");
    w.activate("b");
    retire(&mut w, "a").unwrap();
    retire(&mut w, "b").unwrap();
    w.now_ms += 2 * 3_600_000;
    w.restart();
    w.wait(0);
    let device = w.device("a");
    assert_eq!(
        (device.stage(), device.retire_deadline_ms),
        (Stage::Retiring, w.now_ms + 1_000)
    );
    w.ask::<Done>("devices/a", "erased", &Erased::default()).unwrap();
    w.wait(1_000);
    assert!(w.device("a").erased);
    let device = w.device("b");
    assert!(
        device.stage() == Stage::Retired && !device.erased,
        "it was given one more time"
    );
}

#[test]
fn what_never_had_a_certificate_retires_at_once() {
    let mut w = World::new();
    for (id, planned) in [("a", true), ("b", false)] {
        w.ask::<Changed>(
            ADA,
            "register",
            &RegisterDevice {
                planned,
                ..register(id)
            },
        )
        .unwrap();
        retire(&mut w, id).unwrap();
        assert_eq!(w.device(id).stage(), Stage::Retired);
    }
}

#[test]
fn a_tombstone_refuses_its_id_and_its_twins() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &register("Pump")).unwrap();
    retire(&mut w, "Pump").unwrap();
    for (id, expected) in [("Pump", "was retired"), ("pump", "twins")] {
        let rejection = w.ask::<Changed>(ADA, "register", &register(id)).unwrap_err();
        assert_eq!(
            (rejection.code.as_str(), rejection.field.as_str()),
            ("exists", "device_id")
        );
        assert!(rejection.message.contains(expected), "{}", rejection.message);
    }
    w.certificate("devices", "Pump", CertificateStatus::Issued);
    assert_eq!(w.device("Pump").stage(), Stage::Retired);
    for verb in ["suspend", "quarantine", "release"] {
        assert_eq!(
            restrict(&mut w, ADA, verb, "Pump").unwrap_err().code,
            "not-allowed"
        );
    }
    let report = w
        .ask::<Changed>("devices/Pump", "report", &Report::default())
        .unwrap_err();
    assert_eq!(report.code, "not-allowed");
}

#[test]
fn restrictions_travel_by_the_fact() {
    let mut w = World::new();
    w.activate("a");
    w.frames.clear();
    restrict(&mut w, "services/monitoring", "quarantine", "a").unwrap();
    let facts: Vec<DeviceFact> = w.facts("device");
    assert_eq!(facts[0].restriction(), Restriction::Quarantined);
    let device = w.device("a");
    assert_eq!(device.changed_by, "services/monitoring");
    assert_eq!(device.restriction_reason, "odd traffic");
    assert_eq!(standing(&mut w, "a").restriction(), Restriction::Quarantined);
    let again = restrict(&mut w, "services/monitoring", "quarantine", "a").unwrap_err();
    assert_eq!(
        (again.code.as_str(), again.allowed),
        ("not-allowed", vec!["suspend".to_owned()])
    );
    restrict(&mut w, ADA, "release", "a").unwrap();
    assert_eq!(
        restrict(&mut w, ADA, "release", "a").unwrap_err().code,
        "not-allowed"
    );
    assert_eq!(w.device("a").restriction(), Restriction::None);
}
