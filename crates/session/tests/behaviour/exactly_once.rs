//! QoS 2, both ways. A PUBREC is a promise as a PUBACK is.

use contract::{
    id::ServiceName,
    v1::{Changed, Done},
};
use session::Limits;

use crate::{
    packets::{self, Got, answer},
    world::{ROOT, World, up},
};

const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

fn report(v5: bool, id: u16) -> Vec<u8> {
    packets::publish(v5, 2, id, &up("devices/pump-7", "registry/report"), b"{}")
}

fn answers(got: &[Got]) -> Vec<(u8, u16, u8)> {
    let answers = got.iter().filter(|got| got.kind & 0xF0 != 0x30);
    answers
        .map(|got| (got.kind, got.packet_id(), got.reason()))
        .collect()
}

/// The answers of the services to all that waits.
fn settle(world: &mut World) {
    for request in world.requests(ServiceName::Registry) {
        world.reply(ServiceName::Registry, &request, &Changed::default());
    }
}

#[test]
fn a_publish_is_received_when_its_service_has_answered_and_complete_when_it_is_released() {
    for v5 in [false, true] {
        let mut world = World::new();
        let device = world.device(v5);
        assert!(world.send(device, &report(v5, 5)).is_empty());
        settle(&mut world);
        assert_eq!(answers(&world.got(device)), [(PUBREC, 5, 0)]);
        let got = world.send(device, &answer(PUBREL, 5, 0));
        assert_eq!(answers(&got), [(PUBCOMP, 5, 0)]);
        assert!(world.requests(ServiceName::Registry).is_empty());
    }
}

#[test]
fn a_repeat_of_what_waits_joins_it_and_is_not_received_before_it() {
    for v5 in [false, true] {
        let mut world = World::new();
        let device = world.device(v5);
        world.send(device, &report(v5, 5));
        for _ in 0..3 {
            assert!(world.send(device, &packets::again(report(v5, 5))).is_empty());
        }
        let requests = world.requests(ServiceName::Registry);
        assert_eq!(requests.len(), 1, "one request");
        world.reply(ServiceName::Registry, &requests[0], &Done::default());
        assert_eq!(answers(&world.got(device)), [(PUBREC, 5, 0)], "one PUBREC");
    }
}

#[test]
fn a_repeat_of_what_was_received_is_received_again_and_asks_for_nothing() {
    for v5 in [false, true] {
        let mut world = World::new();
        let device = world.device(v5);
        world.send(device, &report(v5, 5));
        settle(&mut world);
        world.got(device);
        // As often as it likes: nothing grows (the mistake of CVE-2023-28366).
        for n in 0..200 {
            let repeat = if n % 2 == 0 {
                packets::again(report(v5, 5))
            } else {
                report(v5, 5)
            };
            assert_eq!(answers(&world.send(device, &repeat)), [(PUBREC, 5, 0)]);
        }
        assert!(world.requests(ServiceName::Registry).is_empty());
        assert_eq!(
            answers(&world.send(device, &answer(PUBREL, 5, 0))),
            [(PUBCOMP, 5, 0)]
        );
        world.send(device, &report(v5, 5));
        assert_eq!(
            world.requests(ServiceName::Registry).len(),
            1,
            "the id is free again"
        );
    }
}

#[test]
fn a_release_of_nothing_is_told_so_and_one_before_its_time_breaks_the_protocol() {
    for (v5, reason) in [(false, 0), (true, 0x92)] {
        let mut world = World::new();
        let device = world.device(v5);
        let got = world.send(device, &answer(PUBREL, 9, 0));
        assert_eq!(answers(&got), [(PUBCOMP, 9, reason)]);
        world.send(device, &report(v5, 5));
        world.send(device, &answer(PUBREL, 5, 0));
        assert_eq!(world.over(device), Some("protocol-error"));
    }
}

#[test]
fn a_refusal_is_the_reason_of_the_pubrec_and_frees_the_packet_id() {
    let mut world = World::new();
    let device = world.device(true);
    world.send(device, &report(true, 5));
    let request = world.requests(ServiceName::Registry).remove(0);
    world.answer(ServiceName::Registry, &request, "{}".into(), "denied");
    assert_eq!(answers(&world.got(device)), [(PUBREC, 5, 0x87)]);
    let got = world.send(device, &packets::publish(true, 2, 5, "somewhere/else", b""));
    assert_eq!(answers(&got), [(PUBREC, 5, 0x90)], "5 was free");
    assert_eq!(
        answers(&world.send(device, &answer(PUBREL, 5, 0))),
        [(PUBCOMP, 5, 0x92)]
    );
}

