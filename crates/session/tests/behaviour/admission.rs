//! Who is let in.

use contract::{
    Kind,
    id::ServiceName,
    v1::{CertificateStatus, CertificateUsed, Restriction, SecurityNotice, Stage},
    wire,
};
use session::Limits;

use crate::{packets, world::World};

/// The CONNACK's code.
fn knock(world: &mut World, kind: Kind, id: &str, serial: &str, client_id: &str) -> u8 {
    let client = world.dial(kind, id, serial);
    world.send(client, &packets::connect(true, client_id, 60))[0].body[1]
}

#[test]
fn a_known_certificate_of_a_device_that_counts_is_let_in() {
    let mut world = World::new();
    assert_eq!(knock(&mut world, Kind::Device, "pump-7", "01", "pump-7"), 0);
    assert_eq!(knock(&mut world, Kind::Operator, "ada", "0a", "ada:laptop"), 0);
}

#[test]
fn everybody_else_is_not() {
    let mut world = World::new();
    world.tell_certificate("02", "devices", "pump-7", CertificateStatus::Retired);
    world.tell_certificate("03", "devices", "pump-7", CertificateStatus::Planned);
    world.tell_certificate("04", "devices", "ghost", CertificateStatus::Active);
    for (kind, id, serial, client_id, code) in [
        (Kind::Device, "pump-7", "99", "pump-7", 0x87),
        (Kind::Device, "pump-7", "02", "pump-7", 0x87),
        (Kind::Device, "pump-7", "03", "pump-7", 0x87),
        (Kind::Device, "ghost", "04", "ghost", 0x87),
        (Kind::Device, "pump-8", "01", "pump-8", 0x87),
        (Kind::Service, "registry", "01", "registry", 0x87),
        (Kind::Device, "pump-7", "01", "pump-70", 0x85),
        (Kind::Device, "pump-7", "01", "x", 0x85),
    ] {
        assert_eq!(
            knock(&mut world, kind, id, serial, client_id),
            code,
            "{kind} {id} {serial} {client_id}"
        );
    }
}

#[test]
fn stage_and_restriction_decide() {
    for (stage, restriction, code) in [
        (Stage::Registered, Restriction::None, 0),
        (Stage::Retiring, Restriction::None, 0),
        (Stage::Active, Restriction::Quarantined, 0),
        (Stage::Active, Restriction::Suspended, 0x87),
        (Stage::Retired, Restriction::None, 0x87),
        (Stage::Planned, Restriction::None, 0x87),
    ] {
        let mut world = World::new();
        world.tell_device(stage, restriction);
        assert_eq!(
            knock(&mut world, Kind::Device, "pump-7", "01", "pump-7"),
            code,
            "{stage:?} {restriction:?}"
        );
    }
}

#[test]
fn the_first_use_of_a_certificate_is_told() {
    let mut world = World::new();
    world.tell_certificate("01", "devices", "pump-7", CertificateStatus::Issued);
    world.take(ServiceName::Provisioning);
    world.device(true);
    let frames = world.take(ServiceName::Provisioning);
    let used = frames.iter().find(|f| f.topic.ends_with("/used")).unwrap();
    assert_eq!(
        wire::decode::<CertificateUsed>(&used.payload, "").unwrap().serial,
        "01"
    );
}

#[test]
fn an_empty_client_id_is_given_one_and_a_claim_must_choose() {
    let mut world = World::new();
    assert_eq!(knock(&mut world, Kind::Operator, "ada", "0a", ""), 0);
    assert_eq!(knock(&mut world, Kind::Claim, "lot", "0c", ""), 0x87);
    assert_eq!(knock(&mut world, Kind::Claim, "lot", "0c", "pump-9"), 0);
}

#[test]
fn a_claim_hopes_for_what_its_batch_opens_and_for_nothing_else() {
    let mut world = World::new();
    world.tell_batch("pump-*", false);
    let hopeful = world.dial(Kind::Claim, "lot", "0c");
    world.open(hopeful, true, "pump-9");
    assert_eq!(knock(&mut world, Kind::Claim, "lot", "0c", "valve-1"), 0x87);
    assert_eq!(knock(&mut world, Kind::Claim, "lot", "0c", "pump-8:tool"), 0);
    world.tell_batch("pump-*", true);
    assert_eq!(world.over(hopeful), Some("not-authorized"));
    assert_eq!(knock(&mut world, Kind::Claim, "lot", "0c", "pump-9"), 0x87);
}

