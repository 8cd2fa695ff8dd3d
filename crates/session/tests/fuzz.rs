//! What strangers send to the front door in any order: packets of both versions, changed and cut anywhere, and
//! what a service that has lost its mind would send.
#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

#[path = "behaviour/packets.rs"]
mod packets;
#[path = "behaviour/world.rs"]
mod world;

use contract::{
    Kind, ServiceName,
    v1::{Done, Event, Fact, FactsPage, Frame, Purpose, RequestNumber},
};
use falsify::{changed, falsify, mutated};
use packets::{Got, packet, publish, subscribe, text};
use proptest::{prelude::*, sample::Index};
use prost::Message;
use service::Now;
use session::{LinkEvent, ServiceLink};
use world::{World, up};

const CASES: u32 = 1_500;
/// What one stranger's bytes may be answered with, for each of them and besides.
const ANSWER_PER_BYTE: usize = 16;
const ANSWER: usize = 4_096;

/// Properties, reason codes, topics and lengths.
const WORDS: &[&[u8]] = &[
    b"\x00\x04MQTT",
    b"\x00\x06MQIsdp",
    b"\x11\xFF\xFF\xFF\xFF",
    b"\x21\x00\x00",
    b"\x22\x00\x01",
    b"\x23\x00\x01",
    b"\x26\x00\x01k\x00\x01v",
    b"\x15\x00\x01x",
    b"\x0B\x00",
    b"\x09\x00\x01c",
    b"\xFF\xFF\xFF\x7F",
    b"\x80\x80\x80\x80\x01",
    b"\x00\x00",
    b"\xFF\xFF",
    b"\xED\xA0\x80",
    b"$share/g/#",
    b"/+/#",
    b"\x30\x00",
    b"\xC0\x00",
    b"\xE0\x00",
    b"\x00\x2Emuster/v1/devices/pump-8/up/registry/report",
];

