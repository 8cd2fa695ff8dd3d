//! Registering and changing devices.

use contract::v1::{
    ChangeDevice, Changed, Criticality, DeviceShown, PutGroup, RegisterDevice, RegisterDevices,
    RegisteredDevices, Report, ShowDevice,
};

use crate::world::{ADA, World, data, register};

#[test]
fn bad_ids_and_twins_are_refused() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &register("Pump-7")).unwrap();
    let long = "x".repeat(300);
    for bad in ["", "../x", "a/b", "+", "#", "a\0", "é", "a\u{200b}", &long] {
        let rejection = w.ask::<Changed>(ADA, "register", &register(bad)).unwrap_err();
        assert_eq!(
            (rejection.code.as_str(), rejection.field.as_str()),
            ("invalid", "device_id"),
            "{bad:?}"
        );
    }
    let rejection = w
        .ask::<Changed>(ADA, "register", &register("pump-7"))
        .unwrap_err();
    assert_eq!(rejection.code, "exists");
    let show = ShowDevice {
        device_id: "pump-7".into(),
        ..Default::default()
    };
    let rejection = w.ask::<DeviceShown>(ADA, "show", &show).unwrap_err();
    assert_eq!(
        (rejection.code.as_str(), rejection.allowed),
        ("not-found", vec!["Pump-7".to_owned()])
    );
    let twin = w
        .ask::<Changed>("devices/pump-7", "report", &Report::default())
        .unwrap_err();
    assert_eq!(twin.code, "not-found");
}

#[test]
fn fields_are_checked_by_name() {
    let mut w = World::new();
    let cases = [
        (
            RegisterDevice {
                name: "a\nb".into(),
                ..register("a")
            },
            "invalid",
            "name",
        ),
        (
            RegisterDevice {
                owner: "x".repeat(513),
                ..register("a")
            },
            "too-large",
            "owner",
        ),
        (
            RegisterDevice {
                criticality: 9,
                ..register("a")
            },
            "invalid",
            "criticality",
        ),
        (
            RegisterDevice {
                groups: vec!["none".into()],
                ..register("a")
            },
            "not-found",
            "groups",
        ),
        (
            RegisterDevice {
                groups: vec!["a/b".into()],
                ..register("a")
            },
            "invalid",
            "groups",
        ),
        (
            RegisterDevice {
                groups: vec!["g".into(); 33],
                ..register("a")
            },
            "too-large",
            "groups",
        ),
    ];
    for (request, code, field) in cases {
        let rejection = w.ask::<Changed>(ADA, "register", &request).unwrap_err();
        assert_eq!((rejection.code.as_str(), rejection.field.as_str()), (code, field));
    }
    assert!(w.records("d").is_empty());
}

#[test]
fn a_repeat_hears_the_same_and_changes_nothing() {
    let mut w = World::new();
    let first: Changed = w.ask_as("r", ADA, "register", &register("a")).unwrap();
    let before = w.records("");
    let again: Changed = w.ask_as("r", ADA, "register", &register("a")).unwrap();
    assert_eq!((first, w.records("")), (again, before));
}

#[test]
fn good_rows_are_applied_and_bad_ones_come_back() {
    let mut w = World::new();
    w.ask::<Changed>(
        ADA,
        "put-group",
        &PutGroup {
            group_id: "g".into(),
            ..Default::default()
        },
    )
    .unwrap();
    w.frames.clear();
    let mut devices: Vec<_> = (0..500).map(|n| register(&format!("d-{n}"))).collect();
    devices[7].device_id = "a b".into();
    devices[8].device_id = "D-1".into();
    devices[9].groups = vec!["none".into()];
    devices[10].groups = vec!["g".into()];
    devices[11].groups = vec!["g".into(), "g".into()];
    let request = RegisterDevices {
        devices: devices.clone(),
        ..Default::default()
    };
    let done: RegisteredDevices = w.ask(ADA, "register-many", &request).unwrap();
    assert_eq!((done.registered, done.refused.len()), (497, 3));
    let reasons: Vec<_> = done
        .refused
        .iter()
        .map(|r| r.rejection.clone().unwrap())
        .collect();
    assert_eq!(reasons[0].field, "devices[7].device_id");
    assert_eq!(
        reasons.iter().map(|r| r.code.as_str()).collect::<Vec<_>>(),
        ["invalid", "exists", "not-found"]
    );
    let joined: Vec<_> = w
        .events()
        .into_iter()
        .filter(|e| e.subject == "groups/g")
        .map(|e| data(&e))
        .collect();
    assert_eq!((joined.len(), joined[0]["members"].as_str()), (1, Some("2")));

    let before = w.records("");
    let again: RegisteredDevices = w.ask(ADA, "register-many", &request).unwrap();
    assert_eq!(
        (again.registered, again.unchanged, again.refused.len()),
        (0, 497, 3)
    );
    assert_eq!(w.records(""), before);

    devices.push(register("more"));
    let rejection = w.ask::<RegisteredDevices>(
        ADA,
        "register-many",
        &RegisterDevices {
            devices,
            ..Default::default()
        },
    );
    assert_eq!(rejection.unwrap_err().code, "too-large");
}

#[test]
fn changes_carry_versions() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &register("a")).unwrap();
    w.frames.clear();
    let change = ChangeDevice {
        device_id: "a".into(),
        expected_version: 1,
        name: Some("Pump".into()),
        criticality: Criticality::High.into(),
        ..Default::default()
    };
    assert_eq!(w.ask::<Changed>(ADA, "change", &change).unwrap().version, 2);
    let event = data(&w.events()[0]);
    assert_eq!(
        event["changed"]["name"],
        serde_json::json!({ "from": "", "to": "Pump" })
    );
    assert_eq!(event["changed"]["criticality"]["to"], "CRITICALITY_HIGH");
    let stale = w.ask::<Changed>(ADA, "change", &change).unwrap_err();
    assert_eq!((stale.code.as_str(), stale.present_version), ("conflict", 2));
    let same = ChangeDevice {
        expected_version: 0,
        ..change
    };
    assert_eq!(w.ask::<Changed>(ADA, "change", &same).unwrap().version, 2);
    let cleared = ChangeDevice {
        device_id: "a".into(),
        name: Some(String::new()),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "change", &cleared).unwrap();
    assert_eq!(w.device("a").name, "");
}
