//! SUBSCRIBE, UNSUBSCRIBE and their answers.

use super::*;
use packets::{answer, packet, properties, text};

/// SUBSCRIBE with these filters and options.
fn subscribe(v5: bool, id: u16, entries: &[(&str, u8)]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if v5 {
        body.extend(properties(&[]));
    }
    for (filter, options) in entries {
        body.extend(text(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

fn unsubscribe(v5: bool, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if v5 {
        body.extend(properties(&[]));
    }
    filters.iter().for_each(|filter| body.extend(text(filter)));
    packet(0xA2, &body)
}

/// The codes of a SUBACK or UNSUBACK.
fn codes(v5: bool, got: &Got) -> Vec<u8> {
    got.body[if v5 { 3 } else { 2 }..].to_vec()
}

const RETIRE: &str = "muster/v1/devices/pump-7/down/registry/retire";

clause!(
    v3 "2.3.1-7", v5 "2.2.1-6", v3 "3.8.4-1", v3 "3.8.4-2", v3 "3.8.4-4", v3 "3.8.4-5", v3 "3.9.3-1", v3 "3.9.3-2",
    v5 "3.8.4-1", v5 "3.8.4-2", v5 "3.8.4-5", v5 "3.8.4-6", v5 "3.8.4-7", v5 "3.9.3-1", v5 "3.9.3-2",
);
#[tokio::test]
async fn each_filter_has_its_code_in_its_place() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.device(v5).await;
        let entries = [
            (DOWN, 0),
            (RETIRE, 1),
            ("#", 1),
            ("a/#/b", 1),
            ("muster/v1/devices/pump-7/down/+", 2),
        ];
        let got = client.ask(&subscribe(v5, 0x0203, &entries)).await;
        assert_eq!((got.kind, got.packet_id()), (0x90, 0x0203));
        let expected = if v5 {
            [0, 1, 0x87, 0x8F, 2]
        } else {
            [0, 1, 0x80, 0x80, 2]
        };
        assert_eq!(codes(v5, &got), expected);
    }
}

clause!(v3 "3.8.3-3", v3 "3.10.3-2", v5 "3.8.3-2", v5 "3.10.3-2");
#[tokio::test]
async fn there_is_at_least_one_filter() {
    let server = Server::start();
    for v5 in BOTH {
        ends(&server, v5, &subscribe(v5, 9, &[])).await;
        ends(&server, v5, &unsubscribe(v5, 9, &[])).await;
    }
}

clause!(v3 "3.8.3-4", v5 "3.8.3-5");
#[tokio::test]
async fn reserved_options_are_nothing() {
    let server = Server::start();
    for v5 in BOTH {
        let mut wrong = vec![0x03, 0x41, 0x81];
        if !v5 {
            wrong.extend([0x04, 0x09, 0x11]);
        } else {
            wrong.push(0x31);
        }
        for options in wrong {
            ends(&server, v5, &subscribe(v5, 9, &[(DOWN, options)])).await;
        }
    }
}

clause!(v3 "4.7.1-2", v3 "4.7.1-3", v5 "4.7.1-1", v5 "4.7.1-2", v3 "3.8.3-2", v3 "4.7.2-1", v5 "4.7.2-1");
#[tokio::test]
async fn wildcards_stand_where_they_may() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.device(v5).await;
        let base = "muster/v1/devices/pump-7/down";
        for (rest, good) in [
            ("#", true),
            ("+/retire", true),
            ("+/#", true),
            ("#/x", false),
            ("a#", false),
            ("a+/x", false),
        ] {
            let filter = format!("{base}/{rest}");
            let got = client.ask(&subscribe(v5, 9, &[(&filter, 1)])).await;
            assert_eq!(codes(v5, &got)[0] < 0x80, good, "{rest}");
        }
        let got = client.ask(&subscribe(v5, 9, &[("$SYS/#", 1), ("+/x", 1)])).await;
        assert!(codes(v5, &got).iter().all(|code| *code >= 0x80));
    }
}

clause!(v3 "3.8.4-3", v5 "3.8.4-3", v5 "3.8.4-4", v3 "3.8.4-6", v5 "3.8.4-8");
#[tokio::test]
async fn the_same_filter_again_replaces_the_subscription() {
    let server = Server::start();
    server.push("rollout/assignment", "kept");
    for v5 in BOTH {
        let mut client = server.subscribed(v5, 1).await;
        assert_eq!(client.hear().await.kind, 0x33);
        client.ask(&subscribe(v5, 9, &[(DOWN, 0)])).await;
        assert_eq!(client.hear().await.kind, 0x31, "what is retained comes again");
        server.push("registry/retire", "{}");
        assert_eq!(client.hear().await.kind, 0x30, "at the quality granted last");
        assert!(client.by_now().await.is_empty(), "once");
    }
}

clause!(
    v3 "3.10.4-1", v3 "3.10.4-2", v3 "3.10.4-4", v3 "3.10.4-5", v3 "3.10.4-6",
    v5 "3.10.4-1", v5 "3.10.4-2", v5 "3.10.4-4", v5 "3.10.4-5", v5 "3.10.4-6", v5 "3.11.3-1", v5 "3.11.3-2",
);
#[tokio::test]
async fn whoever_unsubscribes_gets_no_more_and_an_answer_for_each_filter() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.subscribed(v5, 1).await;
        let got = client
            .ask(&unsubscribe(v5, 0x0405, &[RETIRE, DOWN, "nothing"]))
            .await;
        assert_eq!((got.kind, got.packet_id()), (0xB0, 0x0405));
        assert_eq!(codes(v5, &got), if v5 { vec![0x11, 0, 0x11] } else { vec![] });
        server.push("registry/retire", "{}");
        assert!(client.by_now().await.is_empty());
    }
}

