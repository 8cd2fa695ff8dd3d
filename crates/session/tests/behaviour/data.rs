//! Devices' own streams, and whom they reach.

use contract::{
    Kind,
    v1::{Restriction, Role, Stage},
};
use session::Limits;

use crate::{
    packets::{self, Hello, Will},
    world::{ROOT, World, up},
};

fn data() -> String {
    up("devices/pump-7", "front-door/data")
}

fn all_data() -> String {
    format!("{ROOT}/devices/+/up/front-door/data")
}

/// A world in which the integrator may read the data of these devices.
fn granted(devices: Vec<&'static str>, limits: Limits) -> World {
    let mut world = World::with(limits);
    world.data_devices = devices;
    world.tell_person("integrators", "erp", Role::Unspecified, &["registry/#"]);
    world
}

/// The integrator, with a session that is kept.
fn erp(world: &mut World, v5: bool, client_id: &'static str) -> u64 {
    let erp = world.dial(Kind::Integrator, "erp", "0e");
    let hello = Hello {
        client_id,
        ..Hello::kept(v5, 600)
    };
    assert_eq!(world.send(erp, &hello.packet())[0].body[1], 0);
    erp
}

fn subscribe(world: &mut World, client: u64, filter: &str) -> u8 {
    let got = world.send(client, &packets::subscribe(true, 2, filter));
    *got[0].body.last().unwrap()
}

/// A publish of the device's at QoS 1; the reason in its PUBACK.
fn say(world: &mut World, device: u64, payload: &str) -> u8 {
    let got = world.send(device, &packets::publish(true, 1, 7, &data(), payload.as_bytes()));
    assert_eq!((got[0].kind, got[0].packet_id()), (0x40, 7));
    got[0].reason()
}

fn payloads(world: &mut World, client: u64) -> Vec<String> {
    let got = world.got(client);
    let said = got.iter().map(|got| got.message(true));
    said.map(|(topic, payload)| {
        assert_eq!(topic, data());
        String::from_utf8(payload).unwrap()
    })
    .collect()
}

#[test]
fn it_reaches_whoever_is_granted_it_and_nobody_else() {
    for (devices, filter, code) in [
        (vec!["+"], all_data(), 1),
        (vec!["+"], data(), 1),
        (vec!["pump-7"], data(), 1),
        (vec!["pump-7"], all_data(), 0x87),
        (vec!["pump-8"], data(), 0x87),
        (vec![], data(), 0x87),
        (vec!["+"], format!("{ROOT}/devices/+/up/registry/report"), 0x87),
        (vec!["+"], format!("{ROOT}/devices/+/up/+/data"), 0x87),
    ] {
        let mut world = granted(devices.clone(), Limits::default());
        let (erp, device) = (erp(&mut world, true, "erp"), world.device(true));
        assert_eq!(subscribe(&mut world, erp, &filter), code, "{devices:?} {filter}");
        let reason = say(&mut world, device, "22.5");
        let (expected, reached) = match code {
            1 => (0, vec!["22.5".to_owned()]),
            _ => (0x10, vec![]),
        };
        assert_eq!((reason, payloads(&mut world, erp)), (expected, reached));
    }
}

#[test]
fn an_operator_may_read_all_and_another_device_nothing() {
    let mut world = World::new();
    let ada = world.dial(Kind::Operator, "ada", "0a");
    world.open(ada, true, "ada");
    assert_eq!(subscribe(&mut world, ada, &all_data()), 1);
    let device = world.device(true);
    assert_eq!(subscribe(&mut world, device, &all_data()), 0x87);
    assert_eq!(subscribe(&mut world, device, &data()), 0x87);
    say(&mut world, device, "a");
    assert_eq!(payloads(&mut world, ada), ["a"]);
}

#[test]
fn it_comes_as_surely_as_both_ends_wish() {
    let mut world = granted(vec!["+"], Limits::default());
    let (erp, device) = (erp(&mut world, true, "erp"), world.device(true));
    for (granted, sent, expected) in [(0, 1, 0), (1, 0, 0), (1, 2, 1), (2, 2, 2), (2, 1, 1)] {
        world.send(erp, &packets::subscribe_with(true, 2, &[], &data(), granted));
        let answers = world.send(device, &packets::publish(true, sent, 9, &data(), b"x"));
        let answer = [None, Some(0x40), Some(0x50)][usize::from(sent)];
        assert_eq!(answers.first().map(|got| got.kind), answer);
        if sent == 2 {
            world.send(device, &packets::answer(0x62, 9, 0));
        }
        let got = world.got(erp);
        assert_eq!(
            (got.len(), got[0].kind >> 1 & 3),
            (1, expected),
            "{granted} {sent}"
        );
        if expected > 0 {
            let id = got[0].publish_id();
            let answer = if expected == 1 { 0x40 } else { 0x50 };
            world.send(erp, &packets::answer(answer, id, 0));
            if expected == 2 {
                world.send(erp, &packets::answer(0x70, id, 0));
            }
        }
    }
}

