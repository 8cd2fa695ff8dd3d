//! A PUBACK is a promise.

use contract::{
    id::ServiceName,
    v1::{Changed, Done},
};
use session::Limits;

use crate::{
    packets,
    world::{World, up},
};

const REPORT: &str = "registry/report";

#[test]
fn a_publish_is_acknowledged_when_its_service_has_answered_and_not_before() {
    for v5 in [false, true] {
        let mut world = World::new();
        let device = world.device(v5);
        let got = world.send(
            device,
            &packets::publish(v5, 1, 5, &up("devices/pump-7", REPORT), b"{}"),
        );
        assert!(got.is_empty(), "{got:?}");
        let requests = world.requests(ServiceName::Registry);
        assert_eq!(requests.len(), 1);
        assert_eq!(
            (requests[0].serial.as_str(), requests[0].connection),
            ("01", device)
        );
        world.reply(ServiceName::Registry, &requests[0], &Changed::default());
        let got = world.got(device);
        let kinds: Vec<_> = got.iter().map(|g| g.kind & 0xF0).collect();
        assert_eq!(kinds, [0x30, 0x40], "the reply, then the acknowledgement");
        assert_eq!(got[1].packet_id(), 5);
        assert!(got[0].message(v5).0.ends_with("/down/registry/report/accepted"));
    }
}

#[test]
fn acknowledgements_leave_in_the_order_of_the_publishes_to_the_same_service() {
    let mut world = World::new();
    let device = world.device(true);
    for id in 10..13 {
        world.send(
            device,
            &packets::publish(true, 1, id, &up("devices/pump-7", REPORT), b"{}"),
        );
    }
    world.send(
        device,
        &packets::publish(true, 1, 13, &up("devices/pump-7", "rollout/assignment"), b"{}"),
    );
    let registry = world.requests(ServiceName::Registry);
    let rollout = world.requests(ServiceName::Rollout);
    let acks = |world: &mut World| -> Vec<u16> {
        world
            .got(device)
            .iter()
            .filter(|g| g.kind == 0x40)
            .map(packets::Got::packet_id)
            .collect()
    };
    world.reply(ServiceName::Registry, &registry[2], &Done::default());
    world.reply(ServiceName::Registry, &registry[1], &Done::default());
    assert!(acks(&mut world).is_empty());
    world.reply(ServiceName::Rollout, &rollout[0], &Done::default());
    assert_eq!(acks(&mut world), [13], "another service's order is its own");
    world.reply(ServiceName::Registry, &registry[0], &Done::default());
    assert_eq!(acks(&mut world), [10, 11, 12]);
}

#[test]
fn an_answer_waits_for_the_facts_that_were_told_before_it() {
    let mut world = World::new();
    let device = world.device(true);
    let operator = world.dial(contract::Kind::Operator, "ada", "0a");
    world.open(operator, true, "ada");
    world
        .door
        .link_down(ServiceName::Registry, session::Leaving::Lost);
    let suspend = packets::publish(true, 1, 7, &up("operators/ada", "registry/suspend"), b"{}");
    world.send(operator, &suspend);
    world.door.link_up(ServiceName::Registry, world.now);
    let sent = world.take(ServiceName::Registry);
    let question = sent[0].clone();
    assert!(
        question.topic.ends_with("/facts"),
        "what is missing is asked first"
    );
    let asked = world.only_requests(sent);
    world.tell_device(contract::v1::Stage::Active, contract::v1::Restriction::Suspended);
    assert_eq!(
        world.over(device),
        Some("not-authorized"),
        "a change counts before the pages come"
    );
    world.reply(ServiceName::Registry, &asked[0], &Done::default());
    assert!(world.got(operator).is_empty(), "the answer waits");
    world.answer_nothing_new(ServiceName::Registry, &question);
    let kinds: Vec<_> = world.got(operator).iter().map(|got| got.kind & 0xF0).collect();
    assert_eq!(
        kinds,
        [0x30, 0x40],
        "now the message and its acknowledgement come"
    );
}

