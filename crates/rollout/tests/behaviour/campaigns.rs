//! Rollouts: waves, gates, steering, devices that go away.

use UpdateState as U;
use contract::v1::*;

use crate::world::*;

fn end_reason(world: &mut World, rollout: &str) -> (RolloutState, String) {
    let shown = world.show(rollout);
    (shown.state(), shown.end_reason)
}

fn assigned(world: &mut World) -> Vec<String> {
    world
        .pushes()
        .into_iter()
        .filter(|(_, a)| !a.canceled)
        .map(|(who, _)| who.id.to_string())
        .collect()
}

#[test]
fn waves_follow_one_another_and_the_least_critical_go_first() {
    let (mut world, artifact) = World::with_fleet(4);
    world.device(3, |f| f.set_criticality(Criticality::Low));
    world.device(0, |f| f.set_criticality(Criticality::Critical));
    world
        .create("r1", &artifact, |m| m.waves = vec![25, 25, 50])
        .unwrap();
    assert_eq!(assigned(&mut world), ["d3"]);
    world.report(3, "r1", U::Downloading).unwrap();
    world.succeed(3, "r1");
    assert_eq!(assigned(&mut world), ["d1"]);
    world.succeed(1, "r1");
    assert_eq!(assigned(&mut world), ["d0", "d2"]);
    world.succeed(0, "r1");
    world.succeed(2, "r1");
    assert_eq!(
        end_reason(&mut world, "r1"),
        (RolloutState::Succeeded, String::new())
    );
    let events: Vec<_> = world
        .events()
        .into_iter()
        .filter(|e| e.starts_with("rollouts/"))
        .collect();
    let expected = ["started", "wave-started", "wave-started", "wave-started", "ended"];
    assert_eq!(events, expected.map(|name| format!("rollouts/r1 {name}")));
    assert_eq!(
        world
            .show("r1")
            .waves
            .iter()
            .map(|w| w.succeeded)
            .collect::<Vec<_>>(),
        [1, 1, 2]
    );
    assert_eq!(world.next_wake(), None, "nothing is left to wait for");
}

#[test]
fn a_bad_canary_ends_it_at_once() {
    let (mut world, artifact) = World::with_fleet(20);
    world.create("r1", &artifact, |m| m.waves = vec![10, 90]).unwrap();
    assert_eq!(assigned(&mut world).len(), 2);
    world.report(0, "r1", U::RolledBack).unwrap();
    let (state, reason) = end_reason(&mut world, "r1");
    assert_eq!(
        (state, reason.as_str()),
        (RolloutState::Failed, "wave 1: 1 of 2 devices failed")
    );
    let pushes = world.pushes();
    assert_eq!(
        pushes.len(),
        1,
        "the other canary is called off, those that waited never heard of it"
    );
    assert!(pushes[0].1.canceled);
    let waves = world.show("r1").waves;
    assert_eq!(
        (waves[0].failed, waves[0].canceled, waves[1].canceled),
        (1, 1, 18)
    );
    world.create("r2", &artifact, |_| {}).unwrap();
}

#[test]
fn within_the_threshold_it_goes_on() {
    let (mut world, artifact) = World::with_fleet(4);
    world
        .create("r1", &artifact, |m| {
            (m.waves, m.success_percent) = (vec![50, 50], 50)
        })
        .unwrap();
    world.report(0, "r1", U::Failed).unwrap();
    assert_eq!(world.show("r1").waves.iter().filter(|w| w.started).count(), 1);
    world.succeed(1, "r1");
    assert_eq!(world.show("r1").waves.iter().filter(|w| w.started).count(), 2);
}

