//! Wills: who may leave one, when it is spoken, and when not.

use contract::{
    Kind,
    id::ServiceName,
    v1::{Restriction, Stage},
};

use crate::{
    packets::{self, Hello, Will},
    world::{World, up},
};

fn hello(delay_s: u32, expiry_s: u32) -> Hello {
    Hello {
        will: Some(Will {
            flags: 0x08,
            properties: packets::will_delay(delay_s),
            topic: up("devices/pump-7", "registry/report"),
            payload: "{}",
        }),
        ..Hello::kept(true, expiry_s)
    }
}

fn connect(world: &mut World, hello: &Hello) -> u64 {
    let device = world.dial(Kind::Device, "pump-7", "01");
    assert_eq!(world.send(device, &hello.packet())[0].body[1], 0);
    world.send(device, &packets::PING);
    device
}

fn spoken(world: &mut World) -> usize {
    world.requests(ServiceName::Registry).len()
}

#[test]
fn a_will_waits_for_the_return_of_its_client() {
    let mut world = World::new();
    let device = connect(&mut world, &hello(30, 600));
    world.close(device);
    world.pass_time(29_000);
    assert_eq!(spoken(&mut world), 0);
    world.pass_time(1_000);
    assert_eq!(spoken(&mut world), 1);
    world.pass_time(600_000);
    assert_eq!(spoken(&mut world), 0, "once");
}

#[test]
fn whoever_comes_back_in_time_was_not_lost() {
    let mut world = World::new();
    let device = connect(&mut world, &hello(30, 600));
    world.close(device);
    world.pass_time(29_000);
    connect(&mut world, &Hello::kept(true, 600));
    world.pass_time(30_000);
    assert_eq!(spoken(&mut world), 0);
}

#[test]
fn a_will_does_not_wait_longer_than_its_session() {
    for (expiry_s, wait_ms) in [(0, 0), (10, 10_000)] {
        let mut world = World::new();
        let device = connect(&mut world, &hello(30, expiry_s));
        world.close(device);
        world.pass_time(wait_ms);
        assert_eq!(spoken(&mut world), 1, "{expiry_s} s");
    }
    let mut world = World::new();
    let device = connect(&mut world, &hello(30, 600));
    world.close(device);
    connect(
        &mut world,
        &Hello {
            clean: true,
            ..Hello::kept(true, 600)
        },
    );
    assert_eq!(spoken(&mut world), 1, "a clean start ends the session");
}

#[test]
fn a_goodbye_takes_it_back_unless_it_asks_for_it() {
    for (reason, expected) in [(0, 0), (4, 1)] {
        let mut world = World::new();
        let device = connect(&mut world, &hello(0, 600));
        world.send(device, &packets::disconnect_with(reason, &[]));
        world.close(device);
        assert_eq!(spoken(&mut world), expected);
    }
}

#[test]
fn a_will_that_may_not_be_spoken_is_not() {
    for delay_s in [0, 30] {
        let mut world = World::new();
        let device = connect(&mut world, &hello(delay_s, 600));
        world.close(device);
        let before = spoken(&mut world);
        assert_eq!(before, usize::from(delay_s == 0));
        world.tell_device(Stage::Active, Restriction::Suspended);
        world.pass_time(31_000);
        assert_eq!(spoken(&mut world), 0, "suspended meanwhile");
    }
}

#[test]
fn who_is_taken_over_by_itself_has_not_been_lost() {
    let mut world = World::new();
    let first = connect(&mut world, &hello(0, 600));
    let second = world.dial(Kind::Device, "pump-7", "01");
    world.send(second, &Hello::kept(true, 600).packet());
    world.close(first);
    assert_eq!(spoken(&mut world), 0);
}

#[test]
fn a_will_that_its_client_may_not_publish_keeps_it_out() {
    for topic in ["devices/pump-8", "operators/ada"] {
        let mut world = World::new();
        let device = world.dial(Kind::Device, "pump-7", "01");
        let will = Will {
            topic: up(topic, "registry/report"),
            payload: "{}",
            ..Will::default()
        };
        let got = world.send(
            device,
            &Hello {
                will: Some(will),
                ..Hello::kept(true, 0)
            }
            .packet(),
        );
        assert_eq!((got[0].kind, got[0].body[1]), (0x20, 0x87));
    }
}

#[test]
fn whoever_said_nothing_but_its_will_comes_back_in_time_as_well() {
    let mut world = World::new();
    let knock = |world: &mut World| {
        let device = world.dial(Kind::Device, "pump-7", "01");
        let connack = world.send(device, &hello(30, 600).packet()).remove(0);
        assert_eq!((connack.body[0], connack.body[1]), (0, 0));
        device
    };
    let device = knock(&mut world);
    world.close(device);
    world.pass_time(1_000);
    let device = knock(&mut world);
    world.pass_time(60_000);
    assert_eq!(spoken(&mut world), 0);
    world.close(device);
    world.pass_time(30_000);
    assert_eq!(spoken(&mut world), 1);
}
