//! What operators and devices write down, each in its own scope.

use contract::v1::{Annotate, ChangeDevice, Changed, Component, RegisterDevice, Report};

use crate::world::{ADA, Answered, World, change, data, pairs, register, registered};

fn set(w: &mut World, id: &str, fields: &[(&str, &str)]) -> Answered<Changed> {
    w.ask(ADA, "change", &change(id, fields))
}

fn put(w: &mut World, id: &str, fields: &[(&str, &str)]) {
    w.ask::<Changed>(ADA, "register", &registered(id, fields))
        .unwrap();
}

#[test]
fn fields_are_written_by_name_and_the_event_tells_what_changed() {
    let mut w = World::new();
    put(
        &mut w,
        "a",
        &[("warranty_until", "2028-01-31"), ("tags.line", "7")],
    );
    let device = w.device("a");
    assert_eq!(device.warranty_until, "2028-01-31");
    assert_eq!(device.tags["line"], "7");
    w.events();
    set(
        &mut w,
        "a",
        &[
            ("tags.line", "8"),
            ("tags.hall", "3"),
            ("price", "12.5 EUR"),
            ("site", "berlin"),
        ],
    )
    .unwrap();
    let events = w.events();
    assert_eq!(events.len(), 1);
    let changed = &data(&events[0])["changed"];
    assert_eq!(
        changed["tags.line"],
        serde_json::json!({ "from": "7", "to": "8" })
    );
    assert_eq!(
        changed["tags.hall"],
        serde_json::json!({ "from": null, "to": "3" })
    );
    assert_eq!(changed["price"]["to"], "12.50 EUR");
    assert_eq!(changed.as_object().unwrap().len(), 4);
    let again = set(&mut w, "a", &[("price", "12.50 EUR"), ("site", "berlin")]).unwrap();
    assert_eq!((again.version, w.events().len()), (2, 0), "the same is no change");
    set(&mut w, "a", &[("tags.line", ""), ("warranty_until", "")]).unwrap();
    assert_eq!(w.device("a").tags, pairs(&[("hall", "3")]));
}

#[test]
fn a_field_that_is_given_twice_is_refused() {
    let mut w = World::new();
    w.ask::<Changed>(ADA, "register", &register("a")).unwrap();
    let twice = ChangeDevice {
        name: Some("x".into()),
        ..change("a", &[("name", "y")])
    };
    assert_eq!(w.ask::<Changed>(ADA, "change", &twice).unwrap_err().field, "name");
    let twice = RegisterDevice {
        site: "x".into(),
        ..registered("b", &[("site", "y")])
    };
    assert_eq!(
        w.ask::<Changed>(ADA, "register", &twice).unwrap_err().field,
        "site"
    );
}

#[test]
fn each_writes_in_its_own_scope() {
    let mut w = World::new();
    w.activate("a");
    for (field, code) in [
        ("attributes.os", "denied"),
        ("system.x", "denied"),
        ("component.boot", "denied"),
    ] {
        assert_eq!(set(&mut w, "a", &[(field, "x")]).unwrap_err().code, code);
    }
    let annotate = Annotate {
        device_id: "a".into(),
        system: pairs(&[("rollout", "r-1")]),
        ..Default::default()
    };
    w.ask::<Changed>("services/rollout", "annotate", &annotate)
        .unwrap();
    let report = Report {
        attributes: pairs(&[("os", "linux")]),
        components: vec![Component {
            name: "modem".into(),
            version: "2.1".into(),
        }],
        ..Default::default()
    };
    w.ask::<Changed>("devices/a", "report", &report).unwrap();
    let device = w.device("a");
    assert_eq!(
        (
            device.system["rollout"].as_str(),
            device.attributes["os"].as_str()
        ),
        ("r-1", "linux")
    );
    assert_eq!(device.components, report.components);
    let version = device.version;
    assert_eq!(
        w.ask::<Changed>("devices/a", "report", &report).unwrap().version,
        version
    );
}