#[test]
fn whoever_is_refused_or_let_go_is_named_with_the_reason() {
    let mut world = World::new();
    world.tell_batch("pump-", false);
    world.take(ServiceName::Monitoring);
    for (kind, id, serial, client_id, who, batch, why) in [
        (
            Kind::Claim,
            "lot",
            "0c",
            "valve-1",
            "claims/valve-1",
            "lot",
            "does not open this device",
        ),
        (
            Kind::Device,
            "pump-7",
            "01",
            "pump-8",
            "devices/pump-7",
            "",
            "your client id is `pump-7`",
        ),
        (
            Kind::Device,
            "pump-7",
            "99",
            "pump-7",
            "devices/pump-7",
            "",
            "not known here",
        ),
    ] {
        let client = world.dial(kind, id, serial);
        world.send(client, &packets::connect(true, client_id, 60));
        let parted = world.parted(client);
        let found = (parted.who.as_str(), parted.batch.as_str(), parted.serial.as_str());
        assert_eq!(found, (who, batch, serial));
        assert!(parted.why.contains(why), "{parted:?}");
    }
    // A wrong client id is told like any other refusal.
    let told = world.take(ServiceName::Monitoring);
    let told = told.iter().filter(|frame| frame.topic.ends_with("/security"));
    let told: Vec<SecurityNotice> = told.map(|f| wire::decode(&f.payload, "").unwrap()).collect();
    let is_told = |notice: &SecurityNotice| {
        (notice.kind.as_str(), notice.id.as_str(), notice.what.as_str())
            == ("devices", "pump-7", "connect-denied")
            && notice.detail.contains("your client id")
    };
    assert!(told.iter().any(is_told), "{told:?}");
    let first = world.device(true);
    world.device(true);
    let parted = world.parted(first);
    assert_eq!(
        (parted.who.as_str(), parted.serial.as_str()),
        ("devices/pump-7", "01")
    );
    assert!(parted.why.contains("connected again"), "{parted:?}");
}

#[test]
fn the_same_client_takes_over_and_more_than_the_limit_is_refused() {
    let mut world = World::with(Limits {
        sessions_per_device: 2,
        ..Limits::default()
    });
    let first = world.device(true);
    let second = world.device(true);
    let farewell = world.got(first);
    assert_eq!((farewell[0].kind, farewell[0].body[0]), (0xE0, 0x8E));
    assert_eq!(world.over(first), Some("takeover"));
    assert_eq!(world.over(second), None);
    assert_eq!(knock(&mut world, Kind::Device, "pump-7", "01", "pump-7:b"), 0);
    assert_eq!(knock(&mut world, Kind::Device, "pump-7", "01", "pump-7:c"), 0x97);
}

/// The CONNACK's code of somebody who takes over, and closes whomever it took over.
fn take_over(world: &mut World, v5: bool, holder: &mut u64) -> u8 {
    let client = world.dial(Kind::Device, "pump-7", "01");
    let code = world.send(client, &packets::connect(v5, "pump-7", 60))[0].body[1];
    if code == 0 {
        world.close(*holder);
        *holder = client;
    }
    code
}

#[test]
fn two_holders_of_one_key_end_each_other_s_sessions_so_often_and_no_more() {
    let mut world = World::with(Limits {
        takeovers_per_minute: 3,
        ..Limits::default()
    });
    let mut holder = world.device(true);
    for _ in 0..3 {
        assert_eq!(take_over(&mut world, true, &mut holder), 0);
    }
    world.take(ServiceName::Monitoring);
    assert_eq!(take_over(&mut world, true, &mut holder), 0x9F);
    assert_eq!(take_over(&mut world, false, &mut holder), 0x03);
    assert_eq!(world.over(holder), None, "who is there stays");
    assert_eq!(knock(&mut world, Kind::Device, "pump-7", "01", "pump-7:other"), 0);
    let told = world.take(ServiceName::Monitoring);
    let told = told.iter().filter(|frame| frame.topic.ends_with("/security"));
    let told: Vec<SecurityNotice> = told.map(|f| wire::decode(&f.payload, "").unwrap()).collect();
    assert_eq!((told.len(), told[0].what.as_str()), (1, "takeovers"));
    assert!(told[0].detail.contains("again in 21 s"), "{}", told[0].detail);
    world.pass_time(20_000);
    assert_eq!(take_over(&mut world, true, &mut holder), 0);
    assert_eq!(take_over(&mut world, true, &mut holder), 0x9F);
    world.pass_time(60_000);
    for _ in 0..3 {
        assert_eq!(take_over(&mut world, true, &mut holder), 0);
    }
}

#[test]
fn a_full_house_says_that_it_is_busy_until_somebody_leaves() {
    let mut world = World::with(Limits {
        connections: 1,
        ..Limits::default()
    });
    let device = world.device(true);
    assert_eq!(knock(&mut world, Kind::Operator, "ada", "0a", "ada"), 0x89);
    world.close(device);
    assert_eq!(knock(&mut world, Kind::Operator, "ada", "0a", "ada"), 0);
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    let mut world = World::new();
    let silent = world.dial(Kind::Device, "pump-7", "01");
    world.send(silent, &packets::connect(true, "pump-7", 60)[..5]);
    world.pass_time(world.limits.connect_ms);
    assert_eq!(world.over(silent), Some("protocol-error"));
}

#[test]
fn silence_beyond_one_and_a_half_keep_alives_ends_a_session() {
    let mut world = World::new();
    let device = world.device(true);
    world.pass_time(89_000);
    assert_eq!(world.over(device), None);
    world.pass_time(1_000);
    assert_eq!(world.over(device), Some("keep-alive"));
}

#[test]
fn packets_that_come_right_behind_the_connect_are_not_lost() {
    let mut world = World::new();
    let device = world.dial(Kind::Device, "pump-7", "01");
    let mut bytes = packets::connect(false, "pump-7", 60);
    bytes.extend(packets::subscribe(false, 3, "muster/v1/devices/pump-7/down/#"));
    let kinds: Vec<_> = world.send(device, &bytes).iter().map(|g| g.kind).collect();
    assert_eq!(kinds, [0x20, 0x90]);
}
