//! Sessions that outlive their connection.

use contract::{
    Kind,
    id::ServiceName,
    v1::{CertificateStatus, Changed, Restriction, Role, Stage},
};
use session::{Hoard, Limits};

use crate::{
    packets::{self, Got, Hello, answer},
    world::{ROOT, World, up},
};

/// The device connects, and says nothing more; what it gets.
fn knock(world: &mut World, hello: &Hello) -> (u64, Vec<Got>) {
    let device = world.dial(Kind::Device, "pump-7", "01");
    let got = world.send(device, &hello.packet());
    (device, got)
}

/// The device connects and is heard again; what it gets: first the CONNACK with session present and reason.
fn connect(world: &mut World, hello: &Hello) -> (u64, Vec<Got>) {
    let (device, got) = knock(world, hello);
    world.send(device, &packets::PING);
    (device, got)
}

fn come_back(world: &mut World, hello: &Hello) -> (u64, Vec<Got>) {
    let (device, mut got) = connect(world, hello);
    let connack = got.remove(0);
    assert_eq!(
        (connack.kind, connack.body[0], connack.body[1]),
        (0x20, 1, 0),
        "{connack:?}"
    );
    (device, got)
}

/// A device that has a session, subscribed to its `down/#` with these options.
fn begin(world: &mut World, hello: &Hello, options: u8) -> u64 {
    let (device, got) = connect(world, hello);
    assert_eq!(
        (got[0].kind, got[0].body[0], got[0].body[1]),
        (0x20, 0, 0),
        "{got:?}"
    );
    let filter = format!("{ROOT}/devices/pump-7/down/#");
    world.send(
        device,
        &packets::subscribe_with(hello.v5, 1, &[], &filter, options),
    );
    device
}

fn payloads(got: &[Got], v5: bool) -> Vec<String> {
    let messages = got.iter().filter(|got| got.kind & 0xF0 == 0x30);
    messages
        .map(|got| String::from_utf8(got.message(v5).1).unwrap())
        .collect()
}

#[test]
fn what_comes_meanwhile_waits_and_the_subscriptions_stay() {
    for v5 in [false, true] {
        let mut world = World::new();
        let hello = Hello::kept(v5, 600);
        let device = begin(&mut world, &hello, 1);
        world.close(device);
        assert_eq!(world.door.status(world.now).kept, 1);
        world.order("one");
        world.order("two");
        let (device, got) = come_back(&mut world, &hello);
        assert_eq!(payloads(&got, v5), ["one", "two"]);
        assert!(got.iter().all(|got| got.kind == 0x32), "for the first time");
        assert_eq!(world.door.status(world.now).kept, 0);
        world.order("three");
        assert_eq!(payloads(&world.got(device), v5), ["three"]);
    }
}

#[test]
fn at_qos_0_only_who_is_there_gets_it() {
    let mut world = World::new();
    let hello = Hello::kept(true, 600);
    let device = begin(&mut world, &hello, 0);
    world.close(device);
    world.order("one");
    let (_, got) = come_back(&mut world, &hello);
    assert!(got.is_empty());
}

#[test]
fn what_was_not_acknowledged_comes_again_in_its_order_with_its_id_and_the_mark() {
    for v5 in [false, true] {
        let mut world = World::new();
        let hello = Hello::kept(v5, 600);
        let device = begin(&mut world, &hello, 2);
        for payload in ["one", "two", "three", "four"] {
            world.order(payload);
        }
        let sent = world.got(device);
        let ids: Vec<_> = sent.iter().map(Got::publish_id).collect();
        world.send(device, &answer(0x50, ids[0], 0));
        world.send(device, &answer(0x70, ids[0], 0));
        world.send(device, &answer(0x50, ids[2], 0));
        world.close(device);
        world.order("five");
        let (device, got) = come_back(&mut world, &hello);
        let again: Vec<_> = got
            .iter()
            .map(|got| match got.kind & 0xF0 {
                0x60 => (got.kind, got.packet_id()),
                _ => (got.kind, got.publish_id()),
            })
            .collect();
        let fresh = again[3].1;
        assert_eq!(
            again,
            [(0x3C, ids[1]), (0x62, ids[2]), (0x3C, ids[3]), (0x34, fresh)]
        );
        assert!(!ids[1..].contains(&fresh), "an id in use is not used for another");
        for id in [ids[1], ids[3], fresh] {
            assert_eq!(world.send(device, &answer(0x50, id, 0))[0].kind, 0x62);
        }
        for id in [ids[1], ids[2], ids[3], fresh] {
            assert!(world.send(device, &answer(0x70, id, 0)).is_empty());
        }
        assert_eq!(world.over(device), None);
        world.close(device);
        assert!(come_back(&mut world, &hello).1.is_empty(), "nothing is left");
    }
}

