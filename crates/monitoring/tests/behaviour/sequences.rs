//! Whatever comes in whatever order: the counters are right, and there is one alert for a device and a rule.

use std::collections::BTreeSet;

use contract::v1::*;
use proptest::prelude::*;

use crate::world::*;

const DEVICES: usize = 4;

#[derive(Debug, Clone)]
enum Input {
    Presence {
        device: usize,
        connected: bool,
        session: u64,
        sessions: u32,
    },
    Boot,
    Snapshot {
        number: u64,
        present: Vec<(usize, u64)>,
    },
    Heartbeat {
        device: usize,
        value: f64,
    },
    Violate {
        device: usize,
        count: u32,
    },
    Rule {
        id: usize,
        threshold: f64,
        violations: bool,
    },
    RemoveRule {
        id: usize,
    },
    Fact {
        device: usize,
        stage: i32,
        restriction: i32,
    },
    Later {
        ms: i64,
    },
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        8 => (0..DEVICES, any::<bool>(), 1u64..8, 0u32..3)
            .prop_map(|(device, connected, session, sessions)| Input::Presence { device, connected, session, sessions }),
        1 => Just(Input::Boot),
        1 => (1u64..5, prop::collection::vec((0..DEVICES, 1u64..8), 0..4))
            .prop_map(|(number, present)| Input::Snapshot { number, present }),
        6 => (0..DEVICES, 0.0..10.0f64).prop_map(|(device, value)| Input::Heartbeat { device, value }),
        2 => (0..DEVICES, 1u32..9).prop_map(|(device, count)| Input::Violate { device, count }),
        2 => (0usize..3, 0.0..10.0f64, any::<bool>())
            .prop_map(|(id, threshold, violations)| Input::Rule { id, threshold, violations }),
        1 => (0usize..3).prop_map(|id| Input::RemoveRule { id }),
        2 => (0..DEVICES, 1i32..8, 1i32..4)
            .prop_map(|(device, stage, restriction)| Input::Fact { device, stage, restriction }),
        3 => prop_oneof![Just(1), Just(20_000), Just(61_000), Just(200_000)].prop_map(|ms| Input::Later { ms }),
    ]
}

fn apply(world: &mut World, input: &Input) {
    match input.clone() {
        Input::Presence {
            device,
            connected,
            session,
            sessions,
        } => {
            world.presence(presence(device, connected, session, sessions));
        }
        Input::Boot => world.boot += 1,
        Input::Snapshot { number, present } => world.snapshot(number, &present),
        Input::Heartbeat { device, value } => {
            let _ = world.heartbeat(device, &[("temperature", value)]);
        }
        Input::Violate { device, count } => world.violate(device, count),
        Input::Rule {
            id,
            threshold,
            violations,
        } => {
            let metric = if violations {
                "security.violations"
            } else {
                "temperature"
            };
            let _ = world.rule(&format!("r{id}"), |r| {
                (r.metric, r.threshold, r.points_to_raise, r.points_to_clear) =
                    (metric.into(), threshold, 2, 2);
            });
        }
        Input::RemoveRule { id } => {
            let _ = world.remove_rule(&format!("r{id}"));
        }
        Input::Fact {
            device,
            stage,
            restriction,
        } => {
            world.device(device, |f| (f.stage, f.restriction) = (stage, restriction));
        }
        Input::Later { ms } => world.later(ms),
    }
}

fn inspect(world: &mut World) {
    let mut counted = Summary::default();
    let statuses = world.statuses();
    for status in &statuses {
        match status.connectivity() {
            Connectivity::Never => counted.never += 1,
            Connectivity::Online => counted.online += 1,
            Connectivity::Grace => counted.grace += 1,
            Connectivity::Offline => counted.offline += 1,
            Connectivity::Unspecified => panic!("a status without connectivity: {status:?}"),
        }
    }
    let open = world.alerts(false);
    counted.open_alerts = open.len() as u64;
    assert_eq!(world.summary(), counted);
    let pairs: BTreeSet<_> = open.iter().map(|a| (&a.device_id, &a.rule_id)).collect();
    assert_eq!(
        pairs.len(),
        open.len(),
        "one alert for a device and a rule: {open:?}"
    );
    for status in &statuses {
        let its = open.iter().filter(|a| a.device_id == status.device_id).count();
        assert_eq!(status.open_alerts as usize, its, "{status:?}");
        assert_eq!(status.open.len(), its, "{status:?}");
    }
    assert!(
        open.iter()
            .all(|a| statuses.iter().any(|s| s.device_id == a.device_id)),
        "an alert of nobody"
    );
    let all: Vec<_> = world.alerts(true).into_iter().filter(|a| a.open).collect();
    assert_eq!(all, open);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_counters_equal_a_count(inputs in prop::collection::vec(input(), 1..80)) {
        let mut world = World::new(DEVICES);
        for input in &inputs {
            apply(&mut world, input);
            inspect(&mut world);
        }
    }

    #[test]
    fn a_restart_between_any_two_inputs_changes_nothing(
        inputs in prop::collection::vec((input(), any::<bool>()), 1..60),
    ) {
        let (mut steady, mut restless) = (World::new(DEVICES), World::new(DEVICES));
        for (input, restart) in &inputs {
            apply(&mut steady, input);
            apply(&mut restless, input);
            if *restart {
                steady.later(0);
                restless.restart();
                restless.later(0);
            }
            prop_assert_eq!(steady.rows(), restless.rows());
        }
    }

    #[test]
    fn a_message_told_twice_changes_nothing(inputs in prop::collection::vec(input(), 1..60)) {
        let mut world = World::new(DEVICES);
        for input in &inputs {
            apply(&mut world, input);
            if let Input::Presence { .. } = input {
                world.later(0);
                let rows = world.rows();
                apply(&mut world, input);
                world.later(0);
                prop_assert_eq!(&world.rows(), &rows, "{:?}", input);
            }
        }
    }
}
