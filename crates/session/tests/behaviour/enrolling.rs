//! How often first certificates may be asked for from one address.

use contract::{
    id::{Kind, ServiceName},
    v1::Rejection,
    wire,
};
use session::Limits;

use crate::{
    packets::{Got, publish},
    world::{ROOT, World, up},
};

/// A world in which an address has two requests a minute.
fn world() -> World {
    World::with(Limits {
        enrolments_per_address: 2,
        ..Limits::default()
    })
}

/// A holder of the batch `lot` at an address, connected.
fn holder(world: &mut World, address: &str, id: &str) -> u64 {
    let client = world.dial_at(address, Kind::Claim, "lot", "0c");
    world.open(client, true, id);
    client
}

fn sign(world: &mut World, client: u64, id: &str, qos: u8) -> Vec<Got> {
    let topic = up(&format!("claims/{id}"), "provisioning/sign");
    world.send(client, &publish(true, qos, 9, &topic, br#"{"request_id":"r-1"}"#))
}

/// The refusal that came before the acknowledgement.
fn refused(id: &str, got: &[Got]) -> Rejection {
    let (topic, payload) = got[0].message(true);
    assert_eq!(
        topic,
        format!("{ROOT}/claims/{id}/down/provisioning/sign/rejected")
    );
    wire::decode(&payload, "").unwrap()
}

#[test]
fn an_address_that_asks_too_often_is_told_when_and_no_other_one_waits() {
    let mut world = world();
    let here = ["a", "b", "c", "d"].map(|id| holder(&mut world, "198.51.100.7:5", id));
    let elsewhere = holder(&mut world, "198.51.100.8:5", "e");
    world.take(ServiceName::Provisioning);
    for (client, id) in [(here[0], "a"), (here[1], "b"), (elsewhere, "e")] {
        assert!(
            sign(&mut world, client, id, 1).is_empty(),
            "it is with its service"
        );
    }
    assert_eq!(world.requests(ServiceName::Provisioning).len(), 3);
    for (client, id, wait_ms) in [(here[2], "c", 30_000), (here[3], "d", 60_000)] {
        let got = sign(&mut world, client, id, 1);
        assert_eq!(
            (got.len(), got[1].kind, got[1].reason()),
            (2, 0x40, 0x97),
            "{got:?}"
        );
        let told = refused(id, &got);
        assert_eq!(
            (told.code.as_str(), told.request_id.as_str(), told.retry_after_ms),
            ("limit", "r-1", wait_ms)
        );
    }
    assert!(world.requests(ServiceName::Provisioning).is_empty());
    let met = world.door.status(world.now).met;
    assert!(met.contains(&("enrolments_per_address", 2)), "{met:?}");
    // Whoever comes when he was told to is served.
    world.pass_time(30_000);
    assert!(sign(&mut world, here[2], "c", 1).is_empty());
    assert_eq!(world.requests(ServiceName::Provisioning).len(), 1);
}

#[test]
fn a_network_of_ipv6_is_one_address_and_the_machine_itself_none() {
    let mut world = world();
    for n in 0..4 {
        let id = format!("a{n}");
        let client = holder(&mut world, &format!("[2001:db8::{n}]:5"), &id);
        let got = sign(&mut world, client, &id, 0);
        assert_eq!(got.len(), usize::from(n >= 2), "{n}: {got:?}");
        let local = format!("b{n}");
        let client = holder(&mut world, "127.0.0.1:5", &local);
        assert!(sign(&mut world, client, &local, 1).is_empty());
    }
}

#[test]
fn factory_certificates_count_and_what_devices_and_people_ask_does_not() {
    let mut world = world();
    world.tell_manufacturer("acme", &[]);
    for n in 0..3 {
        let id = format!("f{n}");
        let client = world.dial_with_factory_at("198.51.100.7:6", "acme", &format!("SN-{n}"));
        world.open(client, true, &id);
        assert_eq!(sign(&mut world, client, &id, 1).is_empty(), n < 2);
    }
    let device = world.dial_at("198.51.100.7:7", Kind::Device, "pump-7", "01");
    world.open(device, true, "pump-7");
    world.take(ServiceName::Provisioning);
    for packet_id in 1..9 {
        let topic = up("devices/pump-7", "provisioning/renew");
        world.send(device, &publish(true, 1, packet_id, &topic, b"{}"));
    }
    assert_eq!(world.requests(ServiceName::Provisioning).len(), 8);
}
