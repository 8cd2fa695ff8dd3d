//! Whatever comes in whatever order: counts add up, no device has two updates, the end is the end.

use std::collections::{BTreeMap, BTreeSet};

use contract::v1::*;
use proptest::prelude::*;

use crate::world::*;

const DEVICES: usize = 6;
const ROLLOUTS: usize = 3;

#[derive(Debug, Clone)]
enum Input {
    Create {
        rollout: usize,
        waves: Vec<u32>,
        percent: u32,
    },
    Steer {
        rollout: usize,
        verb: &'static str,
    },
    Recall {
        undo: bool,
    },
    Report {
        device: usize,
        rollout: usize,
        state: i32,
    },
    Follow {
        device: usize,
    },
    Later {
        ms: i64,
    },
    Fact {
        device: usize,
        restriction: i32,
    },
}

fn input() -> impl Strategy<Value = Input> {
    let waves = prop_oneof![Just(vec![100]), Just(vec![50, 50]), Just(vec![10, 30, 60])];
    prop_oneof![
        2 => (0..ROLLOUTS, waves, prop_oneof![Just(50), Just(90), Just(100)])
            .prop_map(|(rollout, waves, percent)| Input::Create { rollout, waves, percent }),
        2 => (0..ROLLOUTS, prop_oneof![Just("pause"), Just("resume"), Just("abort")])
            .prop_map(|(rollout, verb)| Input::Steer { rollout, verb }),
        1 => any::<bool>().prop_map(|undo| Input::Recall { undo }),
        6 => (0..DEVICES, 0..ROLLOUTS, 2..10).prop_map(|(device, rollout, state)| Input::Report { device, rollout, state }),
        8 => (0..DEVICES).prop_map(|device| Input::Follow { device }),
        2 => prop_oneof![Just(1), Just(30_000), Just(61_000)].prop_map(|ms| Input::Later { ms }),
        2 => (0..DEVICES, 1..4).prop_map(|(device, restriction)| Input::Fact { device, restriction }),
    ]
}

fn apply(world: &mut World, artifact: &str, input: &Input) {
    match input {
        Input::Create {
            rollout,
            waves,
            percent,
        } => {
            let change = |m: &mut CreateRollout| {
                (m.waves, m.success_percent, m.timeout_ms) = (waves.clone(), *percent, 60_000);
            };
            let _ = world.create(&format!("r{rollout}"), artifact, change);
        }
        Input::Steer { rollout, verb } => {
            let _ = world.steer(verb, &format!("r{rollout}"));
        }
        // The rollouts end right behind the answer, one by one.
        Input::Recall { undo } => {
            world.recall(artifact, "it leaks", *undo).unwrap();
            world.settle();
        }
        Input::Report {
            device,
            rollout,
            state,
        } => {
            let message = UpdateReport {
                rollout_id: format!("r{rollout}"),
                state: *state,
                ..UpdateReport::default()
            };
            let _: Answer<Done> = world.ask(&crate::world::device(*device), "report", &message);
        }
        // A well-behaved device does what it is told.
        Input::Follow { device } => {
            let assignment = world.assignment(*device);
            if !assignment.rollout_id.is_empty() {
                world.succeed(*device, &assignment.rollout_id);
            }
        }
        Input::Later { ms } => world.later(*ms),
        // Somebody restricts or releases it; it may have gone back to its former firmware, too.
        Input::Fact { device, restriction } => world.device(*device, |fact| {
            fact.restriction = *restriction;
            fact.firmware_version = "1.0.0".into();
        }),
    }
}

/// The state of every update, and the checks on the way.
fn inspect(world: &mut World) -> BTreeMap<(String, String), UpdateState> {
    let is_recalled = world.artifacts().iter().any(|one| one.recalled_at_ms != 0);
    let listed: RolloutsListed = world.ask(&operator(), "list", &ListRollouts::default()).unwrap();
    let (mut states, mut open) = (BTreeMap::new(), BTreeSet::new());
    for rollout in listed.rollouts {
        let mut counted: BTreeMap<u32, [u32; 4]> = BTreeMap::new();
        for update in world.updates(&rollout.rollout_id) {
            let state = update.state();
            let column = match state {
                UpdateState::Succeeded => 0,
                UpdateState::Canceled => 2,
                state if state as i32 > UpdateState::Succeeded as i32 => 1,
                _ => 3,
            };
            assert!(
                column != 3 || open.insert(update.device_id.clone()),
                "two open updates: {update:?}"
            );
            counted.entry(update.wave).or_default()[column] += 1;
            states.insert((rollout.rollout_id.clone(), update.device_id), state);
        }
        for wave in &rollout.waves {
            let counts = [wave.succeeded, wave.failed, wave.canceled, wave.open];
            assert_eq!(
                counted.get(&wave.number),
                Some(&counts),
                "wave {} of {rollout:?}",
                wave.number
            );
            assert_eq!(wave.devices, counts.iter().sum::<u32>());
        }
        let ended = rollout.state() as i32 >= RolloutState::Succeeded as i32;
        assert!(
            ended || !is_recalled,
            "goes on although it was recalled: {rollout:?}"
        );
        let unstarted = states
            .iter()
            .any(|((r, _), s)| *r == rollout.rollout_id && (*s as i32) < UpdateState::Installing as i32);
        assert!(
            !(ended && unstarted),
            "nobody waits for what has ended: {rollout:?}"
        );
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn counts_add_up_and_the_end_is_the_end(inputs in prop::collection::vec(input(), 1..60)) {
        let (mut world, artifact) = World::with_fleet(DEVICES);
        let mut before = BTreeMap::new();
        for input in &inputs {
            apply(&mut world, &artifact, input);
            let after = inspect(&mut world);
            for (key, state) in &before {
                if *state as i32 >= UpdateState::Succeeded as i32 {
                    prop_assert_eq!(after.get(key), Some(state), "{:?} after {:?}", key, input);
                }
            }
            before = after;
        }
    }

    #[test]
    fn a_restart_between_any_two_inputs_changes_nothing(
        inputs in prop::collection::vec((input(), any::<bool>()), 1..50),
    ) {
        let (mut steady, artifact) = World::with_fleet(DEVICES);
        let (mut restless, _) = World::with_fleet(DEVICES);
        for (input, restart) in &inputs {
            apply(&mut steady, &artifact, input);
            apply(&mut restless, &artifact, input);
            if *restart {
                restless.restart();
            }
            prop_assert_eq!(steady.rows(), restless.rows());
        }
    }

    #[test]
    fn a_rollout_comes_to_an_end(inputs in prop::collection::vec(input(), 1..30)) {
        let (mut world, artifact) = World::with_fleet(DEVICES);
        for input in &inputs {
            apply(&mut world, &artifact, input);
        }
        for n in 0..ROLLOUTS {
            let _ = world.steer("resume", &format!("r{n}"));
        }
        world.later(20 * 61_000);
        let listed: RolloutsListed = world.ask(&operator(), "list", &ListRollouts::default()).unwrap();
        for rollout in listed.rollouts {
            prop_assert!(rollout.state() as i32 >= RolloutState::Succeeded as i32, "{:?}", rollout);
            prop_assert!(rollout.waves.iter().all(|wave| wave.open == 0));
        }
    }
}
