//! Event streams, and whom they reach.

use contract::{
    Kind,
    id::ServiceName,
    v1::{DeviceFact, Grant, PrincipalFact, ReplayMarker, Role, Stage},
};

use crate::{
    packets,
    world::{World, up},
};

#[test]
fn an_event_reaches_those_who_are_granted_it_as_a_cloud_event() {
    let mut world = World::new();
    let erp = world.dial(Kind::Integrator, "erp", "0e");
    world.open(erp, true, "erp");
    let code = |world: &mut World, filter: &str| {
        *world.send(erp, &packets::subscribe(true, 2, filter))[0]
            .body
            .last()
            .unwrap()
    };
    assert_eq!(code(&mut world, "muster/v1/events/registry/#"), 1);
    assert_eq!(code(&mut world, "muster/v1/events/monitoring/#"), 0x87);
    world.tell_event(ServiceName::Registry, "devices/pump-7", "moved");
    world.tell_event(ServiceName::Monitoring, "devices/pump-7", "online");
    let got = world.got(erp);
    assert_eq!(got.len(), 1);
    let (topic, payload) = got[0].message(true);
    assert_eq!(topic, "muster/v1/events/registry/devices/pump-7/moved");
    let json = String::from_utf8(payload).unwrap();
    assert!(
        json.contains("\"type\":\"muster.registry.device.moved.v1\""),
        "{json}"
    );
}

#[test]
fn a_grant_that_is_taken_away_ends_the_stream() {
    let mut world = World::new();
    let erp = world.dial(Kind::Integrator, "erp", "0e");
    world.open(erp, true, "erp");
    world.send(erp, &packets::subscribe(true, 2, "muster/v1/events/registry/#"));
    world.tell_person("integrators", "erp", Role::Unspecified, &["registry/people/#"]);
    world.tell_event(ServiceName::Registry, "devices/pump-7", "moved");
    assert!(world.got(erp).is_empty());
}

