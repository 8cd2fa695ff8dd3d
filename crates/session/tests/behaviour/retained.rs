//! Messages that a service keeps for whoever subscribes, of the verbs that the table marks.

use contract::{
    Kind,
    v1::{Restriction, Stage},
};

use crate::{
    packets::{self, Got, Hello},
    world::{ROOT, World, up},
};

fn filter() -> String {
    format!("{ROOT}/devices/pump-7/down/#")
}

fn connected(world: &mut World, v5: bool) -> u64 {
    let device = world.dial(Kind::Device, "pump-7", "01");
    world.send(device, &packets::connect(v5, "pump-7", 60));
    device
}

/// Messages: the first byte and the payload.
fn messages(got: &[Got], v5: bool) -> Vec<(u8, String)> {
    let messages = got.iter().filter(|got| got.kind & 0xF0 == 0x30);
    messages
        .map(|got| (got.kind, String::from_utf8(got.message(v5).1).unwrap()))
        .collect()
}

#[test]
fn whoever_subscribes_gets_the_newest() {
    for v5 in [false, true] {
        let mut world = World::new();
        world.order("one");
        world.order("two");
        world.push("registry/retire", "not marked");
        let device = connected(&mut world, v5);
        for (options, first) in [(0, 0x31), (1, 0x33), (2, 0x35)] {
            let got = world.send(device, &packets::subscribe_with(v5, 1, &[], &filter(), options));
            assert_eq!(messages(&got, v5), [(first, "two".to_owned())]);
        }
    }
}

#[test]
fn its_service_takes_it_away_and_nobody_else() {
    let mut world = World::new();
    world.order("one");
    let device = world.device(true);
    world.got(device);
    for retained in [true, false] {
        let mut publish = packets::publish(true, 1, 9, &up("devices/pump-7", "rollout/assignment"), b"");
        publish[0] |= u8::from(retained);
        world.send(device, &publish);
        let mut publish = packets::publish(
            true,
            1,
            10,
            &format!("{ROOT}/devices/pump-7/down/rollout/assignment"),
            b"",
        );
        publish[0] |= u8::from(retained);
        let got = world.send(device, &publish);
        assert_eq!(got.last().map(Got::reason), Some(0x90), "{got:?}");
    }
    let got = world.send(device, &packets::subscribe(true, 1, &filter()));
    assert_eq!(messages(&got, true).len(), 1, "still there");
    world.order("");
    assert!(
        messages(&world.got(device), true).is_empty(),
        "an empty message is for the front door alone"
    );
    let got = world.send(device, &packets::subscribe(true, 1, &filter()));
    assert!(messages(&got, true).is_empty());
}

#[test]
fn retain_handling_says_when_and_retain_as_published_says_how() {
    for (handling, first, second) in [(0, 1, 1), (1, 1, 0), (2, 0, 0)] {
        for as_published in [false, true] {
            let mut world = World::new();
            world.order("one");
            let device = connected(&mut world, true);
            let options = 1 | u8::from(as_published) << 3 | handling << 4;
            for expected in [first, second] {
                let got = world.send(device, &packets::subscribe_with(true, 1, &[], &filter(), options));
                let got = messages(&got, true);
                assert_eq!(got.len(), expected, "handling {handling}");
                assert!(got.iter().all(|(kind, _)| kind & 1 == 1));
            }
            world.order("two");
            let kinds: Vec<_> = messages(&world.got(device), true)
                .iter()
                .map(|m| m.0 & 1)
                .collect();
            assert_eq!(kinds, [u8::from(as_published)]);
        }
    }
}

#[test]
fn nothing_is_left_for_a_device_that_is_retired() {
    let mut world = World::new();
    world.order("one");
    world.tell_device(Stage::Retired, Restriction::None);
    world.tell_device(Stage::Active, Restriction::None);
    let device = connected(&mut world, true);
    let got = world.send(device, &packets::subscribe(true, 1, &filter()));
    assert!(messages(&got, true).is_empty());
}

#[test]
fn a_will_is_never_retained() {
    let mut world = World::new();
    let device = world.dial(Kind::Device, "pump-7", "01");
    let will = packets::Will {
        flags: 0x20,
        topic: up("devices/pump-7", "registry/report"),
        payload: "{}",
        ..packets::Will::default()
    };
    let got = world.send(
        device,
        &Hello {
            will: Some(will),
            ..Hello::kept(true, 0)
        }
        .packet(),
    );
    assert_eq!((got[0].kind, got[0].body[1]), (0x20, 0x9A));
}
