//! Devices that come and go.

use Connectivity::{Grace, Never, Offline, Online};
use contract::v1::*;

use crate::world::*;

#[test]
fn a_device_comes_and_is_lost() {
    let mut world = World::new(1);
    world.device(0, |f| f.set_criticality(Criticality::High));
    assert_eq!(world.connectivity(0), Never);
    world.connect(0, 1);
    assert_eq!(
        (world.connectivity(0), world.status(0).address.as_str()),
        (Online, "10.0.0.1:5")
    );
    world.disconnect(0, 1);
    world.later(GRACE - 1);
    assert_eq!(world.connectivity(0), Grace);
    world.later(1);
    assert_eq!(
        (world.connectivity(0), world.status(0).cause.as_str()),
        (Offline, "keep-alive")
    );
    let alerts = world.alerts(false);
    assert_eq!((alerts.len(), alerts[0].severity()), (1, Severity::High));
    world.connect(0, 2);
    assert!(world.alerts(false).is_empty());
    let alert = &alerts[0].alert_id;
    let alert = |name: &str| format!("alerts/{alert} {name}");
    let expected = [
        "devices/d0 online".into(),
        "devices/d0 offline".into(),
        alert("raised"),
        "devices/d0 online".into(),
        alert("cleared"),
    ];
    assert_eq!(world.events(), expected);
}

#[test]
fn the_last_try_that_was_refused_is_kept_until_the_device_is_let_in() {
    let mut world = World::new(1);
    for (n, why) in [
        (1, "this certificate is revoked"),
        (2, "this device is suspended"),
    ] {
        world.not_let_in("devices", "d0", why);
        let refused = world.status(0).refused.unwrap();
        assert_eq!(
            (refused.why.as_str(), refused.address.as_str(), refused.count),
            (why, "10.0.0.7:5", n)
        );
        assert_eq!((refused.time_ms, refused.serial.as_str()), (world.now, "0a"));
        let (_, fact) = world.facts().pop().unwrap();
        assert_eq!(fact.unwrap().refused, Some(refused), "others hear the same");
    }
    // What it tries when it is in is no try to get in.
    world.violate(0, 1);
    assert!(world.status(0).refused.is_some());
    // Nor is the device what somebody tries who hopes to become it; that counts for nothing.
    let violations = world.status(0).violations;
    world.later(1_000);
    world.not_let_in("claims", "d0", "this claim does not open it");
    assert_eq!(world.status(0).violations, violations);
    let asked = world.refused("devices", "d0");
    assert_eq!(asked, Some(("this claim does not open it".into(), 3)));
    world.connect(0, 1);
    assert_eq!(world.status(0).refused, None);
    assert_eq!(world.refused("devices", "d0"), None);
}

#[test]
fn why_people_and_strangers_were_not_let_in_is_kept_until_they_are() {
    let mut world = World::new(0);
    for (kind, id) in [
        ("operators", "eve"),
        ("integrators", "eve"),
        ("devices", "d0"),
        ("claims", "d0"),
    ] {
        assert_eq!(world.refused(kind, id), None);
        world.not_let_in(kind, id, kind);
        world.later(1_000);
        assert_eq!(world.refused(kind, id), Some((kind.to_owned(), 1)));
    }
    assert_eq!(
        world.events(),
        [
            "clients/operators.eve security",
            "clients/integrators.eve security",
            "clients/devices.d0 security",
            "clients/claims.d0 security"
        ]
    );
    assert_eq!(world.event_data("security")["serial"], "0a");
    world.restart();
    world.presence(Presence {
        kind: "operators".into(),
        id: "eve".into(),
        ..presence(0, true, 1, 1)
    });
    assert_eq!(world.refused("operators", "eve"), None);
    assert_eq!(
        world.refused("integrators", "eve"),
        Some(("integrators".into(), 1))
    );
    // It is the device's own word once there is such a device.
    world.device(0, |_| {});
    let refused = world.status(0).refused.unwrap();
    assert_eq!(refused.why, "claims");
    world.connect(0, 2);
    assert_eq!(world.refused("devices", "d0"), None);
    let mut bad = |kind: &str, id: &str| {
        let ask = ShowRefused {
            kind: kind.into(),
            id: id.into(),
            ..ShowRefused::default()
        };
        let shown: Answer<RefusedShown> = world.ask(&operator(), "refused", &ask);
        shown.unwrap_err().field
    };
    assert_eq!(
        (bad("services", "a"), bad("devices", "a/b")),
        ("kind".into(), "id".into())
    );
}

