//! What a principal may not, and what it hears.

use contract::{
    id::{Kind, ServiceName},
    v1::{PublishRejected, Restriction, SecurityNotice, Stage},
    wire,
};

use session::Limits;

use crate::{
    packets,
    world::{World, up},
};

#[test]
fn a_publish_outside_ones_own_is_refused_told_and_reported() {
    for v5 in [false, true] {
        let mut world = World::new();
        let device = world.device(v5);
        for topic in [
            up("devices/pump-8", "registry/report"),
            "é/x".into(),
            up("devices/pump-7", "registry/nonsense"),
        ] {
            let got = world.send(device, &packets::publish(v5, 1, 9, &topic, b"{}"));
            let ack = got.iter().find(|g| g.kind == 0x40).unwrap();
            if v5 {
                assert!(ack.body[2] >= 0x80, "{topic}: {ack:?}");
            } else {
                let told = got.iter().find(|g| g.kind & 0xF0 == 0x30).unwrap().message(v5);
                assert!(
                    told.0.ends_with("/down/front-door/publish/rejected"),
                    "{}",
                    told.0
                );
                let rejected: PublishRejected = wire::decode(&told.1, "").unwrap();
                assert_eq!(rejected.topic, topic);
            }
        }
        assert!(world.requests(ServiceName::Registry).is_empty());
        assert_eq!(world.over(device), None, "nothing else happens to it");
        world.pass_time(1_000);
        let notices = world.take(ServiceName::Monitoring);
        let count: u32 = notices
            .iter()
            .filter(|f| f.topic.ends_with("/security"))
            .map(|f| wire::decode::<SecurityNotice>(&f.payload, "").unwrap().count)
            .sum();
        assert_eq!(count, 3);
    }
}

fn told(world: &mut World) -> Vec<SecurityNotice> {
    let frames = world.take(ServiceName::Monitoring);
    let frames = frames.iter().filter(|frame| frame.topic.ends_with("/security"));
    frames
        .map(|frame| wire::decode(&frame.payload, "").unwrap())
        .collect()
}

/// What is told of a notice: who, what, by which certificate or batch, how often.
fn words(notice: &SecurityNotice) -> String {
    let SecurityNotice {
        kind,
        id,
        what,
        serial,
        batch,
        count,
        ..
    } = notice;
    format!("{kind}/{id} {what} {serial}{batch} {count}")
}

#[test]
fn whoever_is_not_let_in_is_told_of_by_what_was_shown() {
    let mut world = World::with(Limits {
        sessions_per_device: 1,
        ..Limits::default()
    });
    world.tell_manufacturer("acme", &["SN-7"]);
    for _ in 0..2 {
        let device = world.dial_with_factory("acme", "SN-7");
        let connack = world.send(device, &packets::connect(true, "pump-7", 60));
        assert_eq!(connack[0].body[1], 0x87);
        // Any holder may hope for any device: those that there are none of share a notice.
        for id in ["pump-98", "pump-99"] {
            let device = world.dial_with_factory("acme", "SN-7");
            world.send(device, &packets::connect(true, id, 60));
        }
    }
    let first: Vec<_> = told(&mut world).iter().map(words).collect();
    assert_eq!(
        first,
        [
            "claims/pump-7 connect-denied acme 1",
            "claims/pump-98 connect-denied acme 1"
        ]
    );
    world.pass_time(59_000);
    assert!(told(&mut world).is_empty());
    world.pass_time(1_000);
    let mut later: Vec<_> = told(&mut world).iter().map(words).collect();
    later.sort();
    assert_eq!(
        later,
        [
            "claims/pump-7 connect-denied acme 1",
            "claims/pump-99 connect-denied acme 3"
        ]
    );
    // Whoever shows its own certificate is known by that, whatever it says it is; and so is who has no room.
    let device = world.dial(Kind::Device, "pump-7", "01");
    world.send(device, &packets::connect(true, "pump-8", 60));
    world.device(true);
    let device = world.dial(Kind::Device, "pump-7", "01");
    world.send(device, &packets::connect(true, "pump-7:b", 60));
    let own: Vec<_> = told(&mut world).iter().map(words).collect();
    assert_eq!(
        own,
        [
            "devices/pump-7 connect-denied 01 1",
            "devices/pump-7 no-room 01 1"
        ]
    );
}