/// Events about devices reach whoever was granted their group, as long as the device is in it.
#[test]
fn whoever_has_a_group_hears_of_its_devices_alone() {
    let mut world = World::new();
    let device = |id: &str, groups: &[&str]| DeviceFact {
        device_id: id.into(),
        stage: Stage::Active.into(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..DeviceFact::default()
    };
    world.tell_fact(
        ServiceName::Registry,
        "device",
        "in-1",
        &device("in-1", &["berlin"]),
    );
    let grant = Grant {
        role: Role::Operator.into(),
        groups: vec!["berlin".into()],
        ..Default::default()
    };
    let ada = PrincipalFact {
        id: "ada".into(),
        kind: "operators".into(),
        grants: vec![grant],
        ..PrincipalFact::default()
    };
    world.tell_fact(ServiceName::Registry, "principal", "operators.ada", &ada);
    let ada = world.dial(Kind::Operator, "ada", "0a");
    world.open(ada, true, "ada");
    world.send(ada, &packets::subscribe(true, 2, "muster/v1/events/#"));
    for subject in [
        "devices/in-1",
        "devices/pump-7",
        "groups/berlin",
        "groups/rome",
        "rollouts/r-1",
        "people/operators.eve",
    ] {
        world.tell_event(ServiceName::Registry, subject, "changed");
    }
    let heard: Vec<_> = world.got(ada).iter().map(|got| got.message(true).0).collect();
    let expected = ["devices/in-1", "groups/berlin"];
    assert_eq!(
        heard,
        expected.map(|subject| format!("muster/v1/events/registry/{subject}/changed"))
    );
    // Others that say which device they are about.
    for (subject, name, data) in [
        ("certificates/0a", "issued", r#"{"kind":"devices","id":"in-1"}"#),
        ("certificates/0b", "issued", r#"{"kind":"devices","id":"pump-7"}"#),
        ("certificates/0c", "issued", r#"{"kind":"operators","id":"in-1"}"#),
        ("secrets/in-1", "made", "{}"),
        ("claims/in-1", "made", "{}"),
    ] {
        world.tell_event_with(ServiceName::Provisioning, subject, name, data);
    }
    let heard: Vec<_> = world.got(ada).iter().map(|got| got.message(true).0).collect();
    let expected = ["certificates/0a/issued", "secrets/in-1/made"];
    assert_eq!(
        heard,
        expected.map(|rest| format!("muster/v1/events/provisioning/{rest}"))
    );
    world.tell_fact(ServiceName::Registry, "device", "in-1", &device("in-1", &[]));
    world.tell_event(ServiceName::Registry, "devices/in-1", "changed");
    let data = r#"{"kind":"devices","id":"in-1"}"#;
    world.tell_event_with(ServiceName::Provisioning, "certificates/0a", "revoked", data);
    assert!(world.got(ada).is_empty());
    let topic = crate::world::up("operators/ada", "registry/put-group");
    let got = world.send(ada, &packets::publish(true, 1, 9, &topic, b"{}"));
    assert_eq!((got[0].kind, got[0].reason()), (0x40, 0x87));
}

#[test]
fn a_service_cannot_speak_for_another() {
    let mut world = World::new();
    let ada = world.dial(Kind::Operator, "ada", "0a");
    world.open(ada, true, "ada");
    world.send(ada, &packets::subscribe(true, 2, "muster/v1/events/#"));
    let topic = world
        .root()
        .event(ServiceName::Registry, "devices/pump-7", "moved");
    let mut frame = contract::v1::Frame {
        topic,
        ..Default::default()
    };
    frame.set_purpose(contract::v1::Purpose::Event);
    let now = world.now;
    world.door.on_frame(ServiceName::Rollout, frame, now);
    assert_eq!(world.door.status(now).counts.strays, 1);
    assert!(world.got(ada).is_empty());
}

#[test]
fn a_claims_reply_reaches_only_the_connection_that_asked() {
    let mut world = World::new();
    let (first, second) = (
        world.dial(Kind::Claim, "lot", "0c"),
        world.dial(Kind::Claim, "lot", "0c"),
    );
    world.open(first, true, "pump-9");
    world.open(second, true, "pump-9");
    let topic = crate::world::up("claims/pump-9", "provisioning/sign");
    world.send(second, &packets::publish(true, 1, 4, &topic, b"{}"));
    let request = world.requests(ServiceName::Provisioning).remove(0);
    assert_eq!((request.batch.as_str(), request.serial.as_str()), ("lot", "0c"));
    world.reply(
        ServiceName::Provisioning,
        &request,
        &contract::v1::Signed::default(),
    );
    assert_eq!(world.got(second).len(), 2);
    assert!(world.got(first).is_empty());
}

/// An integrator's session that listens to its `down/`.
fn listener(world: &mut World, client_id: &str) -> u64 {
    let number = world.dial(Kind::Integrator, "erp", "0e");
    world.open(number, true, client_id);
    number
}

/// A session asks for a page, and the registry sends one event and the marker.
fn replay(world: &mut World, from: u64) {
    let topic = up("integrators/erp", "registry/replay");
    world.send(from, &packets::publish(true, 1, 1, &topic, b"{}"));
    let request = world.requests(ServiceName::Registry).remove(0);
    world.stream(ServiceName::Registry, &request, "replay/event");
    world.reply(ServiceName::Registry, &request, &ReplayMarker::default());
}

fn topics(world: &mut World, of: u64) -> Vec<String> {
    let messages = world.got(of).into_iter().filter(|got| got.kind & 0xF0 == 0x30);
    messages
        .map(|got| {
            got.message(true)
                .0
                .rsplit_once("down/registry/")
                .unwrap()
                .1
                .to_owned()
        })
        .collect()
}

#[test]
fn a_replay_is_for_the_session_that_asked() {
    let mut world = World::new();
    let (one, other) = (listener(&mut world, "erp:1"), listener(&mut world, "erp:2"));
    world.got(one);
    replay(&mut world, other);
    assert_eq!(topics(&mut world, other), ["replay/event", "replay/accepted"]);
    assert!(topics(&mut world, one).is_empty());
    // Whoever asks and does not listen has others of theirs listen.
    let asks = world.dial(Kind::Integrator, "erp", "0e");
    world.send(asks, &packets::connect(true, "erp:3", 60));
    replay(&mut world, asks);
    for listens in [one, other] {
        assert_eq!(topics(&mut world, listens), ["replay/event", "replay/accepted"]);
    }
}