#[test]
fn of_many_strangers_the_newest_are_kept() {
    let mut world = World::new(0);
    for n in 0..2_050 {
        world.not_let_in("claims", &format!("x{n}"), "no");
        world.later(1);
    }
    let kept: Vec<_> = [0, 1, 2, 2_049]
        .into_iter()
        .filter(|n| world.refused("claims", &format!("x{n}")).is_some())
        .collect();
    assert_eq!(kept, [2, 2_049]);
    let rows = world
        .rows()
        .into_iter()
        .filter(|(key, _)| String::from_utf8_lossy(key).contains("refused"));
    assert_eq!(rows.count(), 2 * 2_048);
}

#[test]
fn flapping_within_the_grace_tells_nobody() {
    let mut world = World::new(1);
    world.connect(0, 1);
    for session in 1..200 {
        world.disconnect(0, session);
        world.later(GRACE - 1);
        world.connect(0, session + 1);
    }
    assert_eq!(world.events(), ["devices/d0 online"]);
}

#[test]
fn flapping_beyond_the_grace_fills_no_disk() {
    let mut world = World::new(1);
    world.connect(0, 1);
    for session in 1..100 {
        world.disconnect(0, session);
        world.later(GRACE);
        world.connect(0, session + 1);
    }
    assert_eq!(world.alerts(true).len(), 32);
    assert_eq!(world.summary().open_alerts, 0);
}

#[test]
fn a_session_that_was_taken_over_does_not_end_its_successor() {
    let mut world = World::new(1);
    world.connect(0, 1);
    world.connect(0, 2);
    world.disconnect(0, 1);
    assert_eq!(world.connectivity(0), Online);
    world.disconnect(0, 2);
    assert_eq!(world.connectivity(0), Grace);
    world.connect(0, 2);
    assert_eq!(world.connectivity(0), Grace, "told again, it is over");
}

#[test]
fn a_device_is_there_while_any_of_its_sessions_is() {
    let mut world = World::new(1);
    world.presence(presence(0, true, 1, 1));
    world.presence(presence(0, true, 2, 2));
    world.presence(presence(0, false, 2, 1));
    assert_eq!(world.connectivity(0), Online);
    world.presence(presence(0, false, 1, 0));
    assert_eq!(world.connectivity(0), Grace);
}

#[test]
fn who_says_goodbye_is_only_noted() {
    let mut world = World::new(1);
    world.device(0, |f| f.set_criticality(Criticality::Critical));
    world.connect(0, 1);
    world.presence(Presence {
        cause: "clean".into(),
        ..presence(0, false, 1, 0)
    });
    world.later(GRACE);
    assert_eq!(world.alerts(false)[0].severity(), Severity::Low);
}

#[test]
fn who_is_shut_out_or_retiring_is_not_missed() {
    let mut world = World::new(2);
    world.connect(0, 1);
    world.connect(1, 2);
    world.device(0, |f| f.set_restriction(Restriction::Suspended));
    world.device(1, |f| f.set_stage(Stage::Retiring));
    world.disconnect(0, 1);
    world.disconnect(1, 2);
    world.later(GRACE);
    assert_eq!((world.connectivity(0), world.connectivity(1)), (Offline, Offline));
    assert!(world.alerts(true).is_empty());
}

