//! PUBLISH to the server, and its acknowledgements.

use super::*;
use packets::{again, answer};

clause!(
    v3 "2.3.1-6", v5 "2.2.1-5", v3 "4.3.2-2", v5 "4.3.2-4", v5 "3.3.4-1", v5 "3.4.2-1",
);
#[tokio::test]
async fn at_qos_1_a_puback_says_that_the_service_has_it() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.device(v5).await;
        client.say(&client.report(1, 0x1234)).await;
        let requests = server.asked(1).await;
        assert!(client.by_now().await.is_empty(), "not before it is answered");
        server.answer(&requests[0], "");
        let got = client.hear().await;
        assert_eq!((got.kind, got.packet_id(), got.body.len()), (0x40, 0x1234, 2));
    }
}

clause!(v5 "4.3.2-5");
#[tokio::test]
async fn after_its_puback_the_same_id_is_a_new_message() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.device(v5).await;
        for report in [client.report(1, 7), again(client.report(1, 7))] {
            client.say(&report).await;
            server.accept(1).await;
            assert_eq!(client.hear().await.packet_id(), 7);
        }
    }
}

clause!(
    v3 "4.3.3-2", v5 "4.3.3-8", v5 "4.3.3-10", v5 "4.3.3-11", v5 "4.3.3-12", v5 "3.5.2-1", v5 "3.7.2-1",
);
#[tokio::test]
async fn at_qos_2_a_message_is_taken_once_and_its_id_is_in_use_until_its_release() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.device(v5).await;
        client.say(&client.report(2, 7)).await;
        let requests = server.asked(1).await;
        // The service has not answered: a repeat must not be received before.
        client.say(&again(client.report(2, 7))).await;
        assert!(client.by_now().await.is_empty());
        server.answer(&requests[0], "");
        let got = client.hear().await;
        assert_eq!((got.kind, got.packet_id(), got.reason()), (0x50, 7, 0));
        for _ in 0..3 {
            let got = client.ask(&again(client.report(2, 7))).await;
            assert_eq!((got.kind, got.packet_id()), (0x50, 7));
        }
        assert!(server.asked_by_now().is_empty());
        let got = client.ask(&answer(0x62, 7, 0)).await;
        assert_eq!((got.kind, got.packet_id(), got.reason()), (0x70, 7, 0));
        client.say(&client.report(2, 7)).await;
        server.accept(1).await;
        assert_eq!(client.hear().await.kind, 0x50);
    }
}

clause!(v5 "4.3.3-9");
#[tokio::test]
async fn a_refusal_frees_the_packet_id() {
    let server = Server::start();
    let mut client = server.device(true).await;
    for _ in 0..2 {
        client.say(&client.report(2, 7)).await;
        let requests = server.asked(1).await;
        server.answer(&requests[0], "denied");
        let got = client.hear().await;
        assert_eq!((got.kind, got.packet_id(), got.reason()), (0x50, 7, 0x87));
    }
}

clause!(v3 "3.3.5-2", v3 "3.3.2-2", v5 "3.3.2-2", v3 "4.7.1-1", v5 "4.7.0-1");
#[tokio::test]
async fn a_publish_that_may_not_be_is_answered_and_reaches_nobody() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.device(v5).await;
        for topic in ["muster/v1/devices/+/up/registry/report", "#", "somewhere/else"] {
            let got = client.ask(&packets::publish(v5, 1, 7, topic, b"{}")).await;
            assert_eq!((got.kind, got.packet_id()), (0x40, 7));
            assert_eq!(got.reason(), if v5 { 0x90 } else { 0 });
        }
        assert!(server.asked_by_now().is_empty());
    }
}

clause!(v3 "4.7.3-1", v5 "4.7.3-1");
#[tokio::test]
async fn a_topic_has_a_character() {
    let server = Server::start();
    for v5 in BOTH {
        ends(&server, v5, &packets::publish(v5, 1, 7, "", b"{}")).await;
    }
}

