//! Limits that need more than one principal: what is answered beyond them, and that it is counted.

use contract::{
    Kind, ServiceName,
    v1::{CertificateStatus, Restriction, Stage},
};
use session::{Limit, Limits};

use crate::{
    packets,
    world::{World, up},
};

fn met(world: &World, limit: Limit) -> u64 {
    let status = world.door.status(world.now);
    let met = status.met.into_iter().find(|(name, _)| *name == limit.word());
    met.unwrap().1
}

/// Somebody who holds the batch hopes for this id; the reason of the CONNACK.
fn hopes_for(world: &mut World, id: &str) -> u8 {
    let hopeful = world.dial(Kind::Claim, "lot", "0c");
    world.send(hopeful, &packets::connect(true, id, 60))[0].body[1]
}

#[test]
fn those_who_hope_for_one_id_and_all_who_hope() {
    let mut world = World::with(Limits {
        claims_per_id: 1,
        claims: 2,
        ..Limits::default()
    });
    world.tell_batch("pump-*", false);
    assert_eq!(hopes_for(&mut world, "pump-9"), 0);
    assert_eq!(hopes_for(&mut world, "pump-9"), 0x97);
    assert_eq!(met(&world, Limit::ClaimsPerId), 1);
    assert_eq!(hopes_for(&mut world, "pump-8"), 0);
    assert_eq!(hopes_for(&mut world, "pump-6"), 0x89);
    assert_eq!(met(&world, Limit::Claims), 1);
    let device = world.device(true);
    assert_eq!(world.over(device), None, "devices have their own places");
}

#[test]
fn senders_of_messages_without_a_promise() {
    let mut world = World::with(Limits {
        receipts: 1,
        ..Limits::default()
    });
    world.tell_device_of("pump-8", Stage::Active, Restriction::None);
    world.tell_certificate("02", "devices", "pump-8", CertificateStatus::Active);
    let first = world.device(true);
    let second = world.dial(Kind::Device, "pump-8", "02");
    world.open(second, true, "pump-8");
    world.take(ServiceName::Monitoring);
    for (client, who, payload) in [
        (first, "devices/pump-7", &b"{}"[..]),
        (second, "devices/pump-8", b"{}"),
        (first, "devices/pump-7", b"{\"uptime_ms\":2}"),
    ] {
        let beat = packets::publish(true, 1, 7, &up(who, "monitoring/heartbeat"), payload);
        let got = world.send(client, &beat);
        assert_eq!((got[0].kind, got[0].reason()), (0x40, 0), "it promises nothing");
    }
    assert_eq!(met(&world, Limit::Receipts), 1);
    let beats: Vec<_> = world
        .take(ServiceName::Monitoring)
        .into_iter()
        .filter(|frame| frame.topic.ends_with("/heartbeat"))
        .map(|frame| (frame.topic, frame.payload.to_vec()))
        .collect();
    let newest = (
        up("devices/pump-7", "monitoring/heartbeat"),
        b"{\"uptime_ms\":2}".to_vec(),
    );
    assert_eq!(beats, [newest]);
}

#[test]
fn bytes_of_all_retained_messages() {
    let mut world = World::with(Limits {
        retained_bytes: 1_000,
        ..Limits::default()
    });
    world.order("the first");
    assert_eq!(met(&world, Limit::RetainedBytes), 0);
    world.order(&"x".repeat(2_000));
    assert_eq!(met(&world, Limit::RetainedBytes), 1);
}
