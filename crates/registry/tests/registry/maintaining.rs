//! What was done to a device, and when it is due again.

use contract::v1::{
    AuditRead, Changed, DevicesListed, HistoryShown, ListDevices, ListMaintenance, MaintainMany,
    MaintenanceKind, MaintenanceListed, MaintenanceRecord, ManyMaintained, ReadAudit, RecordMaintenance,
    RetireDevice, ShowHistory,
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

fn records(w: &mut World, device: &str) -> Vec<MaintenanceRecord> {
    let request = ListMaintenance {
        device_id: device.into(),
        ..ListMaintenance::default()
    };
    w.ask::<MaintenanceListed>(ADA, "maintenance", &request)
        .unwrap()
        .records
}

/// What a file of these records says elsewhere.
fn brought(records: &[MaintenanceRecord]) -> Vec<RecordMaintenance> {
    let mut alike = std::collections::HashMap::new();
    let rows = records.iter().rev().map(|record| {
        let before = alike.entry((record.at_ms, record.note.clone())).or_insert(0);
        *before += 1;
        RecordMaintenance {
            device_id: "pump-7".into(),
            kind: record.kind,
            at_ms: record.at_ms,
            by: record.by.clone(),
            note: record.note.clone(),
            part: record.part.clone(),
            cost: if record.cost.is_some() { "129.50 EUR" } else { "" }.into(),
            next_due: record.next_due.clone(),
            first_recorded_by: record.recorded_by.clone(),
            first_recorded_at_ms: record.recorded_at_ms,
            alike_before: *before - 1,
            ..RecordMaintenance::default()
        }
    });
    rows.collect()
}

fn bring(w: &mut World, records: Vec<RecordMaintenance>, dry_run: bool) -> Answered<ManyMaintained> {
    let request = MaintainMany {
        records,
        dry_run,
        ..MaintainMany::default()
    };
    w.ask(ADA, "maintain-many", &request)
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

#[test]
fn records_come_to_another_installation_whole_and_once() {
    let mut here = world();
    maintain(&mut here, &done(MaintenanceKind::Inspection, 30, "2026-03-01")).unwrap();
    // Two of one day are two.
    for _ in 0..2 {
        maintain(&mut here, &done(MaintenanceKind::Cleaning, 9, "")).unwrap();
    }
    let battery = RecordMaintenance {
        by: "Pump Service Ltd".into(),
        part: "CR2032".into(),
        cost: String::new(),
        ..done(MaintenanceKind::Battery, 2, "2026-02-01")
    };
    maintain(&mut here, &battery).unwrap();
    let left = records(&mut here, "pump-7");

    let mut there = world();
    there.now_ms += DAY_MS;
    let rows = brought(&left);
    let before = there.records("");
    let dry = bring(&mut there, rows.clone(), true).unwrap();
    assert_eq!((dry.recorded, dry.unchanged), (4, 0));
    assert_eq!(there.records(""), before);
    let wet = bring(&mut there, rows.clone(), false).unwrap();
    assert_eq!((wet.recorded, wet.unchanged, wet.refused.len()), (4, 0, 0));
    let come = records(&mut there, "pump-7");
    let whole = |records: &[MaintenanceRecord], first: bool| {
        let plain = records.iter().map(|record| MaintenanceRecord {
            recorded_by: if first {
                &record.first_recorded_by
            } else {
                &record.recorded_by
            }
            .clone(),
            recorded_at_ms: if first {
                record.first_recorded_at_ms
            } else {
                record.recorded_at_ms
            },
            first_recorded_by: String::new(),
            first_recorded_at_ms: 0,
            version: 0,
            ..record.clone()
        });
        plain.collect::<Vec<_>>()
    };
    assert_eq!(whole(&come, true), whole(&left, false));
    assert!(
        come.iter()
            .all(|r| r.recorded_by == ADA && r.recorded_at_ms == there.now_ms)
    );
    let (from, to) = (here.device("pump-7"), there.device("pump-7"));
    assert_eq!((&to.due, &to.maintained), (&from.due, &from.maintained));
    assert_eq!(to.maintenance_due, "2026-02-01");
    assert_eq!(
        (to.last_maintained_ms, to.maintenance_records),
        (from.last_maintained_ms, 4)
    );
    let told: Vec<_> = there.events().iter().map(|e| e.name.to_string()).collect();
    assert_eq!(told, vec!["maintained"; 4]);

    let audit: AuditRead = there.ask(ADA, "audit", &ReadAudit::default()).unwrap();
    let entry = audit
        .entries
        .iter()
        .find(|entry| entry.verb == "registry/maintain-many");
    assert_eq!(entry.unwrap().subjects, ["devices/pump-7"]);
    let (before, entries) = (there.records(""), audit.entries.len());
    let again = bring(&mut there, rows.clone(), false).unwrap();
    assert_eq!((again.recorded, again.unchanged), (0, 4));
    // Where they came from they are there, too.
    let home = bring(&mut here, rows, false).unwrap();
    assert_eq!((home.recorded, home.unchanged), (0, 4));
    assert_eq!(there.records(""), before);
    let audit: AuditRead = there.ask(ADA, "audit", &ReadAudit::default()).unwrap();
    assert_eq!(audit.entries.len(), entries, "what changes nothing has no entry");
}

#[test]
fn of_many_records_the_bad_ones_come_back_and_the_others_are_written_down() {
    let mut w = world();
    w.ask::<Changed>(ADA, "register", &register("pump-8")).unwrap();
    let good = done(MaintenanceKind::Repair, 1, "");
    let of = |device: &str, kind: MaintenanceKind, at_ms: i64| RecordMaintenance {
        device_id: device.into(),
        kind: kind.into(),
        at_ms,
        ..good.clone()
    };
    let rows = vec![
        of("pump-7", MaintenanceKind::Repair, NOW_MS - 5),
        of("pump-8", MaintenanceKind::Unspecified, NOW_MS - 5),
        of("pump-7", MaintenanceKind::Repair, 0),
        of("nobody", MaintenanceKind::Repair, NOW_MS - 5),
        of("pump-8", MaintenanceKind::Repair, NOW_MS + 5),
        RecordMaintenance {
            first_recorded_at_ms: NOW_MS + 5,
            ..of("pump-8", MaintenanceKind::Repair, NOW_MS - 5)
        },
        of("pump-8", MaintenanceKind::Repair, NOW_MS - 5),
        of("pump-7", MaintenanceKind::Repair, NOW_MS - 4),
    ];
    let came = bring(&mut w, rows, false).unwrap();
    assert_eq!((came.recorded, came.unchanged), (3, 0));
    let told: Vec<_> = came
        .refused
        .iter()
        .map(|refused| {
            let rejection = refused.rejection.clone().unwrap();
            (refused.device_id.clone(), rejection.field, rejection.code)
        })
        .collect();
    let expected = [
        ("pump-8", "records[1].kind", "invalid"),
        ("pump-7", "records[2].at_ms", "invalid"),
        ("nobody", "records[3].device_id", "not-found"),
        ("pump-8", "records[4].at_ms", "invalid"),
        ("pump-8", "records[5].first_recorded_at_ms", "invalid"),
    ];
    assert_eq!(
        told,
        expected.map(|(id, field, code)| (id.to_owned(), field.to_owned(), code.to_owned()))
    );
    assert_eq!(
        (records(&mut w, "pump-7").len(), records(&mut w, "pump-8").len()),
        (2, 1)
    );
    assert_eq!(w.device("pump-7").maintenance_records, 2);
    // Who did it was not said: whoever brought it in, and somebody else who brings it in again.
    let again = RecordMaintenance {
        by: String::new(),
        ..of("pump-8", MaintenanceKind::Repair, NOW_MS - 5)
    };
    assert_eq!(bring(&mut w, vec![again], false).unwrap().unchanged, 1);
    assert_eq!(bring(&mut w, Vec::new(), false).unwrap_err().field, "records");
    let many = vec![good.clone(); 501];
    assert_eq!(bring(&mut w, many, false).unwrap_err().code, "too-large");
    // What is there is there, also where no more is written down.
    let retire = RetireDevice {
        device_id: "pump-7".into(),
        ..RetireDevice::default()
    };
    w.ask::<Changed>(ADA, "retire", &retire).unwrap();
    let rows = vec![
        of("pump-7", MaintenanceKind::Repair, NOW_MS - 5),
        of("pump-7", MaintenanceKind::Repair, NOW_MS - 3),
    ];
    let late = bring(&mut w, rows, false).unwrap();
    assert_eq!((late.unchanged, late.refused.len()), (1, 1));
    assert_eq!(late.refused[0].rejection.clone().unwrap().code, "not-allowed");
}