#[test]
fn what_comes_again_keeps_within_the_clients_receive_maximum() {
    let mut world = World::new();
    let mut hello = Hello::kept(true, 600);
    let device = begin(&mut world, &hello, 1);
    for payload in ["one", "two", "three"] {
        world.order(payload);
    }
    world.got(device);
    world.close(device);
    hello.properties.extend([0x21, 0, 2]);
    let (device, got) = come_back(&mut world, &hello);
    assert_eq!(payloads(&got, true), ["one", "two"]);
    let got = world.send(device, &answer(0x40, got[0].publish_id(), 0));
    assert_eq!(payloads(&got, true), ["three"]);
}

#[test]
fn a_publish_that_waits_is_joined_over_the_next_connection() {
    for (v5, qos, ack) in [
        (false, 1, 0x40),
        (true, 1, 0x40),
        (false, 2, 0x50),
        (true, 2, 0x50),
    ] {
        for answered_while_away in [false, true] {
            let mut world = World::new();
            let hello = Hello::kept(v5, 600);
            let device = begin(&mut world, &hello, 0);
            let report = packets::publish(v5, qos, 5, &up("devices/pump-7", "registry/report"), b"{}");
            world.send(device, &report);
            let request = world.requests(ServiceName::Registry).remove(0);
            world.close(device);
            if answered_while_away {
                world.reply(ServiceName::Registry, &request, &Changed::default());
            }
            let (device, got) = come_back(&mut world, &hello);
            assert!(got.is_empty(), "nothing is acknowledged before it is sent again");
            let mut got = world.send(device, &packets::again(report.clone()));
            if !answered_while_away {
                assert!(got.is_empty());
                world.reply(ServiceName::Registry, &request, &Changed::default());
                got = world.got(device);
            }
            let acks: Vec<_> = got.iter().filter(|g| g.kind == ack).map(Got::packet_id).collect();
            assert_eq!(acks, [5], "QoS {qos}, MQTT 5: {v5}");
            assert!(
                world.requests(ServiceName::Registry).is_empty(),
                "it was one request"
            );
        }
    }
}

#[test]
fn a_packet_id_stays_in_use_until_its_release_whatever_connections_come_between() {
    for v5 in [false, true] {
        let mut world = World::new();
        let hello = Hello::kept(v5, 600);
        let device = begin(&mut world, &hello, 0);
        let report = packets::publish(v5, 2, 5, &up("devices/pump-7", "registry/report"), b"{}");
        world.send(device, &report);
        let request = world.requests(ServiceName::Registry).remove(0);
        world.reply(ServiceName::Registry, &request, &Changed::default());
        world.close(device);
        let (device, _) = come_back(&mut world, &hello);
        let got = world.send(device, &packets::again(report.clone()));
        assert_eq!((got[0].kind, got[0].packet_id()), (0x50, 5), "received again");
        assert!(world.requests(ServiceName::Registry).is_empty());
        let got = world.send(device, &answer(0x62, 5, 0));
        assert_eq!((got[0].kind, got[0].reason()), (0x70, 0));
    }
}

#[test]
fn a_session_is_kept_for_as_long_as_it_was_asked_and_may() {
    for (v5, asked_s, told, kept_s) in [
        (true, 600, None, 600u64),
        (true, u32::MAX, Some(86_400), 86_400),
        (false, 0, None, 86_400),
    ] {
        for (late, present) in [(false, 1), (true, 0)] {
            let mut world = World::new();
            let hello = Hello::kept(v5, asked_s);
            let device = world.dial(Kind::Device, "pump-7", "01");
            let connack = world.send(device, &hello.packet()).remove(0);
            let expiry = connack
                .body
                .windows(5)
                .find(|w| w[0] == 0x11)
                .map(|w| u32::from_be_bytes([w[1], w[2], w[3], w[4]]));
            assert_eq!(expiry.filter(|_| v5), told);
            world.send(device, &packets::PING);
            world.close(device);
            world.pass_time(kept_s * 1_000 - 1_000);
            world.pass_time(if late { 1_100 } else { 0 });
            assert_eq!(world.door.status(world.now).kept, usize::from(!late));
            let (_, got) = connect(&mut world, &hello);
            assert_eq!(got[0].body[0], present, "{asked_s} late: {late}");
        }
    }
}

