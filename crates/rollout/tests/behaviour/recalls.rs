//! Releases that turned out to be bad.

use UpdateState as U;
use contract::v1::*;

use crate::world::*;

const REASON: &str = "pumps stop at low pressure";
const END: &str = "the release was recalled: pumps stop at low pressure";

fn end(world: &mut World, rollout: &str) -> (RolloutState, String) {
    let shown = world.show(rollout);
    (shown.state(), shown.end_reason)
}

/// Who was called off since the last look, and who was told to begin.
fn told(world: &mut World) -> (Vec<String>, Vec<String>) {
    let (off, on): (Vec<_>, Vec<_>) = world
        .pushes()
        .into_iter()
        .map(|(who, assignment)| (who.id.to_string(), assignment.canceled))
        .partition(|(_, canceled)| *canceled);
    let names = |devices: Vec<(String, bool)>| devices.into_iter().map(|(id, _)| id).collect();
    (names(off), names(on))
}

#[test]
fn a_recall_ends_each_rollout_of_the_release_and_no_other() {
    let (mut world, bad) = World::with_fleet(6);
    let good = world.firmware(2, "3.0.0");
    let to = |n: usize| {
        move |m: &mut CreateRollout| {
            m.group.clear();
            m.device_ids = vec![format!("d{n}"), format!("d{}", n + 1)];
            m.waves = vec![100];
        }
    };
    world.create("r1", &bad, to(0)).unwrap();
    world.create("r2", &good, to(2)).unwrap();
    world.create("r3", &bad, to(4)).unwrap();
    world.steer("pause", "r3").unwrap();
    world.report(0, "r1", U::Installing).unwrap();
    told(&mut world);
    world.recall(&bad, REASON, false).unwrap();
    world.settle();
    assert_eq!(end(&mut world, "r1"), (RolloutState::Aborted, END.into()));
    assert_eq!(end(&mut world, "r3"), (RolloutState::Aborted, END.into()));
    assert_eq!(world.show("r2").state(), RolloutState::Running);
    assert_eq!(
        told(&mut world).0,
        ["d1", "d4", "d5"],
        "what installs is left to it"
    );
    world.succeed(0, "r1");
    assert_eq!(world.show("r1").waves[0].succeeded, 1);
    let recalled = world
        .artifacts()
        .into_iter()
        .find(|one| one.artifact_id == bad)
        .unwrap();
    assert_eq!(
        (
            recalled.recalled_at_ms,
            recalled.recalled_by.as_str(),
            recalled.recall_reason.as_str()
        ),
        (START, "operators/ada", REASON)
    );
    assert!(world.events().contains(&format!("artifacts/{bad} recalled")));
}

#[test]
fn no_rollout_of_a_recalled_release_is_made_until_the_recall_is_lifted() {
    let (mut world, artifact) = World::with_fleet(2);
    world.recall(&artifact, REASON, false).unwrap();
    world.settle();
    world.restart();
    let refused = world.create("r1", &artifact, |_| {}).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.field.as_str()),
        ("precondition", "artifact_id")
    );
    assert!(refused.message.starts_with(END), "{}", refused.message);
    world.recall(&artifact, "it was the sensor", true).unwrap();
    world.create("r1", &artifact, |_| {}).unwrap();
    let artifacts: Vec<_> = world
        .events()
        .into_iter()
        .filter(|e| e.starts_with("artifacts/"))
        .collect();
    let names = ["sealed", "recalled", "reinstated"];
    assert_eq!(
        artifacts,
        names.map(|name| format!("artifacts/{artifact} {name}"))
    );
    let lifted = world.artifacts().remove(0);
    assert_eq!((lifted.recalled_at_ms, lifted.recalled_by.as_str()), (0, ""));
    assert_eq!(lifted.recall_reason, "it was the sensor");
}

