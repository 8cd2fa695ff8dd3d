//! What the standards forbid ends a connection, and nothing is acknowledged.

use contract::id::ServiceName;

use crate::{
    packets::{self, text},
    world::{World, up},
};

/// A packet of this first byte whose body begins with this packet id.
fn numbered(first: u8, id: u16, v5: bool, rest: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if v5 && matches!(first >> 4, 8 | 10) {
        body.push(0);
    }
    body.extend_from_slice(rest);
    packets::packet(first, &body)
}

fn filter(options: u8) -> Vec<u8> {
    let mut body = text("muster/v1/devices/pump-7/down/#");
    body.push(options);
    body
}

fn with_flags(mut packet: Vec<u8>, flags: u8) -> Vec<u8> {
    packet[0] = packet[0] & 0xF0 | flags;
    packet
}

/// What is wrong, and the packet.
fn forbidden(v5: bool) -> Vec<(&'static str, Vec<u8>)> {
    let report = up("devices/pump-7", "registry/report");
    let publish = |qos: u8, id: u16| packets::publish(v5, qos, id, &report, b"{}");
    let name = text("muster/v1/devices/pump-7/down/#");
    let mut all = vec![
        ("PUBLISH with packet id 0", publish(1, 0)),
        ("SUBSCRIBE with packet id 0", numbered(0x82, 0, v5, &filter(1))),
        ("UNSUBSCRIBE with packet id 0", numbered(0xA2, 0, v5, &name)),
        ("PUBACK with packet id 0", numbered(0x40, 0, v5, &[])),
        ("a duplicate at QoS 0", with_flags(publish(0, 0), 0x08)),
        ("QoS 3", with_flags(publish(1, 7), 0x06)),
        ("SUBSCRIBE without its bit", numbered(0x80, 7, v5, &filter(1))),
        ("SUBSCRIBE with another bit", numbered(0x83, 7, v5, &filter(1))),
        ("UNSUBSCRIBE without its bit", numbered(0xA0, 7, v5, &name)),
        ("PUBACK with a bit", numbered(0x41, 7, v5, &[])),
        ("PUBREL without its bit", numbered(0x60, 7, v5, &[])),
        ("PINGREQ with a bit", vec![0xC1, 0]),
        ("DISCONNECT with a bit", vec![0xE8, 0]),
        ("type 0", vec![0x00, 0]),
        ("a CONNACK", vec![0x20, 2, 0, 0]),
        ("a PINGRESP", vec![0xD0, 0]),
        ("a length that is too long", vec![0xC0, 0x80, 0]),
        ("SUBSCRIBE without a filter", numbered(0x82, 7, v5, &[])),
        ("SUBSCRIBE at QoS 3", numbered(0x82, 7, v5, &filter(3))),
        (
            "SUBSCRIBE with reserved bits",
            numbered(0x82, 7, v5, &filter(0xC1)),
        ),
        ("UNSUBSCRIBE without a filter", numbered(0xA2, 7, v5, &[])),
        ("a topic with a zero", packets::publish(v5, 1, 7, "a\0b", b"{}")),
        ("no topic", packets::publish(v5, 1, 7, "", b"{}")),
    ];
    if v5 {
        let retain_handling = numbered(0x82, 7, v5, &filter(0x31));
        all.push(("retain handling 3", retain_handling));
    } else {
        all.push(("an option of MQTT 5", numbered(0x82, 7, v5, &filter(0x05))));
        all.push(("AUTH", vec![0xF0, 0]));
    }
    all
}

#[test]
fn what_the_standards_forbid_ends_the_connection() {
    for v5 in [false, true] {
        for (what, bytes) in forbidden(v5) {
            for cut in [bytes.len(), 1] {
                let mut world = World::new();
                let device = world.device(v5);
                let mut got = world.send(device, &bytes[..cut]);
                got.extend(world.send(device, &bytes[cut..]));
                assert!(
                    matches!(world.over(device), Some("protocol-error")),
                    "{what}, MQTT 5: {v5}: {:?} {got:?}",
                    world.over(device)
                );
                let told: Vec<_> = got.iter().map(|g| g.kind).collect();
                assert_eq!(told, if v5 { vec![0xE0] } else { vec![] }, "{what}, MQTT 5: {v5}");
                assert!(world.requests(ServiceName::Registry).is_empty(), "{what}");
            }
        }
    }
}

#[test]
fn what_they_allow_does_not() {
    for v5 in [false, true] {
        let mut world = World::new();
        let device = world.device(v5);
        let report = up("devices/pump-7", "registry/report");
        for bytes in [
            packets::again(packets::publish(v5, 1, 7, &report, b"{}")),
            packets::publish(v5, 0, 0, &report, b"{}"),
            numbered(0x82, 8, v5, &filter(1)),
            numbered(0xA2, 9, v5, &text("muster/v1/devices/pump-7/down/#")),
            vec![0xC0, 0],
        ] {
            for byte in &bytes {
                world.send(device, &[*byte]);
            }
            assert_eq!(world.over(device), None, "{bytes:?}");
        }
        assert_eq!(world.requests(ServiceName::Registry).len(), 2);
    }
}