clause!(v3 "3.10.4-3", v5 "3.10.4-3");
#[tokio::test]
async fn what_is_under_way_is_brought_to_its_end() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.subscribed(v5, 2).await;
        server.push("registry/retire", "{}");
        let id = client.hear().await.publish_id();
        assert_eq!(client.ask(&unsubscribe(v5, 9, &[DOWN])).await.kind, 0xB0);
        assert_eq!(client.ask(&answer(0x50, id, 0)).await.kind, 0x62);
    }
}

clause!(v5 "3.3.1-9", v5 "3.3.1-10", v5 "3.3.1-11", v5 "3.3.1-13");
#[tokio::test]
async fn retained_messages_come_as_the_subscription_wants_them() {
    let server = Server::start();
    server.push("rollout/assignment", "kept");
    for (handling, first, second) in [(0, 1, 1), (1, 1, 0), (2, 0, 0)] {
        let mut client = server.device(true).await;
        let options = 0x09 | handling << 4;
        for expected in [first, second] {
            client.ask(&subscribe(true, 9, &[(DOWN, options)])).await;
            assert_eq!(client.by_now().await.len(), expected, "handling {handling}");
        }
        server.push("rollout/assignment", "kept");
        assert_eq!(client.hear().await.kind, 0x33, "retain as published");
    }
}

clause!(v5 "3.3.4-3", v5 "3.3.4-4", v5 "3.3.4-5");
#[tokio::test]
async fn a_message_names_its_subscriptions() {
    let server = Server::start();
    let mut client = server.device(true).await;
    for (id, identifier, filter) in [(1, 7, DOWN), (2, 9, RETIRE)] {
        client
            .ask(&packets::subscribe_with(true, id, &[0x0B, identifier], filter, 1))
            .await;
    }
    server.push("registry/retire", "{}");
    let mut properties = client.hear().await.publish_properties();
    properties.sort_unstable();
    assert_eq!(properties, [7, 9, 0x0B, 0x0B]);
}

clause!(v5 "3.3.4-6", v5 "3.8.3-4");
#[tokio::test]
async fn what_breaks_the_protocol_of_subscriptions_ends_the_connection() {
    let server = Server::start();
    for bytes in [
        packets::publish_with(1, 7, REPORT, &[0x0B, 1], b"{}"),
        packets::subscribe_with(true, 9, &[], "$share/g/muster/v1/events/#", 0x04),
        packets::subscribe_with(true, 9, &[0x0B, 0], DOWN, 1),
        packets::subscribe_with(true, 9, &[0x0B, 1, 0x0B, 2], DOWN, 1),
    ] {
        assert_eq!(last_reason(&ends(&server, true, &bytes).await), Some(0x82));
    }
}

clause!(v5 "4.8.2-1", v5 "4.8.2-2");
#[tokio::test]
async fn a_share_has_a_proper_name() {
    let server = Server::start();
    for filter in ["$share//a", "$share/g", "$share/g+/a", "$share/g#/a"] {
        ends(&server, true, &subscribe(true, 9, &[(filter, 1)])).await;
    }
}

/// Two sessions of the integrator in one group.
async fn group(server: &Server, qualities: [u8; 2]) -> [Client; 2] {
    let mut members = Vec::new();
    for (client_id, quality) in ["erp:a", "erp:b"].into_iter().zip(qualities) {
        let hello = Hello {
            client_id,
            user_name: Some("integrators/erp"),
            ..device(true)
        };
        let (mut client, _) = server.connect(&hello).await;
        let filter = "$share/g/muster/v1/events/registry/#";
        let got = client.ask(&subscribe(true, 9, &[(filter, quality)])).await;
        assert_eq!(codes(true, &got), [quality]);
        members.push(client);
    }
    members.try_into().unwrap_or_else(|_| panic!("two"))
}

clause!(v5 "4.8.2-3");
#[tokio::test]
async fn each_event_comes_to_one_of_a_group_at_its_quality() {
    let server = Server::start();
    let [mut a, mut b] = group(&server, [0, 2]).await;
    (1..=10).for_each(|n| server.event(n));
    let (got_a, got_b) = (a.by_now().await, b.by_now().await);
    assert_eq!((got_a.len(), got_b.len()), (5, 5));
    assert!(got_a.iter().all(|got| got.kind == 0x30) && got_b.iter().all(|got| got.kind == 0x34));
}

clause!(v5 "4.8.2-6");
#[tokio::test]
async fn what_a_member_refuses_goes_to_nobody_else() {
    let server = Server::start();
    let [mut a, mut b] = group(&server, [1, 1]).await;
    server.event(1);
    for client in [&mut a, &mut b] {
        for got in client.by_now().await {
            client.say(&answer(0x40, got.publish_id(), 0x80)).await;
        }
    }
    assert!(a.by_now().await.is_empty() && b.by_now().await.is_empty());
}
