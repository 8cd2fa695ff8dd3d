//! Devices that come with their manufacturer's certificate: what they may do, and when they must go.

use contract::{Kind, ServiceName, v1::CertificateStatus};

use crate::{
    packets,
    world::{ROOT, World, up},
};

/// What CONNACK says.
fn connack(world: &mut World, client: u64, client_id: &str) -> u8 {
    world.send(client, &packets::connect(true, client_id, 60))[0].body[1]
}

#[test]
fn it_asks_for_a_first_certificate_and_says_whose_it_is() {
    let mut world = World::new();
    world.tell_manufacturer("acme", &[]);
    let client = world.dial_with_factory("acme", "SN-7");
    world.open(client, true, "pump-9");
    world.take(ServiceName::Provisioning);
    let sign = packets::publish(true, 1, 2, &up("claims/pump-9", "provisioning/sign"), b"{}");
    world.send(client, &sign);
    let asked = world.requests(ServiceName::Provisioning).remove(0);
    let shown = asked.factory.unwrap();
    assert_eq!(
        (shown.manufacturer.as_str(), shown.serial_number.as_str()),
        ("acme", "SN-7")
    );
    assert_eq!((asked.batch.as_str(), asked.serial.as_str()), ("", ""));
}

#[test]
fn nothing_else_is_open_to_it() {
    let mut world = World::new();
    world.tell_manufacturer("acme", &[]);
    for (n, who) in [
        "devices/pump-7",
        "operators/ada",
        "integrators/erp",
        "claims/pump-8",
    ]
    .into_iter()
    .enumerate()
    {
        let client = world.dial_with_factory("acme", "SN-7");
        world.open(client, true, "pump-7");
        for verb in [
            "registry/report",
            "registry/list",
            "provisioning/renew",
            "provisioning/sign",
        ] {
            let got = world.send(client, &packets::publish(true, 1, 9, &up(who, verb), b"{}"));
            assert!(got[0].reason() >= 0x80, "{who} {verb}: {got:?}");
        }
        for filter in ["events/#", "devices/pump-7/down/#", "operators/ada/down/#"] {
            let got = world.send(client, &packets::subscribe(true, 4, &format!("{ROOT}/{filter}")));
            assert!(got[0].body.last().is_some_and(|code| *code >= 0x80), "{filter}");
        }
        world.close(client);
        assert!(n < 4);
    }
    // A manufacturer numbers its certificates as it likes: this one is no certificate of ours, nor used by it.
    world.tell_certificate("5e", "operators", "eve", CertificateStatus::Issued);
    world.take(ServiceName::Provisioning);
    let client = world.dial_with_factory("acme", "5e");
    world.open(client, true, "eve");
    assert!(world.requests(ServiceName::Provisioning).is_empty());
    assert!(world.over(client).is_none());
}

#[test]
fn whose_manufacturer_is_not_known_or_who_is_refused_does_not_come_in() {
    let mut world = World::new();
    let client = world.dial_with_factory("acme", "SN-7");
    assert!(connack(&mut world, client, "pump-9") >= 0x80);
    world.tell_manufacturer("acme", &["sn-8"]);
    let [refused, nameless, good] = ["SN-8", "", "SN-7"].map(|name| world.dial_with_factory("acme", name));
    assert!(connack(&mut world, refused, "pump-9") >= 0x80);
    assert!(connack(&mut world, nameless, "pump-9") >= 0x80);
    assert_eq!(connack(&mut world, good, "pump-9"), 0);
}

#[test]
fn whoever_is_refused_while_connected_must_go_and_the_others_stay() {
    let mut world = World::new();
    world.tell_manufacturer("acme", &[]);
    world.tell_manufacturer("other", &[]);
    let clients = [
        ("acme", "SN-7", "a"),
        ("acme", "SN-8", "b"),
        ("other", "SN-7", "c"),
    ];
    let clients = clients.map(|(manufacturer, name, id)| {
        let client = world.dial_with_factory(manufacturer, name);
        world.open(client, true, id);
        client
    });
    let batch = world.dial(Kind::Claim, "lot", "0c");
    world.open(batch, true, "d");
    world.tell_manufacturer("acme", &["SN-7"]);
    assert!(world.over(clients[0]).is_some());
    assert!(
        [clients[1], clients[2], batch]
            .iter()
            .all(|one| world.over(*one).is_none())
    );
}