#[test]
fn a_service_that_was_away_gets_the_window_again_and_answers_settle_it_once() {
    let mut world = World::new();
    let device = world.device(false);
    world.send(
        device,
        &packets::publish(false, 1, 5, &up("devices/pump-7", REPORT), b"{\"model\":\"a\"}"),
    );
    let first = world.requests(ServiceName::Registry);
    world
        .door
        .link_down(ServiceName::Registry, session::Leaving::Lost);
    world.send(
        device,
        &packets::publish(false, 1, 6, &up("devices/pump-7", REPORT), b"{\"model\":\"b\"}"),
    );
    assert!(world.requests(ServiceName::Registry).is_empty());
    world.door.link_up(ServiceName::Registry, world.now);
    let sent = world.take(ServiceName::Registry);
    world.answer_nothing_new(ServiceName::Registry, &sent[0]);
    let again = world.only_requests(sent);
    assert_eq!(
        again.iter().map(|f| &f.payload[..]).collect::<Vec<_>>(),
        [&b"{\"model\":\"a\"}"[..], b"{\"model\":\"b\"}"]
    );
    assert_eq!(first[0].request, again[0].request, "under the same number");
    world.reply(ServiceName::Registry, &again[0], &Done::default());
    world.reply(ServiceName::Registry, &first[0], &Done::default());
    assert_eq!(world.got(device).iter().filter(|g| g.kind == 0x40).count(), 1);
}

#[test]
fn what_is_never_answered_ends_the_connection_without_an_acknowledgement() {
    let mut world = World::new();
    let device = world.device(true);
    world.send(
        device,
        &packets::publish(true, 1, 5, &up("devices/pump-7", REPORT), b"{}"),
    );
    world.pass_time(world.limits.give_up_ms + 1);
    let got = world.got(device);
    assert_eq!(got.iter().map(|g| g.kind).collect::<Vec<_>>(), [0xE0]);
    assert_eq!(got[0].body[0], 0x89, "server busy");
    assert_eq!(world.over(device), Some("kicked"));
}