#[test]
fn a_grant_that_is_taken_away_ends_it_for_whoever_is_here_and_whoever_is_away() {
    let mut world = granted(vec!["+"], Limits::default());
    let (here, away) = (erp(&mut world, true, "erp:a"), erp(&mut world, true, "erp:b"));
    for client in [here, away] {
        subscribe(&mut world, client, &data());
    }
    world.close(away);
    let device = world.device(true);
    say(&mut world, device, "before");
    assert_eq!(payloads(&mut world, here), ["before"]);
    world.data_devices = vec![];
    world.tell_person("integrators", "erp", Role::Unspecified, &["registry/#"]);
    assert_eq!(say(&mut world, device, "after"), 0x10);
    assert!(world.got(here).is_empty());
    let again = erp(&mut world, true, "erp:b");
    assert!(world.got(again).is_empty(), "what waited is not for it any more");
}

#[test]
fn whoever_is_away_gets_it_on_return_as_far_as_there_is_room() {
    let mut limits = Limits::default();
    limits.kept_for_person.messages = 3;
    let mut world = granted(vec!["+"], limits);
    let away = erp(&mut world, true, "erp");
    subscribe(&mut world, away, &data());
    world.close(away);
    let device = world.device(true);
    for n in 0..5 {
        say(&mut world, device, &n.to_string());
    }
    let again = world.dial(Kind::Integrator, "erp", "0e");
    let hello = Hello {
        client_id: "erp",
        ..Hello::kept(true, 600)
    };
    let got = world.send(again, &hello.packet());
    let said = got[1..].iter().map(|got| got.message(true).1);
    assert_eq!(said.collect::<Vec<_>>(), [b"2", b"3", b"4"]);
}

#[test]
fn whoever_is_too_slow_loses_the_oldest_of_it_and_nothing_else() {
    let mut world = granted(
        vec!["+"],
        Limits {
            queue: 4,
            ..Limits::default()
        },
    );
    let erp = erp(&mut world, true, "erp");
    subscribe(&mut world, erp, &data());
    subscribe(&mut world, erp, &format!("{ROOT}/events/registry/#"));
    let device = world.device(true);
    // At QoS 1 some may be under way, and the client answers none.
    for n in 0..300 {
        say(&mut world, device, &n.to_string());
    }
    world.tell_event(contract::ServiceName::Registry, "devices/pump-7", "moved");
    let mut said = Vec::new();
    loop {
        let got = world.got(erp);
        if got.is_empty() {
            break;
        }
        for got in got {
            said.push(got.message(true));
            world
                .send(erp, &packets::answer(0x40, got.publish_id(), 0))
                .into_iter()
                .for_each(|got| said.push(got.message(true)));
        }
    }
    assert_eq!(world.over(erp), None);
    assert!(said.len() < 301, "{}", said.len());
    assert!(
        said.iter().any(|(topic, _)| topic.ends_with("/moved")),
        "the event is there"
    );
    assert!(
        said.iter().any(|(_, payload)| payload == b"299"),
        "the newest is there"
    );
}

#[test]
fn one_of_a_group_gets_it() {
    let mut world = granted(vec!["+"], Limits::default());
    let members = [erp(&mut world, true, "erp:a"), erp(&mut world, true, "erp:b")];
    for member in members {
        assert_eq!(
            subscribe(&mut world, member, &format!("$share/g/{}", all_data())),
            1
        );
    }
    let device = world.device(true);
    for _ in 0..4 {
        say(&mut world, device, "x");
    }
    assert_eq!(members.map(|member| world.got(member).len()), [2, 2]);
}

#[test]
fn a_will_may_be_data() {
    let mut world = granted(vec!["+"], Limits::default());
    let erp = erp(&mut world, true, "erp");
    subscribe(&mut world, erp, &data());
    let device = world.dial(Kind::Device, "pump-7", "01");
    let hello = Hello {
        will: Some(Will {
            flags: 0x08,
            properties: vec![],
            topic: data(),
            payload: "lost",
        }),
        ..Hello::kept(true, 0)
    };
    let connack = &world.send(device, &hello.packet())[0];
    assert_eq!(connack.body[1], 0, "{connack:?}");
    world.close(device);
    assert_eq!(payloads(&mut world, erp), ["lost"]);
}

#[test]
fn what_may_not_be_said_reaches_nobody() {
    let mut world = granted(vec!["+"], Limits::default());
    let (erp, device) = (erp(&mut world, true, "erp"), world.device(true));
    subscribe(&mut world, erp, &all_data());
    let other = up("devices/pump-8", "front-door/data");
    let large = vec![0; contract::limits::PAYLOAD_BYTES + 1];
    let retained = {
        let mut packet = packets::publish(true, 1, 3, &data(), b"x");
        packet[0] |= 1;
        packet
    };
    for (packet, reason) in [
        (packets::publish(true, 1, 1, &other, b"x"), 0x87),
        (packets::publish(true, 1, 2, &data(), &large), 0x97),
        (retained, 0x83),
    ] {
        let got = world.send(device, &packet);
        assert_eq!((got[0].kind, got[0].reason()), (0x40, reason));
    }
    world.tell_device(Stage::Active, Restriction::Quarantined);
    assert_eq!(say(&mut world, device, "x"), 0x87);
    assert!(world.got(erp).is_empty());
    let own = up("integrators/erp", "front-door/data");
    let got = world.send(erp, &packets::publish(true, 1, 4, &own, b"x"));
    assert_eq!(got[0].reason(), 0x87, "it is for devices");
}
