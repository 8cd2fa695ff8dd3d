//! What the front door answers by itself: who is here, who goes, what there is room for.

use contract::{
    id::{Kind, ServiceName},
    v1::{
        ClientKicked, ClientSession, ClientShown, ClientsListed, LimitsListed, ListClients, ListenersListed,
        Rejection, Restriction, Role, SecurityNotice, Stage,
    },
    wire::{self, Wire},
};
use session::{Limits, Listener};

use crate::{
    packets::{Hello, PING, connect, publish, session_expiry, subscribe},
    world::{ROOT, World, up},
};

/// A world with Ada, who asks.
struct Asking {
    world: World,
    ada: u64,
}

impl Asking {
    fn new(limits: Limits) -> Asking {
        let mut world = World::with(limits);
        let ada = world.dial(Kind::Operator, "ada", "0a");
        world.open(ada, true, "ada");
        Asking { world, ada }
    }

    /// The answer's topic and payload, which come before the PUBACK; and the PUBACK's reason.
    fn ask(&mut self, verb: &str, payload: &[u8]) -> (String, Vec<u8>, u8) {
        let topic = up("operators/ada", &format!("front-door/{verb}"));
        let got = self.world.send(self.ada, &publish(true, 1, 7, &topic, payload));
        assert_eq!(got.len(), 2, "{got:?}");
        assert_eq!((got[1].kind, got[1].packet_id()), (0x40, 7));
        // The world has no service of this name: nothing went anywhere else.
        for service in ServiceName::KEEPERS {
            assert!(self.world.requests(service).is_empty());
        }
        let (topic, payload) = got[0].message(true);
        (topic, payload, got[1].reason())
    }

    fn accepted<M: Wire>(&mut self, verb: &str, payload: &str) -> M {
        let (topic, payload, reason) = self.ask(verb, payload.as_bytes());
        assert_eq!(
            topic,
            format!("{ROOT}/operators/ada/down/front-door/{verb}/accepted")
        );
        assert_eq!(reason, 0);
        wire::decode(&payload, "").unwrap()
    }

    fn rejected(&mut self, verb: &str, payload: &str) -> (String, String) {
        let (topic, payload, reason) = self.ask(verb, payload.as_bytes());
        assert!(topic.ends_with("/rejected"), "{topic}");
        assert!(reason >= 0x80);
        let rejection: Rejection = wire::decode(&payload, "").unwrap();
        (rejection.code, rejection.field)
    }

    fn met(&mut self, name: &str) -> u64 {
        let listed: LimitsListed = self.accepted("limits", "{}");
        let limit = listed.limits.into_iter().find(|limit| limit.name == name);
        limit.unwrap_or_else(|| panic!("{name}")).met
    }

    /// A device of this id, with its certificate, connected.
    fn device(&mut self, id: &str) -> u64 {
        let serial = format!("5{id}");
        self.world.tell_device_of(id, Stage::Active, Restriction::None);
        self.world
            .tell_certificate(&serial, "devices", id, contract::v1::CertificateStatus::Active);
        let client = self.world.dial(Kind::Device, id, &serial);
        self.world.send(client, &connect(true, id, 60));
        client
    }
}

