//! Other policies than the one of device management, and what the door asks them.

use std::sync::Arc;

use contract::{
    Code, Kind, Refusal,
    filter::Filter,
    id::ServiceName,
    v1::{Restriction, SecurityNotice, Stage},
    verb::Verb,
    wire,
};
use session::{Caller, Denial, DeviceManagement, Known, Offer, Policy, Standing};

#[path = "../../examples/read_only/policy.rs"]
mod read_only;

use crate::{
    packets,
    world::{ROOT, World, up},
};

fn default() -> DeviceManagement {
    DeviceManagement::new(ROOT.parse().unwrap(), 0)
}

fn notices(world: &mut World) -> Vec<SecurityNotice> {
    world.pass_time(1_000);
    let frames = world.take(ServiceName::Monitoring);
    let notices = frames.iter().filter(|frame| frame.topic.ends_with("/security"));
    notices
        .map(|frame| wire::decode(&frame.payload, "").unwrap())
        .collect()
}

#[test]
fn under_read_only_people_look_and_nobody_changes_anything() {
    let mut world = World::under(Arc::new(read_only::ReadOnly(default())));
    let device = world.dial(Kind::Device, "pump-7", "01");
    let got = world.send(device, &packets::connect(true, "pump-7", 60));
    assert_eq!((got[0].kind, got[0].body[1]), (0x20, 0x87), "{got:?}");
    let ada = world.dial(Kind::Operator, "ada", "0a");
    world.open(ada, true, "ada");
    world.send(ada, &packets::subscribe(true, 2, &format!("{ROOT}/events/#")));
    world.send(
        ada,
        &packets::publish(true, 1, 3, &up("operators/ada", "registry/show"), b"{}"),
    );
    let asked = world.requests(ServiceName::Registry);
    assert_eq!(asked.len(), 1, "a query reaches its service");
    let suspend = up("operators/ada", "registry/suspend");
    let got = world.send(ada, &packets::publish(true, 1, 4, &suspend, b"{}"));
    let ack = got.iter().find(|got| got.kind == 0x40).unwrap();
    assert_eq!(ack.body[2], 0x87, "{got:?}");
    assert!(world.requests(ServiceName::Registry).is_empty());
    world.tell_event(ServiceName::Registry, "devices/pump-7", "moved");
    assert_eq!(world.got(ada).len(), 1, "events are read as ever");
    let what: Vec<_> = notices(&mut world)
        .into_iter()
        .map(|notice| notice.what)
        .collect();
    assert_eq!(what, ["connect-denied", "publish-denied"]);
}

#[test]
fn what_a_policy_finds_worth_a_word_at_a_departure_is_told() {
    let mut world = World::under(Arc::new(read_only::ReadOnly(default())));
    for (goodbye, told) in [
        (packets::disconnect(), false),
        (vec![0xF0, 0xFF, 0xFF, 0xFF, 0xFF], true),
    ] {
        let ada = world.dial(Kind::Operator, "ada", "0a");
        world.open(ada, true, "ada");
        world.send(ada, &goodbye);
        world.close(ada);
        let notices = notices(&mut world);
        let remark = notices.iter().find(|notice| notice.what == "disconnected");
        assert_eq!(remark.is_some(), told, "{notices:?}");
        if let Some(remark) = remark {
            let said = (&*remark.kind, &*remark.id, &*remark.detail);
            assert_eq!(said, ("operators", "ada", "a reader broke the protocol"));
        }
    }
}

/// Whoever connects gets nothing of what happens in secret.
#[derive(Debug)]
struct Discreet(DeviceManagement);

impl Policy for Discreet {
    fn connect(&self, caller: &Caller, facts: &dyn Known, now_ms: i64) -> Result<Standing, Denial> {
        self.0.connect(caller, facts, now_ms)
    }

    fn publish(&self, _: &Caller, _: &Standing, _: &str) -> Result<&'static Verb, Refusal> {
        Err(Refusal::new(Code::Denied, "nobody says anything here"))
    }

    fn subscribe(&self, _: &Caller, _: &Standing, _: &Filter) -> bool {
        true
    }

    fn deliver(&self, caller: &Caller, standing: &Standing, offer: Offer<'_>) -> bool {
        let secret = match offer {
            Offer::Own { from, .. } => from == ServiceName::Rollout,
            Offer::Event { topic, .. } | Offer::Data { topic, .. } => topic.ends_with("/moved"),
        };
        !secret && self.0.deliver(caller, standing, offer)
    }
}

#[test]
fn what_a_policy_withholds_reaches_nobody_live_or_retained() {
    let mut world = World::under(Arc::new(Discreet(default())));
    let device = world.device(true);
    world.order("one");
    assert!(world.got(device).is_empty());
    let filter = format!("{ROOT}/devices/pump-7/down/#");
    let got = world.send(device, &packets::subscribe(true, 2, &filter));
    assert_eq!(got.len(), 1, "the SUBACK alone: {got:?}");
    world.tell_device_bytes(10);
    assert_eq!(world.got(device).len(), 1, "others are heard");
    let ada = world.dial(Kind::Operator, "ada", "0a");
    world.open(ada, true, "ada");
    world.send(ada, &packets::subscribe(true, 2, &format!("{ROOT}/events/#")));
    world.tell_event(ServiceName::Registry, "devices/pump-7", "moved");
    world.tell_event(ServiceName::Registry, "devices/pump-7", "renamed");
    let got = world.got(ada);
    assert_eq!(got.len(), 1);
    assert!(got[0].message(true).0.ends_with("/renamed"));
}

#[test]
fn what_a_generous_policy_lets_one_subscribe_to_is_still_not_delivered() {
    let mut world = World::under(Arc::new(Discreet(default())));
    let ada = world.dial(Kind::Operator, "ada", "0a");
    world.open(ada, true, "ada");
    let got = world.send(ada, &packets::subscribe(true, 2, "#"));
    assert_eq!(got[0].body.last(), Some(&1), "the policy lets it");
    world.device(true);
    world.tell_device_bytes(10);
    assert!(
        world.got(ada).is_empty(),
        "what is said to a device is put before nobody else"
    );
}

#[test]
fn a_policy_is_asked_again_when_a_fact_changes() {
    let mut world = World::under(Arc::new(Discreet(default())));
    let device = world.device(true);
    world.tell_device(Stage::Active, Restriction::Suspended);
    assert_eq!(world.over(device), Some("not-authorized"));
}
