//! What was done to a device, and when it is due again.

use contract::v1::{
    Changed, DevicesListed, HistoryShown, ListDevices, ListMaintenance, MaintenanceKind, MaintenanceListed,
    RecordMaintenance, RetireDevice, ShowHistory,
};

use crate::world::{ADA, Answered, World, data, register};

const DAY_MS: i64 = 24 * 3_600_000;
/// 2026-01-01.
const NOW_MS: i64 = 1_767_225_600_000;

fn world() -> World {
    let mut w = World::new();
    w.now_ms = NOW_MS;
    w.ask::<Changed>(ADA, "register", &register("pump-7")).unwrap();
    w.events();
    w
}

fn done(kind: MaintenanceKind, days_ago: i64, next_due: &str) -> RecordMaintenance {
    RecordMaintenance {
        device_id: "pump-7".into(),
        kind: kind.into(),
        at_ms: NOW_MS - days_ago * DAY_MS,
        note: "oiled".into(),
        cost: "129.50 EUR".into(),
        next_due: next_due.into(),
        ..RecordMaintenance::default()
    }
}

fn maintain(w: &mut World, record: &RecordMaintenance) -> Answered<Changed> {
    w.ask(ADA, "maintain", record)
}

fn listed(w: &mut World, kind: MaintenanceKind) -> Vec<(String, i64)> {
    let request = ListMaintenance {
        device_id: "pump-7".into(),
        kind: kind.into(),
        ..ListMaintenance::default()
    };
    let listed: MaintenanceListed = w.ask(ADA, "maintenance", &request).unwrap();
    let records = listed.records.into_iter();
    records
        .map(|r| (r.kind().as_str_name().to_owned(), (NOW_MS - r.at_ms) / DAY_MS))
        .collect()
}

fn found(w: &mut World, query: &str) -> usize {
    let request = ListDevices {
        r#where: query.into(),
        ..ListDevices::default()
    };
    let listed: DevicesListed = w.ask(ADA, "list", &request).unwrap();
    listed.devices.len()
}

#[test]
fn what_was_done_is_listed_the_last_first_and_told() {
    let mut w = world();
    maintain(&mut w, &done(MaintenanceKind::Inspection, 3, "2027-01-01")).unwrap();
    let battery = RecordMaintenance {
        by: "Pump Service Ltd".into(),
        part: "CR2032".into(),
        at_ms: 0,
        ..done(MaintenanceKind::Battery, 0, "")
    };
    maintain(&mut w, &battery).unwrap();
    // Written down later than it was done.
    maintain(&mut w, &done(MaintenanceKind::Repair, 2, "")).unwrap();
    let names = |found: Vec<(String, i64)>| found.into_iter().map(|(_, days)| days).collect::<Vec<_>>();
    assert_eq!(names(listed(&mut w, MaintenanceKind::Unspecified)), [0, 2, 3]);
    assert_eq!(listed(&mut w, MaintenanceKind::Battery).len(), 1);
    let events = w.events();
    let told: Vec<_> = events
        .iter()
        .map(|e| format!("{} {}", e.subject, e.name))
        .collect();
    assert_eq!(told, vec!["devices/pump-7 maintained"; 3]);
    assert_eq!(data(&events[1])["record"]["by"], "Pump Service Ltd");
    assert_eq!(data(&events[0])["record"]["cost"]["cents"], "12950");
    let request = ShowHistory {
        device_id: "pump-7".into(),
        ..ShowHistory::default()
    };
    let history: HistoryShown = w.ask(ADA, "history", &request).unwrap();
    let battery = &history.entries[2];
    assert_eq!(
        (battery.what.as_str(), battery.to.as_str()),
        ("maintained", "battery")
    );
    assert_eq!(battery.grounds["part"], "CR2032");
    assert_eq!(w.device("pump-7").maintenance_records, 3);
}

#[test]
fn the_first_of_what_is_due_is_found_by_query() {
    let mut w = world();
    assert_eq!(found(&mut w, "has maintenance_due"), 0);
    maintain(&mut w, &done(MaintenanceKind::Inspection, 3, "2026-06-01")).unwrap();
    maintain(&mut w, &done(MaintenanceKind::Calibration, 2, "2026-01-20")).unwrap();
    assert_eq!(found(&mut w, "maintenance_due < now+30d"), 1);
    assert_eq!(found(&mut w, "maintenance_due < now+7d"), 0);
    assert_eq!(found(&mut w, "last_maintained < now-1d"), 1);
    // What is done again takes its own date away, and an older record changes nothing.
    maintain(&mut w, &done(MaintenanceKind::Calibration, 1, "")).unwrap();
    assert_eq!(w.device("pump-7").maintenance_due, "2026-06-01");
    maintain(&mut w, &done(MaintenanceKind::Calibration, 9, "2026-01-02")).unwrap();
    assert_eq!(w.device("pump-7").maintenance_due, "2026-06-01");
}

#[test]
fn a_record_that_makes_no_sense_is_refused_with_the_field_and_changes_nothing() {
    let mut w = world();
    let good = done(MaintenanceKind::Repair, 1, "");
    let bad = [
        (
            "kind",
            RecordMaintenance {
                kind: 0,
                ..good.clone()
            },
        ),
        (
            "kind",
            RecordMaintenance {
                kind: 99,
                ..good.clone()
            },
        ),
        (
            "at_ms",
            RecordMaintenance {
                at_ms: NOW_MS + 1,
                ..good.clone()
            },
        ),
        (
            "at_ms",
            RecordMaintenance {
                at_ms: -1,
                ..good.clone()
            },
        ),
        (
            "next_due",
            RecordMaintenance {
                next_due: "soon".into(),
                ..good.clone()
            },
        ),
        (
            "next_due",
            RecordMaintenance {
                next_due: "2025-12-01".into(),
                ..good.clone()
            },
        ),
        (
            "cost",
            RecordMaintenance {
                cost: "much".into(),
                ..good.clone()
            },
        ),
        (
            "note",
            RecordMaintenance {
                note: "a\nb".into(),
                ..good.clone()
            },
        ),
        (
            "by",
            RecordMaintenance {
                by: "x".repeat(600),
                ..good.clone()
            },
        ),
        (
            "device_id",
            RecordMaintenance {
                device_id: "nobody".into(),
                ..good.clone()
            },
        ),
    ];
    for (field, record) in bad {
        let refused = maintain(&mut w, &record).unwrap_err();
        assert_eq!(refused.field, field, "{}", refused.message);
    }
    let stale = RecordMaintenance {
        expected_version: 9,
        ..good.clone()
    };
    assert_eq!(maintain(&mut w, &stale).unwrap_err().code, "conflict");
    assert!(w.events().is_empty() && listed(&mut w, MaintenanceKind::Unspecified).is_empty());
    let retire = RetireDevice {
        device_id: "pump-7".into(),
        ..RetireDevice::default()
    };
    w.ask::<Changed>(ADA, "retire", &retire).unwrap();
    assert_eq!(maintain(&mut w, &good).unwrap_err().code, "not-allowed");
}

#[test]
fn a_device_has_so_many_records_and_no_more() {
    let mut w = world();
    let good = done(MaintenanceKind::Inspection, 1, "");
    for _ in 0..2_000 {
        maintain(&mut w, &good).unwrap();
    }
    assert_eq!(maintain(&mut w, &good).unwrap_err().code, "limit");
}
