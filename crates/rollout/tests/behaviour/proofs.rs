//! A device that says that it succeeded is not believed on its word to this service alone.

use UpdateState as U;
use contract::v1::*;

use crate::world::*;

fn runs(world: &mut World, n: usize, version: &str) {
    world.device(n, |fact| fact.firmware_version = version.into());
}

fn states(world: &mut World) -> Vec<U> {
    world.updates("r1").iter().map(DeviceUpdate::state).collect()
}

#[test]
fn success_is_believed_when_the_registry_hears_of_the_version() {
    let (mut world, artifact) = World::with_fleet(2);
    world.create("r1", &artifact, |m| m.waves = vec![50, 50]).unwrap();
    world.report(0, "r1", U::Succeeded).unwrap();
    let update = world.update("r1", 0);
    assert_eq!(update.state(), U::Installing);
    assert!(update.detail.contains("`2.0.0`"), "{}", update.detail);
    assert!(!world.show("r1").waves[1].started, "the gate stays shut");
    runs(&mut world, 0, "1.9.9");
    assert_eq!(world.update("r1", 0).state(), U::Installing);
    world.restart();
    runs(&mut world, 0, "2.0.0");
    assert_eq!(states(&mut world), [U::Succeeded, U::Assigned]);
    assert_eq!(world.show("r1").waves[0].succeeded, 1);
    // The other way round: the registry hears of it first.
    runs(&mut world, 1, "2.0.0");
    assert_eq!(
        world.update("r1", 1).state(),
        U::Assigned,
        "it did not say so itself"
    );
    world.report(1, "r1", U::Succeeded).unwrap();
    assert_eq!(world.show("r1").state(), RolloutState::Succeeded);
}

#[test]
fn a_device_that_only_claims_it_fails_when_its_time_is_over() {
    let (mut world, artifact) = World::with_fleet(2);
    world
        .create("r1", &artifact, |m| {
            (m.waves, m.timeout_ms) = (vec![50, 50], 60_000)
        })
        .unwrap();
    world.report(0, "r1", U::Succeeded).unwrap();
    let (rows, events) = (world.rows(), world.events());
    for state in [U::Succeeded, U::Downloading, U::Installing] {
        world.report(0, "r1", state).unwrap();
    }
    assert_eq!(
        (world.rows(), world.events()),
        (rows, events),
        "a repeat is no news"
    );
    assert_eq!(world.assignment(0).rollout_id, "", "it has nothing left to do");
    let block = GetBlock {
        artifact_id: artifact,
        length: 1,
        ..GetBlock::default()
    };
    let denied = world.ask::<_, Block>(&device(0), "block", &block).unwrap_err();
    assert_eq!(denied.code, "denied");
    world.later(60_000);
    let update = world.update("r1", 0);
    assert_eq!(update.state(), U::TimedOut);
    assert!(
        update.detail.contains("never told the registry"),
        "{}",
        update.detail
    );
    assert_eq!(states(&mut world), [U::TimedOut, U::Canceled]);
}

#[test]
fn a_claim_gives_way_to_what_became_of_it() {
    let (mut world, artifact) = World::with_fleet(3);
    world
        .create("r1", &artifact, |m| (m.waves, m.success_percent) = (vec![100], 1))
        .unwrap();
    for n in 0..3 {
        world.report(n, "r1", U::Succeeded).unwrap();
    }
    world.steer("abort", "r1").unwrap();
    assert_eq!(states(&mut world), [U::Installing; 3], "they may run it by now");
    world.report(0, "r1", U::RolledBack).unwrap();
    world.device(1, |fact| fact.set_stage(Stage::Retiring));
    runs(&mut world, 2, "2.0.0");
    assert_eq!(states(&mut world), [U::RolledBack, U::Failed, U::Succeeded]);
    assert_eq!(world.next_wake(), None);
}

#[test]
fn devices_that_could_not_report_while_the_service_was_away_have_more_time() {
    let (mut world, artifact) = World::with_fleet(2);
    world
        .create("r1", &artifact, |m| {
            (m.waves, m.timeout_ms) = (vec![100], 3_600_000)
        })
        .unwrap();
    // It was down, or the clock leapt, for two hours.
    world.now += 7_200_000;
    world.restart();
    assert_eq!(states(&mut world), [U::Assigned; 2]);
    world.succeed(0, "r1");
    world.later(599_999);
    assert_eq!(states(&mut world), [U::Succeeded, U::Assigned]);
    world.later(1);
    assert_eq!(states(&mut world), [U::Succeeded, U::TimedOut]);
}