#[test]
fn a_page_names_who_is_here_and_what_is_kept() {
    let mut asking = Asking::new(Limits::default());
    let device = asking.world.dial(Kind::Device, "pump-7", "01");
    asking.world.send(device, &Hello::kept(true, 600).packet());
    let filter = format!("{ROOT}/devices/pump-7/down/#");
    asking.world.send(device, &subscribe(true, 1, &filter));
    // One message that the device does not acknowledge.
    asking.world.order("{}");
    let all: ClientsListed = asking.accepted("clients", r#"{"request_id":"r-1"}"#);
    assert_eq!(all.request_id, "r-1");
    let [device_row, ada] = &all.sessions[..] else {
        panic!("{all:?}")
    };
    let expected = ClientSession {
        kind: "devices".into(),
        id: "pump-7".into(),
        client_id: "pump-7".into(),
        state: "connected".into(),
        since_ms: 1_000_000,
        address: "127.0.0.1:5".into(),
        listener: "principals".into(),
        protocol: "mqtt-5".into(),
        keep_alive_s: 60,
        tls: "1.3".into(),
        serial: "01".into(),
        subscriptions: 1,
        in_flight: 1,
        session: device,
        ..ClientSession::default()
    };
    assert_eq!(*device_row, expected);
    assert_eq!((ada.kind.as_str(), ada.client_id.as_str()), ("operators", "ada"));

    asking.world.pass_time(2_000);
    asking.world.close(device);
    let shown: ClientShown = asking.accepted("client", r#"{"kind":"devices","id":"pump-7"}"#);
    let kept = &shown.sessions[0];
    assert_eq!((shown.sessions.len(), kept.state.as_str()), (1, "kept"));
    assert_eq!((kept.since_ms, kept.until_ms), (1_002_000, 1_602_000));
    assert_eq!((kept.in_flight, kept.session, kept.subscriptions), (1, device, 1));
    assert_eq!(
        (kept.filters[0].filter.as_str(), kept.filters[0].qos),
        (filter.as_str(), 1)
    );
}

#[test]
fn pages_go_on_where_they_ended_and_find_by_kind_and_prefix() {
    let mut asking = Asking::new(Limits::default());
    for n in 0..7 {
        asking.device(&format!("d-{n}"));
    }
    asking.device("e-1");
    let walk = |asking: &mut Asking, filter: &str| -> (Vec<String>, usize) {
        let (mut ids, mut pages, mut next) = (Vec::new(), 0, String::new());
        loop {
            let asked = format!("{{{filter}\"page_size\":3,\"page\":\"{next}\"}}");
            let page: ClientsListed = asking.accepted("clients", &asked);
            ids.extend(page.sessions.into_iter().map(|session| session.id));
            (pages, next) = (pages + 1, page.next_page);
            if next.is_empty() {
                return (ids, pages);
            }
        }
    };
    let d: Vec<_> = (0..7).map(|n| format!("d-{n}")).collect();
    let devices = [&d[..], &["e-1".to_owned()]].concat();
    let all = [&devices[..], &["ada".to_owned()]].concat();
    assert_eq!(walk(&mut asking, ""), (all, 3));
    assert_eq!(walk(&mut asking, r#""kind":"devices","#), (devices, 3));
    assert_eq!(walk(&mut asking, r#""id_prefix":"d-","#), (d, 3));
    assert_eq!(
        walk(&mut asking, r#""kind":"operators","id_prefix":"d","#),
        (vec![], 1)
    );
    let binary = wire::encode(
        &ListClients {
            page_size: 1,
            ..ListClients::default()
        },
        wire::Encoding::Protobuf,
    );
    let (_, payload, _) = asking.ask("clients", &binary);
    assert_eq!(
        wire::Encoding::of(&payload),
        wire::Encoding::Protobuf,
        "as it was asked"
    );
    for (bad, field) in [
        (r#"{"kind":"gateways"}"#, "kind"),
        (r#"{"kind":"services"}"#, "kind"),
        (r#"{"id_prefix":"a/"}"#, "id_prefix"),
        (r#"{"page":"00ff"}"#, "page"),
        (r#"{"page_size":501}"#, "page_size"),
    ] {
        assert_eq!(
            asking.rejected("clients", bad),
            ("invalid".into(), field.into()),
            "{bad}"
        );
    }
    let (code, _) = asking.rejected("client", r#"{"kind":"devices","id":"nobody"}"#);
    assert_eq!(code, "not-found");
    assert_eq!(asking.rejected("clients", "{").0, "malformed");
}

#[test]
fn pages_go_through_many_once_and_in_order() {
    let mut asking = Asking::new(Limits::default());
    for n in 0..1_000 {
        asking.device(&format!("d-{n}"));
    }
    let (mut ids, mut page) = (Vec::new(), String::new());
    loop {
        let asked = format!(r#"{{"id_prefix":"d-","page_size":37,"page":"{page}"}}"#);
        let listed: ClientsListed = asking.accepted("clients", &asked);
        assert!(listed.sessions.len() <= 37);
        ids.extend(listed.sessions.into_iter().map(|session| session.id));
        if listed.next_page.is_empty() {
            break;
        }
        page = listed.next_page;
    }
    assert_eq!(ids.len(), 1_000);
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn a_kick_closes_and_says_how_many_and_who_did_it_is_told() {
    let mut asking = Asking::new(Limits::default());
    let device = asking.world.device(true);
    asking.world.take(ServiceName::Monitoring);
    let asked = r#"{"kind":"devices","id":"pump-7","reason":"it floods"}"#;
    let topic = up("operators/ada", "front-door/kick");
    let got = asking
        .world
        .send(asking.ada, &publish(true, 1, 7, &topic, asked.as_bytes()));
    let kicked: ClientKicked = wire::decode(&got[0].message(true).1, "").unwrap();
    assert_eq!((kicked.closed, kicked.forgotten), (1, 0));
    assert_eq!(asking.world.over(device), Some("kicked"));
    let farewell = asking.world.got(device);
    assert_eq!((farewell[0].kind, farewell[0].body[0]), (0xE0, 0x98));
    let notices: Vec<SecurityNotice> = asking
        .world
        .take(ServiceName::Monitoring)
        .iter()
        .filter(|frame| frame.topic.ends_with("/security"))
        .map(|frame| wire::decode(&frame.payload, "").unwrap())
        .collect();
    let [notice] = &notices[..] else {
        panic!("{notices:?}")
    };
    assert_eq!(
        (notice.what.as_str(), notice.by.as_str(), notice.detail.as_str()),
        ("kicked", "operators/ada", "it floods")
    );
    assert_eq!((notice.kind.as_str(), notice.id.as_str()), ("devices", "pump-7"));
    assert_eq!(notice.address, "127.0.0.1:5");
    asking.world.close(device);
    let again: ClientKicked = asking.accepted("kick", asked);
    assert_eq!((again.closed, again.forgotten), (0, 0));
    for (bad, field) in [
        (r#"{"kind":"devices","id":"pump-7"}"#, "reason"),
        (r#"{"id":"pump-7","reason":"x"}"#, "kind"),
        (r#"{"kind":"devices","id":"a/b","reason":"x"}"#, "id"),
    ] {
        assert_eq!(
            asking.rejected("kick", bad),
            ("invalid".into(), field.into()),
            "{bad}"
        );
    }
}

#[test]
fn a_kick_leaves_what_is_kept_unless_it_is_to_be_forgotten() {
    let mut asking = Asking::new(Limits::default());
    for (forget, state) in [(false, "kept"), (true, "")] {
        let device = asking.world.dial(Kind::Device, "pump-7", "01");
        asking.world.send(device, &Hello::kept(true, 600).packet());
        asking.world.send(device, &PING);
        let asked = format!(r#"{{"kind":"devices","id":"pump-7","reason":"x","forget":{forget}}}"#);
        let kicked: ClientKicked = asking.accepted("kick", &asked);
        assert_eq!(kicked.closed, 1);
        asking.world.close(device);
        let page: ClientsListed = asking.accepted("clients", r#"{"kind":"devices"}"#);
        let states: Vec<_> = page.sessions.iter().map(|s| s.state.as_str()).collect();
        assert_eq!(states.join(""), state);
    }
    let device = asking.world.dial(Kind::Device, "pump-7", "01");
    asking.world.send(device, &Hello::kept(true, 600).packet());
    asking.world.send(device, &PING);
    asking.world.close(device);
    let other = r#"{"kind":"devices","id":"pump-7","client_id":"pump-7:2","reason":"x","forget":true}"#;
    assert_eq!(asking.accepted::<ClientKicked>("kick", other).forgotten, 0);
    let asked = r#"{"kind":"devices","id":"pump-7","reason":"x","forget":true}"#;
    assert_eq!(asking.accepted::<ClientKicked>("kick", asked).forgotten, 1);
}

#[test]
fn who_kicks_himself_is_gone_and_hears_of_it() {
    let mut asking = Asking::new(Limits::default());
    let asked = br#"{"kind":"operators","id":"ada","reason":"x"}"#;
    let topic = up("operators/ada", "front-door/kick");
    let got = asking.world.send(asking.ada, &publish(true, 1, 7, &topic, asked));
    let kinds: Vec<_> = got.iter().map(|got| got.kind).collect();
    assert!(kinds.contains(&0xE0), "{kinds:?}");
    assert_eq!(asking.world.over(asking.ada), Some("kicked"));
}

#[test]
fn only_operators_ask_and_only_from_their_role_on() {
    let mut asking = Asking::new(Limits::default());
    asking.world.tell_person("operators", "ada", Role::Viewer, &[]);
    let topic = up("operators/ada", "front-door/kick");
    let asked = br#"{"kind":"devices","id":"pump-7","reason":"x"}"#;
    let got = asking.world.send(asking.ada, &publish(true, 1, 9, &topic, asked));
    assert_eq!((got[0].kind, got[0].reason()), (0x40, 0x87));
    let _: ClientsListed = asking.accepted("clients", "{}");
    let device = asking.world.device(true);
    for verb in ["clients", "client", "kick", "limits", "listeners"] {
        let topic = up("devices/pump-7", &format!("front-door/{verb}"));
        let got = asking.world.send(device, &publish(true, 1, 9, &topic, b"{}"));
        assert_eq!((got[0].kind, got[0].reason()), (0x40, 0x87), "{verb}");
    }
}

#[test]
fn no_will_asks_the_front_door() {
    let mut asking = Asking::new(Limits::default());
    let second = asking.world.dial(Kind::Operator, "ada", "0a");
    let hello = Hello {
        v5: true,
        client_id: "ada:2",
        will: Some(crate::packets::Will {
            topic: up("operators/ada", "front-door/kick"),
            payload: r#"{"kind":"devices","id":"pump-7","reason":"x"}"#,
            ..crate::packets::Will::default()
        }),
        ..Hello::default()
    };
    let got = asking.world.send(second, &hello.packet());
    assert_eq!((got[0].kind, got[0].body[1]), (0x20, 0x87));
}

#[test]
fn limits_are_told_with_their_values_and_how_often_they_were_met() {
    let mut asking = Asking::new(Limits {
        sessions_per_device: 1,
        subscriptions: 1,
        session_expiry_s: 60,
        ..Limits::default()
    });
    let listed: LimitsListed = asking.accepted("limits", "{}");
    assert_eq!(listed.since_ms, 1_000_000);
    let of = |name: &str| listed.limits.iter().find(|limit| limit.name == name).unwrap();
    assert_eq!((of("subscriptions").value, of("subscriptions").met), (1, 0));
    assert_eq!(
        (of("give_up_ms").value, of("give_up_ms").unit.as_str()),
        (30_000, "ms")
    );
    let device = asking.world.device(true);
    let filter = format!("{ROOT}/devices/pump-7/down/rollout/#");
    asking.world.send(device, &subscribe(true, 2, &filter));
    assert_eq!(asking.met("subscriptions"), 1);
    let second = asking.world.dial(Kind::Device, "pump-7", "01");
    asking.world.send(second, &connect(true, "pump-7:2", 60));
    assert_eq!(asking.met("sessions_per_device"), 1);
    assert_eq!(asking.met("packet_bytes"), 0);
    asking.world.send(device, &[0x30, 0xFF, 0xFF, 0x7F]);
    assert_eq!(asking.met("packet_bytes"), 1);
    for (name, filter) in [("topic_bytes", "x".repeat(600)), ("topic_levels", "/".repeat(40))] {
        let device = asking.world.device(true);
        asking.world.send(device, &subscribe(true, 2, &filter));
        assert_eq!(asking.met(name), 1);
        asking.world.send(device, &publish(true, 1, 3, &filter, b"{}"));
        assert_eq!(asking.met(name), 2);
    }
    let stranger = asking.world.dial(Kind::Device, "pump-7", "01");
    asking.world.send(stranger, &[0x10, 0xFF, 0xFF, 0x7F]);
    assert_eq!((asking.met("hello_bytes"), asking.met("packet_bytes")), (1, 1));
    let keeps = asking.world.dial(Kind::Integrator, "erp", "0e");
    let hello = Hello {
        v5: true,
        client_id: "erp",
        properties: session_expiry(61),
        ..Hello::default()
    };
    asking.world.send(keeps, &hello.packet());
    assert_eq!((asking.met("session_expiry_s"), asking.met("connect_ms")), (1, 0));
    asking.world.dial(Kind::Device, "pump-7", "01");
    asking.world.pass_time(10_000);
    assert_eq!(asking.met("connect_ms"), 1);
}

#[test]
fn listeners_are_told_with_how_many_came_by_them() {
    let mut asking = Asking::new(Limits::default());
    for (listener, address) in [
        (Listener::Principals, "0.0.0.0:8883"),
        (Listener::WebSocket, "0.0.0.0:8884"),
    ] {
        asking.world.door.listens(listener, address.into());
    }
    asking.world.device(false);
    let listed: ListenersListed = asking.accepted("listeners", "{}");
    let told: Vec<_> = listed
        .listeners
        .iter()
        .map(|l| (l.name.as_str(), l.address.as_str(), l.tls, l.sessions))
        .collect();
    assert_eq!(
        told,
        [
            ("principals", "0.0.0.0:8883", true, 2),
            ("websocket", "0.0.0.0:8884", true, 0)
        ]
    );
}

#[test]
fn what_a_device_without_an_identity_shows_is_told() {
    let mut asking = Asking::new(Limits::default());
    asking.world.tell_manufacturer("acme", &[]);
    let device = asking.world.dial_with_factory("acme", "SN-7");
    asking.world.open(device, true, "pump-9");
    let who = r#"{"kind":"claims","id":"pump-9"}"#;
    let shown: ClientShown = asking.accepted("client", who);
    let factory = shown.sessions[0].factory.clone().unwrap();
    assert_eq!(
        (factory.manufacturer.as_str(), factory.serial_number.as_str()),
        ("acme", "SN-7")
    );
}