#[test]
fn a_retired_device_is_forgotten_and_its_alerts_are_over() {
    let mut world = World::new(1);
    world.rule("hot", |_| {}).unwrap();
    world.connect(0, 1);
    world.heartbeat(0, &[("temperature", 99.0)]).unwrap();
    world.violate(0, 3);
    world.disconnect(0, 1);
    world.later(GRACE);
    assert_eq!(world.summary().open_alerts, 2);
    world.device(0, |f| f.set_stage(Stage::Retired));
    assert_eq!(world.summary(), Summary::default());
    assert!(world.alerts(false).is_empty());
    assert_eq!(world.heartbeat(0, &[]).unwrap_err().code, "not-found");
    world.later(10 * GRACE);
    let left: Vec<_> = world
        .rows()
        .into_iter()
        .map(|(key, _)| String::from_utf8(key).unwrap())
        .collect();
    assert!(
        !left
            .iter()
            .any(|key| ["status/", "seen/", "points/", "violations/"]
                .iter()
                .any(|p| key.contains(p))),
        "{left:?}"
    );
}

#[test]
fn a_device_may_come_before_the_registry_speaks_of_it() {
    let mut world = World::new(0);
    world.connect(0, 1);
    world.connect(1, 2);
    world.disconnect(1, 2);
    world.device(0, |_| {});
    world.device(1, |_| {});
    assert_eq!((world.connectivity(0), world.connectivity(1)), (Online, Never));
}

#[test]
fn people_and_services_come_and_go_unnoticed() {
    let mut world = World::new(0);
    for kind in ["operators", "integrators", "services", "claims", "nonsense"] {
        world.presence(Presence {
            kind: kind.into(),
            ..presence(0, true, 1, 1)
        });
    }
    world.presence(Presence {
        id: "../x".into(),
        ..presence(0, true, 2, 1)
    });
    world.later(0);
    assert!(
        !world
            .rows()
            .iter()
            .any(|(key, _)| key.starts_with(b"sseen/") || key.starts_with(b"sstatus/"))
    );
}

#[test]
fn takeover_kick_and_restart_are_told_apart_and_nothing_flaps() {
    let mut world = World::new(3);
    for n in 0..3 {
        world.connect(n, n as u64 + 1);
    }
    world.connect(0, 4);
    world.presence(Presence {
        cause: "takeover".into(),
        ..presence(0, false, 1, 1)
    });
    assert_eq!((world.connectivity(0), world.status(0).session), (Online, 4));
    world.presence(Presence {
        cause: "kicked".into(),
        reason: "lost at the fair".into(),
        ..presence(1, false, 2, 0)
    });
    world.later(GRACE);
    let kicked = world.status(1);
    assert_eq!((&*kicked.cause, &*kicked.reason), ("kicked", "lost at the fair"));
    // The front door is killed, and says so by its next boot only.
    world.boot = 2;
    world.connect(0, 1);
    world.later(0);
    let restarted = world.status(2);
    assert_eq!(
        (&*restarted.cause, &*restarted.reason, restarted.connectivity()),
        ("server-shutdown", "", Grace)
    );
    world.connect(2, 2);
    world.connect(1, 3);
    let back = world.status(1);
    assert_eq!((&*back.cause, &*back.reason), ("", ""));
    assert_eq!(
        (back.boot, back.session),
        (2, 3),
        "a later boot, whatever its number"
    );
    let names: Vec<_> = world
        .events()
        .into_iter()
        .filter(|name| name.starts_with("devices/"))
        .collect();
    let expected = [
        "devices/d0 online",
        "devices/d1 online",
        "devices/d2 online",
        "devices/d1 offline",
        "devices/d1 online",
    ];
    assert_eq!(names, expected);
    let offline = world.event_data("offline");
    let said =
        ["cause", "reason", "boot", "session"].map(|field| offline[field].as_str().unwrap().to_owned());
    assert_eq!(said, ["kicked", "lost at the fair", "1", "2"]);
    let online = world.event_data("online");
    let said = ["boot", "session", "tls", "protocol"].map(|field| online[field].as_str().unwrap().to_owned());
    assert_eq!(said, ["2", "3", "1.3", "mqtt-5"]);
}

