//! A device whose certificate has ended: let in to renew, and for nothing else.

use contract::{
    Kind,
    id::ServiceName,
    v1::{CertificateStatus, Done, Restriction, Signed, Stage},
};
use session::Limits;

use crate::{
    packets,
    world::{World, up},
};

const GRACE_MS: u64 = 600_000;
/// The end of the certificate; the world begins a little later.
const END_MS: i64 = 999_000;

fn world() -> World {
    World::with(Limits {
        renew_after_ms: GRACE_MS,
        ..Limits::default()
    })
}

/// The device, let in over a certificate that has ended.
fn late(world: &mut World) -> u64 {
    let client = world.dial_until(Kind::Device, "pump-7", "01", END_MS);
    world.open(client, true, "pump-7");
    client
}

#[test]
fn it_asks_for_its_next_certificate_and_gets_the_answer_but_nothing_else() {
    let mut world = world();
    let device = late(&mut world);
    let pump = |verb: &str| up("devices/pump-7", verb);
    let refused = world.send(
        device,
        &packets::publish(true, 1, 1, &pump("registry/report"), b"{}"),
    );
    let ack = refused.iter().find(|got| got.kind == 0x40).unwrap();
    assert_eq!(ack.body[2], 0x87, "{refused:?}");
    assert!(world.requests(ServiceName::Registry).is_empty());
    world.send(
        device,
        &packets::publish(true, 1, 2, &pump("provisioning/renew"), b"{}"),
    );
    let renew = world.requests(ServiceName::Provisioning).remove(0);
    assert_eq!(renew.serial, "01");
    // What others say to the device is not for whoever holds a key that ended.
    world.tell_device_bytes(10);
    assert!(world.got(device).is_empty());
    world.reply(ServiceName::Provisioning, &renew, &Signed::default());
    let kinds: Vec<_> = world.got(device).iter().map(|got| got.kind & 0xF0).collect();
    assert_eq!(kinds, [0x30, 0x40]);
}

#[test]
fn nor_is_what_was_kept_for_whoever_subscribes() {
    let mut world = world();
    world.order("one");
    let device = world.dial_until(Kind::Device, "pump-7", "01", END_MS);
    world.send(device, &packets::connect(true, "pump-7", 60));
    let filter = "muster/v1/devices/pump-7/down/#";
    let got = world.send(device, &packets::subscribe(true, 1, filter));
    let kinds: Vec<_> = got.iter().map(|got| got.kind & 0xF0).collect();
    assert_eq!(kinds, [0x90], "the order is not for it");
}

#[test]
fn its_time_is_the_grace_and_the_owners_word_still_counts() {
    let mut world = world();
    let device = late(&mut world);
    world.tell_device(Stage::Active, Restriction::Quarantined);
    assert_eq!(world.over(device), None);
    world.tell_device(Stage::Active, Restriction::Suspended);
    assert_eq!(world.over(device), Some("not-authorized"));
    world.tell_device(Stage::Active, Restriction::None);
    let device = late(&mut world);
    world.tell_certificate("01", "devices", "pump-7", CertificateStatus::Revoked);
    assert_eq!(world.over(device), Some("not-authorized"));

    let mut world = self::world();
    let device = late(&mut world);
    // Kept alive until the grace is over.
    for _ in 0..10 {
        world.pass_time(59_000);
        world.send(device, &[0xC0, 0]);
        assert_eq!(world.over(device), None);
    }
    world.pass_time(10_000);
    assert_eq!(world.over(device), Some("not-authorized"));
    let again = world.dial_until(Kind::Device, "pump-7", "01", END_MS);
    assert_eq!(
        world.send(again, &packets::connect(true, "pump-7", 60))[0].body[1],
        0x87
    );
}

#[test]
fn a_session_does_not_outlive_its_certificate_and_comes_again_to_renew() {
    let mut world = world();
    let end = world.now.wall_ms + 30_000;
    let dial = |world: &mut World| world.dial_until(Kind::Device, "pump-7", "01", end);
    let device = dial(&mut world);
    world.open(device, true, "pump-7");
    world.send(
        device,
        &packets::publish(true, 1, 1, &up("devices/pump-7", "registry/report"), b"{}"),
    );
    let report = world.requests(ServiceName::Registry).remove(0);
    world.reply(ServiceName::Registry, &report, &Done::default());
    world.pass_time(30_001);
    assert_eq!(world.over(device), Some("not-authorized"));
    world.close(device);
    let device = dial(&mut world);
    world.open(device, true, "pump-7");
    assert_eq!(world.over(device), None);
}

#[test]
fn nobody_else_comes_in_late_and_nobody_at_all_where_it_is_turned_off() {
    let mut world = world();
    for (kind, id, serial, client_id) in [
        (Kind::Operator, "ada", "0a", "ada"),
        (Kind::Integrator, "erp", "0e", "erp"),
        (Kind::Claim, "lot", "0c", "pump-9"),
    ] {
        let client = world.dial_until(kind, id, serial, END_MS);
        let got = world.send(client, &packets::connect(true, client_id, 60));
        assert_eq!(got[0].body[1], 0x87, "{kind}");
    }
    let mut world = World::with(Limits {
        renew_after_ms: 0,
        ..Limits::default()
    });
    let client = world.dial_until(Kind::Device, "pump-7", "01", END_MS);
    assert_eq!(
        world.send(client, &packets::connect(true, "pump-7", 60))[0].body[1],
        0x87
    );
}
