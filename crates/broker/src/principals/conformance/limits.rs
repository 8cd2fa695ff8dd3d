//! Each limit by bytes: what whoever meets it is answered, and that it is counted. By which test those are met that
//! need more than a socket on this machine stands at the end.

use std::collections::BTreeMap;

use session::{Hoard, Limit};

use super::*;

impl Server {
    /// How often a limit was met, the entrance's among them.
    fn met(&self, limit: Limit) -> u64 {
        let lobby = self.0.entrance.met();
        self.0.shared.with_door(|door, _| door.tell_lobby(lobby));
        let met: BTreeMap<_, _> = self.0.shared.status().met.into_iter().collect();
        met[limit.word()]
    }

    /// It is met, sooner or later.
    async fn meets(&self, limit: Limit) {
        let met = async {
            while self.met(limit) == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(SOON, met)
            .await
            .unwrap_or_else(|_| panic!("{} is not met", limit.word()));
    }

    /// The reason with which this CONNECT is refused.
    async fn refusal(&self, hello: &Hello) -> u8 {
        let (mut client, connack) = self.connect(hello).await;
        assert!(client.end().await.is_empty());
        assert_eq!(connack.kind, 0x20);
        connack.body[1]
    }
}

/// The integrator.
fn erp(v5: bool) -> Hello {
    Hello {
        client_id: "erp",
        user_name: Some("integrators/erp"),
        ..device(v5)
    }
}

fn named(client_id: &'static str, hello: Hello) -> Hello {
    Hello { client_id, ..hello }
}

#[tokio::test]
async fn connections_in_all_and_those_that_only_operators_may_take() {
    for (connections, limit) in [(1, Limit::Connections), (64, Limit::OperatorReserve)] {
        let server = Server::with(Limits {
            connections,
            sessions_per_device: 100,
            ..Limits::default()
        });
        let mut here = Vec::new();
        for n in 0..connections - connections / 64 {
            let client_id: &'static str = format!("pump-7:{n}").leak();
            here.push(server.connect(&named(client_id, device(true))).await);
        }
        assert_eq!(server.met(limit), 0);
        assert_eq!(server.refusal(&erp(true)).await, 0x89);
        assert_eq!(server.refusal(&erp(false)).await, 3);
        assert_eq!(server.met(limit), 2);
        assert!(here.iter().all(|(_, connack)| connack.body[1] == 0));
    }
}

#[tokio::test]
async fn whoever_says_nothing_while_others_wait() {
    let server = Server::with(Limits {
        handshakes: 1,
        silent_ms: 5,
        ..Limits::default()
    });
    let mut silent = server.dial(true).await;
    let waiting = server.device(true).await;
    assert!(silent.end().await.is_empty());
    assert!(server.met(Limit::Handshakes) > 0);
    assert!(server.met(Limit::Silent) > 0);
    drop(waiting);
}

#[tokio::test]
async fn connections_within_a_second_and_a_connect_that_does_not_come() {
    let server = Server::with(Limits {
        accepts_per_second: 1,
        connect_ms: 300,
        ..Limits::default()
    });
    let mut late = Vec::new();
    for _ in 0..3 {
        late.push(server.dial(true).await);
    }
    for mut late in late {
        assert!(late.end().await.is_empty());
    }
    // It waited for a while, and was let in.
    server.device(true).await;
    assert!(server.met(Limit::AcceptsPerSecond) > 0);
    assert!(server.met(Limit::Connect) >= 3);
}

#[tokio::test]
async fn whoever_takes_its_own_session_over_too_often() {
    let server = Server::with(Limits {
        takeovers_per_minute: 1,
        ..Limits::default()
    });
    let mut first = server.device(true).await;
    let mut second = server.device(true).await;
    assert_eq!(last_reason(&first.end().await), Some(0x8E));
    assert_eq!(server.refusal(&device(true)).await, 0x9F);
    assert_eq!(server.refusal(&device(false)).await, 3);
    assert_eq!(server.met(Limit::TakeoversPerMinute), 2);
    assert!(second.by_now().await.is_empty(), "who is there stays");
}

#[tokio::test]
async fn sessions_of_one_principal() {
    let server = Server::with(Limits {
        sessions_per_device: 1,
        sessions_per_person: 1,
        ..Limits::default()
    });
    for (limit, first, second) in [
        (
            Limit::SessionsPerDevice,
            device(true),
            named("pump-7:b", device(true)),
        ),
        (Limit::SessionsPerPerson, erp(true), named("erp:b", erp(true))),
    ] {
        let (_first, connack) = server.connect(&first).await;
        assert_eq!(connack.body[1], 0);
        assert_eq!(server.refusal(&second).await, 0x97);
        assert_eq!(server.met(limit), 1);
    }
}

#[tokio::test]
async fn packets_before_and_after_the_connect() {
    let server = Server::with(Limits {
        hello_bytes: 1_000,
        packet_bytes: 20_000,
        ..Limits::default()
    });
    for v5 in BOTH {
        let long: &'static str = "x".repeat(1_000).leak();
        let mut client = server.dial(v5).await;
        client.say(&named(long, device(v5)).packet()[..100]).await;
        let got: Vec<_> = client
            .end()
            .await
            .iter()
            .map(|got| (got.kind, got.body[1]))
            .collect();
        assert_eq!(got, if v5 { vec![(0x20, 0x95)] } else { vec![] });
        let mut client = server.device(v5).await;
        client
            .say(&packets::publish(v5, 1, 7, REPORT, &[b' '; 20_000])[..100])
            .await;
        assert_eq!(last_reason(&client.end().await), v5.then_some(0x95));
    }
    assert_eq!(server.met(Limit::HelloBytes), 2);
    assert_eq!(server.met(Limit::PacketBytes), 2);
}

#[tokio::test]
async fn topics_and_filters_and_properties() {
    let server = Server::start();
    let mut client = server.device(true).await;
    let long = format!("muster/{}", "x".repeat(506));
    let deep = "a/".repeat(32);
    for (topic, limit) in [(&long, Limit::TopicBytes), (&deep, Limit::TopicLevels)] {
        let puback = client.ask(&packets::publish(true, 1, 7, topic, b"{}")).await;
        assert_eq!((puback.kind, puback.reason()), (0x40, 0x90));
        let suback = client.ask(&packets::subscribe_with(true, 1, &[], topic, 0)).await;
        assert_eq!((suback.kind, suback.body.last()), (0x90, Some(&0x8F)));
        assert_eq!(server.met(limit), 2, "{}", limit.word());
    }
    let pair = [&[0x26][..], &packets::text("k"), &packets::text("v")].concat();
    for (pairs, reason) in [(64, 0), (65, 0x97)] {
        let publish = packets::publish_with(1, 8, REPORT, &pair.repeat(pairs), b"{}");
        client.say(&publish).await;
        if reason == 0 {
            server.accept(1).await;
        }
        assert_eq!(client.hear().await.reason(), reason);
    }
    assert_eq!(server.met(Limit::Properties), 1);
    // 9, where 8 may be used.
    let publish = packets::publish_with(1, 9, REPORT, &[0x23, 0, 9], b"{}");
    client.say(&publish).await;
    assert_eq!(last_reason(&client.end().await), Some(0x94));
    assert_eq!(server.met(Limit::TopicAliases), 1);
}

#[tokio::test]
async fn publishes_and_bytes_within_a_second() {
    let server = Server::with(Limits {
        publishes_per_second: 10,
        bytes_per_second: 2_000,
        ..Limits::default()
    });
    let mut client = server.device(true).await;
    // All are answered, some of them later.
    for n in 0..15 {
        client
            .say(&packets::publish(true, 1, n + 1, "nowhere", b""))
            .await;
    }
    for _ in 0..15 {
        assert_eq!(client.hear().await.reason(), 0x90);
    }
    assert!(server.met(Limit::PublishesPerSecond) > 0);
    let large = vec![b' '; 3_000];
    client
        .say(&packets::publish(true, 1, 99, "nowhere", &large))
        .await;
    assert_eq!(client.hear().await.reason(), 0x90);
    assert!(client.by_now().await.is_empty());
    assert!(server.met(Limit::BytesPerSecond) > 0);
}

#[tokio::test]
async fn publishes_that_wait_for_their_acknowledgement() {
    let server = Server::with(Limits {
        receive_maximum: 2,
        ..Limits::default()
    });
    let mut client = server.subscribed(false, 0).await;
    for id in 1..=2 {
        client.say(&client.report(1, id)).await;
    }
    let first = server.asked(2).await;
    server.meets(Limit::ReceiveMaximum).await;
    for id in 3..=4 {
        client.say(&client.report(1, id)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(server.asked_by_now().is_empty(), "it is read no further");
    for request in first {
        server.answer(&request, "");
    }
    server.accept(2).await;
    let mut acknowledged = Vec::new();
    while acknowledged.len() < 4 {
        let got = client.hear().await;
        if got.kind == 0x40 {
            acknowledged.push(got.packet_id());
        }
    }
    assert_eq!(acknowledged, [1, 2, 3, 4]);
    // At QoS 0 there is nothing to hold them by.
    for _ in 0..3 {
        client.say(&client.report(0, 0)).await;
    }
    let (topic, payload) = client.hear().await.message(false);
    assert_eq!(topic, "muster/v1/devices/pump-7/down/front-door/publish/rejected");
    assert!(String::from_utf8_lossy(&payload).contains("\"busy\""));
    assert_eq!(server.met(Limit::Unheld), 1);
}

/// Of MQTT 3.1.1: in MQTT 5 the receive maximum is less, and is met first.
#[tokio::test]
async fn packet_ids_that_wait_for_their_pubrel() {
    let server = Server::with(Limits {
        exactly_once: 2,
        ..Limits::default()
    });
    let mut client = server.device(false).await;
    for id in 1..=2 {
        client.say(&client.report(2, id)).await;
        server.accept(1).await;
        assert_eq!(client.hear().await.kind, 0x50);
    }
    client.say(&client.report(2, 3)).await;
    assert!(client.end().await.is_empty());
    assert_eq!(server.met(Limit::ExactlyOnce), 1);
}

#[tokio::test]
async fn messages_that_one_client_leaves_unacknowledged_and_those_that_wait_for_it() {
    let server = Server::with(Limits {
        in_flight: 1,
        queue: 2,
        ..Limits::default()
    });
    let mut client = server.subscribed(true, 1).await;
    for _ in 0..3 {
        server.push("registry/order", "{}");
    }
    let first = client.hear().await;
    assert!(client.by_now().await.is_empty(), "the others wait");
    assert!(server.met(Limit::InFlight) > 0);
    client.say(&packets::answer(0x40, first.publish_id(), 0)).await;
    assert_eq!(client.hear().await.kind, 0x32);
    server.push("registry/order", "{}");
    assert_eq!(server.met(Limit::Queue), 0);
    server.push("registry/order", "{}");
    assert_eq!(last_reason(&client.end().await), Some(0x97));
    assert_eq!(server.met(Limit::Queue), 1);

    let server = Server::with(Limits {
        in_flight: 1,
        queue_bytes: 1_000,
        ..Limits::default()
    });
    let mut client = server.subscribed(true, 1).await;
    for _ in 0..3 {
        server.push("registry/order", &"x".repeat(600));
    }
    let got = client.end().await;
    assert_eq!((got[0].kind, last_reason(&got)), (0x32, Some(0x97)));
    assert_eq!(server.met(Limit::QueueBytes), 1);
}

#[tokio::test]
async fn whoever_takes_nothing_at_all() {
    let server = Server::with(Limits {
        stalled_ms: 100,
        queue_bytes: usize::MAX,
        queue: usize::MAX,
        ..Limits::default()
    });
    let mut client = server.subscribed(true, 0).await;
    let mut other = server.connect(&named("pump-7:b", device(true))).await.0;
    let large = "x".repeat(60_000);
    // What the operating system holds for a socket, and more.
    for _ in 0..400 {
        server.push("registry/order", &large);
    }
    server.meets(Limit::Stalled).await;
    assert!(other.by_now().await.is_empty(), "nobody else notices");
    let got = client.end().await;
    assert!(got.len() < 400, "{}", got.len());
}

#[tokio::test]
async fn requests_that_wait_for_one_service() {
    let small = Limits::default();
    for (limits, limit) in [
        (
            Limits {
                window: 2,
                ..small.clone()
            },
            Limit::Window,
        ),
        (
            Limits {
                window_bytes: 1_500,
                ..small
            },
            Limit::WindowBytes,
        ),
    ] {
        let server = Server::with(limits);
        let mut client = server.device(true).await;
        let payload = vec![b' '; 600];
        for id in 1..=4 {
            client.say(&packets::publish(true, 1, id, REPORT, &payload)).await;
        }
        server.meets(limit).await;
        // All of them come through, in their order.
        let mut answered = 0;
        while answered < 4 {
            for request in server.asked(1).await {
                server.answer(&request, "");
                answered += 1;
            }
        }
        for id in 1..=4 {
            let puback = client.hear().await;
            assert_eq!((puback.packet_id(), puback.reason()), (id, 0), "{}", limit.word());
        }
    }
}

#[tokio::test]
async fn filters_of_one_connection() {
    let server = Server::with(Limits {
        subscriptions: 1,
        ..Limits::default()
    });
    let mut client = server.device(true).await;
    for (filter, code) in [("down/a", 0), ("down/b", 0x97), ("down/a", 0)] {
        let filter = format!("muster/v1/devices/pump-7/{filter}");
        let suback = client
            .ask(&packets::subscribe_with(true, 1, &[], &filter, 0))
            .await;
        assert_eq!(suback.body.last(), Some(&code), "{filter}");
    }
    assert_eq!(server.met(Limit::Subscriptions), 1);
}

#[tokio::test]
async fn requests_that_are_not_answered_and_clients_that_are_silent() {
    let server = Server::with(Limits {
        give_up_ms: 100,
        ..Limits::default()
    });
    let mut client = server.device(true).await;
    client.say(&client.report(1, 7)).await;
    let got = client.end().await;
    assert_eq!(
        (got.len(), last_reason(&got)),
        (1, Some(0x89)),
        "no acknowledgement"
    );
    assert_eq!(server.met(Limit::GiveUp), 1);

    let mut hello = device(true).packet();
    // Its keep-alive: a second.
    hello[11] = 1;
    let mut client = server.dial(true).await;
    client.say(&hello).await;
    assert_eq!(last_reason(&client.end().await), Some(0x8D));
    assert_eq!(server.met(Limit::KeepAlive), 1);
}

#[tokio::test]
async fn how_long_sessions_are_kept_and_how_many() {
    let server = Server::with(Limits {
        session_expiry_s: 100,
        kept_per_device: 1,
        kept_per_person: 1,
        ..Limits::default()
    });
    let person = |client_id| Hello {
        clean: false,
        properties: packets::session_expiry(1_000),
        ..named(client_id, erp(true))
    };
    let device = |client_id| named(client_id, kept(true, 1_000));
    for (limit, first, second) in [
        (Limit::KeptPerDevice, device("pump-7"), device("pump-7:b")),
        (Limit::KeptPerPerson, person("erp"), person("erp:b")),
    ] {
        for hello in [&first, &second] {
            let (mut client, connack) = server.connect(hello).await;
            let told = packets::session_expiry(100);
            assert!(connack.body.windows(5).any(|bytes| bytes == told), "{connack:?}");
            client.say(&packets::disconnect()).await;
            assert!(client.end().await.is_empty());
        }
        server.meets(limit).await;
        // The one that ends first is forgotten.
        let mut here = Vec::new();
        for (hello, present) in [(&first, 0), (&second, 1)] {
            let (client, connack) = server.connect(hello).await;
            assert_eq!(connack.body[0], present, "{}", limit.word());
            here.push(client);
        }
    }
    assert!(server.met(Limit::SessionExpiry) >= 4);

    let server = Server::with(Limits {
        kept: 1,
        ..Limits::default()
    });
    for client_id in ["pump-7", "pump-7:b"] {
        let (mut client, _) = server.connect(&device(client_id)).await;
        client.say(&packets::disconnect()).await;
        client.end().await;
    }
    server.meets(Limit::Kept).await;
    assert_eq!(server.0.shared.status().kept, 1);
}

#[tokio::test]
async fn what_waits_for_a_session_without_a_connection() {
    let hoard = |messages, bytes| Hoard { messages, bytes };
    let usual = Limits::default();
    for (limit, limits) in [
        (
            Limit::KeptDeviceMessages,
            Limits {
                kept_for_device: hoard(1, 10_000),
                ..usual.clone()
            },
        ),
        (
            Limit::KeptDeviceBytes,
            Limits {
                kept_for_device: hoard(9, 1_000),
                ..usual.clone()
            },
        ),
        (
            Limit::KeptBytes,
            Limits {
                kept_bytes: 1_000,
                ..usual.clone()
            },
        ),
    ] {
        let server = Server::with(limits);
        let (mut client, _) = server.connect(&kept(true, 100)).await;
        client.subscribe(1).await;
        client.say(&packets::disconnect()).await;
        client.end().await;
        server.until_kept(1).await;
        for _ in 0..2 {
            server.push("registry/order", &"x".repeat(600));
        }
        server.meets(limit).await;
        // Nothing of it can be had again: it is forgotten, and its client is told so.
        let (_, connack) = server.connect(&kept(true, 100)).await;
        assert_eq!(connack.body[0], 0, "{}", limit.word());
    }
    for (limit, kept_for_person) in [
        (Limit::KeptPersonMessages, hoard(1, 10_000)),
        (Limit::KeptPersonBytes, hoard(9, 700)),
    ] {
        let server = Server::with(Limits {
            kept_for_person,
            ..usual.clone()
        });
        let hello = Hello {
            clean: false,
            properties: packets::session_expiry(100),
            ..erp(true)
        };
        let (mut client, _) = server.connect(&hello).await;
        let filter = "muster/v1/events/registry/#";
        client
            .ask(&packets::subscribe_with(true, 1, &[], filter, 1))
            .await;
        client.say(&packets::disconnect()).await;
        client.end().await;
        server.until_kept(1).await;
        server.event(1);
        server.event(2);
        server.meets(limit).await;
        // The older event made way; a replay brings it again.
        let (mut client, connack) = server.connect(&hello).await;
        assert_eq!(connack.body[0], 1, "{}", limit.word());
        let (_, event) = client.hear().await.message(true);
        assert!(String::from_utf8_lossy(&event).contains("\"sequence\":\"2\""));
        assert!(client.by_now().await.len() <= 1, "sent again at most");
    }
}

/// Where the others are met, each by the name that stands there.
const ELSEWHERE: [(Limit, &str); 10] = [
    (Limit::PerAddress, "crates/session/src/lobby.rs"),
    (Limit::LoginTries, "crates/session/tests/behaviour/logins.rs"),
    (
        Limit::LoginTriesPerAddress,
        "crates/session/tests/behaviour/logins.rs",
    ),
    (Limit::LoginTriesPerPerson, "crates/session/src/attempts.rs"),
    (Limit::Logins, "crates/session/tests/behaviour/logins.rs"),
    (Limit::ClaimsPerId, "crates/session/tests/behaviour/limits.rs"),
    (Limit::Claims, "crates/session/tests/behaviour/limits.rs"),
    (Limit::EnrolmentsPerAddress, "tests/tests/est.rs"),
    (Limit::Receipts, "crates/session/tests/behaviour/limits.rs"),
    (Limit::RetainedBytes, "crates/session/tests/behaviour/limits.rs"),
];

#[test]
fn no_limit_is_without_a_test() {
    let here = include_str!("limits.rs");
    let (here, _) = here.split_once("const ELSEWHERE").unwrap();
    let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for limit in Limit::ALL {
        let is_here = here.contains(&format!("Limit::{limit:?}"));
        let elsewhere = ELSEWHERE.iter().find(|(other, _)| other == limit);
        let Some((_, file)) = elsewhere else {
            assert!(is_here, "{limit:?} is met by no test");
            continue;
        };
        let text = std::fs::read_to_string(repository.join(file)).unwrap();
        let tests = text.split_once("mod tests").map_or(&*text, |(_, tests)| tests);
        let named = [
            format!("Limit::{limit:?}"),
            format!("{}:", limit.word()),
            limit.word().into(),
        ];
        assert!(
            named.iter().any(|name| tests.contains(name.as_str())),
            "{limit:?} is not met in {file}"
        );
    }
}