#[test]
fn a_session_that_is_taken_over_from_elsewhere_is_told_once_in_a_grace() {
    let mut world = World::new(1);
    world.connect(0, 1);
    let mut last = 1;
    let mut taken_over = |world: &mut World, address: &str, serial: &str| {
        let newer = Presence {
            address: address.into(),
            serial: serial.into(),
            ..presence(0, true, last + 1, 2)
        };
        // What is told of a session's end is what was told of its beginning.
        let former = world.status(0);
        world.presence(newer);
        world.presence(Presence {
            cause: "takeover".into(),
            address: former.address,
            serial: former.serial,
            ..presence(0, false, last, 1)
        });
        last += 1;
        let told = world.events();
        told.iter().filter(|name| name.ends_with("taken-over")).count()
    };
    assert_eq!(
        taken_over(&mut world, "10.0.0.1:77", ""),
        0,
        "the same address, another port"
    );
    assert_eq!(taken_over(&mut world, "10.0.0.9:5", ""), 1, "another address");
    assert_eq!(
        taken_over(&mut world, "10.0.0.1:5", ""),
        1,
        "and back, within a grace"
    );
    world.later(GRACE);
    assert_eq!(
        taken_over(&mut world, "10.0.0.1:5", "0b"),
        2,
        "another certificate"
    );
    let told = world.event_data("taken-over");
    assert_eq!((&told["serial"], &told["session"]), (&"0b".into(), &"5".into()));
    assert_eq!(
        (&told["former"]["serial"], &told["former"]["session"]),
        (&"".into(), &"4".into())
    );
    assert_eq!(world.connectivity(0), Online);
    assert!(!world.events().iter().any(|name| name.ends_with("offline")));
}

#[test]
fn a_login_that_failed_is_told_of_whom_it_named_and_is_nobodys_doing() {
    let mut world = World::new(1);
    world.login_failed("operators", "ada", 3);
    let data = world.event_data("login-failed");
    assert_eq!(
        (&data["kind"], &data["id"], &data["count"], &data["address"]),
        (
            &"operators".into(),
            &"ada".into(),
            &3.into(),
            &"10.0.0.9:5".into()
        )
    );
}

#[test]
fn others_are_told_who_is_there_and_whose_alerts_are_open_and_no_more() {
    let mut world = World::new(2);
    world.told.clear();
    world.connect(0, 1);
    for session in 1..20 {
        world.disconnect(0, session);
        world.later(GRACE / 2);
        world.connect(0, session + 1);
    }
    for _ in 0..50 {
        let _: Done = world.heartbeat(0, &[("temperature", 20.0)]).unwrap();
    }
    let online = StatusFact {
        device_id: "d0".into(),
        connectivity: Connectivity::Online.into(),
        ..StatusFact::default()
    };
    assert_eq!(
        world.facts(),
        [("d0".to_owned(), Some(online.clone()))],
        "short breaks are not told"
    );

    world.rule("hot", |_| {}).unwrap();
    for _ in 0..5 {
        let _: Done = world.heartbeat(0, &[("temperature", 95.0)]).unwrap();
    }
    world.disconnect(0, 20);
    let left = world.now;
    world.later(GRACE + 1);
    let told = world.facts().pop().unwrap().1.unwrap();
    let rules: Vec<_> = told.alerts.iter().map(|alert| alert.rule_id.as_str()).collect();
    assert_eq!(
        (told.connectivity(), told.last_seen_ms, rules),
        (Connectivity::Offline, left, vec!["hot", "offline"])
    );
    world.remove_rule("hot").unwrap();
    let told = world.facts().pop().unwrap().1.unwrap();
    assert_eq!(told.alerts.len(), 1);
    world.device(0, |fact| fact.set_stage(Stage::Retired));
    assert_eq!(
        world.facts().pop().unwrap(),
        ("d0".to_owned(), None),
        "nobody watches it any more"
    );
}
