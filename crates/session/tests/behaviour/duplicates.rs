//! A publish that comes again before its PUBACK.

use contract::{
    id::ServiceName,
    v1::{Done, Restriction, Stage},
};

use crate::{
    packets,
    world::{World, up},
};

fn report(v5: bool) -> Vec<u8> {
    packets::publish(v5, 1, 5, &up("devices/pump-7", "registry/report"), b"{}")
}

#[test]
fn a_duplicate_joins_the_one_that_waits() {
    for v5 in [false, true] {
        let mut world = World::new();
        let device = world.device(v5);
        world.send(device, &report(v5));
        assert!(world.send(device, &packets::again(report(v5))).is_empty());
        assert_eq!(world.over(device), None);
        let requests = world.requests(ServiceName::Registry);
        assert_eq!(requests.len(), 1, "one request");
        world.reply(ServiceName::Registry, &requests[0], &Done::default());
        let acks = world.got(device).iter().filter(|g| g.kind == 0x40).count();
        assert_eq!(acks, 1, "one acknowledgement");
        world.send(device, &packets::again(report(v5)));
        assert_eq!(
            world.requests(ServiceName::Registry).len(),
            1,
            "what is settled comes as a new request"
        );
    }
}

#[test]
fn a_duplicate_of_what_waits_is_not_acknowledged_because_it_would_now_be_refused() {
    let mut world = World::new();
    let device = world.device(true);
    world.send(device, &report(true));
    world.tell_device(Stage::Active, Restriction::Quarantined);
    let elsewhere = packets::publish(true, 1, 5, "somewhere/else", b"{}");
    for publish in [report(true), elsewhere] {
        assert!(world.send(device, &packets::again(publish)).is_empty());
    }
    assert_eq!(world.over(device), None);
}

#[test]
fn a_packet_id_that_is_used_again_without_the_mark_ends_the_connection() {
    for (v5, topic) in [
        (false, up("devices/pump-7", "registry/report")),
        (true, up("devices/pump-7", "registry/report")),
        (true, up("devices/pump-7", "monitoring/heartbeat")),
        (true, "somewhere/else".into()),
    ] {
        let mut world = World::new();
        let device = world.device(v5);
        world.send(device, &report(v5));
        let got = world.send(device, &packets::publish(v5, 1, 5, &topic, b"{}"));
        assert_eq!(world.over(device), Some("protocol-error"), "{topic}");
        let told: Vec<_> = got.iter().map(|g| (g.kind, g.body[0])).collect();
        assert_eq!(told, if v5 { vec![(0xE0, 0x82)] } else { vec![] }, "{topic}");
        assert_eq!(world.requests(ServiceName::Registry).len(), 1);
    }
}