#[test]
fn repeated_it_changes_nothing_and_the_first_reason_stays() {
    let (mut world, artifact) = World::with_fleet(1);
    let first = world.recall(&artifact, REASON, false).unwrap();
    world.settle();
    let rows = world.rows();
    let again = world.recall(&artifact, "another", false).unwrap();
    assert_eq!(again.version, first.version);
    assert_eq!(world.rows(), rows);
    world.recall(&artifact, "it was the sensor", true).unwrap();
    let rows = world.rows();
    world.recall(&artifact, "it was the sensor", true).unwrap();
    assert_eq!(world.rows(), rows);
}

#[test]
fn what_was_ended_stays_ended_when_a_recall_is_lifted() {
    let (mut world, artifact) = World::with_fleet(3);
    world.create("r1", &artifact, |m| m.waves = vec![33, 67]).unwrap();
    world.recall(&artifact, REASON, false).unwrap();
    world.settle();
    world.recall(&artifact, "it was the sensor", true).unwrap();
    world.settle();
    assert_eq!(world.steer("resume", "r1").unwrap_err().code, "not-allowed");
    assert_eq!(world.show("r1").waves.iter().map(|w| w.canceled).sum::<u32>(), 3);
    world.create("r2", &artifact, |_| {}).unwrap();
}

#[test]
fn a_recall_that_is_cut_short_goes_on_after_a_restart() {
    let (mut world, artifact) = World::with_fleet(1_201);
    for n in 0..3 {
        let named = |m: &mut CreateRollout| {
            m.group.clear();
            m.device_ids = (n * 400..n * 400 + 400).map(|n| format!("d{n}")).collect();
        };
        world.create(&format!("r{n}"), &artifact, named).unwrap();
    }
    world.recall(&artifact, REASON, false).unwrap();
    world.restart();
    world.settle();
    for n in 0..3 {
        let shown = world.show(&format!("r{n}"));
        assert_eq!(shown.state(), RolloutState::Aborted);
        assert_eq!(shown.waves.iter().map(|w| w.canceled).sum::<u32>(), 400);
    }
    assert_eq!(world.next_wake(), None, "nothing is left to do");
}

#[test]
fn nobody_is_told_of_a_recalled_release_before_the_recall_has_come_to_its_rollout() {
    let (mut world, artifact) = World::with_fleet(12);
    for n in 0..6 {
        let two = |m: &mut CreateRollout| {
            m.group.clear();
            m.device_ids = vec![format!("d{}", 2 * n), format!("d{}", 2 * n + 1)];
            m.waves = vec![50, 50];
        };
        world.create(&format!("r{n}"), &artifact, two).unwrap();
    }
    told(&mut world);
    world.recall(&artifact, REASON, false).unwrap();
    world.succeed(10, "r5");
    assert_eq!(world.show("r4").state(), RolloutState::Running, "not yet");
    assert_eq!(end(&mut world, "r5"), (RolloutState::Aborted, END.into()));
    world.settle();
    let (_, begun) = told(&mut world);
    assert!(begun.is_empty(), "{begun:?}");
    let waves = world.show("r5").waves;
    assert_eq!((waves[0].succeeded, waves[1].canceled), (1, 1));
}

#[test]
fn what_cannot_be_recalled() {
    let (mut world, artifact) = World::with_fleet(1);
    let unknown = world.recall(&"0".repeat(64), REASON, false).unwrap_err();
    assert_eq!(unknown.code, "not-found");
    for reason in ["", "  ", &"x".repeat(5_000)] {
        let refused = world.recall(&artifact, reason, false).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_str()),
            ("invalid", "reason")
        );
    }
    let pixels = image(9);
    let manifest = Manifest {
        sequence: 9,
        version: "9".into(),
        ..manifest(&pixels)
    };
    let opened = world.open_artifact(sign(&manifest, &release_key())).unwrap();
    let refused = world.recall(&opened.artifact_id, REASON, false).unwrap_err();
    assert_eq!(refused.code, "precondition");
}
