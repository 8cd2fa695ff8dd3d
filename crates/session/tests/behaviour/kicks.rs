//! What takes effect on those who are connected already.

use contract::{
    id::ServiceName,
    v1::{CertificateStatus, Kicked, Presence, PresenceSnapshot, Restriction, Stage},
    wire,
};

use crate::world::World;

#[test]
fn a_revoked_certificate_ends_its_sessions_and_the_receipt_counts_them() {
    let mut world = World::new();
    let device = world.device(true);
    world.tell_certificate("01", "devices", "pump-7", CertificateStatus::Revoked);
    assert_eq!(world.over(device), Some("not-authorized"));
    let farewell = world.got(device);
    assert_eq!((farewell[0].kind, farewell[0].body[0]), (0xE0, 0x87));
    assert!(receipt(&mut world).is_none(), "not before the session is closed");
    world.close(device);
    let receipt = receipt(&mut world).unwrap();
    assert_eq!(
        (
            receipt.revocation.as_str(),
            receipt.serial.as_str(),
            receipt.sessions
        ),
        ("rev-1", "01", 1)
    );
}

fn receipt(world: &mut World) -> Option<Kicked> {
    let frames = world.take(ServiceName::Provisioning);
    let frame = frames.into_iter().find(|f| f.topic.ends_with("/kicked"))?;
    wire::decode(&frame.payload, "").ok()
}

#[test]
fn a_revocation_without_sessions_is_receipted_at_once() {
    let mut world = World::new();
    world.tell_certificate("01", "devices", "pump-7", CertificateStatus::Revoked);
    assert_eq!(receipt(&mut world).unwrap().sessions, 0);
}

#[test]
fn what_has_its_receipt_gets_no_other() {
    let mut world = World::new();
    let settled = contract::v1::CertificateFact {
        serial: "01".into(),
        kind: "devices".into(),
        id: "pump-7".into(),
        status: CertificateStatus::Revoked as i32,
        not_after_ms: i64::MAX,
        revocation: String::new(),
    };
    world.tell_certificate("01", "devices", "pump-7", CertificateStatus::Revoked);
    assert!(receipt(&mut world).is_some());
    world.tell_fact(ServiceName::Provisioning, "certificate", "01", &settled);
    assert!(receipt(&mut world).is_none());
}

#[test]
fn suspended_and_retired_devices_lose_their_sessions() {
    for (stage, restriction) in [
        (Stage::Active, Restriction::Suspended),
        (Stage::Retired, Restriction::None),
    ] {
        let mut world = World::new();
        let device = world.device(true);
        world.tell_device(stage, restriction);
        assert_eq!(
            world.over(device),
            Some("not-authorized"),
            "{stage:?} {restriction:?}"
        );
    }
}

#[test]
fn a_departure_says_why() {
    let mut world = World::new();
    let departure = |world: &mut World, device: u64| -> Presence {
        world.take(ServiceName::Monitoring);
        world.close(device);
        let frames = world.take(ServiceName::Monitoring);
        let told = frames.iter().find(|f| f.topic.ends_with("/presence"));
        wire::decode(&told.unwrap().payload, "").unwrap()
    };
    let first = world.device(true);
    let second = world.device(true);
    let gone = departure(&mut world, first);
    assert_eq!(
        (&*gone.cause, &*gone.reason, gone.sessions),
        ("takeover", "", 1),
        "another is there"
    );
    world.tell_device(Stage::Active, Restriction::Suspended);
    let gone = departure(&mut world, second);
    assert_eq!(
        (&*gone.cause, &*gone.reason),
        ("not-authorized", "this device is suspended")
    );
    assert!(gone.session > first && gone.tls == "1.3", "{gone:?}");
    world.tell_device(Stage::Active, Restriction::None);
    let third = world.device(true);
    world.door.close();
    world.pass_time(1);
    let gone = departure(&mut world, third);
    assert_eq!((&*gone.cause, &*gone.reason), ("server-shutdown", ""));
}

#[test]
fn a_connection_that_ends_itself_says_why_as_well() {
    let mut world = World::new();
    let device = world.dial_until(contract::Kind::Device, "pump-7", "01", world.now.wall_ms + 500);
    world.open(device, true, "pump-7");
    world.take(ServiceName::Monitoring);
    world.pass_time(1_000);
    world.close(device);
    let frames = world.take(ServiceName::Monitoring);
    let told = frames.iter().find(|f| f.topic.ends_with("/presence")).unwrap();
    let gone: Presence = wire::decode(&told.payload, "").unwrap();
    assert_eq!(
        (&*gone.cause, &*gone.reason),
        ("not-authorized", "the certificate has expired")
    );
}

#[test]
fn presence_is_told_with_sessions_that_only_grow_and_a_snapshot_after_a_link() {
    let mut world = World::new();
    let device = world.device(true);
    let told = |world: &mut World| -> Vec<Presence> {
        let frames = world.take(ServiceName::Monitoring);
        let presence = frames.iter().filter(|f| f.topic.ends_with("/presence"));
        presence.map(|f| wire::decode(&f.payload, "").unwrap()).collect()
    };
    let arrival = told(&mut world).remove(0);
    assert!(arrival.connected && arrival.session == device && arrival.boot == 9 && arrival.sessions == 1);
    world.close(device);
    let departure = told(&mut world).remove(0);
    assert_eq!(
        (departure.connected, departure.cause.as_str(), departure.sessions),
        (false, "network", 0)
    );

    world.device(true);
    world
        .door
        .link_down(ServiceName::Monitoring, session::Leaving::Lost);
    world.door.link_up(ServiceName::Monitoring, world.now);
    let frames = world.take(ServiceName::Monitoring);
    let page = frames
        .iter()
        .find(|f| f.topic.ends_with("/presence-snapshot") && !f.payload.is_empty());
    let pages: Vec<PresenceSnapshot> = frames
        .iter()
        .filter(|f| f.topic.ends_with("/presence-snapshot"))
        .map(|f| wire::decode(&f.payload, "").unwrap())
        .collect();
    assert!(page.is_some());
    let last = pages.last().unwrap();
    assert_eq!((last.complete, last.present.len()), (true, 1));
}

#[test]
fn closing_lets_everybody_go_and_nobody_in() {
    let mut world = World::new();
    let device = world.device(true);
    world.door.close();
    world.pass_time(1);
    assert_eq!(world.over(device), Some("server-shutdown"));
    let late = world.dial(contract::Kind::Operator, "ada", "0a");
    let got = world.send(late, &crate::packets::connect(true, "ada", 60));
    assert_eq!(got[0].body[1], 0x88);
}