#[test]
fn mqtt_3_1_1_cannot_refuse_so_the_flow_goes_on_and_the_reason_comes_as_a_message() {
    let mut world = World::new();
    let device = world.device(false);
    let got = world.send(device, &packets::publish(false, 2, 5, "somewhere/else", b""));
    assert_eq!(answers(&got), [(PUBREC, 5, 0)]);
    assert!(
        got.iter()
            .any(|g| g.kind == 0x30 && g.message(false).0.ends_with("publish/rejected"))
    );
    assert_eq!(
        answers(&world.send(device, &answer(PUBREL, 5, 0))),
        [(PUBCOMP, 5, 0)]
    );
}

#[test]
fn a_heartbeat_is_received_at_once() {
    let mut world = World::new();
    let device = world.device(true);
    let topic = up("devices/pump-7", "monitoring/heartbeat");
    let got = world.send(device, &packets::publish(true, 2, 5, &topic, b"{}"));
    assert_eq!(answers(&got), [(PUBREC, 5, 0)]);
}

#[test]
fn a_packet_id_in_use_serves_no_other_quality() {
    for (first, second) in [(2u8, 1u8), (1, 2)] {
        let mut world = World::new();
        let device = world.device(true);
        let topic = up("devices/pump-7", "registry/report");
        world.send(device, &packets::publish(true, first, 5, &topic, b"{}"));
        world.send(
            device,
            &packets::again(packets::publish(true, second, 5, &topic, b"{}")),
        );
        assert_eq!(world.over(device), Some("protocol-error"));
    }
}

#[test]
fn packet_ids_that_wait_for_their_release_are_bounded() {
    let mut world = World::with(Limits {
        exactly_once: 10,
        ..Limits::default()
    });
    let device = world.device(false);
    for id in 1..=10 {
        world.send(device, &report(false, id));
        settle(&mut world);
    }
    assert_eq!(world.over(device), None);
    world.send(device, &report(false, 11));
    assert_eq!(world.over(device), Some("protocol-error"));
    let device = world.device(true);
    for id in 1..=world.limits.receive_maximum + 1 {
        world.send(device, &packets::publish(true, 2, id, "nobody", b""));
        world.send(
            device,
            &packets::publish(
                true,
                2,
                1000 + id,
                &up("devices/pump-7", "monitoring/heartbeat"),
                b"{}",
            ),
        );
    }
    let got = world.got(device);
    let last = got.last().map(|got| (got.kind, got.body[0]));
    assert!(
        world.over(device).is_some() || last == Some((0xE0, 0x93)),
        "{last:?}"
    );
}

/// The device, subscribed at QoS 2.
fn subscribed(world: &mut World, v5: bool) -> u64 {
    let device = world.dial(contract::Kind::Device, "pump-7", "01");
    world.send(device, &packets::connect(v5, "pump-7", 60));
    let filter = format!("{ROOT}/devices/pump-7/down/#");
    let got = world.send(device, &packets::subscribe_with(v5, 1, &[], &filter, 2));
    assert_eq!(got[0].body.last(), Some(&2), "QoS 2 is granted");
    device
}

#[test]
fn a_message_goes_out_exactly_once() {
    for v5 in [false, true] {
        let mut world = World::new();
        let device = subscribed(&mut world, v5);
        world.order("one");
        let got = world.got(device);
        assert_eq!((got.len(), got[0].kind), (1, 0x34));
        let id = got[0].publish_id();
        assert_eq!(
            answers(&world.send(device, &answer(PUBREC, id, 0))),
            [(PUBREL, id, 0)]
        );
        assert!(world.send(device, &answer(PUBCOMP, id, 0)).is_empty());
        world.order("two");
        assert_eq!(world.got(device)[0].publish_id(), id, "the id is free again");
    }
}

#[test]
fn a_client_may_refuse_a_message() {
    let mut world = World::new();
    let device = subscribed(&mut world, true);
    world.order("one");
    let id = world.got(device)[0].publish_id();
    assert!(
        world.send(device, &answer(PUBREC, id, 0x97)).is_empty(),
        "no PUBREL"
    );
    world.order("two");
    assert_eq!(world.got(device)[0].publish_id(), id);
}

#[test]
fn what_nobody_sent_is_not_answered() {
    for v5 in [false, true] {
        for first in [0x40, PUBREC, PUBCOMP] {
            let mut world = World::new();
            let device = subscribed(&mut world, v5);
            world.send(device, &answer(first, 7, 0));
            assert_eq!(world.over(device), Some("protocol-error"));
        }
    }
}
