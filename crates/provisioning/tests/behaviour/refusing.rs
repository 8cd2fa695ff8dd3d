//! Refused requests are told, and whoever repeats them does not fill the event log.

use contract::v1;

use crate::world::World;

fn bad_renewal(world: &mut World, device: &str) {
    let request = v1::Sign {
        csr: "nonsense".into(),
        ..Default::default()
    };
    let refused = world.ask_over::<v1::Signed>(&format!("devices/{device}"), "00", "", "renew", &request);
    assert!(refused.unwrap().is_err());
}

fn told(world: &World, subject: &str) -> usize {
    let refused = format!("certificates/{subject} refused");
    world.events().iter().filter(|event| **event == refused).count()
}

#[test]
fn a_device_that_asks_in_a_loop_is_told_of_once_a_minute_with_its_count() {
    let mut world = World::new();
    for _ in 0..50 {
        bad_renewal(&mut world, "pump-7");
    }
    assert_eq!(told(&world, "pump-7"), 1, "the first at once");
    world.restart();
    for _ in 0..50 {
        bad_renewal(&mut world, "pump-7");
    }
    world.wait(59_999);
    assert_eq!(told(&world, "pump-7"), 1);
    world.wait(1);
    assert_eq!(told(&world, "pump-7"), 2);
    let data = world.event_data("certificates/pump-7", "refused");
    assert_eq!((&data["count"], &data["code"]), (&99.into(), &"denied".into()));
    bad_renewal(&mut world, "pump-7");
    world.wait(60_000);
    assert_eq!(told(&world, "pump-7"), 3);
    // Quiet for a minute: the next is news again.
    world.wait(60_000);
    assert_eq!(told(&world, "pump-7"), 3);
    bad_renewal(&mut world, "pump-7");
    assert_eq!(told(&world, "pump-7"), 4);
}

#[test]
fn nobody_hides_behind_the_attempts_of_another() {
    let mut world = World::new();
    world.claim("lot", 9);
    bad_renewal(&mut world, "pump-7");
    bad_renewal(&mut world, "pump-8");
    assert_eq!((told(&world, "pump-7"), told(&world, "pump-8")), (1, 1));
    // A claim that hopes for the device's id is somebody else, too.
    world.sign("pump-7", "other").unwrap_err();
    assert_eq!(told(&world, "pump-7"), 2);
    for n in 100..120 {
        world.sign(&format!("pump-{n}"), "lot").unwrap_err();
    }
    assert_eq!(
        told(&world, "unknown"),
        1,
        "ids that nobody has share one subject"
    );
}