fn hello(v5: bool) -> Vec<u8> {
    let mut body = text("MQTT");
    // With a will, a user name and a password.
    body.extend([if v5 { 5 } else { 4 }, 0xC6, 0, 60]);
    if v5 {
        body.extend([8, 0x11, 0, 0, 0, 0, 0x21, 0, 9]);
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

/// All that a client may send.
fn packets_of(v5: bool) -> Vec<Vec<u8>> {
    let topic = |verb| up("devices/pump-7", verb);
    let none: &[u8] = if v5 { &[0] } else { &[] };
    let filter = text("muster/v1/devices/pump-7/down/#");
    let mut all = vec![
        hello(v5),
        packets::connect(v5, "pump-7:b", 0),
        publish(v5, 0, 0, &topic("registry/report"), b"{}"),
        publish(v5, 1, 1, &topic("registry/report"), b"{}"),
        publish(v5, 1, 2, &topic("rollout/assignment"), b"{}"),
        publish(v5, 1, 3, &topic("monitoring/heartbeat"), b"{}"),
        publish(v5, 1, 4, &up("devices/pump-8", "registry/report"), b"{}"),
        packets::again(publish(v5, 1, 1, &topic("registry/report"), b"{}")),
        publish(v5, 2, 5, &topic("registry/report"), b"{}"),
        subscribe(v5, 6, "muster/v1/devices/pump-7/down/#"),
        subscribe(v5, 7, "#"),
        packet(0xA2, &[&[0, 8], none, &filter].concat()),
        packet(0x40, &[0, 1]),
        packet(0x50, &[0, 1]),
        packet(0x62, &[0, 5]),
        packet(0x70, &[0, 5]),
        packet(0xC0, &[]),
        packets::disconnect(),
    ];
    if v5 {
        let property = [&[0, 9, 4, 0x23, 0, 1, 0x01][..], b"{}"].concat();
        let body = [&text(&topic("registry/report"))[..], &property].concat();
        all.push(packet(0x32, &body));
        all.push(packet(0xE0, &[0x04, 5, 0x11, 0, 0, 0, 0]));
        all.push(packet(0xF0, &[0x18, 0]));
    }
    all
}

/// One client's bytes, as they are cut into reads.
fn client(v5: bool) -> impl Strategy<Value = (bool, Vec<u8>, Vec<Index>)> {
    let honest = prop::sample::select(packets_of(v5));
    let one =
        prop_oneof![4 => honest, 3 => changed(packets_of(v5), WORDS), 1 => mutated(packets_of(v5), WORDS)];
    let begins =
        prop_oneof![6 => Just(hello(v5)), 1 => changed(vec![hello(v5)], WORDS), 1 => Just(Vec::new())];
    let bytes =
        (begins, prop::collection::vec(one, 0..10)).prop_map(|(first, rest)| [first, rest.concat()].concat());
    (Just(v5), bytes, prop::collection::vec(any::<Index>(), 0..6))
}

/// Sends the bytes in their parts; what came back for each.
fn send(world: &mut World, device: u64, bytes: &[u8], cuts: &[Index]) -> Vec<Got> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    let parts = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
    parts.flat_map(|part| world.send(device, part)).collect()
}

fn size(got: &[Got]) -> usize {
    got.iter().map(|got| got.body.len() + 5).sum()
}

/// Whoever is let go hears a reason that says so, and nothing after it.
fn check_farewell(got: &[Got]) {
    let farewells = got.iter().filter(|got| got.kind == 0xE0);
    for farewell in farewells.clone() {
        assert!(
            farewell.body.first().is_some_and(|reason| *reason >= 0x80),
            "{farewell:?}"
        );
    }
    let is_last = got.last().is_some_and(|last| last.kind == 0xE0);
    assert_eq!(farewells.count(), usize::from(is_last), "{got:?}");
}

#[test]
fn whatever_a_client_sends_it_harms_nobody() {
    let clients = prop_oneof![client(false), client(true)];
    let found = falsify(CASES, &clients, |(v5, bytes, cuts)| {
        let mut world = World::new();
        let device = world.dial(Kind::Device, "pump-7", "01");
        let got = send(&mut world, device, bytes, cuts);
        assert!(
            size(&got) <= ANSWER + ANSWER_PER_BYTE * bytes.len(),
            "{} bytes back",
            size(&got)
        );
        let was_let_in = got
            .first()
            .is_some_and(|got| got.kind == 0x20 && got.body[1] == 0);
        check_farewell(&got);
        let mut waiting = 0;
        for service in ServiceName::KEEPERS {
            let requests = world.requests(service);
            assert!(was_let_in || requests.is_empty(), "heard before it was let in");
            for request in &requests {
                assert!(
                    request.topic.starts_with("muster/v1/devices/pump-7/up/"),
                    "{}",
                    request.topic
                );
                waiting += 1;
                world.reply(service, request, &Done::default());
            }
        }
        assert!(
            waiting <= bytes.len() / 8,
            "{waiting} requests of {} bytes",
            bytes.len()
        );
        world.close(device);
        // A will may have been spoken.
        for service in ServiceName::KEEPERS {
            for request in world.requests(service) {
                world.reply(service, &request, &Done::default());
            }
        }
        let left = world.door.status(world.now);
        assert_eq!(left.sessions, 0);
        // Monitoring has not been asked what it has heard of presence.
        let mut waiting = left
            .lanes
            .iter()
            .filter(|(service, ..)| *service != ServiceName::Monitoring);
        assert!(
            waiting.all(|(_, linked, waiting)| *linked && *waiting == 0),
            "{:?}",
            left.lanes
        );
        let other = world.device(*v5);
        assert_eq!(world.over(other), None, "the next one is let in");
    });
    assert!(found.is_none(), "fails for {found:?}");
}

/// What services send, each with its sender.
fn frames() -> Vec<Vec<u8>> {
    let down = |verb: &str| format!("muster/v1/devices/pump-7/down/{verb}");
    let event = Event {
        sequence: 1,
        subject: "devices/pump-7".into(),
        name: "moved".into(),
        data: b"{\"to\":\"STAGE_ACTIVE\"}".to_vec(),
        ..Event::default()
    };
    let fact = Fact {
        epoch: 7,
        sequence: 3,
        entity: "device".into(),
        id: "pump-8".into(),
        value: b"\x0A\x06pump-8\x10\x04".to_vec(),
        deleted: false,
    };
    let page = FactsPage {
        request_id: "facts-1-0-0".into(),
        epoch: 7,
        facts: vec![fact.clone()],
        last: 9,
        complete: true,
        whole: true,
    };
    let number = Some(RequestNumber { boot: 9, number: 1 });
    [
        (Purpose::Taken, String::new(), Vec::new()),
        (Purpose::Reply, down("registry/report/accepted"), b"{}".to_vec()),
        (
            Purpose::Reply,
            "muster/v1/services/front-door/down/registry/facts/accepted".into(),
            page.encode_to_vec(),
        ),
        (Purpose::Message, down("rollout/assignment"), b"{}".to_vec()),
        (
            Purpose::Event,
            "muster/v1/events/registry/devices.pump-7/moved".into(),
            event.encode_to_vec(),
        ),
        (
            Purpose::Fact,
            "muster/v1/facts/registry/device/pump-8".into(),
            fact.encode_to_vec(),
        ),
        (
            Purpose::Beacon,
            "muster/v1/facts/registry/beacon/head".into(),
            b"\x08\x07\x10\x03".to_vec(),
        ),
        (
            Purpose::Request,
            "muster/v1/services/monitoring/up/registry/quarantine".into(),
            b"{}".to_vec(),
        ),
        (
            Purpose::Request,
            "muster/v1/services/provisioning/up/front-door/kick".into(),
            b"{}".to_vec(),
        ),
    ]
    .map(|(purpose, topic, payload)| {
        let mut frame = Frame {
            topic,
            payload: payload.into(),
            request: number,
            connection: 1,
            response_topic: down("reply"),
            ..Frame::default()
        };
        frame.set_purpose(purpose);
        frame.encode_to_vec()
    })
    .to_vec()
}

#[test]
fn whatever_a_service_sends_a_device_hears_only_what_is_its_own() {
    let words: &[&[u8]] = &[
        b"\x0A\x00",
        b"/+/",
        b"#",
        b"muster/v1/",
        b"devices/pump-7/down/",
        b"facts/registry/",
        b"\x10\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
        b"\x18\x63",
    ];
    let frame = (0usize..4, changed(frames(), words));
    let found = falsify(CASES, &prop::collection::vec(frame, 1..8), |sent| {
        let mut world = World::new();
        let device = world.device(true);
        let report = publish(true, 1, 9, &up("devices/pump-7", "registry/report"), b"{}");
        world.send(device, &report);
        for (from, bytes) in sent {
            let Ok(frame) = Frame::decode(bytes.as_slice()) else {
                continue;
            };
            world.door.on_frame(ServiceName::KEEPERS[*from], frame, world.now);
            world.pass_time(1);
        }
        for got in world.got(device) {
            let is_message = got.kind & 0xF0 == 0x30;
            assert!(
                !is_message || got.message(true).0.starts_with("muster/v1/devices/pump-7/down/"),
                "{got:?}"
            );
        }
        world.pass_time(60_000);
        world.close(device);
        assert_eq!(world.door.status(world.now).sessions, 0);
    });
    assert!(found.is_none(), "fails for {found:?}");
}

#[test]
fn whatever_a_services_connection_sends_only_one_that_knows_the_secret_is_heard() {
    let connect = |user: &str, password: &str| {
        let mut body = [&text("MQTT")[..], &[5, 0xC2, 0, 60, 0]].concat();
        for part in ["registry", user, password] {
            body.extend(text(part));
        }
        packet(0x10, &body)
    };
    let honest = [
        connect("services/registry", "secret"),
        subscribe(true, 1, "muster/v1/bus/registry/in"),
        publish(true, 0, 0, "muster/v1/bus/registry/out", &frames()[0]),
        publish(true, 1, 2, "muster/v1/bus/registry/out", &frames()[1]),
        packet(0xC0, &[]),
        packets::disconnect(),
    ];
    let others = [
        connect("services/registry", "secreT"),
        connect("services/front-door", "secret"),
        subscribe(true, 1, "#"),
        publish(true, 0, 0, "muster/v1/bus/rollout/out", b"x"),
    ];
    let corpus: Vec<_> = honest.iter().chain(&others).cloned().collect();
    let one = prop_oneof![3 => prop::sample::select(corpus.clone()), 2 => changed(corpus, WORDS)];
    let begins = prop_oneof![2 => Just(honest[..2].concat()), 1 => Just(Vec::new())];
    let bytes =
        (begins, prop::collection::vec(one, 0..8)).prop_map(|(first, rest)| [first, rest.concat()].concat());
    let found = falsify(CASES, &bytes, |bytes| {
        let now = Now::default();
        let mut link = ServiceLink::new(world::ROOT.parse().unwrap(), "secret".into(), now);
        let (mut joined, mut over, mut back) = (false, false, 0);
        for part in bytes.chunks(61) {
            for event in link.receive(part, now) {
                assert!(!over, "an event after the end");
                match event {
                    LinkEvent::Joined(service) => {
                        assert_eq!(service, ServiceName::Registry);
                        joined = true;
                        link.listening();
                    }
                    LinkEvent::Out(_) => assert!(joined, "heard before it was let in"),
                    LinkEvent::Over { .. } => over = true,
                }
            }
            back += link.take_output().len();
        }
        assert!(back <= ANSWER + ANSWER_PER_BYTE * bytes.len());
        assert!(!joined || bytes.windows(6).any(|word| word == b"secret"));
    });
    assert!(found.is_none(), "fails for {found:?}");
}