#[test]
fn who_is_left_out_is_told_why_and_counts_for_nothing() {
    let (mut world, artifact) = World::with_fleet(7);
    world.device(1, |f| f.model = "valve".into());
    world.device(2, |f| f.set_stage(Stage::Retired));
    world.device(3, |f| f.firmware_version = "2.0.0".into());
    world.device(4, |f| f.set_restriction(Restriction::Suspended));
    world.device(5, |f| f.set_restriction(Restriction::Quarantined));
    world.device(6, |f| f.groups.clear());
    world.create("r1", &artifact, |_| {}).unwrap();
    let details: Vec<_> = world
        .updates("r1")
        .into_iter()
        .map(|u| (u.device_id.clone(), u.state(), u.detail))
        .collect();
    assert_eq!(details.len(), 6);
    for (device, detail) in [
        ("d1", "model `valve`"),
        ("d2", "retired"),
        ("d3", "already installed"),
        ("d4", "suspended"),
    ] {
        assert!(
            details
                .iter()
                .any(|(d, s, why)| d == device && *s == U::Refused && why.contains(detail)),
            "{device}"
        );
    }
    assert_eq!(world.show("r1").waves.iter().map(|w| w.devices).sum::<u32>(), 2);
    let refusal = world.create("r2", &artifact, |_| {}).unwrap_err();
    assert_eq!(refusal.code, "precondition", "all are held by r1 or unfit");
    let by_name = |m: &mut CreateRollout| {
        (m.group, m.device_ids) = (String::new(), vec!["d6".into(), "d6".into(), "nobody".into()])
    };
    world.create("r3", &artifact, by_name).unwrap();
    assert_eq!(world.update("r3", 6).state(), U::Assigned);
}

#[test]
fn a_held_device_is_refused_by_name_until_it_is_free() {
    let (mut world, artifact) = World::with_fleet(2);
    let one = |m: &mut CreateRollout| (m.group, m.device_ids) = (String::new(), vec!["d0".into()]);
    world.create("r1", &artifact, one).unwrap();
    world.create("r2", &artifact, |_| {}).unwrap();
    let refused = world.update("r2", 0);
    assert_eq!(
        (refused.state(), refused.detail.as_str()),
        (U::Refused, "rollout `r1` is not done with the device")
    );
    world.report(0, "r1", U::Failed).unwrap();
    world.create("r3", &artifact, one).unwrap();
    assert_eq!(world.assignment(0).rollout_id, "r3");
}

#[test]
fn what_cannot_be_created() {
    let (mut world, artifact) = World::with_fleet(1);
    type Change = fn(&mut CreateRollout);
    let cases: [(&str, &str, Change); 13] = [
        ("invalid", "rollout_id", |m| m.rollout_id = "a/b".into()),
        ("invalid", "artifact_id", |m| m.artifact_id = "x".into()),
        ("not-found", "artifact_id", |m| m.artifact_id = "a".repeat(64)),
        ("invalid", "group", |m| m.group = String::new()),
        ("invalid", "group", |m| m.device_ids = vec!["d0".into()]),
        ("invalid", "device_ids[0]", |m| {
            (m.group, m.device_ids) = (String::new(), vec!["#".into()])
        }),
        ("invalid", "device_ids", |m| {
            (m.group, m.device_ids) = (String::new(), vec!["d0".into(); 501])
        }),
        ("precondition", "group", |m| m.group = "nobody".into()),
        ("invalid", "waves", |m| m.waves = vec![50, 49]),
        ("invalid", "waves", |m| m.waves = vec![0, 100]),
        ("invalid", "waves", |m| m.waves = vec![5; 21]),
        ("invalid", "success_percent", |m| m.success_percent = 101),
        ("invalid", "timeout_ms", |m| m.timeout_ms = 999),
    ];
    for (code, field, change) in cases {
        let refusal = world.create("r1", &artifact, change).unwrap_err();
        assert_eq!((refusal.code.as_str(), refusal.field.as_str()), (code, field));
    }
    world.create("r1", &artifact, |_| {}).unwrap();
    for twin in ["r1", "R1"] {
        assert_eq!(world.create(twin, &artifact, |_| {}).unwrap_err().code, "exists");
    }
}

#[test]
fn firmware_whose_key_was_taken_away_since_is_not_rolled_out() {
    let (mut world, artifact) = World::with_fleet(1);
    world.trusted = vec![artifact::SigningKey::from_seed(&[9; 32])];
    world.restart();
    assert_eq!(
        world.create("r1", &artifact, |_| {}).unwrap_err().code,
        "untrusted"
    );
}

