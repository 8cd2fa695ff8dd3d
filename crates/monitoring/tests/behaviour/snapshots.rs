//! After the front door or this service was away.

use Connectivity::{Grace, Offline, Online};
use contract::v1::*;

use crate::world::*;

#[test]
fn who_left_while_monitoring_was_away_is_given_a_grace() {
    let mut world = World::new(3);
    for n in 0..3 {
        world.connect(n, n as u64 + 1);
    }
    world.disconnect(2, 3);
    world.away(10 * GRACE);
    world.snapshot(1, &[(0, 1), (2, 9)]);
    assert_eq!([0, 1, 2].map(|n| world.connectivity(n)), [Online, Grace, Online]);
    world.later(GRACE);
    assert_eq!(world.connectivity(1), Offline);
    let offline: Vec<_> = world
        .events()
        .into_iter()
        .filter(|e| e.ends_with("offline"))
        .collect();
    assert_eq!(
        offline,
        ["devices/d1 offline"],
        "d2 came back meanwhile: no false alarm"
    );
}

#[test]
fn a_grace_that_was_slept_through_is_given_again() {
    let mut world = World::new(1);
    world.connect(0, 1);
    world.disconnect(0, 1);
    world.away(3_600_000);
    assert_eq!(world.connectivity(0), Grace);
    world.later(GRACE);
    assert_eq!(world.connectivity(0), Offline);
}

#[test]
fn a_restart_of_the_front_door_alarms_nobody_who_comes_back() {
    let mut world = World::new(3);
    for n in 0..3 {
        world.connect(n, n as u64 + 10);
    }
    world.boot = 2;
    world.connect(0, 1);
    world.later(2 * GRACE);
    assert_eq!([0, 1, 2].map(|n| world.connectivity(n)), [Online, Grace, Grace]);
    world.connect(1, 2);
    world.later(2 * GRACE);
    assert_eq!(
        [0, 1, 2].map(|n| world.connectivity(n)),
        [Online, Online, Offline]
    );
    assert_eq!(
        world.events().len(),
        3 + 2,
        "online thrice; d2 offline with its alert"
    );
    world.boot = 1;
    world.disconnect(0, 10);
    world.snapshot(9, &[]);
    assert_eq!(world.connectivity(0), Online, "an older boot has nothing to say");
}

#[test]
fn who_comes_while_a_snapshot_is_told_is_not_absent() {
    let mut world = World::new(3);
    world.connect(0, 1);
    world.snapshot(1, &[(0, 1)]);
    let page = |present: Vec<Presence>, complete| PresenceSnapshot {
        boot: 1,
        snapshot: 2,
        present,
        complete,
        ..PresenceSnapshot::default()
    };
    let _: Done = world
        .ask(
            &front_door(),
            "presence-snapshot",
            &page(vec![presence(0, true, 1, 1)], false),
        )
        .unwrap();
    world.connect(1, 7);
    let _: Done = world
        .ask(&front_door(), "presence-snapshot", &page(vec![], true))
        .unwrap();
    world.connect(2, 8);
    world.later(0);
    assert_eq!([0, 1, 2].map(|n| world.connectivity(n)), [Online, Online, Online]);
}

#[test]
fn a_large_fleet_is_looked_through_page_by_page() {
    let mut world = World::new(1_100);
    let everybody: Vec<_> = (0..1_100).map(|n| (n, n as u64 + 1)).collect();
    world.snapshot(1, &everybody);
    assert_eq!(world.summary().online, 1_100);
    world.snapshot(2, &everybody[..100]);
    assert_eq!((world.summary().online, world.summary().grace), (100, 1_000));
}