#[test]
fn a_subscription_outside_ones_own_is_refused() {
    let mut world = World::new();
    let device = world.device(true);
    for (filter, code) in [
        ("muster/v1/devices/+/down/#", 0x87),
        ("#", 0x87),
        ("muster/v1/events/#", 0x87),
        ("a/#/b", 0x8F),
        ("muster/v1/devices/pump-7/down/registry/#", 0x01),
    ] {
        let got = world.send(device, &packets::subscribe(true, 7, filter));
        // A filter that is none at all may also end the connection (MQTT 5, section 4.13).
        match got.first().filter(|g| g.kind == 0x90) {
            Some(suback) => assert_eq!(suback.body.last(), Some(&code), "{filter}"),
            None => assert_eq!((filter, world.over(device)), ("a/#/b", Some("protocol-error"))),
        }
        if world.over(device).is_some() {
            return;
        }
    }
}

#[test]
fn more_subscriptions_than_allowed_are_refused_one_by_one() {
    let mut world = World::new();
    let device = world.device(true);
    let codes: Vec<u8> = (0..80)
        .map(|n| {
            let filter = format!("muster/v1/devices/pump-7/down/registry/x{n}");
            *world.send(device, &packets::subscribe(true, 7, &filter))[0]
                .body
                .last()
                .unwrap()
        })
        .collect();
    assert_eq!(codes.iter().filter(|c| **c == 0x01).count(), 63);
    assert_eq!(codes.last(), Some(&0x97));
}

#[test]
fn a_payload_above_its_verbs_limit_is_refused_and_a_packet_above_all_limits_ends_the_connection() {
    let mut world = World::new();
    let device = world.device(true);
    let topic = up("devices/pump-7", "registry/report");
    let got = world.send(
        device,
        &packets::publish(true, 1, 2, &topic, &vec![b'{'; 64 * 1024 + 1]),
    );
    assert_eq!((got[0].kind, got[0].body[2]), (0x40, 0x97));
    let huge = vec![b'{'; 10 * 1024 * 1024];
    let got = world.send(device, &packets::publish(true, 1, 3, &topic, &huge));
    assert_eq!((got[0].kind, got[0].body[0]), (0xE0, 0x95));
    assert_eq!(world.over(device), Some("protocol-error"));
}

#[test]
fn a_second_connect_ends_the_connection() {
    for v5 in [false, true] {
        let mut world = World::new();
        let device = world.device(v5);
        world.send(device, &packets::connect(v5, "pump-7", 60));
        assert_eq!(world.over(device), Some("protocol-error"));
    }
}

#[test]
fn a_first_packet_that_is_no_connect_ends_the_connection() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"SSH-2.0-x\r\n",
        &[0x40, 2, 0, 1],
        &[0x20, 2, 0, 0],
        &[0xFF; 40],
    ] {
        let mut world = World::new();
        let stranger = world.dial(Kind::Device, "pump-7", "01");
        world.send(stranger, bytes);
        assert!(world.over(stranger).is_some(), "{bytes:?}");
    }
}

#[test]
fn a_quarantined_device_is_left_the_verbs_that_repair_it() {
    let mut world = World::new();
    let device = world.device(true);
    world.tell_device(Stage::Active, Restriction::Quarantined);
    let got = world.send(
        device,
        &packets::publish(true, 1, 2, &up("devices/pump-7", "rollout/assignment"), b"{}"),
    );
    assert!(got.is_empty());
    assert_eq!(world.requests(ServiceName::Rollout).len(), 1);
    assert_eq!(world.over(device), None);
}

#[test]
fn any_byte_changed_or_cut_harms_nobody_else() {
    let packets = [
        packets::connect(true, "pump-7", 60),
        packets::publish(true, 1, 2, &up("devices/pump-7", "registry/report"), b"{}"),
        packets::subscribe(true, 3, "muster/v1/devices/pump-7/down/#"),
    ];
    let mut world = World::new();
    let other = world.dial(Kind::Operator, "ada", "0a");
    world.open(other, true, "ada");
    for packet in &packets {
        for place in 0..packet.len() {
            for change in [1u8, 0x80, 0xFF] {
                let mut bytes = packet.clone();
                bytes[place] = bytes[place].wrapping_add(change);
                let client = world.dial(Kind::Device, "pump-7", "01");
                world.send(client, &bytes);
                world.send(client, &packets[1]);
                world.close(client);
            }
            let client = world.dial(Kind::Device, "pump-7", "01");
            world.send(client, &packet[..place]);
            world.close(client);
        }
    }
    assert_eq!(world.over(other), None);
    let got = world.send(other, &packets::subscribe(true, 9, "muster/v1/events/#"));
    assert_eq!(got[0].body.last(), Some(&1));
}