#[test]
fn paused_starts_nobody_and_resumed_goes_on() {
    let (mut world, artifact) = World::with_fleet(3);
    world.create("r1", &artifact, |m| m.waves = vec![33, 67]).unwrap();
    assert_eq!(
        world.steer("resume", "r1").unwrap_err().allowed,
        ["pause", "abort"]
    );
    world.steer("pause", "r1").unwrap();
    world.pushes();
    world.succeed(0, "r1");
    assert!(world.pushes().is_empty());
    assert!(!world.show("r1").waves[1].started);
    world.restart();
    world.steer("resume", "r1").unwrap();
    assert_eq!(assigned(&mut world).len(), 2);
    assert_eq!(world.steer("pause", "nothing").unwrap_err().code, "not-found");
}

#[test]
fn a_stale_version_is_refused_with_the_present_one() {
    let (mut world, artifact) = World::with_fleet(1);
    world.create("r1", &artifact, |_| {}).unwrap();
    let message = SteerRollout {
        rollout_id: "r1".into(),
        expected_version: 7,
        ..SteerRollout::default()
    };
    let refusal = world
        .ask::<_, Changed>(&operator(), "pause", &message)
        .unwrap_err();
    assert_eq!((refusal.code.as_str(), refusal.present_version), ("conflict", 1));
    let message = SteerRollout {
        expected_version: 1,
        ..message
    };
    assert_eq!(
        world
            .ask::<_, Changed>(&operator(), "pause", &message)
            .unwrap()
            .version,
        2
    );
}

#[test]
fn aborted_calls_off_all_but_those_that_install() {
    let (mut world, artifact) = World::with_fleet(4);
    world.create("r1", &artifact, |m| m.waves = vec![75, 25]).unwrap();
    world.report(0, "r1", U::Downloading).unwrap();
    world.report(1, "r1", U::Installing).unwrap();
    world.pushes();
    world.steer("abort", "r1").unwrap();
    let canceled: Vec<_> = world
        .pushes()
        .into_iter()
        .map(|(who, a)| (who.id.to_string(), a.canceled))
        .collect();
    assert_eq!(canceled, [("d0".into(), true), ("d2".into(), true)]);
    let states: Vec<_> = world.updates("r1").iter().map(DeviceUpdate::state).collect();
    assert_eq!(states, [U::Canceled, U::Installing, U::Canceled, U::Canceled]);
    assert_eq!(world.assignment(1).rollout_id, "r1", "it may look again");
    world.succeed(1, "r1");
    world.report(0, "r1", U::Installing).unwrap();
    assert_eq!(world.update("r1", 0).state(), U::Canceled);
    assert_eq!(world.show("r1").state(), RolloutState::Aborted);
    assert_eq!(world.show("r1").waves[0].succeeded, 1);
    assert_eq!(world.steer("abort", "r1").unwrap_err().code, "not-allowed");
}

#[test]
fn reports_come_late_twice_and_out_of_order() {
    let (mut world, artifact) = World::with_fleet(2);
    world.create("r1", &artifact, |m| m.waves = vec![50, 50]).unwrap();
    assert_eq!(
        world.report(0, "r2", U::Downloading).unwrap_err().code,
        "not-found"
    );
    assert_eq!(
        world.report(7, "r1", U::Downloading).unwrap_err().code,
        "not-found"
    );
    assert_eq!(
        world.report(1, "r1", U::Succeeded).unwrap_err().code,
        "not-allowed"
    );
    assert_eq!(world.report(0, "r1", U::TimedOut).unwrap_err().code, "invalid");
    world.report(0, "r1", U::Installing).unwrap();
    let rows = world.rows();
    for state in [U::Installing, U::Downloading, U::Verified] {
        world.report(0, "r1", state).unwrap();
    }
    assert_eq!(world.rows(), rows);
    world.succeed(0, "r1");
    let rows = world.rows();
    world.report(0, "r1", U::Failed).unwrap();
    world.succeed(0, "r1");
    assert_eq!(world.rows(), rows);
}

#[test]
fn a_device_that_is_silent_times_out_and_its_late_success_changes_nothing() {
    let (mut world, artifact) = World::with_fleet(2);
    world
        .create("r1", &artifact, |m| {
            (m.waves, m.timeout_ms, m.success_percent) = (vec![100], 60_000, 50)
        })
        .unwrap();
    world.succeed(0, "r1");
    world.later(59_999);
    assert_eq!(world.update("r1", 1).state(), U::Assigned);
    world.later(1);
    assert_eq!(world.update("r1", 1).state(), U::TimedOut);
    assert_eq!(world.show("r1").state(), RolloutState::Succeeded);
    world.succeed(1, "r1");
    assert_eq!(world.update("r1", 1).state(), U::TimedOut);
}

