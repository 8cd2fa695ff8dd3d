//! What MQTT 5 has beside MQTT 3.1.1.

use contract::{Kind, id::ServiceName, v1::Done};

use crate::{
    packets::{self, Hello, text},
    world::{ROOT, World, up},
};

fn connect(world: &mut World, properties: Vec<u8>) -> (u64, Vec<u8>) {
    let device = world.dial(Kind::Device, "pump-7", "01");
    let hello = Hello {
        properties,
        ..Hello::kept(true, 0)
    };
    let connack = world.send(device, &hello.packet()).remove(0);
    assert_eq!(connack.body[1], 0);
    (device, connack.body)
}

fn has(properties: &[u8], property: &[u8]) -> bool {
    properties.windows(property.len()).any(|w| w == property)
}

#[test]
fn a_client_may_name_its_topics_by_number() {
    let mut world = World::new();
    let (device, connack) = connect(&mut world, vec![]);
    let most = world.limits.topic_aliases;
    assert!(has(&connack, &[0x22, 0, most as u8]));
    let alias = |n: u16| [&[0x23][..], &n.to_be_bytes()].concat();
    let report = up("devices/pump-7", "registry/report");
    world.send(device, &packets::publish_with(1, 1, &report, &alias(1), b"{}"));
    world.send(device, &packets::publish_with(1, 2, "", &alias(1), b"{}"));
    let topics: Vec<_> = world
        .requests(ServiceName::Registry)
        .into_iter()
        .map(|f| f.topic)
        .collect();
    assert_eq!(topics, [report.clone(), report.clone()]);
    for (wrong, code) in [
        (packets::publish_with(1, 3, "", &alias(2), b"{}"), 0x94),
        (packets::publish_with(1, 3, &report, &alias(0), b"{}"), 0x82),
        (
            packets::publish_with(1, 3, &report, &alias(most + 1), b"{}"),
            0x94,
        ),
    ] {
        let mut world = World::new();
        let (device, _) = connect(&mut world, vec![]);
        let got = world.send(device, &wrong);
        assert_eq!((got[0].kind, got[0].body[0]), (0xE0, code), "{wrong:02x?}");
    }
    let long = "x".repeat(600);
    let got = world.send(device, &packets::publish_with(1, 3, &long, &alias(1), b"{}"));
    assert_eq!(
        (got[0].kind, got[0].body[0]),
        (0xE0, 0x90),
        "what is kept is short"
    );
}

#[test]
fn a_client_that_takes_numbers_gets_them() {
    let mut world = World::new();
    let (device, _) = connect(&mut world, vec![0x22, 0, 1]);
    world.send(
        device,
        &packets::subscribe(true, 1, &format!("{ROOT}/devices/pump-7/down/#")),
    );
    for (push, name) in [
        ("registry/retire", true),
        ("registry/retire", false),
        ("rollout/other", true),
        ("registry/retire", true),
    ] {
        world.push(push, "{}");
        let got = world.got(device).remove(0);
        assert_eq!(!got.message(true).0.is_empty(), name, "{push}");
        assert!(has(&got.publish_properties(), &[0x23, 0, 1]));
    }
}

#[test]
fn a_message_names_the_subscriptions_that_it_is_for() {
    let mut world = World::new();
    let (device, _) = connect(&mut world, vec![]);
    let all = format!("{ROOT}/devices/pump-7/down/#");
    let some = format!("{ROOT}/devices/pump-7/down/+/retire");
    world.send(device, &packets::subscribe_with(true, 1, &[0x0B, 7], &all, 0));
    world.send(device, &packets::subscribe_with(true, 2, &[0x0B, 9], &some, 1));
    world.push("registry/retire", "{}");
    let got = world.got(device);
    assert_eq!(
        (got.len(), got[0].kind),
        (1, 0x32),
        "one copy, as sure as the best"
    );
    let properties = got[0].publish_properties();
    assert!(
        has(&properties, &[0x0B, 7]) && has(&properties, &[0x0B, 9]),
        "{properties:?}"
    );
}

#[test]
fn identifiers_that_may_not_be_end_the_connection() {
    let filter = format!("{ROOT}/devices/pump-7/down/#");
    for wrong in [
        packets::subscribe_with(true, 1, &[0x0B, 0], &filter, 1),
        packets::subscribe_with(true, 1, &[0x0B, 1, 0x0B, 2], &filter, 1),
        packets::publish_with(1, 1, &up("devices/pump-7", "registry/report"), &[0x0B, 1], b"{}"),
        packets::subscribe_with(true, 1, &[], &format!("$share/g/{filter}"), 0x04),
    ] {
        let mut world = World::new();
        let (device, _) = connect(&mut world, vec![]);
        world.send(device, &wrong);
        assert_eq!(world.over(device), Some("protocol-error"), "{wrong:02x?}");
    }
}

#[test]
fn whoever_asks_hears_where_replies_may_be_sent() {
    let mut world = World::new();
    let (_, connack) = connect(&mut world, vec![0x19, 1]);
    let prefix = text(&format!("{ROOT}/devices/pump-7/down/"));
    assert!(has(&connack, &[&[0x1A][..], &prefix].concat()));
    let (_, connack) = connect(&mut World::new(), vec![0x19, 0]);
    assert!(!has(&connack, &prefix));
}

#[test]
fn reasons_go_to_whoever_takes_them_and_acknowledgements_to_everybody() {
    for (properties, with_reason) in [(vec![], true), (vec![0x17, 0], false)] {
        let mut world = World::new();
        let (device, _) = connect(&mut world, properties);
        let got = world.send(device, &packets::publish(true, 1, 5, "somewhere/else", b""));
        assert_eq!((got[0].kind, got[0].reason()), (0x40, 0x90));
        assert_eq!(got[0].body.len() > 4, with_reason);
    }
    let mut world = World::new();
    let (device, _) = connect(&mut world, vec![0x27, 0, 0, 0, 60]);
    let got = world.send(device, &packets::publish(true, 1, 5, "somewhere/else", b""));
    assert_eq!(
        (got[0].kind, got[0].reason()),
        (0x40, 0x90),
        "without a sentence it has room"
    );
}

#[test]
fn enhanced_authentication_is_not_offered() {
    let mut world = World::new();
    let device = world.dial(Kind::Device, "pump-7", "01");
    let properties = [&[0x15][..], &text("SCRAM-SHA-256")].concat();
    let got = world.send(
        device,
        &Hello {
            properties,
            ..Hello::kept(true, 0)
        }
        .packet(),
    );
    assert_eq!((got[0].kind, got[0].body[1]), (0x20, 0x8C));
    assert!(world.over(device).is_some());
}

#[test]
fn a_trace_comes_back_with_the_reply() {
    let mut world = World::new();
    let device = world.device(true);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let property = [&[0x26][..], &text("traceparent"), &text(trace)].concat();
    let report = up("devices/pump-7", "registry/report");
    world.send(device, &packets::publish_with(1, 5, &report, &property, b"{}"));
    let mut request = world.requests(ServiceName::Registry).remove(0);
    assert_eq!(request.traceparent, trace);
    request.correlation = "id".into();
    world.reply(ServiceName::Registry, &request, &Done::default());
    let got = world.got(device);
    assert!(has(&got[0].publish_properties(), &[0x09, 0, 2, b'i', b'd']));
}
