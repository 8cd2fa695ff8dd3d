//! Rules over metrics, their alerts, and what follows.

use contract::{
    limits,
    v1::*,
    wire::{self, Encoding},
};

use crate::world::*;

#[test]
fn raised_after_points_in_a_row_and_cleared_likewise() {
    let mut world = World::new(1);
    world
        .rule("hot", |r| (r.points_to_raise, r.points_to_clear) = (3, 2))
        .unwrap();
    let mut open = String::new();
    for value in [90.0, 90.0, 70.0, 90.0, 90.0, 90.0, 91.0, 70.0, 90.0, 70.0, 70.0] {
        world
            .heartbeat(0, &[("temperature", value), ("other", 900.0)])
            .unwrap();
        open.push(if world.status(0).open_alerts == 1 {
            '!'
        } else {
            '.'
        });
    }
    assert_eq!(open, ".....!!!!!.");
    let alerts = world.alerts(true);
    assert_eq!((alerts.len(), alerts[0].value, alerts[0].open), (1, 90.0, false));
    assert_eq!(alerts[0].detail, "temperature is 90, above 80");
    assert_eq!(
        world.events().iter().filter(|e| e.starts_with("alerts/")).count(),
        2
    );
}

#[test]
fn what_a_heartbeat_may_say() {
    let mut world = World::new(1);
    for metrics in [
        &[("a", f64::NAN)][..],
        &[("a", f64::INFINITY)],
        &[("", 1.0)],
        &[("a b", 1.0)],
        &[("security.violations", 0.0)],
    ] {
        assert_eq!(
            world.heartbeat(0, metrics).unwrap_err().code,
            "invalid",
            "{metrics:?}"
        );
    }
    let names: Vec<String> = (0..65).map(|n| format!("m{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
    assert_eq!(world.heartbeat(0, &many).unwrap_err().code, "too-large");
    assert!(world.heartbeat(0, &many[..64]).is_ok());
    assert_eq!(world.heartbeat(7, &[]).unwrap_err().code, "not-found");
}

#[test]
fn a_repeated_or_overtaken_heartbeat_is_no_point() {
    let mut world = World::new(1);
    world.rule("hot", |r| r.points_to_raise = 2).unwrap();
    let beat = |uptime_ms, value| Heartbeat {
        uptime_ms,
        boot_count: 1,
        metrics: [("temperature".to_owned(), value)].into(),
        ..Heartbeat::default()
    };
    let _: Done = world.ask(&device(0), "heartbeat", &beat(10, 90.0)).unwrap();
    let rows = world.rows();
    let _: Done = world.ask(&device(0), "heartbeat", &beat(10, 90.0)).unwrap();
    let _: Done = world.ask(&device(0), "heartbeat", &beat(9, 95.0)).unwrap();
    assert_eq!(world.rows(), rows);
    let _: Done = world.ask(&device(0), "heartbeat", &beat(11, 90.0)).unwrap();
    assert_eq!(world.summary().open_alerts, 1);
}

#[test]
fn a_quarantine_is_asked_of_the_registry_once() {
    let mut world = World::new(2);
    world
        .rule("hot", |r| r.set_response(Response::Quarantine))
        .unwrap();
    world.rule("hotter", |r| r.set_severity(Severity::High)).unwrap();
    world.device(1, |f| f.set_restriction(Restriction::Quarantined));
    for n in [0, 0, 1] {
        world.heartbeat(n, &[("temperature", 99.0)]).unwrap();
    }
    assert_eq!(world.asked.len(), 1);
    assert_eq!(world.asked[0].device_id, "d0");
    assert_eq!(world.summary().open_alerts, 4);
    world.restart();
    assert_eq!(world.asked.len(), 2, "asked again until it is answered");
}

#[test]
fn violations_raise_and_clear_by_themselves() {
    let mut world = World::new(1);
    world
        .rule("abuse", |r| {
            (r.metric, r.threshold, r.points_to_clear) = ("security.violations".into(), 10.0, 2);
            r.set_response(Response::Quarantine);
        })
        .unwrap();
    world.violate(0, 6);
    world.later(59_000);
    assert!(world.alerts(false).is_empty());
    world.violate(0, 5);
    assert_eq!(
        (
            world.alerts(false).len(),
            world.asked.len(),
            world.status(0).violations
        ),
        (1, 1, 11)
    );
    world.later(60_000);
    assert_eq!(world.alerts(false).len(), 1, "one point within, two are wanted");
    world.later(60_000);
    assert!(world.alerts(false).is_empty());
    world.later(600_000);
    assert!(
        !world
            .rows()
            .iter()
            .any(|(key, _)| key.starts_with(b"sviolations/") || key.starts_with(b"spoints/"))
    );
    assert_eq!(
        world
            .events()
            .iter()
            .filter(|e| e.as_str() == "devices/d0 security")
            .count(),
        2
    );
}

#[test]
fn who_is_sent_away_has_tried_nothing() {
    let mut world = World::new(1);
    world
        .rule("busy", |r| {
            (r.metric, r.threshold) = ("security.violations".into(), 0.0)
        })
        .unwrap();
    world.kicked("devices", "d0");
    world.kicked("operators", "ben");
    assert!(world.alerts(false).is_empty());
    assert_eq!(world.status(0).violations, 0);
    let told: Vec<_> = world
        .events()
        .into_iter()
        .filter(|e| e.ends_with(" kicked"))
        .collect();
    assert_eq!(
        told,
        ["clients/devices.d0 kicked", "clients/operators.ben kicked"]
    );
}

#[test]
fn removing_a_rule_clears_its_alerts_page_by_page() {
    let mut world = World::new(1_001);
    world.rule("hot", |_| {}).unwrap();
    for n in 0..1_001 {
        world.heartbeat(n, &[("temperature", 99.0)]).unwrap();
    }
    assert_eq!(world.summary().open_alerts, 1_001);
    world.remove_rule("hot").unwrap();
    assert_eq!(world.rule("hot", |_| {}).unwrap_err().code, "busy");
    world.restart();
    world.later(0);
    assert_eq!(world.summary().open_alerts, 0);
    assert!(world.statuses().iter().all(|s| s.open_alerts == 0));
    assert_eq!(world.rule("hot", |_| {}).unwrap().version, 1);
    assert_eq!(world.remove_rule("cold").unwrap_err().code, "not-found");
}

#[test]
fn what_a_rule_may_say() {
    let mut world = World::new(0);
    type Change = fn(&mut Rule);
    let cases: [(&str, Change); 9] = [
        ("rule.rule_id", |r| r.rule_id = "a/b".into()),
        ("rule.rule_id", |r| r.rule_id = "Offline".into()),
        ("rule.metric", |r| r.metric = "a|b".into()),
        ("rule.comparison", |r| r.comparison = 0),
        ("rule.comparison", |r| r.comparison = 9),
        ("rule.threshold", |r| r.threshold = f64::NAN),
        ("rule.points_to_raise", |r| r.points_to_raise = 1_001),
        ("rule.severity", |r| r.severity = 9),
        ("rule.response", |r| r.response = 9),
    ];
    for (field, change) in cases {
        assert_eq!(world.rule("hot", change).unwrap_err().field, field);
    }
    assert_eq!(world.rule("hot", |_| {}).unwrap().version, 1);
    assert_eq!(world.rule("hot", |r| r.threshold = 70.0).unwrap().version, 2);
    assert_eq!(world.rule("HOT", |_| {}).unwrap_err().code, "exists");
    assert_eq!(
        world.rule("hot", |r| r.metric = "load".into()).unwrap_err().code,
        "not-allowed"
    );
    let stale = PutRule {
        rule: Some(Rule {
            rule_id: "hot".into(),
            metric: "temperature".into(),
            comparison: 1,
            ..Rule::default()
        }),
        expected_version: 1,
        ..PutRule::default()
    };
    assert_eq!(
        world
            .ask::<_, Changed>(&operator(), "put-rule", &stale)
            .unwrap_err()
            .present_version,
        2
    );
    for n in 1..256 {
        world.rule(&format!("r{n}"), |_| {}).unwrap();
    }
    assert_eq!(world.rule("one-more", |_| {}).unwrap_err().code, "limit");
    let listed: RulesListed = world
        .ask(
            &operator(),
            "rules",
            &ListRules {
                page_size: 500,
                ..ListRules::default()
            },
        )
        .unwrap();
    assert_eq!(listed.rules.len(), 256);
}

#[test]
fn a_page_of_large_devices_fits_a_packet() {
    let mut world = World::new(60);
    let names: Vec<String> = (0..64).map(|n| format!("{n:0>128}")).collect();
    let metrics: Vec<_> = names.iter().map(|name| (name.as_str(), 0.1 + 0.2)).collect();
    for n in 0..60 {
        world.heartbeat(n, &metrics).unwrap();
    }
    let (mut seen, mut page) = (0, String::new());
    loop {
        let message = ListStatus {
            page_size: 500,
            page,
            ..ListStatus::default()
        };
        let listed: StatusListed = world.ask(&operator(), "list", &message).unwrap();
        assert!(wire::encode(&listed, Encoding::Json).len() <= limits::PAYLOAD_BYTES);
        seen += listed.devices.len();
        page = listed.next_page;
        if page.is_empty() {
            break;
        }
    }
    assert_eq!(seen, 60);
}

#[test]
fn a_rule_that_was_changed_since_is_not_removed() {
    let mut world = World::new(1);
    world.rule("hot", |_| {}).unwrap();
    world.rule("hot", |r| r.threshold = 81.0).unwrap();
    let remove = |expected_version| RemoveRule {
        rule_id: "hot".into(),
        expected_version,
        ..RemoveRule::default()
    };
    let refused = world
        .ask::<_, Done>(&operator(), "remove-rule", &remove(1))
        .unwrap_err();
    assert_eq!((refused.code.as_str(), refused.present_version), ("conflict", 2));
    world
        .ask::<_, Done>(&operator(), "remove-rule", &remove(2))
        .unwrap();
}