#[test]
fn a_full_window_stops_the_reading_and_loses_nothing() {
    let mut world = World::with(Limits {
        window: 8,
        ..Limits::default()
    });
    let device = world.device(false);
    for id in 1..=10 {
        world.send(
            device,
            &packets::publish(false, 1, id, &up("devices/pump-7", REPORT), b"{}"),
        );
    }
    let requests = world.requests(ServiceName::Registry);
    assert_eq!(requests.len(), 8);
    for request in &requests {
        world.reply(ServiceName::Registry, request, &Done::default());
    }
    let rest = world.requests(ServiceName::Registry);
    assert_eq!(rest.len(), 2);
    for request in &rest {
        world.reply(ServiceName::Registry, request, &Done::default());
    }
    let acks: Vec<_> = world
        .got(device)
        .iter()
        .filter(|g| g.kind == 0x40)
        .map(packets::Got::packet_id)
        .collect();
    assert_eq!(acks, (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_heartbeat_is_acknowledged_on_receipt_even_while_monitoring_is_away() {
    let mut world = World::new();
    let device = world.device(false);
    world
        .door
        .link_down(ServiceName::Monitoring, session::Leaving::Lost);
    let topic = up("devices/pump-7", "monitoring/heartbeat");
    for (id, payload) in [(1, "{\"uptime_ms\":\"1\"}"), (2, "{\"uptime_ms\":\"2\"}")] {
        let got = world.send(
            device,
            &packets::publish(false, 1, id, &topic, payload.as_bytes()),
        );
        assert_eq!((got.len(), got[0].kind, got[0].packet_id()), (1, 0x40, id));
    }
    world.door.link_up(ServiceName::Monitoring, world.now);
    let kept = world.requests(ServiceName::Monitoring);
    assert_eq!(kept.len(), 1, "the newest is kept");
    assert_eq!(&kept[0].payload[..], b"{\"uptime_ms\":\"2\"}");
}

#[test]
fn a_reply_that_comes_later_is_delivered_though_the_publish_is_settled() {
    let mut world = World::new();
    let device = world.device(true);
    world.send(
        device,
        &packets::publish(true, 1, 5, &up("devices/pump-7", "provisioning/renew"), b"{}"),
    );
    let request = world.requests(ServiceName::Provisioning).remove(0);
    let mut taken = contract::v1::Frame {
        request: request.request,
        ..Default::default()
    };
    taken.set_purpose(contract::v1::Purpose::Taken);
    world.door.on_frame(ServiceName::Provisioning, taken, world.now);
    world.pass_time(1);
    assert_eq!(world.got(device)[0].kind, 0x40);
    let late = contract::v1::Frame {
        request: None,
        ..request
    };
    world.reply(ServiceName::Provisioning, &late, &Done::default());
    assert_eq!(world.got(device)[0].kind & 0xF0, 0x30);
}

#[test]
fn a_will_is_spoken_when_the_client_is_lost_and_not_when_it_says_goodbye() {
    for (goodbye, spoken) in [(true, 0), (false, 1)] {
        let mut world = World::new();
        let device = world.dial(contract::Kind::Device, "pump-7", "01");
        let will = packets::connect_with_will("pump-7", &up("devices/pump-7", REPORT), "{}");
        world.send(device, &will);
        if goodbye {
            world.send(device, &packets::disconnect());
        }
        world.close(device);
        assert_eq!(world.requests(ServiceName::Registry).len(), spoken);
    }
}

#[test]
fn who_is_shut_out_does_not_speak_by_a_will() {
    let mut world = World::new();
    let device = world.dial(contract::Kind::Device, "pump-7", "01");
    world.send(
        device,
        &packets::connect_with_will("pump-7", &up("devices/pump-7", REPORT), "{}"),
    );
    world.tell_certificate(
        "01",
        "devices",
        "pump-7",
        contract::v1::CertificateStatus::Revoked,
    );
    world.close(device);
    assert!(world.requests(ServiceName::Registry).is_empty());
}

#[test]
fn a_flood_at_qos_0_takes_nobodys_place() {
    let mut world = World::with(Limits {
        window: 200,
        ..Limits::default()
    });
    let (device, ada) = (
        world.device(false),
        world.dial(contract::Kind::Operator, "ada", "0a"),
    );
    world.open(ada, true, "ada");
    for _ in 0..500 {
        world.send(
            device,
            &packets::publish(false, 0, 0, &up("devices/pump-7", REPORT), b"{}"),
        );
    }
    let of =
        |frames: Vec<contract::v1::Frame>, who: &str| frames.iter().filter(|f| f.topic.contains(who)).count();
    assert_eq!(
        of(world.requests(ServiceName::Registry), "pump-7"),
        usize::from(world.limits.receive_maximum)
    );
    world.send(
        ada,
        &packets::publish(true, 1, 7, &up("operators/ada", "registry/show"), b"{}"),
    );
    assert_eq!(of(world.requests(ServiceName::Registry), "ada"), 1);
    world.close(device);
    assert_eq!(
        world.door.status(world.now).lanes[0].2,
        1,
        "what it asked for is forgotten with it"
    );
}

#[test]
fn a_later_request_does_not_overtake_one_that_waits_for_room() {
    let mut world = World::with(Limits {
        window_bytes: 9_000,
        ..Limits::default()
    });
    let device = world.device(false);
    let topic = up("devices/pump-7", REPORT);
    let large = vec![b'{'; 5_000];
    for (id, payload) in [(1, &large[..]), (2, &large), (3, b"{}")] {
        world.send(device, &packets::publish(false, 1, id, &topic, payload));
    }
    let first = world.requests(ServiceName::Registry);
    assert_eq!(first.len(), 1);
    world.reply(ServiceName::Registry, &first[0], &Done::default());
    let sizes: Vec<_> = world
        .requests(ServiceName::Registry)
        .iter()
        .map(|f| f.payload.len())
        .collect();
    assert_eq!(sizes, [5_000, 2]);
}
