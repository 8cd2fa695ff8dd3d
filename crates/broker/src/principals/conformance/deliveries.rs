//! PUBLISH to a client.

use super::*;
use packets::answer;

clause!(v3 "4.3.1-1", v5 "4.3.1-1", v5 "3.3.1-2");
#[tokio::test]
async fn at_qos_0_a_message_comes_without_more() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.subscribed(v5, 0).await;
        server.push("registry/retire", "{}");
        assert_eq!(client.hear().await.kind, 0x30);
        assert!(client.by_now().await.is_empty());
    }
}

clause!(
    v3 "2.3.1-4", v5 "2.2.1-4", v3 "4.3.2-1", v5 "4.3.2-1", v5 "4.3.2-2", v3 "3.3.1-3", v5 "3.3.1-3",
);
#[tokio::test]
async fn at_qos_1_each_message_has_an_id_that_nothing_else_has() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.subscribed(v5, 1).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            server.push("registry/retire", "{}");
            let got = client.hear().await;
            assert_eq!(got.kind, 0x32, "no duplicate");
            assert!(got.publish_id() != 0 && !ids.contains(&got.publish_id()));
            ids.push(got.publish_id());
        }
        client.say(&answer(0x40, ids[1], 0)).await;
        server.push("registry/retire", "{}");
        assert!(![ids[0], ids[2]].contains(&client.hear().await.publish_id()));
    }
}

clause!(
    v3 "4.3.3-1", v5 "4.3.3-1", v5 "4.3.3-2", v5 "4.3.3-4", v5 "3.6.2-1",
);
#[tokio::test]
async fn at_qos_2_a_message_is_released_when_it_was_received() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.subscribed(v5, 2).await;
        server.push("registry/retire", "{}");
        let got = client.hear().await;
        assert_eq!(got.kind, 0x34);
        let id = got.publish_id();
        assert!(client.by_now().await.is_empty());
        let got = client.ask(&answer(0x50, id, 0)).await;
        assert_eq!((got.kind, got.packet_id(), got.reason()), (0x62, id, 0));
        client.say(&answer(0x70, id, 0)).await;
        assert!(client.by_now().await.is_empty());
    }
}

clause!(v5 "4.4.0-2");
#[tokio::test]
async fn what_a_client_refuses_is_not_sent_again() {
    let server = Server::start();
    for (quality, first) in [(1, 0x40), (2, 0x50)] {
        let (mut client, _) = server.connect(&kept(true, 60)).await;
        client.subscribe(quality).await;
        server.push("registry/retire", "{}");
        let id = client.hear().await.publish_id();
        client.say(&answer(first, id, 0x97)).await;
        assert!(client.by_now().await.is_empty(), "no PUBREL");
        drop(client);
        server.until_kept(1).await;
        let (mut client, connack) = server.connect(&kept(true, 60)).await;
        assert_eq!(connack.body[0], 1);
        assert!(client.by_now().await.is_empty());
        client
            .say(&packets::disconnect_with(0, &packets::session_expiry(0)))
            .await;
        client.end().await;
        server.until_kept(0).await;
    }
}

clause!(v3 "3.3.5-1", v5 "3.3.4-2");
#[tokio::test]
async fn overlapping_subscriptions_bring_a_message_as_surely_as_the_best_of_them() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.subscribed(v5, 0).await;
        let some = "muster/v1/devices/pump-7/down/+/retire";
        client.ask(&packets::subscribe_with(v5, 2, &[], some, 2)).await;
        server.push("registry/retire", "{}");
        assert_eq!(client.hear().await.kind, 0x34);
        assert!(client.by_now().await.is_empty(), "once");
    }
}

clause!(v3 "3.3.2-3", v5 "3.3.2-3", v3 "4.7.3-4", v5 "4.7.3-4", v3 "4.5.0-1", v5 "4.5.0-1");
#[tokio::test]
async fn a_message_comes_to_whose_filter_matches_it_to_the_letter() {
    let server = Server::start();
    for v5 in BOTH {
        let mut client = server.device(v5).await;
        for filter in [
            "muster/v1/devices/pump-7/down/registry/RETIRE",
            "muster/v1/devices/pump-7/down/registry/retire/",
            "muster/v1/devices/pump-7/down/registry//retire",
        ] {
            client.ask(&packets::subscribe_with(v5, 2, &[], filter, 1)).await;
        }
        server.push("registry/retire", "{}");
        assert!(client.by_now().await.is_empty());
        let exact = "muster/v1/devices/pump-7/down/registry/retire";
        client.ask(&packets::subscribe_with(v5, 2, &[], exact, 1)).await;
        server.push("registry/retire", "{}");
        assert_eq!(client.hear().await.message(v5).0, exact);
    }
}

clause!(v5 "3.1.2-24", v5 "3.1.2-25");
#[tokio::test]
async fn what_is_too_large_for_a_client_is_left_out() {
    let server = Server::start();
    let hello = Hello {
        properties: vec![0x27, 0, 0, 0, 100],
        ..device(true)
    };
    let (mut client, _) = server.connect(&hello).await;
    client.subscribe(1).await;
    server.push("registry/retire", &"x".repeat(100));
    server.push("registry/retire", "small");
    assert_eq!(client.hear().await.message(true).1, b"small");
}

clause!(v5 "3.3.4-9", v5 "4.9.0-2");
#[tokio::test]
async fn no_more_than_the_clients_receive_maximum_is_under_way() {
    let server = Server::start();
    let hello = Hello {
        properties: vec![0x21, 0, 2],
        ..device(true)
    };
    let (mut client, _) = server.connect(&hello).await;
    client.subscribe(2).await;
    for _ in 0..4 {
        server.push("registry/retire", "{}");
    }
    let ids: Vec<_> = client.by_now().await.iter().map(Got::publish_id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(client.ask(&answer(0x50, ids[0], 0)).await.kind, 0x62);
    assert!(client.by_now().await.is_empty(), "a PUBREC makes no room");
    assert_eq!(
        client.ask(&answer(0x70, ids[0], 0)).await.kind,
        0x34,
        "a PUBCOMP does"
    );
}

clause!(v3 "3.3.1-8", v3 "3.3.1-6", v3 "3.3.1-9", v5 "3.3.1-12");
#[tokio::test]
async fn what_is_retained_comes_marked_to_who_subscribes_and_unmarked_to_who_has() {
    let server = Server::start();
    server.push("rollout/assignment", "one");
    for v5 in BOTH {
        let mut client = server.subscribed(v5, 1).await;
        let got = client.hear().await;
        assert_eq!((got.kind, got.message(v5).1), (0x33, b"one".to_vec()));
        server.push("rollout/assignment", "one");
        assert_eq!(client.hear().await.kind, 0x32);
    }
}