#[test]
fn a_clean_start_begins_anew() {
    for v5 in [false, true] {
        let mut world = World::new();
        let hello = Hello::kept(v5, 600);
        let device = begin(&mut world, &hello, 1);
        world.close(device);
        world.order("one");
        let clean = Hello {
            clean: true,
            ..hello.clone()
        };
        let (device, got) = connect(&mut world, &clean);
        assert_eq!(
            (got.len(), got[0].body[0]),
            (1, 0),
            "session present 0, no message"
        );
        world.order("two");
        assert!(world.got(device).is_empty(), "no subscription either");
    }
}

#[test]
fn a_session_without_an_expiry_ends_with_its_connection() {
    let mut world = World::new();
    let device = begin(&mut world, &Hello::kept(true, 0), 1);
    world.close(device);
    assert_eq!(world.door.status(world.now).kept, 0);
    // Clean start says what is wanted of before, not of after.
    let clean = Hello {
        clean: true,
        ..Hello::kept(true, 600)
    };
    let (device, _) = connect(&mut world, &clean);
    world.close(device);
    assert_eq!(world.door.status(world.now).kept, 1);
}

#[test]
fn a_session_is_present_once_its_client_has_been_heard_since_the_connack() {
    for v5 in [false, true] {
        let mut world = World::new();
        let hello = Hello::kept(v5, 600);
        // The CONNACK may be lost: a session present would then be taken for the one before this.
        let (device, _) = knock(&mut world, &hello);
        world.close(device);
        assert_eq!(world.door.status(world.now).kept, 1);
        let (device, got) = knock(&mut world, &hello);
        assert_eq!(got[0].body[0], 0);
        world.close(device);
        let device = begin(&mut world, &hello, 1);
        world.close(device);
        // One that goes on is the client's already.
        let (device, got) = knock(&mut world, &hello);
        assert_eq!(got[0].body[0], 1);
        world.close(device);
        come_back(&mut world, &hello);
    }
}

#[test]
fn a_goodbye_may_change_how_long_but_not_from_nothing() {
    let expiry = |seconds| packets::disconnect_with(0, &packets::session_expiry(seconds));
    for (asked, said, kept) in [(600, 0, 0), (600, 60, 1), (0, 0, 0)] {
        let mut world = World::new();
        let (device, _) = connect(&mut world, &Hello::kept(true, asked));
        world.send(device, &expiry(said));
        assert_eq!(world.over(device), Some("clean"));
        world.close(device);
        assert_eq!(world.door.status(world.now).kept, kept, "{asked} {said}");
        world.pass_time(61_000);
        assert_eq!(world.door.status(world.now).kept, 0);
    }
    let mut world = World::new();
    let (device, _) = connect(&mut world, &Hello::kept(true, 0));
    let got = world.send(device, &expiry(60));
    assert_eq!((got[0].kind, got[0].body[0]), (0xE0, 0x82));
    assert_eq!(world.over(device), Some("protocol-error"));
}

#[test]
fn whoever_takes_over_goes_on_with_the_session() {
    for v5 in [false, true] {
        let mut world = World::new();
        let hello = Hello::kept(v5, 600);
        let first = begin(&mut world, &hello, 1);
        world.order("one");
        world.got(first);
        let (second, got) = connect(&mut world, &hello);
        assert!(got.is_empty(), "the session has not parted from its connection");
        assert_eq!(world.over(first), Some("takeover"));
        world.order("two");
        world.close(first);
        let got = world.got(second);
        assert_eq!((got[0].kind, got[0].body[0]), (0x20, 1), "session present");
        assert_eq!(payloads(&got, v5), ["one", "two"]);
        assert_eq!((got[1].kind, got[2].kind), (0x3A, 0x32), "the first once more");
    }
}

