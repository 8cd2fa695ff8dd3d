//! Every packet of both versions, cut at each byte and with each byte changed: a connection stays correct or
//! ends, and no publish is acknowledged that was not settled.

use contract::{id::ServiceName, v1::Done};

use crate::{
    packets::{self, Got, packet, text},
    world::{World, up},
};

const CHANGES: [fn(u8) -> u8; 14] = [
    |b| b ^ 0x01,
    |b| b ^ 0x02,
    |b| b ^ 0x04,
    |b| b ^ 0x08,
    |b| b ^ 0x10,
    |b| b ^ 0x20,
    |b| b ^ 0x40,
    |b| b ^ 0x80,
    |b| b.wrapping_add(1),
    |b| b.wrapping_sub(1),
    |_| 0x00,
    |_| 0x7F,
    |_| 0x80,
    |_| 0xFF,
];

/// The publish that waits for its service while the changed packet comes.
const PENDING: u16 = 0x0105;

fn connect(v5: bool) -> Vec<u8> {
    let mut body = text("MQTT");
    body.extend([if v5 { 5 } else { 4 }, 0xC6, 0, 60]);
    if v5 {
        // Session expiry, receive maximum, a user property.
        let properties = [&[0x11, 0, 0, 0, 0, 0x21, 0, 9, 0x26][..], &text("k"), &text("v")].concat();
        body.push(properties.len() as u8);
        body.extend(properties);
    }
    body.extend(text("pump-7"));
    if v5 {
        body.extend([5, 0x18, 0, 0, 0, 0]);
    }
    for part in [&up("devices/pump-7", "registry/report"), "{}", "user", "secret"] {
        body.extend(text(part));
    }
    packet(0x10, &body)
}

fn full_publish() -> Vec<u8> {
    let mut body = text(&up("devices/pump-7", "registry/report"));
    body.extend([0, 9]);
    let properties = [
        &[0x01, 1, 0x03][..],
        &text("application/json"),
        &[0x08],
        &text("muster/v1/devices/pump-7/down/registry/report"),
        &[0x09],
        &text("id"),
        &[0x26],
        &text("traceparent"),
        &text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ]
    .concat();
    body.extend([properties.len() as u8 | 0x80, (properties.len() >> 7) as u8]);
    body.extend(properties);
    body.extend(b"{}");
    packet(0x32, &body)
}

/// All that a client may send in a session.
fn packets_of(v5: bool) -> Vec<Vec<u8>> {
    let report = up("devices/pump-7", "registry/report");
    let filter = text("muster/v1/devices/pump-7/down/#");
    let none: &[u8] = if v5 { &[0] } else { &[] };
    let mut all = vec![
        packets::publish(v5, 0, 0, &report, b"{}"),
        packets::publish(v5, 1, 9, &report, b"{}"),
        packets::again(packets::publish(v5, 1, PENDING, &report, b"{}")),
        packets::publish(v5, 2, 9, &report, b"{}"),
        packets::publish(v5, 1, 9, &up("devices/pump-7", "monitoring/heartbeat"), b"{}"),
        packet(0x40, &[0, 1]),
        packet(0x50, &[0, 1]),
        packet(0x62, &[0, 1]),
        packet(0x70, &[0, 1]),
        packet(0x82, &[&[0, 9], none, &filter, &[1]].concat()),
        packet(0xA2, &[&[0, 9], none, &filter].concat()),
        packet(0xC0, &[]),
        packet(0xE0, &[]),
        connect(v5),
    ];
    if v5 {
        all.push(full_publish());
        all.push(packet(0x40, &[0, 1, 0x10, 0]));
        all.push(packet(0xE0, &[0x04, 5, 0x11, 0, 0, 0, 0]));
        all.push(packet(0xF0, &[0x18, 0]));
    }
    all
}

/// The packet cut at each byte, and with each byte changed.
fn mutations(packet: &[u8]) -> Vec<Vec<u8>> {
    let cut = (0..packet.len()).map(|at| packet[..at].to_vec());
    let changed = (0..packet.len()).flat_map(|at| {
        CHANGES.iter().map(move |change| {
            let mut bytes = packet.to_vec();
            bytes[at] = change(bytes[at]);
            bytes
        })
    });
    cut.chain(changed).collect()
}

fn acks(got: &[Got]) -> Vec<u16> {
    let acks = got.iter().filter(|got| got.kind == 0x40);
    acks.map(Got::packet_id).collect()
}

#[test]
fn a_session_stays_correct_or_ends() {
    let mut world = World::new();
    for v5 in [false, true] {
        for packet in packets_of(v5) {
            for bytes in mutations(&packet) {
                survives(&mut world, v5, &bytes);
            }
        }
    }
}

/// A device whose publish waits sends these bytes, and then is heard again, if it is still there.
fn survives(world: &mut World, v5: bool, bytes: &[u8]) {
    let device = world.device(v5);
    let report = up("devices/pump-7", "registry/report");
    world.send(device, &packets::publish(v5, 1, PENDING, &report, b"{}"));
    let pending = world.requests(ServiceName::Registry);
    assert_eq!(pending.len(), 1);

    let got = world.send(device, bytes);
    let requests = world.requests(ServiceName::Registry);
    let told = acks(&got);
    assert!(
        !told.contains(&PENDING),
        "{bytes:02x?}: acknowledged before it was settled"
    );
    // A changed publish reaches a service and waits, or it is refused or a heartbeat and has its answer.
    let held = requests.len();
    world.requests(ServiceName::Monitoring);
    assert!(
        held + told.len() <= 1,
        "{bytes:02x?}: {held} held, {told:?} acknowledged"
    );

    if world.over(device).is_none() {
        world.reply(ServiceName::Registry, &pending[0], &Done::default());
        let settled = acks(&world.got(device));
        assert_eq!(
            settled,
            [PENDING],
            "{bytes:02x?}: one acknowledgement, when it is settled"
        );
    } else {
        world.reply(ServiceName::Registry, &pending[0], &Done::default());
        assert!(acks(&world.got(device)).is_empty(), "{bytes:02x?}: it is over");
    }
    world.close(device);
    for request in world.requests(ServiceName::Registry).iter().chain(&requests) {
        world.reply(ServiceName::Registry, request, &Done::default());
    }
    let left = world.door.status(world.now);
    assert_eq!(
        (left.sessions, left.lanes[0].2),
        (0, 0),
        "{bytes:02x?}: nothing is left"
    );
}

#[test]
fn whoever_is_not_let_in_gets_nothing_and_harms_nobody() {
    let mut world = World::new();
    for v5 in [false, true] {
        for bytes in mutations(&connect(v5)) {
            let client = world.dial(contract::Kind::Device, "pump-7", "01");
            let mut all = bytes.clone();
            all.extend(packets::publish(
                v5,
                1,
                9,
                &up("devices/pump-7", "registry/report"),
                b"{}",
            ));
            let got = world.send(client, &all);
            let requests = world.requests(ServiceName::Registry);
            let let_in = got
                .first()
                .is_some_and(|got| got.kind == 0x20 && got.body[1] == 0);
            assert!(
                let_in || requests.is_empty(),
                "{bytes:02x?}: heard before it was let in"
            );
            assert!(acks(&got).is_empty() || requests.is_empty(), "{bytes:02x?}");
            world.close(client);
            for request in world.requests(ServiceName::Registry).iter().chain(&requests) {
                world.reply(ServiceName::Registry, request, &Done::default());
            }
            let left = world.door.status(world.now);
            assert_eq!((left.sessions, left.lanes[0].2), (0, 0), "{bytes:02x?}");
        }
    }
}
