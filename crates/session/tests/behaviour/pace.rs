//! Clients that say more than they may: they are not read for a while, and lose nothing by it.

use contract::v1::LimitsListed;
use session::Limits;

use crate::{
    packets::{self, publish},
    world::{ROOT, World, up},
};

const PING: [u8; 2] = [0xC0, 0];

fn slow(publishes_per_second: u32, bytes_per_second: u32) -> (World, u64) {
    let mut world = World::with(Limits {
        publishes_per_second,
        bytes_per_second,
        ..Limits::default()
    });
    let device = world.device(true);
    world.pass_time(10_000);
    (world, device)
}

fn heartbeats(many: usize) -> Vec<u8> {
    let topic = up("devices/pump-7", "monitoring/heartbeat");
    publish(true, 0, 0, &topic, b"{}").repeat(many)
}

#[test]
fn whoever_publishes_too_fast_is_not_read_until_it_has_paid() {
    for (publishes, bytes, paid_ms) in [(10, 0, 500), (0, 500, 0)] {
        let (mut world, device) = slow(publishes, bytes);
        let flood = heartbeats(15);
        let paid_ms = match bytes {
            0 => paid_ms,
            bytes => (flood.len() as u64).saturating_sub(u64::from(bytes)) * 1_000 / u64::from(bytes),
        };
        assert!(paid_ms > 0 && world.is_read(device));
        world.send(device, &flood);
        assert!(!world.is_read(device));
        world.pass_time(paid_ms - 1);
        assert!(!world.is_read(device), "{paid_ms}");
        world.pass_time(2);
        assert!(world.is_read(device));
        assert_eq!(world.over(device), None);
    }
}

#[test]
fn whatever_costs_as_much_as_a_publish_counts_as_one() {
    let filter = packets::text(&format!("{ROOT}/devices/pump-7/down/rollout/#"));
    let subscribe = |n: usize| {
        let filters = [&filter[..], &[1]].concat().repeat(n);
        packets::packet(0x82, &[&[0, 2, 0][..], &filters].concat())
    };
    let unsubscribe = |n: usize| packets::packet(0xA2, &[&[0, 2, 0][..], &filter.repeat(n)].concat());
    let nothings = |n: usize| packets::answer(0x62, 9, 0).repeat(n);
    let pings = |n: usize| PING.repeat(n);
    let costly: [&dyn Fn(usize) -> Vec<u8>; 4] = [&subscribe, &unsubscribe, &nothings, &pings];
    for (place, flood) in costly.into_iter().enumerate() {
        let (mut world, device) = slow(10, 0);
        world.send(device, &flood(10));
        assert!(world.is_read(device), "{place}");
        world.send(device, &flood(1));
        assert!(!world.is_read(device), "{place}");
        world.pass_time(200);
        assert!(world.is_read(device) && world.over(device).is_none(), "{place}");
    }
}

#[test]
fn acknowledgements_cost_nothing() {
    let (mut world, device) = slow(10, 0);
    let filter = format!("{ROOT}/devices/pump-7/down/#");
    world.send(device, &packets::subscribe_with(true, 2, &[], &filter, 2));
    world.pass_time(10_000);
    for _ in 0..40 {
        world.push("registry/retire", "{}");
    }
    for message in world.got(device) {
        for first in [0x50, 0x70] {
            world.send(device, &packets::answer(first, message.publish_id(), 0));
        }
    }
    assert!(world.is_read(device) && world.over(device).is_none());
}

#[test]
fn the_keep_alive_does_not_run_while_it_is_not_read() {
    let (mut world, device) = slow(1, 0);
    world.send(device, &heartbeats(201));
    // The keep-alive is 60 s: it would have ended after 90.
    world.pass_time(199_000);
    assert!(!world.is_read(device));
    assert_eq!(world.over(device), None);
    world.pass_time(1_000);
    assert!(world.is_read(device));
    world.pass_time(89_000);
    assert_eq!(world.over(device), None);
    world.pass_time(1_000);
    assert_eq!(
        world.over(device),
        Some("keep-alive"),
        "from then on it runs again"
    );
}

#[test]
fn what_came_at_once_is_answered_though_it_was_too_much() {
    let (mut world, device) = slow(10, 0);
    let topic = up("devices/pump-7", "registry/nonsense");
    let refused: Vec<u8> = (1..=30)
        .flat_map(|id| publish(true, 1, id, &topic, b"{}"))
        .collect();
    let got = world.send(device, &refused);
    assert_eq!(got.iter().filter(|got| got.kind == 0x40).count(), 30);
}

#[test]
fn it_is_counted_once_for_each_pause() {
    let (mut world, device) = slow(10, 0);
    for _ in 0..3 {
        world.send(device, &heartbeats(20));
        world.pass_time(10_000);
    }
    let ada = world.dial(contract::Kind::Operator, "ada", "0a");
    world.open(ada, true, "ada");
    let got = world.send(
        ada,
        &publish(true, 1, 7, &up("operators/ada", "front-door/limits"), b"{}"),
    );
    let listed: LimitsListed = contract::wire::decode(&got[0].message(true).1, "").unwrap();
    let met = |name: &str| listed.limits.iter().find(|limit| limit.name == name).unwrap().met;
    assert_eq!((met("publishes_per_second"), met("bytes_per_second")), (3, 0));
}