#[test]
fn no_two_living_devices_share_an_identity() {
    let mut w = World::new();
    let mac = "mac:02:00:5e:10:00:01";
    put(&mut w, "a", &[("serial_number", "SN-7"), ("addresses", mac)]);
    for (fields, field) in [
        (&[("serial_number", "sn-7")][..], "serial_number"),
        (
            &[("addresses", "mac:0200.5e10.0001 mac:020000000002")][..],
            "addresses",
        ),
    ] {
        let refused = w
            .ask::<Changed>(ADA, "register", &registered("b", fields))
            .unwrap_err();
        assert_eq!((refused.code.as_str(), refused.field.as_str()), ("exists", field));
        assert!(refused.message.contains("`a`"), "{}", refused.message);
    }
    put(&mut w, "b", &[]);
    assert_eq!(
        set(&mut w, "b", &[("serial_number", "SN-7")]).unwrap_err().code,
        "exists"
    );
    set(&mut w, "b", &[("serial_number", "SN-8")]).unwrap();
    let second = set(&mut w, "b", &[("serial_number", "SN-9")]).unwrap_err();
    assert_eq!(
        (second.code.as_str(), second.field.as_str()),
        ("not-allowed", "serial_number")
    );
    let rows = [
        registered("c", &[("serial_number", "SN-1")]),
        registered("d", &[("serial_number", "SN-1")]),
    ];
    let many = contract::v1::RegisterDevices {
        devices: rows.into(),
        ..Default::default()
    };
    let done: contract::v1::RegisteredDevices = w.ask(ADA, "register-many", &many).unwrap();
    assert_eq!(
        (done.registered, done.refused.len()),
        (1, 1),
        "rows of one request see one another"
    );
    let told = done.refused[0].rejection.clone().unwrap().message;
    assert_eq!(told, "`c` has this already: SN-1");
    let retire = contract::v1::RetireDevice {
        device_id: "a".into(),
        ..Default::default()
    };
    w.ask::<Changed>(ADA, "retire", &retire).unwrap();
    put(&mut w, "e", &[("serial_number", "SN-7"), ("addresses", mac)]);
}

#[test]
fn parents_are_there_and_never_above_themselves() {
    let mut w = World::new();
    put(&mut w, "gw", &[]);
    put(&mut w, "a", &[("parent", "gw")]);
    put(&mut w, "b", &[("parent", "a")]);
    for (id, parent, code) in [
        ("gw", "b", "invalid"),
        ("gw", "gw", "invalid"),
        ("b", "none", "not-found"),
        ("b", "A", "not-found"),
    ] {
        let refused = set(&mut w, id, &[("parent", parent)]).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_str()),
            (code, "parent"),
            "{id} {parent}"
        );
    }
    for n in 0..7 {
        let above = if n == 0 {
            "b".to_owned()
        } else {
            format!("c{}", n - 1)
        };
        let registered = registered(&format!("c{n}"), &[("parent", &above)]);
        let done = w.ask::<Changed>(ADA, "register", &registered);
        assert_eq!(done.is_ok(), n < 6, "{n}");
    }
    set(&mut w, "a", &[("parent", "")]).unwrap();
    set(&mut w, "gw", &[("parent", "b")]).unwrap();
}

#[test]
fn a_record_that_grows_too_large_is_refused_by_name() {
    let mut w = World::new();
    put(&mut w, "a", &[]);
    let value = "\"".repeat(1_024);
    let key = |n: usize| format!("administrative.k{n}");
    let mut refused = None;
    for n in 0..64 {
        refused = set(&mut w, "a", &[(&key(n), &value)]).err();
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.code, "limit");
    assert!(refused.message.contains("55296"), "{}", refused.message);
    let shorter: Vec<_> = (0..20).map(|n| (key(n), "\"".repeat(600))).collect();
    let shorter: Vec<_> = shorter.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let refused = set(&mut w, "a", &shorter).unwrap_err();
    assert!(
        refused.message.contains("fewer fields at once"),
        "{}",
        refused.message
    );
}

#[test]
fn every_fault_of_a_row_is_told_and_the_first_of_each_row_before() {
    let mut w = World::new();
    let bad = [
        ("criticality", "hihg"),
        ("latitude", "400"),
        ("type", "unknown"),
        ("site", "x"),
    ];
    let many = contract::v1::RegisterDevices {
        devices: vec![
            registered("c", &[]),
            contract::v1::RegisterDevice {
                groups: vec!["none".into(), "nor".into()],
                ..registered("d", &bad)
            },
            registered("a/b", &[]),
        ],
        ..Default::default()
    };
    let done: contract::v1::RegisteredDevices = w.ask(ADA, "register-many", &many).unwrap();
    assert_eq!(done.registered, 1);
    let fields = done
        .refused
        .iter()
        .map(|one| one.rejection.clone().unwrap().field);
    assert_eq!(
        fields.collect::<Vec<_>>(),
        [
            "devices[1].criticality",
            "devices[2].device_id",
            "devices[1].groups",
            "devices[1].groups",
            "devices[1].latitude",
            "devices[1].type",
        ]
    );
}