#[test]
fn devices_that_go_out_of_service() {
    let (mut world, artifact) = World::with_fleet(4);
    world
        .create("r1", &artifact, |m| {
            (m.waves, m.success_percent) = (vec![50, 50], 50)
        })
        .unwrap();
    world.device(0, |f| f.set_restriction(Restriction::Quarantined));
    assert_eq!(world.update("r1", 0).state(), U::Assigned, "it may be the repair");
    world.device(0, |f| f.set_restriction(Restriction::Suspended));
    assert_eq!(world.update("r1", 0).detail, "the device is suspended");
    world.device(2, |f| f.set_stage(Stage::Retiring));
    assert_eq!(world.update("r1", 2).state(), U::Canceled, "it had not begun");
    world.succeed(1, "r1");
    world.succeed(3, "r1");
    assert_eq!(world.show("r1").state(), RolloutState::Succeeded);
}

#[test]
fn large_waves_go_out_page_by_page() {
    let (mut world, artifact) = World::with_fleet(1_201);
    world.create("r1", &artifact, |m| m.waves = vec![90, 10]).unwrap();
    assert_eq!(world.pushes().len(), 500);
    world.restart();
    world.settle();
    assert_eq!(world.pushes().len(), 581);
    world.steer("abort", "r1").unwrap();
    world.restart();
    world.settle();
    assert_eq!(world.pushes().len(), 1_081);
    let shown = world.show("r1");
    assert_eq!(
        shown.waves.iter().map(|w| w.canceled).collect::<Vec<_>>(),
        [1_081, 120]
    );
    assert_eq!(world.updates("r1").len(), 1_201);
}

#[test]
fn one_filtered_list() {
    let (mut world, artifact) = World::with_fleet(5);
    world.create("r1", &artifact, |_| {}).unwrap();
    let message = ListUpdates {
        rollout_id: "r1".into(),
        state: U::Waiting as i32,
        ..ListUpdates::default()
    };
    let listed: UpdatesListed = world.ask(&operator(), "updates", &message).unwrap();
    assert_eq!((listed.updates.len(), listed.next_page.as_str()), (4, ""));
    let bad = ListUpdates {
        page_size: 501,
        ..message
    };
    assert_eq!(
        world
            .ask::<_, UpdatesListed>(&operator(), "updates", &bad)
            .unwrap_err()
            .field,
        "page_size"
    );
}

#[test]
fn the_registry_is_told_what_became_of_devices_that_wait_to_be_accepted() {
    let (mut world, artifact) = World::with_fleet(4);
    world.device(0, |f| f.set_stage(Stage::Provisioned));
    world.device(1, |f| f.set_stage(Stage::Maintenance));
    world.device(3, |f| f.set_stage(Stage::Provisioned));
    let told = |world: &mut World| -> Vec<(String, bool, String)> {
        let frames = std::mem::take(&mut world.told).into_iter();
        let asked = frames.filter(|f| f.topic.ends_with("/services/rollout/up/registry/tested"));
        let asked = asked.map(|f| contract::wire::decode::<Tested>(&f.payload, "").unwrap());
        asked
            .inspect(|m| {
                assert_eq!(
                    (m.rollout_id.as_str(), m.firmware_version.as_str()),
                    ("r1", "2.0.0")
                )
            })
            .map(|m| (m.device_id, m.passed, m.detail))
            .collect()
    };
    let only_these = |m: &mut CreateRollout| {
        m.waves = vec![100];
        m.success_percent = 1;
    };
    world.create("r1", &artifact, only_these).unwrap();
    told(&mut world);
    world.succeed(2, "r1");
    assert_eq!(told(&mut world), [], "who is in use has been accepted");
    world.succeed(0, "r1");
    assert_eq!(told(&mut world), [("d0".to_owned(), true, String::new())]);
    world.report(1, "r1", U::RolledBack).unwrap();
    let failed = told(&mut world);
    assert_eq!((failed[0].0.as_str(), failed[0].1), ("d1", false));
}