clause!(v3 "3.3.1-12", v5 "3.3.1-8", v3 "3.3.1-11", v5 "3.3.1-7");
#[tokio::test]
async fn a_client_changes_nothing_that_is_retained() {
    let server = Server::start();
    server.push("rollout/assignment", "kept");
    for v5 in BOTH {
        let mut client = server.device(v5).await;
        for (flags, topic) in [
            (0, "muster/v1/devices/pump-7/up/rollout/assignment"),
            (1, "muster/v1/devices/pump-7/up/rollout/assignment"),
            (0, "muster/v1/devices/pump-7/down/rollout/assignment"),
            (1, "muster/v1/devices/pump-7/down/rollout/assignment"),
        ] {
            let mut publish = packets::publish(v5, 0, 0, topic, b"");
            publish[0] |= flags;
            client.say(&publish).await;
        }
        client.subscribe(1).await;
        let got = client.hear().await;
        assert_eq!((got.kind & 1, got.message(v5).1), (1, b"kept".to_vec()));
    }
    // An empty message of its service takes it away, and is not kept itself.
    server.push("rollout/assignment", "");
    let mut client = server.subscribed(true, 1).await;
    assert!(client.by_now().await.is_empty());
}

clause!(v5 "3.3.4-7");
#[tokio::test]
async fn more_than_the_receive_maximum_ends_the_connection() {
    let server = Server::with(Limits {
        receive_maximum: 4,
        ..Limits::default()
    });
    let mut client = server.device(true).await;
    let mut bytes = Vec::new();
    for id in 1..=4 {
        bytes.extend(packets::publish(true, 2, id, HEARTBEAT, b"{}"));
    }
    client.say(&bytes).await;
    for _ in 0..4 {
        assert_eq!(client.hear().await.kind, 0x50);
    }
    client.say(&packets::publish(true, 2, 5, HEARTBEAT, b"{}")).await;
    assert_eq!(last_reason(&client.end().await), Some(0x93));
}

clause!(v5 "4.9.0-1", v5 "4.9.0-3", v5 "3.3.4-10");
#[tokio::test]
async fn a_full_window_stops_messages_and_nothing_else() {
    let server = Server::start();
    let hello = Hello {
        properties: vec![0x21, 0, 1],
        ..device(true)
    };
    let (mut client, _) = server.connect(&hello).await;
    client.subscribe(1).await;
    server.push("registry/retire", "one");
    server.push("registry/retire", "two");
    let first = client.hear().await;
    assert!(
        client.by_now().await.is_empty(),
        "the ping is answered, the second waits"
    );
    client.say(&answer(0x40, first.publish_id(), 0)).await;
    assert_eq!(client.hear().await.message(true).1, b"two");
}

clause!(v3 "4.6.0-6", v5 "4.6.0-5", v3 "4.6.0-5", v5 "4.6.0-6");
#[tokio::test]
async fn order_is_kept_both_ways() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.subscribed(v5, 1).await;
        let mut bytes = Vec::new();
        for id in 1..=20u16 {
            bytes.extend(packets::publish(v5, 1, id, REPORT, id.to_string().as_bytes()));
        }
        client.say(&bytes).await;
        let requests = server.asked(20).await;
        let payloads: Vec<_> = requests.iter().map(|f| f.payload.to_vec()).collect();
        assert_eq!(
            payloads,
            (1..=20)
                .map(|n: u16| n.to_string().into_bytes())
                .collect::<Vec<_>>()
        );
        // Answered the other way round, acknowledged in order.
        for request in requests.iter().rev() {
            server.answer(request, "");
        }
        let mut acks = Vec::new();
        while acks.len() < 20 {
            let got = client.hear().await;
            match got.kind {
                0x40 => acks.push(got.packet_id()),
                _ => client.say(&answer(0x40, got.publish_id(), 0)).await,
            }
        }
        assert_eq!(acks, (1..=20).collect::<Vec<_>>());
    }
}
