//! Clients that do not take what is sent to them.

use crate::world::World;

/// Enough that the client is not read any more.
fn choked() -> (World, u64) {
    let mut world = World::new();
    let device = world.device(true);
    for _ in 0..8 {
        world.tell_device_bytes(60_000);
    }
    (world, device)
}

#[test]
fn whoever_takes_nothing_is_let_go_after_a_while() {
    let (mut world, device) = choked();
    world.pass_time(1);
    for _ in 0..3 {
        world.pass_time(world.limits.stalled_ms / 4);
    }
    assert_eq!(world.over(device), None);
    world.pass_time(world.limits.stalled_ms / 4);
    assert_eq!(world.over(device), Some("slow"));
}

#[test]
fn whoever_takes_some_of_it_stays_and_is_held_to_its_keep_alive_again() {
    let (mut world, device) = choked();
    world.pass_time(1);
    world.pass_time(world.limits.stalled_ms - 1);
    assert_eq!(world.got(device).len(), 8);
    world.pass_time(29_000);
    assert_eq!(world.over(device), None);
    world.pass_time(60_000);
    assert_eq!(world.over(device), Some("keep-alive"));
}

#[test]
fn a_queue_that_grows_too_long_has_the_same_cause() {
    let (mut world, device) = choked();
    for _ in 0..300 {
        world.tell_device_bytes(60_000);
    }
    assert_eq!(world.over(device), Some("slow"));
}