#[test]
fn a_connect_that_is_too_large_is_not_waited_for() {
    let most = Limits::default().hello_bytes;
    for v5 in [false, true] {
        let mut world = World::new();
        let device = world.dial(Kind::Device, "pump-7", "01");
        let mut connect = packets::connect(v5, "pump-7", 60);
        // Its length, and no more of it than its beginning.
        connect.splice(1..2, packets::remaining(most as usize + 1));
        let got = world.send(device, &connect);
        let told: Vec<_> = got.iter().map(|got| (got.kind, got.body[1])).collect();
        assert_eq!(told, if v5 { vec![(0x20, 0x95)] } else { vec![] });
        assert_eq!(world.over(device), Some("protocol-error"));
        // A large packet may come once it is let in.
        let device = world.device(v5);
        let topic = up("devices/pump-7", "registry/report");
        let large = vec![b' '; 2 * most as usize];
        let got = world.send(device, &packets::publish(v5, 1, 2, &topic, &large[..60_000]));
        assert_eq!((got.len(), world.requests(ServiceName::Registry).len()), (0, 1));
    }
}

#[test]
fn a_message_has_so_many_user_properties_and_no_more() {
    let most = Limits::default().properties;
    let pairs = |n: usize| {
        [&[0x26][..], &packets::text("k"), &packets::text("v")]
            .concat()
            .repeat(n)
    };
    let topic = up("devices/pump-7", "registry/report");
    let mut world = World::new();
    let device = world.device(true);
    let got = world.send(device, &packets::publish_with(1, 7, &topic, &pairs(most), b"{}"));
    assert_eq!((got.len(), world.requests(ServiceName::Registry).len()), (0, 1));
    let got = world.send(
        device,
        &packets::publish_with(1, 8, &topic, &pairs(most + 1), b"{}"),
    );
    assert_eq!((got[0].kind, got[0].reason()), (0x40, 0x97));
    assert!(world.requests(ServiceName::Registry).is_empty());
    let second = world.dial(Kind::Device, "pump-7", "01");
    let hello = packets::Hello {
        v5: true,
        client_id: "pump-7:2",
        will: Some(packets::Will {
            properties: pairs(most + 1),
            topic,
            payload: "{}",
            flags: 0,
        }),
        ..packets::Hello::default()
    };
    let got = world.send(second, &hello.packet());
    assert_eq!((got[0].kind, got[0].body[1]), (0x20, 0x97), "a will as well");
}

#[test]
fn topics_and_filters_are_short_and_have_few_levels() {
    for long in [
        "x".repeat(600),
        "/".repeat(40),
        "x".repeat(60_000),
        "/".repeat(60_000),
    ] {
        let mut world = World::new();
        let device = world.device(true);
        let got = world.send(device, &packets::publish(true, 1, 7, &long, b"{}"));
        assert_eq!((got[0].kind, got[0].reason()), (0x40, 0x90));
        let shared = format!("$share/g/{long}");
        for filter in [&long, &shared] {
            let got = world.send(device, &packets::subscribe(true, 7, filter));
            assert_eq!((got[0].kind, got[0].body.last()), (0x90, Some(&0x8F)));
        }
        assert_eq!(world.over(device), None, "nothing else happens to it");
        // At QoS 0 it hears of it, and not by as long a text.
        world.send(
            device,
            &packets::subscribe(true, 8, "muster/v1/devices/pump-7/down/#"),
        );
        let got = world.send(device, &packets::publish(true, 0, 0, &long, b"{}"));
        assert!(got[0].body.len() < 1_000);
    }
}

#[test]
fn no_more_than_may_be_is_under_way_to_a_client_whatever_it_takes() {
    let mut world = World::with(Limits {
        in_flight: 2,
        ..Limits::default()
    });
    let device = world.device(true);
    for _ in 0..3 {
        world.push("registry/retire", "{}");
    }
    let got = world.got(device);
    assert_eq!(got.len(), 2);
    let got = world.send(device, &packets::answer(0x40, got[0].publish_id(), 0));
    assert_eq!((got.len(), got[0].kind), (1, 0x32), "the next one");
}
