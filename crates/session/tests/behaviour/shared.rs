//! Shared subscriptions: integrators, on events that they were granted.

use contract::{Kind, id::ServiceName};

use crate::{
    packets::{self, Hello},
    world::{ROOT, World},
};

fn share(group: &str, rest: &str) -> String {
    format!("$share/{group}/{ROOT}/{rest}")
}

/// Another session of the integrator.
fn erp(world: &mut World, client_id: &'static str) -> u64 {
    let erp = world.dial(Kind::Integrator, "erp", "0e");
    let hello = Hello {
        client_id,
        ..Hello::kept(true, 600)
    };
    assert_eq!(world.send(erp, &hello.packet())[0].body[1], 0);
    erp
}

fn subscribe(world: &mut World, client: u64, filter: &str) -> u8 {
    let got = world.send(client, &packets::subscribe(true, 1, filter));
    *got[0].body.last().unwrap()
}

fn tell(world: &mut World, events: usize) {
    for _ in 0..events {
        world.tell_event(ServiceName::Registry, "devices/pump-7", "moved");
    }
}

#[test]
fn each_event_comes_to_one_of_a_group_and_to_each_group() {
    let mut world = World::new();
    let members: Vec<_> = ["erp:a", "erp:b", "erp:c"]
        .into_iter()
        .map(|id| erp(&mut world, id))
        .collect();
    for member in &members {
        assert_eq!(
            subscribe(&mut world, *member, &share("g", "events/registry/#")),
            1
        );
    }
    let alone = erp(&mut world, "erp:d");
    subscribe(&mut world, alone, &share("h", "events/registry/#"));
    let plain = erp(&mut world, "erp:e");
    subscribe(&mut world, plain, &format!("{ROOT}/events/registry/#"));
    tell(&mut world, 9);
    let counts: Vec<_> = members.iter().map(|member| world.got(*member).len()).collect();
    assert_eq!(counts, [3, 3, 3]);
    assert_eq!((world.got(alone).len(), world.got(plain).len()), (9, 9));
}

#[test]
fn whoever_is_there_gets_it_before_whoever_is_away() {
    let mut world = World::new();
    let (away, here) = (erp(&mut world, "erp:a"), erp(&mut world, "erp:b"));
    for member in [away, here] {
        subscribe(&mut world, member, &share("g", "events/registry/#"));
    }
    world.close(away);
    tell(&mut world, 3);
    assert_eq!(world.got(here).len(), 3);
    world.close(here);
    tell(&mut world, 4);
    let waiting: usize = ["erp:a", "erp:b"]
        .into_iter()
        .map(|client_id| {
            let member = world.dial(Kind::Integrator, "erp", "0e");
            let got = world.send(
                member,
                &Hello {
                    client_id,
                    ..Hello::kept(true, 600)
                }
                .packet(),
            );
            got.iter().filter(|got| got.kind == 0x32).count()
        })
        .sum();
    assert_eq!(waiting, 4, "and if nobody is there, it waits");
}

#[test]
fn everybody_else_and_everything_else_is_refused() {
    let mut world = World::new();
    let device = world.device(true);
    let down = share("g", "devices/pump-7/down/#");
    assert_eq!(subscribe(&mut world, device, &down), 0x9E);
    let ada = world.dial(Kind::Operator, "ada", "0a");
    world.open(ada, true, "ada");
    assert_eq!(subscribe(&mut world, ada, &share("g", "events/#")), 0x9E);
    let erp = erp(&mut world, "erp");
    for (filter, code) in [
        (share("g", "integrators/erp/down/#"), 0x9E),
        (share("g", "events/provisioning/#"), 0x87),
    ] {
        assert_eq!(subscribe(&mut world, erp, &filter), code, "{filter}");
    }
}

#[test]
fn a_share_without_a_proper_name_is_malformed() {
    for filter in [
        share("", "events/registry/#"),
        share("a+", "events/registry/#"),
        "$share/g".into(),
    ] {
        let mut world = World::new();
        let erp = erp(&mut world, "erp");
        let got = world.send(erp, &packets::subscribe(true, 1, &filter));
        assert_eq!((got[0].kind, got[0].body[0]), (0xE0, 0x81), "{filter}");
    }
}

#[test]
fn a_share_ends_when_it_is_given_up() {
    let mut world = World::new();
    let (a, b) = (erp(&mut world, "erp:a"), erp(&mut world, "erp:b"));
    let filter = share("g", "events/registry/#");
    for member in [a, b] {
        subscribe(&mut world, member, &filter);
    }
    let mut body = vec![0, 2, 0];
    body.extend(packets::text(&filter));
    let got = world.send(a, &packets::packet(0xA2, &body));
    assert_eq!(got[0].body.last(), Some(&0));
    tell(&mut world, 4);
    assert_eq!((world.got(a).len(), world.got(b).len()), (0, 4));
}