#[test]
fn of_many_that_take_over_the_last_has_the_session() {
    let mut world = World::new();
    let hello = Hello::kept(true, 600);
    let first = begin(&mut world, &hello, 1);
    let (second, _) = connect(&mut world, &hello);
    let (third, got) = connect(&mut world, &hello);
    assert!(got.is_empty());
    assert_eq!(world.over(second), Some("takeover"));
    let told = world.got(second);
    assert_eq!(told[0].kind, 0x20, "{told:?}");
    assert_ne!(told[0].body[1], 0, "it was never let in");
    world.close(second);
    assert!(world.got(third).is_empty());
    world.close(first);
    assert_eq!((world.got(third)[0].body[0], world.over(third)), (1, None));
    world.order("one");
    assert_eq!(payloads(&world.got(third), true), ["one"]);
}

#[test]
fn a_clean_takeover_does_not_wait() {
    let mut world = World::new();
    let hello = Hello::kept(true, 600);
    let first = begin(&mut world, &hello, 1);
    let (second, got) = connect(
        &mut world,
        &Hello {
            clean: true,
            ..hello.clone()
        },
    );
    assert_eq!((got[0].kind, got[0].body[0]), (0x20, 0));
    world.close(first);
    assert_eq!(
        world.door.status(world.now).kept,
        0,
        "what the first had is not wanted"
    );
    world.close(second);
    let (_, got) = connect(&mut world, &hello);
    assert_eq!(got[0].body[0], 1, "the second's session");
}

#[test]
fn whoever_waits_for_a_session_in_vain_is_told_that_the_server_is_busy() {
    let mut world = World::new();
    let hello = Hello::kept(true, 600);
    begin(&mut world, &hello, 1);
    let (second, _) = connect(&mut world, &hello);
    world.pass_time(world.limits.connect_ms);
    let got = world.got(second);
    assert_eq!((got[0].kind, got[0].body[1]), (0x20, 0x89));
}

#[test]
fn a_session_is_not_lost_with_a_connection_that_broke_before_it_came() {
    let mut world = World::new();
    let hello = Hello::kept(true, 600);
    let first = begin(&mut world, &hello, 1);
    world.order("one");
    let (second, _) = connect(&mut world, &hello);
    world.lose(second, &[]);
    world.close(first);
    world.order("two");
    world.close(second);
    let third = world.dial(Kind::Device, "pump-7", "01");
    world.lose(third, &hello.packet());
    world.close(third);
    let (_, got) = come_back(&mut world, &hello);
    assert_eq!(payloads(&got, true), ["one", "two"]);
}

#[test]
fn claims_have_no_session_that_is_kept() {
    let mut world = World::new();
    let claim = world.dial(Kind::Claim, "lot", "0c");
    let connack = world
        .send(
            claim,
            &Hello {
                client_id: "pump-9",
                ..Hello::kept(true, 600)
            }
            .packet(),
        )
        .remove(0);
    assert!(
        connack.body.windows(5).any(|w| w == [0x11, 0, 0, 0, 0]),
        "0 s, it is told"
    );
    world.close(claim);
    assert_eq!(world.door.status(world.now).kept, 0);
}

#[test]
fn whoever_is_shut_out_leaves_nothing() {
    type Shut = fn(&mut World);
    let shut: [Shut; 4] = [
        |world| world.tell_certificate("01", "devices", "pump-7", CertificateStatus::Revoked),
        |world| world.tell_certificate("01", "devices", "pump-7", CertificateStatus::Retired),
        |world| world.tell_device(Stage::Active, Restriction::Suspended),
        |world| world.tell_device(Stage::Retired, Restriction::None),
    ];
    for shut in shut {
        for connected in [false, true] {
            let mut world = World::new();
            let device = begin(&mut world, &Hello::kept(true, 600), 1);
            if !connected {
                world.close(device);
            }
            shut(&mut world);
            if connected {
                assert_eq!(world.over(device), Some("not-authorized"));
                world.close(device);
            }
            assert_eq!(world.door.status(world.now).kept, 0);
        }
    }
    let mut world = World::new();
    let device = begin(&mut world, &Hello::kept(true, 600), 1);
    world.close(device);
    world.tell_device(Stage::Active, Restriction::Quarantined);
    assert_eq!(
        world.door.status(world.now).kept,
        1,
        "a quarantined one stays, to be repaired"
    );
}

