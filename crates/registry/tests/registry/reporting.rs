//! What devices say of themselves.

use std::collections::BTreeMap;

use contract::v1::{CertificateStatus, Changed, DeviceFact, Location, PutGroup, RegisterDevice, Report};

use crate::world::{ADA, World, data, register};

#[test]
fn a_report_that_says_nothing_new_writes_nothing() {
    let mut w = World::new();
    w.activate("a");
    let report = Report {
        firmware_version: "1.2.0".into(),
        location: Some(Location {
            place: "hall".into(),
            latitude: 52.5,
            longitude: 13.4,
        }),
        attributes: BTreeMap::from([("os".to_owned(), "linux".to_owned())]),
        ..Default::default()
    };
    w.frames.clear();
    let first: Changed = w.ask("devices/a", "report", &report).unwrap();
    let fact = &w.facts::<DeviceFact>("device")[0];
    assert_eq!(fact.firmware_version, "1.2.0");
    let commits = w.records("");
    let again: Changed = w.ask("devices/a", "report", &report).unwrap();
    assert_eq!((again.version, w.records("")), (first.version, commits));
    assert!(
        w.frames.iter().all(|f| f.topic.ends_with("/accepted")),
        "nothing but the answer"
    );

    w.frames.clear();
    let report = Report {
        attributes: BTreeMap::from([("os".to_owned(), String::new())]),
        ..Default::default()
    };
    w.ask::<Changed>("devices/a", "report", &report).unwrap();
    let frames = w.frames.clone();
    assert!(
        w.facts::<DeviceFact>("device").is_empty(),
        "attributes are not in the fact"
    );
    w.frames = frames;
    let event = &w.events()[0];
    assert_eq!(
        data(event)["reported"],
        serde_json::json!({ "attributes": { "os": null } })
    );
}

#[test]
fn a_report_is_bounded_and_about_oneself() {
    let mut w = World::new();
    let unknown = w
        .ask::<Changed>("devices/nobody", "report", &Report::default())
        .unwrap_err();
    assert_eq!(unknown.code, "not-found");
    w.activate("a");
    let place = |latitude| {
        Some(Location {
            latitude,
            ..Default::default()
        })
    };
    let bad = Report {
        location: place(f64::NAN),
        ..Default::default()
    };
    assert_eq!(
        w.ask::<Changed>("devices/a", "report", &bad).unwrap_err().field,
        "location.latitude"
    );
    let attributes = |from: usize, n: usize, len: usize| Report {
        attributes: (from..from + n)
            .map(|n| (n.to_string(), "x".repeat(len)))
            .collect(),
        ..Default::default()
    };
    w.ask::<Changed>("devices/a", "report", &attributes(0, 64, 1))
        .unwrap();
    assert_eq!(
        w.ask::<Changed>("devices/a", "report", &attributes(100, 1, 1))
            .unwrap_err()
            .code,
        "limit"
    );
    assert_eq!(
        w.ask::<Changed>("devices/a", "report", &attributes(0, 65, 1))
            .unwrap_err()
            .code,
        "too-large"
    );
    assert_eq!(
        w.ask::<Changed>("devices/a", "report", &attributes(0, 40, 1000))
            .unwrap_err()
            .code,
        "limit"
    );
    assert_eq!(w.device("a").attributes.len(), 64);
}

#[test]
fn the_largest_records_fit_the_store() {
    let mut w = World::new();
    let full = "\"".repeat(512);
    let groups: Vec<_> = (0..32).map(|n| format!("{}-{n}", "g".repeat(60))).collect();
    for group in &groups {
        let request = PutGroup {
            group_id: group.clone(),
            description: Some(full.clone()),
            ..Default::default()
        };
        w.ask::<Changed>(ADA, "put-group", &request).unwrap();
    }
    let wide = "𝄞".repeat(512);
    for (id, text) in [("quotes", &full), ("wide", &wide)] {
        let device = RegisterDevice {
            name: text.clone(),
            serial_number: text.clone(),
            model: text.clone(),
            owner: text.clone(),
            site: text.clone(),
            hardware_revision: text.clone(),
            groups: groups.clone(),
            ..register(id)
        };
        w.ask::<Changed>(ADA, "register", &device).unwrap();
        w.certificate("devices", id, CertificateStatus::Issued);
        let report = Report {
            firmware_version: text.clone(),
            model: format!("{}x", text.chars().take(511).collect::<String>()),
            location: Some(Location {
                place: text.clone(),
                ..Default::default()
            }),
            attributes: (0..16).map(|n| (n.to_string(), "\"".repeat(1_000))).collect(),
            ..Default::default()
        };
        w.ask::<Changed>(&format!("devices/{id}"), "report", &report)
            .unwrap();
    }
}