/// The integrator with a kept session that follows the registry's events.
fn follower(world: &mut World) -> Hello {
    let hello = Hello {
        client_id: "erp",
        ..Hello::kept(true, 600)
    };
    let erp = world.dial(Kind::Integrator, "erp", "0e");
    world.send(erp, &hello.packet());
    let filter = format!("{ROOT}/events/registry/#");
    let got = world.send(erp, &packets::subscribe_with(true, 1, &[], &filter, 1));
    assert_eq!(got[0].body.last(), Some(&1));
    world.close(erp);
    hello
}

#[test]
fn events_wait_too_as_far_as_they_may_still_be_seen() {
    for (grants, expected) in [
        (&["registry/#"][..], 2),
        (&["registry/devices/+/moved"], 1),
        (&[], 0),
    ] {
        let mut world = World::new();
        let hello = follower(&mut world);
        world.tell_event(ServiceName::Registry, "devices/pump-7", "moved");
        world.tell_event(ServiceName::Registry, "devices/pump-7", "changed");
        world.tell_person("integrators", "erp", Role::Unspecified, grants);
        let erp = world.dial(Kind::Integrator, "erp", "0e");
        let got = world.send(erp, &hello.packet());
        assert_eq!(got[0].body[0], 1);
        assert_eq!(got.len() - 1, expected, "{grants:?}");
    }
}

#[test]
fn when_there_is_no_room_the_oldest_events_go() {
    let mut world = World::with(Limits {
        kept_for_person: Hoard {
            messages: 2,
            bytes: 100_000,
        },
        ..Limits::default()
    });
    let hello = follower(&mut world);
    for name in ["registered", "moved", "changed"] {
        world.tell_event(ServiceName::Registry, "devices/pump-7", name);
    }
    assert_eq!(world.door.status(world.now).counts.made_way, 1);
    let erp = world.dial(Kind::Integrator, "erp", "0e");
    let got = world.send(erp, &hello.packet());
    let topics: Vec<_> = got[1..].iter().map(|got| got.message(true).0).collect();
    assert!(
        topics[0].ends_with("/moved") && topics[1].ends_with("/changed"),
        "{topics:?}"
    );
}

#[test]
fn what_was_promised_is_there_or_the_session_is_not() {
    for (limits, orders, present) in [
        (
            Hoard {
                messages: 3,
                bytes: 100_000,
            },
            3,
            1,
        ),
        (
            Hoard {
                messages: 3,
                bytes: 100_000,
            },
            4,
            0,
        ),
        (
            Hoard {
                messages: 9,
                bytes: 200,
            },
            3,
            0,
        ),
    ] {
        let mut world = World::with(Limits {
            kept_for_device: limits,
            ..Limits::default()
        });
        let hello = Hello::kept(true, 600);
        let device = begin(&mut world, &hello, 1);
        world.close(device);
        for _ in 0..orders {
            world.order("order");
        }
        let (_, got) = connect(&mut world, &hello);
        assert_eq!(got[0].body[0], present);
        assert_eq!(got.len() - 1, if present == 1 { orders } else { 0 });
    }
}

#[test]
fn a_principal_keeps_so_many_sessions_and_everybody_so_many_bytes() {
    let mut world = World::with(Limits {
        kept_per_device: 2,
        ..Limits::default()
    });
    for (client_id, seconds) in [("pump-7:a", 600), ("pump-7:b", 300), ("pump-7:c", 900)] {
        let (device, _) = connect(
            &mut world,
            &Hello {
                client_id,
                ..Hello::kept(true, seconds)
            },
        );
        world.close(device);
    }
    for (client_id, present) in [("pump-7:a", 1), ("pump-7:b", 0), ("pump-7:c", 1)] {
        let (device, got) = connect(
            &mut world,
            &Hello {
                client_id,
                ..Hello::kept(true, 600)
            },
        );
        assert_eq!(got[0].body[0], present, "{client_id}");
        world.close(device);
    }
    let mut world = World::with(Limits {
        kept_bytes: 300,
        ..Limits::default()
    });
    let hello = Hello::kept(true, 600);
    let device = begin(&mut world, &hello, 1);
    world.close(device);
    for _ in 0..3 {
        world.order("order");
    }
    assert_eq!(world.door.status(world.now).kept, 0);
}
